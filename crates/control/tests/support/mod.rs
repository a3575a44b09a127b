//! The API on the embedded bus and ledger, asked without a socket.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use bus::{Bus, EmbeddedBus, Outgoing, Route, SendQueue};
use control::{Control, ControlMetrics, Settings};
use http_body_util::BodyExt;
use ledger::{
    BatchRecord, Claim, ClaimRequest, EmbeddedLedger, Ledger, NewRow, QueueEntry, SettleOutcome,
    SettleRequest, SettleRow,
};
use message::{
    BatchId, BatchKey, Chunk, Class, ConnectionId, DistributionId, DoubtPolicy, MessageState,
    Msisdn, OrganizationId, Timestamp,
    chunk::{CHUNK_VERSION, ChunkRow},
};
use runtime::{Config, Metrics};
use serde_json::{Value, json};
use tower::ServiceExt;

pub const OPS: &str = "ops-token-0123456789";
pub const LIMITED: &str = "crm-token-0123456789";
pub const ORGANIZATION: &str = "ORG_1";

pub struct Bench {
    pub bus: Arc<EmbeddedBus>,
    pub ledger: Arc<EmbeddedLedger>,
    router: Router,
}

pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The body of an answer that must be good.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        self.body
    }
}

pub fn settings(set: &[(&str, i64)]) -> Settings {
    let mut config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
    let tokens = vec![
        format!("ops={OPS}"),
        format!("crm@{ORGANIZATION}={LIMITED}"),
    ];
    config.set("control.tokens", tokens);
    config.set("control.allow_private_hosts", true);
    for (key, value) in set {
        config.set(key, *value);
    }
    config.section("control").expect("they fit")
}

impl Bench {
    pub fn new() -> Self {
        Self::with(settings(&[]))
    }

    pub fn with(settings: Settings) -> Self {
        let (bus, ledger) = (EmbeddedBus::new(), EmbeddedLedger::new());
        let control = Control::new(
            settings,
            vec!["https://sms.example.org".to_owned()],
            bus.clone(),
            ledger.clone(),
            ControlMetrics::new(&Metrics::new()),
        );
        Self {
            router: control.router(),
            bus,
            ledger,
        }
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(body.into())
            .expect("a request");
        self.send(request).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let status = response.status();
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .map(|value| value.to_str().expect("ASCII").to_owned());
        let bytes = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| panic!("not JSON: {status} {bytes:?}"));
        Answer {
            status,
            retry_after,
            body,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, OPS, Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, OPS, body.to_string()).await
    }

    /// A published batch of `rows` rows of which the first `invalid` are bad, with its queue.
    pub async fn publish_batch(&self, distribution: &str, batch: &str, rows: u32, invalid: u32) {
        let record = record(distribution, batch, rows);
        let key = record.key;
        self.ledger.register_batch(&record).await.expect("there");
        let entries: Vec<NewRow> = (0..rows)
            .map(|row| NewRow {
                row,
                to: Some(number(row).masked()),
                invalid: (row < invalid).then(|| "invalid_number:to".to_owned()),
            })
            .collect();
        self.ledger.write_rows(key, &entries).await.expect("there");
        let queue = queue(distribution);
        self.bus.declare_send_queue(&queue).await.expect("there");
        let entry = QueueEntry {
            name: queue.name(),
            organization_id: queue.organization_id,
            distribution_id: queue.distribution_id,
            connection_id: queue.connection_id,
            class: queue.class,
            expires_at: record.expires_at,
            weight: None,
        };
        self.ledger.open_queue(&entry).await.expect("there");
        let chunk = Outgoing::new(Route::Queue(entry.name), batch, "{}");
        self.bus.publish(vec![chunk]).await.expect("there");
        self.ledger.mark_published(key).await.expect("there");
    }

    /// Claims `rows` as a worker would before it sends them.
    pub async fn claim(&self, batch: &str, rows: std::ops::Range<u32>) -> Vec<Claim> {
        let claim = ClaimRequest {
            organization_id: organization(),
            batch: key(batch),
            token: rows.start + 1,
            attempt: 1,
            connection_id: ConnectionId::new("con_1").expect("an id"),
            sender: "+12025550100".into(),
            now: now(),
            interrupted_after_millis: 60_000,
            redelivered: false,
            exempt_from_opt_out: false,
            rows: rows.map(|row| (row, number(row))).collect(),
        };
        self.ledger.claim(&claim).await.expect("there")
    }

    /// What became of a row that was claimed with others from row 0 on.
    pub async fn settle(&self, batch: &str, row: u32, state: MessageState, code: &str) {
        let settle = SettleRequest {
            batch: key(batch),
            token: 1,
            now: now(),
            sender: (organization(), "+12025550100".into()),
            index_ids: true,
            connection_id: message::ConnectionId::new("con_1").expect("an id"),
            rows: vec![SettleRow {
                row,
                to: number(row),
                outcome: SettleOutcome::State(state),
                code: code.into(),
                provider_message_id: String::new(),
                parts: 0,
                part_ids: Vec::new(),
            }],
        };
        self.ledger.settle(&settle).await.expect("there");
    }

    /// A dead chunk of one row, as the worker buries it.
    pub async fn dead_chunk(&self, distribution: &str, batch: &str, row: u32) {
        let record = record(distribution, batch, 1);
        let chunk = Chunk {
            v: CHUNK_VERSION,
            organization_id: record.organization_id,
            distribution_id: record.distribution_id,
            batch_id: record.batch_id,
            batch: record.key,
            connection_id: record.connection_id,
            class: record.class,
            attempt: 1,
            text: "Hello".into(),
            expires_at: record.expires_at,
            exempt_from_opt_out: false,
            rows: vec![ChunkRow {
                row,
                to: number(row),
                segments: 1,
                fields: Default::default(),
            }],
        };
        let body = serde_json::to_vec(&chunk).expect("JSON");
        let letter = Outgoing::new(Route::Dead, "c", body)
            .with_header("reason", "attempts_exhausted")
            .with_header("queue", queue(distribution).name());
        self.bus.publish(vec![letter]).await.expect("there");
    }

    pub async fn dead_letter(&self, id: &str, reason: &str, queue: Option<&str>) {
        let mut letter = Outgoing::new(Route::Dead, id, "{\"to\":\"+33612000000\"}")
            .with_header("reason", reason)
            .with_header("stage", "a-test")
            .with_header("version", "1");
        if let Some(queue) = queue {
            letter = letter.with_header("queue", queue);
        }
        self.bus.publish(vec![letter]).await.expect("there");
    }

    /// Every item of a list, page by page; asserts that the pages are as long as asked for.
    pub async fn walk(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        for _ in 0..1_000 {
            let page = self
                .get(&format!("{path}&limit={limit}{cursor}"))
                .await
                .ok();
            let page_items = page["items"].as_array().expect("items").clone();
            assert!(page_items.len() <= limit);
            items.extend(page_items);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
        panic!("the list never ends");
    }
}

