//! What the ledger asks of Redis for each message on its way: processor time of the server and of this
//! process, and the server's commands, step by step.
//!
//! `cargo run --release -p ledger --example hot_path -- redis://… [messages] [rows a call]`
//!
//! Batches of 10,000 are entered, claimed and settled a hundred rows at a time, the second half of them
//! with ids that receipts are found by; then their receipts are merged, those of the first half by the
//! hundred as they were sent, of the second half in any order. The server should be
//! private and empty: whatever else it does is counted too.

use std::{collections::BTreeMap, sync::Arc};

use ledger::{
    BatchRecord, ClaimRequest, Ledger, NewRow, RedisLedger, RedisSettings, RowReport, Sealer,
    SettleOutcome, SettleRequest, SettleRow,
};
use message::{
    BatchId, BatchKey, Class, ConnectionId, DistributionId, DoubtPolicy, MessageState, Msisdn,
    OrganizationId, Secret, Timestamp,
};
use redis::aio::MultiplexedConnection;

type Failure = Box<dyn std::error::Error>;

const BATCH_ROWS: u32 = 10_000;
const SENDER: &str = "+15550100";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .ok_or("the URL of a private Redis is missing")?;
    let messages: u32 = arguments.next().map_or(Ok(50_000), |text| text.parse())?;
    let rows_a_call: usize = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let key = Secret::new("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into());
    let sealer = Arc::new(Sealer::new(vec![("bench".into(), key)])?);
    let ledger = RedisLedger::connect(&url, RedisSettings::default(), sealer).await?;
    let server = redis::Client::open(url)?
        .get_multiplexed_async_connection()
        .await?;
    let mut clock = Clock::start(server, messages).await?;

    let run = Run {
        ledger: &*ledger,
        organization: OrganizationId::new("acme")?,
        connection: ConnectionId::new("con-8f14e45fceea167a")?,
        now: std::time::SystemTime::now().into(),
    };
    let mut batches = Vec::new();
    for batch in 0..messages.div_ceil(BATCH_ROWS) {
        batches.push((run.batch(batch).await?, batch * BATCH_ROWS));
    }
    clock.lap("enter").await?;
    let all: Vec<u32> = (0..BATCH_ROWS).collect();
    for (batch, first) in &batches {
        for rows in all.chunks(rows_a_call) {
            run.claim(*batch, *first, rows).await?;
        }
    }
    clock.lap("claim").await?;
    let half = batches.len().div_ceil(2);
    for (with_ids, batches) in [(false, &batches[..half]), (true, &batches[half..])] {
        for (batch, first) in batches {
            for rows in all.chunks(rows_a_call) {
                run.settle(*batch, *first, rows, with_ids).await?;
            }
        }
        clock.messages = u32::try_from(batches.len())? * BATCH_ROWS;
        clock
            .lap(if with_ids {
                "settle with ids"
            } else {
                "settle"
            })
            .await?;
    }
    for (batch, _) in &batches[..half] {
        for rows in all.chunks(rows_a_call) {
            let mut rows = rows.to_vec();
            fastrand::shuffle(&mut rows);
            run.merge(*batch, &rows).await?;
        }
    }
    clock.messages = u32::try_from(half)? * BATCH_ROWS;
    clock.lap("merge").await?;
    for (batch, _) in &batches[half..] {
        let mut rows = all.clone();
        fastrand::shuffle(&mut rows);
        for rows in rows.chunks(rows_a_call) {
            run.merge(*batch, rows).await?;
        }
    }
    clock.messages = messages - clock.messages;
    clock.lap("merge, any order").await
}

struct Run<'a> {
    ledger: &'a dyn Ledger,
    organization: OrganizationId,
    connection: ConnectionId,
    now: Timestamp,
}

