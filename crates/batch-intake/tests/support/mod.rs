//! A fleet of one service: batch-intake on the embedded bus and ledger, and everything it leaves
//! behind as values that can be compared.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod faults;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use batch_intake::{BatchIntake, IntakeMetrics, Settings};
use bus::{Bus, Consumer, EmbeddedBus, Outgoing, Route, SendQueue, Topic, queue};
use ledger::{EmbeddedLedger, Ledger, Row};
use message::{
    BatchId, BatchKey, Chunk, Class, Connection, ConnectionId, DistributionId, OrganizationId,
    Sender, Timestamp,
    event::{Event, RefusedEvent},
};
use runtime::{CancellationToken, Config, Metrics};
use serde_json::{Value, json};

pub const ORGANIZATION: &str = "ORG_1";
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Bench {
    pub bus: Arc<EmbeddedBus>,
    pub ledger: Arc<EmbeddedLedger>,
    pub settings: Settings,
    events: Consumer,
}

/// What a scheduler, a worker and an operator would see in the end.
#[derive(Debug, PartialEq)]
pub struct Left {
    pub published: bool,
    pub rows: Vec<Row>,
    /// By message id: copies of a chunk are one, and must be equal.
    pub chunks: BTreeMap<String, Chunk>,
}

impl Bench {
    pub async fn new() -> Self {
        let config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
        let mut settings: Settings = config.section("batch_intake").expect("they fit");
        settings.retry_first = Duration::from_millis(1);
        settings.retry_longest = Duration::from_millis(5);
        let bus = EmbeddedBus::new();
        let events = bus
            .subscribe(Topic::Events, "#")
            .await
            .expect("an open bus");
        let bench = Self {
            bus,
            ledger: EmbeddedLedger::new(),
            settings,
            events,
        };
        bench.connect(ORGANIZATION, "con_1").await;
        bench
    }

    pub async fn connect(&self, organization: &str, id: &str) {
        let connection = Connection {
            id: ConnectionId::new(id).expect("an id"),
            organization_id: OrganizationId::new(organization).expect("an id"),
            provider: "twilio-sms".to_owned(),
            name: "test".to_owned(),
            sender: Sender::Alphanumeric("Survey".into()),
            fields: BTreeMap::new(),
            secrets: BTreeMap::new(),
            segments_per_second: 10.0,
            created_at: now(),
            deleted_at: None,
        };
        self.ledger
            .add_connection(&connection)
            .await
            .expect("the embedded ledger is there");
    }

    pub async fn hand_over(&self, body: impl Into<Vec<u8>>) {
        self.hand_over_to(queue::BATCHES, body).await;
    }

    pub async fn hand_over_to(&self, queue: &str, body: impl Into<Vec<u8>>) {
        let route = Route::Queue(queue.to_owned());
        self.bus
            .publish(vec![Outgoing::new(route, "from-a-test", body.into())])
            .await
            .expect("the embedded bus is there");
    }

    /// Runs intake until it has decided `batches`.
    pub async fn run(&self, batches: u64) -> Decided {
        self.run_on(self.bus.clone(), self.ledger.clone(), batches)
            .await
    }

