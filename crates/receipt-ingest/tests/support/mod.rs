//! A ledger with a batch that was sent, a bus, and receipts as Twilio writes them.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bus::{Bus, Consumer, Delivery, EmbeddedBus, Outgoing, Route, Topic, queue};
use ledger::{
    BatchRecord, ClaimRequest, EmbeddedLedger, Ledger, NewRow, Row, SettleOutcome, SettleRequest,
    SettleRow,
};
use message::{
    BatchId, BatchKey, Class, Connection, ConnectionId, DistributionId, DoubtPolicy, MessageState,
    Msisdn, OrganizationId, Reference, Sender, Timestamp,
    callback::{CALLBACKS_VERSION, Callback, CallbackGroup},
    event::{Event, StatusEvent},
};
use receipt_ingest::{ReceiptIngest, ReceiptMetrics, Settings};
use runtime::{CancellationToken, Config, Metrics};
use tokio::task::JoinHandle;

pub const ROWS: u32 = 200;

pub const SENDER: &str = "+13531234567";

pub struct World {
    pub bus: Arc<EmbeddedBus>,
    pub ledger: Arc<EmbeddedLedger>,
    pub batch: BatchKey,
    pub events: Consumer,
}

pub fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).expect("valid")
}

pub fn number(row: u32) -> Msisdn {
    Msisdn::from_u64(353_860_000_000 + u64::from(row)).expect("valid")
}

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

impl World {
    /// [`ROWS`] rows, of which the first `sent` were accepted by the provider.
    pub async fn new(sent: u32) -> Self {
        Self::on(EmbeddedBus::new(), sent).await
    }

    pub async fn on(bus: Arc<EmbeddedBus>, sent: u32) -> Self {
        let ledger = EmbeddedLedger::new();
        for (id, owner) in [("C_1", "ORG_1"), ("C_2", "ORG_2")] {
            ledger
                .add_connection(&connection(id, owner))
                .await
                .expect("embedded");
        }
        let batch_id = BatchId::new("b-1").expect("valid");
        let batch = BatchKey::of(&organization("ORG_1"), &batch_id);
        let record = BatchRecord {
            key: batch,
            organization_id: organization("ORG_1"),
            distribution_id: DistributionId::new("d-1").expect("valid"),
            batch_id,
            digest: "0".repeat(64),
            connection_id: ConnectionId::new("C_1").expect("valid"),
            class: Class::Bulk,
            recipients: ROWS,
            on_doubt: DoubtPolicy::Hold,
            expires_at: now().plus(Duration::from_secs(3600)),
            created_at: now(),
            published: false,
        };
        ledger.register_batch(&record).await.expect("embedded");
        let rows: Vec<_> = (0..ROWS)
            .map(|row| NewRow {
                row,
                to: Some(number(row).masked()),
                invalid: None,
            })
            .collect();
        ledger.write_rows(batch, &rows).await.expect("embedded");
        let events = bus.subscribe(Topic::Events, "#").await.expect("embedded");
        let world = Self {
            bus,
            ledger,
            batch,
            events,
        };
        let sent: Vec<_> = (0..sent).collect();
        world.send(&sent).await;
        world
    }

    /// The provider accepts `rows`.
    pub async fn send(&self, rows: &[u32]) {
        let claim = ClaimRequest {
            organization_id: organization("ORG_1"),
            batch: self.batch,
            token: 7,
            attempt: 1,
            connection_id: ConnectionId::new("C_1").expect("valid"),
            sender: SENDER.into(),
            now: now(),
            interrupted_after_millis: 60_000,
            redelivered: false,
            exempt_from_opt_out: false,
            rows: rows.iter().map(|row| (*row, number(*row))).collect(),
        };
        self.ledger.claim(&claim).await.expect("embedded");
        let settle = SettleRequest {
            batch: self.batch,
            token: 7,
            now: now(),
            connection_id: ConnectionId::new("C_1").expect("valid"),
            sender: (organization("ORG_1"), SENDER.into()),
            index_ids: true,
            rows: rows
                .iter()
                .map(|&row| SettleRow {
                    row,
                    to: number(row),
                    outcome: SettleOutcome::State(MessageState::Accepted),
                    code: String::new(),
                    provider_message_id: format!("SM{row:032x}"),
                    parts: 1,
                    part_ids: Vec::new(),
                })
                .collect(),
        };
        self.ledger.settle(&settle).await.expect("embedded");
    }

    pub fn start(&self) -> Running {
        self.start_with(|_| {})
    }

    pub fn start_with(&self, change: impl FnOnce(&mut Settings)) -> Running {
        let config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
        let mut settings: Settings = config.section("receipt_ingest").expect("the defaults fit");
        change(&mut settings);
        let (metrics, stop) = (Metrics::new(), CancellationToken::new());
        let ingest = ReceiptIngest::new(
            settings,
            self.bus.clone(),
            self.ledger.clone(),
            ReceiptMetrics::new(&metrics),
        );
        let ended = tokio::spawn(ingest.run(stop.clone()));
        Running {
            metrics,
            stop,
            ended,
        }
    }

