//! A ledger with people who were texted, a bus, and inbound messages as Twilio writes them.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bus::{Bus, Consumer, Delivery, EmbeddedBus, Outgoing, Route, Topic, queue};
use ledger::{
    BatchRecord, ClaimRequest, EmbeddedLedger, Ledger, NewRow, SettleOutcome, SettleRequest,
    SettleRow,
};
use message::{
    BatchId, BatchKey, Class, Connection, ConnectionId, DistributionId, DoubtPolicy, MessageState,
    Msisdn, OrganizationId, Sender, Timestamp,
    batch::InternalBatch,
    callback::{CALLBACKS_VERSION, Callback, CallbackGroup},
    event::{Event, OptOutEvent, ReplyEvent},
    opt_out::{OptOutKind, Standing},
};
use reply_router::{ReplyMetrics, ReplyRouter, Settings};
use runtime::{CancellationToken, Config, Metrics};
use tokio::task::JoinHandle;

/// A long number, for which Twilio answers keywords itself.
pub const LONG: &str = "+13531234567";
/// A short code, for which we do.
pub const SHORT: &str = "51234";
pub const ANA: &str = "+353861234567";

pub struct World {
    pub bus: Arc<EmbeddedBus>,
    pub ledger: Arc<EmbeddedLedger>,
    pub events: Consumer,
    pub replies: Consumer,
}

pub fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).expect("valid")
}

pub fn number(text: &str) -> Msisdn {
    Msisdn::parse(text).expect("valid")
}

pub fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

impl World {
    pub async fn new() -> Self {
        Self::on(EmbeddedBus::new()).await
    }

    pub async fn on(bus: Arc<EmbeddedBus>) -> Self {
        let ledger = EmbeddedLedger::new();
        let senders = [
            ("C_long", Sender::Number(number(LONG))),
            ("C_short", Sender::ShortCode(SHORT.into())),
            ("C_pool", Sender::Service("MG0123".into())),
        ];
        for (id, sender) in senders {
            ledger
                .add_connection(&connection(id, sender))
                .await
                .expect("embedded");
        }
        let events = bus.subscribe(Topic::Events, "#").await.expect("embedded");
        let replies = bus.subscribe(Topic::Replies, "#").await.expect("embedded");
        Self {
            bus,
            ledger,
            events,
            replies,
        }
    }

    /// `to` gets a message of `mailing`, a distribution of `owner`, over ORG_1's `sender`.
    pub async fn text(&self, owner: &str, mailing: &str, sender: &str, to: &str) {
        let batch_id = BatchId::new(&format!("{mailing}-batch")).expect("valid");
        let batch = BatchKey::of(&organization(owner), &batch_id);
        let connection_id = ConnectionId::new("C_long").expect("valid");
        let record = BatchRecord {
            key: batch,
            organization_id: organization(owner),
            distribution_id: DistributionId::new(mailing).expect("valid"),
            batch_id,
            digest: "0".repeat(64),
            connection_id: connection_id.clone(),
            class: Class::Bulk,
            recipients: 1,
            on_doubt: DoubtPolicy::Hold,
            expires_at: now().plus(Duration::from_secs(3600)),
            created_at: now(),
            published: false,
        };
        self.ledger.register_batch(&record).await.expect("embedded");
        let row = NewRow {
            row: 0,
            to: Some(number(to).masked()),
            invalid: None,
        };
        self.ledger
            .write_rows(batch, &[row])
            .await
            .expect("embedded");
        let claim = ClaimRequest {
            organization_id: organization(owner),
            batch,
            token: 7,
            attempt: 1,
            connection_id: connection_id.clone(),
            sender: sender.to_owned(),
            now: now(),
            interrupted_after_millis: 60_000,
            redelivered: false,
            exempt_from_opt_out: false,
            rows: vec![(0, number(to))],
        };
        self.ledger.claim(&claim).await.expect("embedded");
        let row = SettleRow {
            row: 0,
            to: number(to),
            outcome: SettleOutcome::State(MessageState::Accepted),
            code: String::new(),
            provider_message_id: "SM1".into(),
            parts: 1,
            part_ids: Vec::new(),
        };
        let sender = (organization("ORG_1"), sender.to_owned());
        let settle = SettleRequest {
            batch,
            token: 7,
            now: now(),
            connection_id,
            sender,
            index_ids: true,
            rows: vec![row],
        };
        self.ledger.settle(&settle).await.expect("embedded");
    }

