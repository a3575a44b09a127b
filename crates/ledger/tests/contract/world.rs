//! What a test starts with: a ledger, an organisation of its own, and short ways to say things.

use std::sync::Arc;

use ledger::{
    BatchRecord, Claim, ClaimRequest, EmbeddedLedger, Ledger, NewRow, RedisLedger, RedisSettings,
    Registered, Row, RowReport, Sealer, SettleOutcome, SettleRequest, SettleRow, Settled,
};
use message::{
    BatchId, BatchKey, Class, ConnectionId, DistributionId, DoubtPolicy, MessageState, Msisdn,
    OrganizationId, Secret, Timestamp,
};

/// When tests happen: long ago, so that a store that asked the wall clock would show it.
pub const START: Timestamp = Timestamp::from_millis(1_764_000_000_000);

pub const SENDER: &str = "+15550100";

pub struct World {
    pub ledger: Arc<dyn Ledger>,
    pub organization: OrganizationId,
    /// Where the store is and what its keys start with, if there is a store.
    pub store: Option<(String, String)>,
}

impl World {
    pub fn embedded() -> Self {
        Self {
            ledger: EmbeddedLedger::new(),
            organization: organization(),
            store: None,
        }
    }

    /// Nothing where no server is configured and none is required.
    pub async fn redis() -> Option<Self> {
        match std::env::var("SMSFLEET_REDIS_URL") {
            Ok(url) => Some(Self::at(&url).await),
            Err(_) => {
                let required = std::env::var("SMSFLEET_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
                assert!(
                    !required,
                    "SMSFLEET_REDIS_URL is not set, and services are required"
                );
                println!("skipped: SMSFLEET_REDIS_URL is not set");
                None
            }
        }
    }

    pub async fn at(url: &str) -> Self {
        let prefix = format!("test:{:x}:", fastrand::u64(..));
        let settings = RedisSettings {
            key_prefix: prefix.clone(),
            ..RedisSettings::default()
        };
        let ledger = RedisLedger::connect(url, settings, sealer(1)).await;
        Self {
            ledger: ledger.expect("Redis answers"),
            organization: organization(),
            store: Some((url.to_owned(), prefix)),
        }
    }

    /// Removes what the test wrote. After a failure it stays, to be looked at.
    pub async fn tidy_up(&self) {
        let mut connection = self.connection().await;
        for key in self.keys().await {
            let _: () = redis::cmd("DEL")
                .arg(key)
                .query_async(&mut connection)
                .await
                .expect("deleted");
        }
    }

    /// The keys of this world.
    pub async fn keys(&self) -> Vec<String> {
        let (_, prefix) = self.store.as_ref().expect("a world with a store");
        let mut connection = self.connection().await;
        let (mut cursor, mut keys) = (0u64, Vec::new());
        loop {
            let (next, page): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(format!("{prefix}*"))
                .arg("COUNT")
                .arg(1_000)
                .query_async(&mut connection)
                .await
                .expect("scanned");
            keys.extend(page);
            if next == 0 {
                return keys;
            }
            cursor = next;
        }
    }

    /// A connection past the ledger, to look at what is stored.
    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let (url, _) = self.store.as_ref().expect("a world with a store");
        let node = url.split(',').next().expect("at least one node");
        let client = redis::Client::open(node).expect("a valid URL");
        client
            .get_multiplexed_async_connection()
            .await
            .expect("Redis answers")
    }

    /// The record of a batch that nobody registered yet.
    pub fn record(&self, name: &str, recipients: u32) -> BatchRecord {
        let batch_id = BatchId::new(name).expect("valid");
        BatchRecord {
            key: BatchKey::of(&self.organization, &batch_id),
            organization_id: self.organization.clone(),
            distribution_id: DistributionId::new("survey").expect("valid"),
            batch_id,
            digest: "digest".into(),
            connection_id: connection("con-1"),
            class: Class::Bulk,
            recipients,
            on_doubt: DoubtPolicy::Hold,
            expires_at: at(24 * 3_600_000),
            created_at: START,
            published: false,
        }
    }

    /// A registered batch whose rows all wait.
    pub async fn batch(&self, name: &str, recipients: u32) -> BatchKey {
        let record = self.record(name, recipients);
        let registered = self
            .ledger
            .register_batch(&record)
            .await
            .expect("registered");
        assert_eq!(registered, Registered::New);
        let rows: Vec<_> = (0..recipients).map(good_row).collect();
        self.ledger
            .write_rows(record.key, &rows)
            .await
            .expect("written");
        record.key
    }