    pub async fn run_on(
        &self,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        batches: u64,
    ) -> Decided {
        let metrics = Metrics::new();
        let (intake, stop) = self.intake(bus, ledger, &metrics);
        let running = tokio::spawn(intake.run(stop.clone()));
        let all = async {
            while Decided::of(&metrics).total() < batches {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .unwrap_or_else(|_| panic!("not all decided: {:?}", Decided::of(&metrics)));
        stop.cancel();
        running
            .await
            .expect("it does not panic")
            .expect("it drains");
        Decided::of(&metrics)
    }

    pub fn intake(
        &self,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        metrics: &Metrics,
    ) -> (BatchIntake, CancellationToken) {
        let intake = BatchIntake::new(
            self.settings.clone(),
            bus,
            ledger,
            IntakeMetrics::new(metrics),
        );
        (intake, CancellationToken::new())
    }

    /// What is left of batch `batch` of distribution `dist_1`; takes the chunks off their queue.
    pub async fn left(&self, batch: &str) -> Left {
        self.left_on(batch, "con_1", Class::Bulk).await
    }

    pub async fn left_on(&self, batch: &str, connection: &str, class: Class) -> Left {
        let record = self.ledger.batch(key(batch)).await.expect("there");
        let rows = match record {
            Some(_) => self
                .ledger
                .rows(key(batch), 0, 10_000)
                .await
                .expect("there"),
            None => Vec::new(),
        };
        let queue = SendQueue {
            organization_id: OrganizationId::new(ORGANIZATION).expect("an id"),
            connection_id: ConnectionId::new(connection).expect("an id"),
            distribution_id: DistributionId::new("dist_1").expect("an id"),
            class,
        };
        let mut chunks = BTreeMap::new();
        for (message_id, chunk) in self.drain(&queue.name()).await {
            if let Some(copy) = chunks.insert(message_id, chunk.clone()) {
                assert_eq!(copy, chunk, "copies of a chunk are equal");
            }
        }
        Left {
            published: record.is_some_and(|record| record.published),
            rows,
            chunks,
        }
    }

    pub async fn drain(&self, queue: &str) -> Vec<(String, Chunk)> {
        let mut chunks = Vec::new();
        while let Ok(Some(delivery)) = self.bus.get(queue).await {
            let chunk = serde_json::from_slice(&delivery.body).expect("a chunk");
            chunks.push((delivery.message_id.clone(), chunk));
            delivery.ack().await;
        }
        chunks
    }

    /// The refusals told so far, each event once.
    pub async fn refused(&mut self) -> Vec<RefusedEvent> {
        let mut ids = BTreeSet::new();
        let mut told = Vec::new();
        let wait = Duration::from_millis(50);
        while let Ok(delivery) = tokio::time::timeout(wait, self.events.next()).await {
            let delivery = delivery.expect("an open bus");
            if let Event::Refused(refused) =
                serde_json::from_slice(&delivery.body).expect("an event")
                && ids.insert(refused.event_id.clone())
            {
                told.push(refused);
            }
            delivery.ack().await;
        }
        told
    }

    /// Reasons of what lies in the dead queue.
    pub async fn dead(&self) -> Vec<(String, usize)> {
        let mut dead = Vec::new();
        while let Ok(Some(delivery)) = self.bus.get(queue::DEAD).await {
            for name in ["stage", "version"] {
                assert!(delivery.header(name).is_some(), "{name}");
            }
            let reason = delivery.header("reason").unwrap_or_default().to_owned();
            dead.push((reason, delivery.body.len()));
            delivery.ack().await;
        }
        dead
    }

    /// No batch waits or is held.
    pub async fn batches_waiting(&self) -> u64 {
        self.bus.depth(queue::BATCHES).await.expect("there")
    }
}

impl Left {
    pub fn rows_in_chunks(&self) -> Vec<u32> {
        let mut rows: Vec<u32> = self
            .chunks
            .values()
            .flat_map(|chunk| chunk.rows.iter().map(|row| row.row))
            .collect();
        rows.sort_unstable();
        rows
    }
}

/// How many batches ended how.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decided(pub BTreeMap<String, u64>);

impl Decided {
    pub fn of(metrics: &Metrics) -> Self {
        let text = String::from_utf8(metrics.render()).expect("text");
        let counts = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("smsfleet_intake_batches_total{outcome=\"")?;
            let (outcome, count) = rest.split_once("\"} ")?;
            Some((outcome.to_owned(), count.parse().ok()?))
        });
        Self(counts.collect())
    }

    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub fn only(outcome: &str, count: u64) -> Self {
        Self(BTreeMap::from([(outcome.to_owned(), count)]))
    }
}

pub fn key(batch: &str) -> BatchKey {
    BatchKey::of(
        &OrganizationId::new(ORGANIZATION).expect("an id"),
        &BatchId::new(batch).expect("an id"),
    )
}

pub fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// A sound batch of `n` recipients.
pub fn batch(id: &str, n: u32) -> Value {
    let recipients: Vec<Value> = (0..n)
        .map(|row| json!({ "to": number(row), "fields": { "name": format!("N{row}") } }))
        .collect();
    json!({
        "organization_id": ORGANIZATION,
        "distribution_id": "dist_1",
        "batch_id": id,
        "method": "invite",
        "text": "Hi {{name}}",
        "recipients": recipients,
    })
}

pub fn number(row: u32) -> String {
    format!("+336{:08}", 12_000_000 + row)
}

pub fn text(batch: &Value) -> Vec<u8> {
    batch.to_string().into_bytes()
}

/// `batch` with another value for `name`.
pub fn with(mut batch: Value, name: &str, value: Value) -> Value {
    batch[name] = value;
    batch
}