impl Run<'_> {
    async fn batch(&self, number: u32) -> Result<BatchKey, Failure> {
        let batch_id = BatchId::new(&format!("2026-11-20:invite.{number}"))?;
        let record = BatchRecord {
            key: BatchKey::of(&self.organization, &batch_id),
            organization_id: self.organization.clone(),
            distribution_id: DistributionId::new("2026-11-20")?,
            batch_id,
            digest: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef".into(),
            connection_id: self.connection.clone(),
            class: Class::Bulk,
            recipients: BATCH_ROWS,
            on_doubt: DoubtPolicy::Hold,
            expires_at: Timestamp::from_millis(self.now.as_millis() + 24 * 3_600_000),
            created_at: self.now,
            published: false,
        };
        self.ledger.register_batch(&record).await?;
        let new = |row| {
            Ok::<_, Failure>(NewRow {
                row,
                to: Some(to(number * BATCH_ROWS + row)?.masked()),
                invalid: None,
            })
        };
        let rows = (0..BATCH_ROWS).map(new).collect::<Result<Vec<_>, _>>()?;
        self.ledger.write_rows(record.key, &rows).await?;
        Ok(record.key)
    }

    async fn claim(&self, batch: BatchKey, first: u32, rows: &[u32]) -> Result<(), Failure> {
        let recipient = |row: &u32| Ok::<_, Failure>((*row, to(first + row)?));
        let claim = ClaimRequest {
            organization_id: self.organization.clone(),
            batch,
            token: 7,
            attempt: 1,
            connection_id: self.connection.clone(),
            sender: SENDER.into(),
            now: self.now,
            interrupted_after_millis: 60_000,
            redelivered: false,
            exempt_from_opt_out: false,
            rows: rows.iter().map(recipient).collect::<Result<_, _>>()?,
        };
        self.ledger.claim(&claim).await?;
        Ok(())
    }

    async fn settle(
        &self,
        batch: BatchKey,
        first: u32,
        rows: &[u32],
        index_ids: bool,
    ) -> Result<(), Failure> {
        let accepted = |row: &u32| {
            Ok::<_, Failure>(SettleRow {
                row: *row,
                to: to(first + row)?,
                outcome: SettleOutcome::State(MessageState::Accepted),
                code: String::new(),
                provider_message_id: format!("SM{:016x}{row:016x}", batch.as_u64()),
                parts: 1,
                part_ids: Vec::new(),
            })
        };
        let settle = SettleRequest {
            batch,
            token: 7,
            now: self.now,
            connection_id: self.connection.clone(),
            sender: (self.organization.clone(), SENDER.into()),
            index_ids,
            rows: rows.iter().map(accepted).collect::<Result<_, _>>()?,
        };
        self.ledger.settle(&settle).await?;
        Ok(())
    }

    async fn merge(&self, batch: BatchKey, rows: &[u32]) -> Result<(), Failure> {
        let delivered = |row: &u32| RowReport {
            row: *row,
            state: MessageState::Delivered,
            code: String::new(),
            provider_message_id: format!("SM{:016x}{row:016x}", batch.as_u64()),
            part: None,
        };
        let reports: Vec<_> = rows.iter().map(delivered).collect();
        self.ledger.merge(batch, &reports, self.now).await?;
        Ok(())
    }
}

fn to(number: u32) -> Result<Msisdn, Failure> {
    Ok(Msisdn::from_u64(33_600_000_000 + u64::from(number)).ok_or("not a number")?)
}

/// Measures a step when it is over.
struct Clock {
    server: MultiplexedConnection,
    messages: u32,
    server_seconds: f64,
    own_seconds: f64,
}

impl Clock {
    async fn start(server: MultiplexedConnection, messages: u32) -> Result<Self, Failure> {
        let mut clock = Self {
            server,
            messages,
            server_seconds: 0.0,
            own_seconds: 0.0,
        };
        clock.server_seconds = clock.of_server().await?;
        clock.own_seconds = own_seconds()?;
        clock.reset().await?;
        Ok(clock)
    }

    async fn lap(&mut self, step: &str) -> Result<(), Failure> {
        let (server, own) = (self.of_server().await?, own_seconds()?);
        let micros = |seconds: f64| seconds * 1e6 / f64::from(self.messages);
        println!(
            "{step}: {:.2} µs of the server and {:.2} µs of this process a message",
            micros(server - self.server_seconds),
            micros(own - self.own_seconds)
        );
        for (command, [calls, micros]) in self.commands().await? {
            let each = |n: f64| n / f64::from(self.messages);
            if each(calls) >= 0.005 {
                println!("    {:.2} {command}, {:.2} µs", each(calls), each(micros));
            }
        }
        self.reset().await?;
        (self.server_seconds, self.own_seconds) = (self.of_server().await?, own_seconds()?);
        Ok(())
    }

    async fn of_server(&mut self) -> Result<f64, Failure> {
        let info = self.info("cpu").await?;
        let seconds = |name| info.get(name).map_or(Ok(0.0), |text: &String| text.parse());
        Ok(seconds("used_cpu_user")? + seconds("used_cpu_sys")?)
    }

    async fn commands(&mut self) -> Result<BTreeMap<String, [f64; 2]>, Failure> {
        let info = self.info("commandstats").await?;
        let calls = |(name, stats): (&String, &String)| {
            let field = |name| {
                let mut fields = stats.split(',').filter_map(|field| field.split_once('='));
                fields.find(|field| field.0 == name)?.1.parse().ok()
            };
            let command = name.strip_prefix("cmdstat_")?.to_owned();
            Some((command, [field("calls")?, field("usec")?]))
        };
        Ok(info.iter().filter_map(calls).collect())
    }

    async fn reset(&mut self) -> Result<(), Failure> {
        Ok(redis::cmd("CONFIG")
            .arg("RESETSTAT")
            .query_async(&mut self.server)
            .await?)
    }

    async fn info(&mut self, section: &str) -> Result<BTreeMap<String, String>, Failure> {
        let info: String = redis::cmd("INFO")
            .arg(section)
            .query_async(&mut self.server)
            .await?;
        let pair = |line: &str| {
            line.split_once(':')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        Ok(info.lines().filter_map(pair).collect())
    }
}

/// Of the thread that everything runs on.
fn own_seconds() -> Result<f64, Failure> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("no schedstat")?;
    Ok(nanos.parse::<f64>()? / 1e9)
}