    pub fn start(&self) -> Running {
        let config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
        let settings: Settings = config.section("reply_router").expect("the defaults fit");
        let (metrics, stop) = (Metrics::new(), CancellationToken::new());
        let router = ReplyRouter::new(
            settings,
            self.bus.clone(),
            self.ledger.clone(),
            ReplyMetrics::new(&metrics),
        );
        let ended = tokio::spawn(router.run(stop.clone()));
        Running {
            metrics,
            stop,
            ended,
        }
    }

    pub async fn publish(&self, callbacks: Vec<Callback>) {
        let group = CallbackGroup {
            v: CALLBACKS_VERSION,
            callbacks,
        };
        self.publish_raw(serde_json::to_vec(&group).expect("serializable"))
            .await;
    }

    pub async fn publish_raw(&self, body: impl Into<bytes::Bytes>) {
        let route = Route::Queue(queue::MESSAGE_CALLBACKS.into());
        self.bus
            .publish(vec![Outgoing::new(route, "group", body)])
            .await
            .expect("taken");
    }

    pub async fn standing(&self, owner: &str, of: &str) -> Option<Standing> {
        let standings = self
            .ledger
            .standings(&organization(owner), &[number(of)])
            .await;
        standings.expect("embedded").remove(0)
    }

    pub async fn is_out(&self, owner: &str, of: &str) -> bool {
        self.standing(owner, of)
            .await
            .is_some_and(|known| known.kind == OptOutKind::OptOut)
    }

    pub async fn reply(&mut self) -> ReplyEvent {
        let delivery = next(&mut self.replies).await;
        let reply = serde_json::from_slice(&delivery.body).expect("a reply");
        delivery.ack().await;
        reply
    }

    pub async fn opt_out(&mut self) -> OptOutEvent {
        let delivery = next(&mut self.events).await;
        let event = serde_json::from_slice(&delivery.body).expect("an event");
        delivery.ack().await;
        match event {
            Event::OptOut(event) => event,
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Whether neither an event nor a reply is left to be read.
    pub async fn is_quiet(&mut self) -> bool {
        let wait = Duration::from_millis(100);
        tokio::time::timeout(wait, self.events.next())
            .await
            .is_err()
            && tokio::time::timeout(wait, self.replies.next())
                .await
                .is_err()
    }

    /// The answers that intake would get; taken out.
    pub async fn answers(&self) -> Vec<InternalBatch> {
        let mut answers = Vec::new();
        while let Some(delivery) = self.bus.get(queue::INTERNAL_BATCHES).await.expect("fixed") {
            answers.push(serde_json::from_slice(&delivery.body).expect("a batch"));
            delivery.ack().await;
        }
        answers
    }

    pub async fn dead(&self, n: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for _ in 0..2_000 {
            while let Some(delivery) = self.bus.get(queue::DEAD).await.expect("fixed") {
                taken.push(delivery);
            }
            if taken.len() >= n {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {n} dead letters came", taken.len());
    }
}

async fn next(consumer: &mut Consumer) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(20), consumer.next()).await;
    next.expect("something in time").expect("embedded")
}

pub fn connection(id: &str, sender: Sender) -> Connection {
    Connection {
        id: ConnectionId::new(id).expect("valid"),
        organization_id: organization("ORG_1"),
        provider: "twilio-sms".into(),
        name: "ours".into(),
        sender,
        fields: BTreeMap::new(),
        secrets: BTreeMap::new(),
        segments_per_second: 10.0,
        created_at: Timestamp::from_millis(1),
        deleted_at: None,
    }
}

/// An inbound message from [`ANA`].
pub fn inbound(id: &str, to: &str, text: &str) -> Callback {
    inbound_with(id, ANA, to, text, &[])
}

pub fn inbound_with(id: &str, from: &str, to: &str, text: &str, more: &[(&str, &str)]) -> Callback {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let pairs = [
        ("MessageSid", id),
        ("From", from),
        ("To", to),
        ("Body", text),
    ];
    form.extend_pairs(pairs)
        .append_pair("NumSegments", "1")
        .extend_pairs(more);
    Callback {
        organization_id: organization("ORG_1"),
        connection_id: ConnectionId::new("C_long").expect("valid"),
        provider: "twilio-sms".into(),
        received_at: now(),
        method: "POST".into(),
        target: "/distribution-providers/v1/receive/distribution/message/twilio-sms/ORG_1".into(),
        content_type: "application/x-www-form-urlencoded; charset=UTF-8".into(),
        body: form.finish().into(),
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
        for _ in 0..2_000 {
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