    pub fn claim_of(&self, batch: BatchKey, token: u32, rows: &[u32]) -> ClaimRequest {
        ClaimRequest {
            organization_id: self.organization.clone(),
            batch,
            token,
            attempt: 1,
            connection_id: connection("con-1"),
            sender: SENDER.into(),
            now: at(1_000),
            interrupted_after_millis: 60_000,
            redelivered: false,
            exempt_from_opt_out: false,
            rows: rows.iter().map(|row| (*row, number(*row))).collect(),
        }
    }

    pub async fn claim(&self, batch: BatchKey, token: u32, rows: &[u32]) -> Vec<Claim> {
        self.claimed(&self.claim_of(batch, token, rows)).await
    }

    pub async fn claimed(&self, claim: &ClaimRequest) -> Vec<Claim> {
        let answer = self.ledger.claim(claim).await.expect("claimed");
        self.check_books(claim.batch).await;
        answer
    }

    pub async fn settle(&self, batch: BatchKey, token: u32, rows: &[SettleRow]) -> Vec<Settled> {
        self.settle_at(batch, token, rows, at(2_000)).await
    }

    pub async fn settle_at(
        &self,
        batch: BatchKey,
        token: u32,
        rows: &[SettleRow],
        now: Timestamp,
    ) -> Vec<Settled> {
        let settle = SettleRequest {
            batch,
            token,
            now,
            connection_id: connection("con-1"),
            sender: (self.organization.clone(), SENDER.into()),
            index_ids: true,
            rows: rows.to_vec(),
        };
        let answer = self.ledger.settle(&settle).await.expect("settled");
        self.check_books(batch).await;
        answer
    }

    pub async fn merge(&self, batch: BatchKey, reports: &[RowReport]) -> Vec<Settled> {
        let answer = self
            .ledger
            .merge(batch, reports, at(3_000))
            .await
            .expect("merged");
        self.check_books(batch).await;
        answer
    }

    pub async fn row(&self, batch: BatchKey, row: u32) -> Row {
        let mut rows = self.ledger.rows(batch, row, 1).await.expect("listed");
        rows.pop().expect("the row is there")
    }

    /// The counters say what the rows say, and accepted = terminal + in flight.
    pub async fn check_books(&self, batch: BatchKey) {
        let counts = self.ledger.counts(batch).await.expect("counted");
        let rows = self.ledger.rows(batch, 0, u32::MAX).await.expect("listed");
        for (state, counted) in counts.iter() {
            let found = rows.iter().filter(|row| row.state == state).count() as u64;
            assert_eq!(counted, found, "{state}");
        }
        let accepted = rows.len() as u64 - counts.of(MessageState::Invalid);
        assert!(counts.books().balance(accepted), "{counts:?}");
    }
}

fn organization() -> OrganizationId {
    OrganizationId::new(&format!("org-{:x}", fastrand::u64(..))).expect("valid")
}

/// A sealer with one key, made of `byte`.
pub fn sealer(byte: u8) -> Arc<Sealer> {
    // "AQEB…": base64 of 32 equal bytes, for two of them.
    let key = match byte {
        1 => "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        _ => "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
    };
    Arc::new(Sealer::new(vec![("test".into(), Secret::new(key.into()))]).expect("a valid key"))
}

pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(START.as_millis() + millis)
}

pub fn number(row: u32) -> Msisdn {
    Msisdn::from_u64(33_639_980_000 + u64::from(row)).expect("eleven digits")
}

pub fn connection(id: &str) -> ConnectionId {
    ConnectionId::new(id).expect("valid")
}

pub fn good_row(row: u32) -> NewRow {
    NewRow {
        row,
        to: Some(number(row).masked()),
        invalid: None,
    }
}

pub fn settle_row(row: u32, outcome: SettleOutcome, code: &str, id: &str) -> SettleRow {
    SettleRow {
        row,
        to: number(row),
        outcome,
        code: code.into(),
        provider_message_id: id.into(),
        parts: 1,
        part_ids: Vec::new(),
    }
}

pub fn accepted(row: u32) -> SettleRow {
    settle_row(
        row,
        SettleOutcome::State(MessageState::Accepted),
        "",
        &provider_id(row),
    )
}

pub fn provider_id(row: u32) -> String {
    format!("SM{row:032x}")
}

pub fn report(row: u32, state: MessageState, code: &str) -> RowReport {
    RowReport {
        row,
        state,
        code: code.into(),
        provider_message_id: String::new(),
        part: None,
    }
}

/// The row of an answer that must have changed it.
#[track_caller]
pub fn changed(answer: &Settled) -> &Row {
    match answer {
        Settled::Changed(row) => row,
        other => panic!("not changed: {other:?}"),
    }
}

/// The row of an answer that must not have changed it.
#[track_caller]
pub fn unchanged(answer: &Settled) -> &Row {
    match answer {
        Settled::Unchanged(row) => row,
        other => panic!("not unchanged: {other:?}"),
    }
}