pub fn organization() -> OrganizationId {
    OrganizationId::new(ORGANIZATION).expect("an id")
}

pub fn key(batch: &str) -> BatchKey {
    BatchKey::of(&organization(), &BatchId::new(batch).expect("an id"))
}

pub fn queue(distribution: &str) -> SendQueue {
    SendQueue {
        organization_id: organization(),
        connection_id: ConnectionId::new("con_1").expect("an id"),
        distribution_id: DistributionId::new(distribution).expect("an id"),
        class: Class::Bulk,
    }
}

pub fn record(distribution: &str, batch: &str, recipients: u32) -> BatchRecord {
    BatchRecord {
        key: key(batch),
        organization_id: organization(),
        distribution_id: DistributionId::new(distribution).expect("an id"),
        batch_id: BatchId::new(batch).expect("an id"),
        digest: batch.to_owned(),
        connection_id: ConnectionId::new("con_1").expect("an id"),
        class: Class::Bulk,
        recipients,
        on_doubt: DoubtPolicy::Hold,
        expires_at: now().plus(Duration::from_secs(3600)),
        created_at: now(),
        published: false,
    }
}

pub fn number(row: u32) -> Msisdn {
    Msisdn::from_u64(33_612_000_000 + u64::from(row)).expect("a number")
}

pub fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

pub fn batch_body() -> Value {
    json!({
        "organization_id": ORGANIZATION,
        "distribution_id": "dist_1",
        "batch_id": "b1",
        "method": "invite",
        "text": "Hi",
        "recipients": [{ "to": "+33612000000" }],
    })
}

/// A connection form without faults.
pub fn connection_body() -> Value {
    json!({
        "organization_id": ORGANIZATION,
        "provider": "twilio-sms",
        "name": "Main",
        "sender": "+15550001111",
        "segments_per_second": 12.5,
        "fields": BTreeMap::from([
            ("account_sid", format!("AC{}", "0123456789abcdef".repeat(2))),
            ("auth_token", "fedcba9876543210".repeat(2)),
        ]),
    })
}