    /// A receipt of the row, as the ingress hands it on.
    pub fn receipt(&self, row: u32, status: &str, code: &str) -> Callback {
        let reference = self.reference(row);
        callback(&format!("?m={reference}"), &status_form(row, status, code))
    }

    /// The row's name on every wire.
    pub fn reference(&self, row: u32) -> Reference {
        Reference {
            batch: self.batch,
            row,
        }
    }

    pub async fn publish(&self, callbacks: Vec<Callback>) {
        let group = CallbackGroup {
            v: CALLBACKS_VERSION,
            callbacks,
        };
        let body = serde_json::to_vec(&group).expect("serializable");
        self.publish_raw(body).await;
    }

    pub async fn publish_raw(&self, body: impl Into<bytes::Bytes>) {
        let route = Route::Queue(queue::STATUS_CALLBACKS.into());
        self.bus
            .publish(vec![Outgoing::new(route, "group", body)])
            .await
            .expect("taken");
    }

    pub async fn row(&self, row: u32) -> Row {
        self.ledger
            .rows(self.batch, row, 1)
            .await
            .expect("embedded")
            .remove(0)
    }

    /// The next message on `sms.events`.
    pub async fn event(&mut self) -> Event {
        let wait = Duration::from_secs(20);
        let next = tokio::time::timeout(wait, self.events.next()).await;
        let delivery = next.expect("an event in time").expect("embedded");
        let event = serde_json::from_slice(&delivery.body).expect("an event");
        delivery.ack().await;
        event
    }

    /// Status events until `wanted` of them came, and how many messages that took.
    pub async fn status_events(&mut self, wanted: usize) -> (Vec<StatusEvent>, usize) {
        let (mut events, mut messages) = (Vec::new(), 0);
        while events.len() < wanted {
            match self.event().await {
                Event::Status(status) => {
                    assert!(
                        status
                            .messages
                            .iter()
                            .all(|one| one.event_id.ends_with(status.status.as_str()))
                    );
                    events.extend(status.messages);
                    messages += 1;
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
        (events, messages)
    }

    /// Whether every callback was taken and acked.
    pub async fn bus_is_idle(&self) -> bool {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.bus
            .depth(queue::STATUS_CALLBACKS)
            .await
            .expect("a fixed queue")
            == 0
    }

    /// Whether nothing that was told is left to be read.
    pub async fn is_empty_of_events(&mut self) -> bool {
        match tokio::time::timeout(Duration::from_millis(50), self.events.next()).await {
            Err(_) => true,
            // Dropped unacked, it comes back.
            Ok(delivery) => {
                drop(delivery.expect("embedded"));
                false
            }
        }
    }

    /// Whether nothing is told any more.
    pub async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.events.next())
            .await
            .is_err()
    }

    /// Waits for `n` messages in `queue` and takes them out.
    pub async fn taken_from(&self, queue: &str, n: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for _ in 0..4_000 {
            while let Some(delivery) = self.bus.get(queue).await.expect("a fixed queue") {
                taken.push(delivery);
            }
            if taken.len() >= n {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{} of {n} messages came to {queue}", taken.len());
    }
}

pub fn connection(id: &str, owner: &str) -> Connection {
    Connection {
        id: ConnectionId::new(id).expect("valid"),
        organization_id: organization(owner),
        provider: "twilio-sms".into(),
        name: "ours".into(),
        sender: Sender::Number(Msisdn::parse(SENDER).expect("valid")),
        fields: BTreeMap::new(),
        secrets: BTreeMap::new(),
        segments_per_second: 10.0,
        created_at: Timestamp::from_millis(1),
        deleted_at: None,
    }
}

pub fn status_form(row: u32, status: &str, code: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("MessageSid", &format!("SM{row:032x}"));
    form.append_pair("MessageStatus", status);
    form.append_pair("To", &number(row).e164());
    if !code.is_empty() {
        form.append_pair("ErrorCode", code);
    }
    form.finish()
}

pub fn callback(query: &str, form: &str) -> Callback {
    Callback {
        organization_id: organization("ORG_1"),
        connection_id: ConnectionId::new("C_1").expect("valid"),
        provider: "twilio-sms".into(),
        received_at: now(),
        method: "POST".into(),
        target: format!(
            "/distribution-providers/v1/receive/distribution/status/twilio-sms/ORG_1{query}"
        ),
        content_type: "application/x-www-form-urlencoded; charset=UTF-8".into(),
        body: form.into(),
        pending: Vec::new(),
    }
}

pub struct Running {
    pub metrics: Metrics,
    stop: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        self.ended.await.expect("no panic").expect("drained");
    }

    pub fn metric(&self, line: &str) -> bool {
        let text = String::from_utf8(self.metrics.render()).expect("text");
        text.lines().any(|known| known == line)
    }

    pub async fn until(&self, line: &str) {
        for _ in 0..4_000 {
            if self.metric(line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "never became {line}:\n{}",
            String::from_utf8_lossy(&self.metrics.render())
        );
    }
}
