//! What a receipt costs receipt-ingest, beside the ledger and the broker: `cargo bench -p receipt-ingest`.
//! Reports figures and judges none.
//!
//! - `open`: a group of callbacks out of its AMQP message;
//! - `read`: what they say;
//! - `tell`: the events about as many rows;
//! - `rounds`: the whole of it on the embedded bus and ledger, from the queue to the events.

use std::{
    hint::black_box,
    time::{Duration, Instant, SystemTime},
};

use backing::{
    callbacks::{self, Taken},
    news::{self, About},
};
use bus::{Acker, Bus, Delivery, EmbeddedBus, Outgoing, Route, Topic, queue};
use bytes::Bytes;
use ledger::{
    BatchRecord, ClaimRequest, EmbeddedLedger, Ledger, NewRow, Row, SettleOutcome, SettleRequest,
    SettleRow,
};
use message::{
    BatchId, BatchKey, Class, ConnectionId, DistributionId, DoubtPolicy, MessageState, Msisdn,
    OrganizationId, Reference, Timestamp,
    callback::{CALLBACKS_VERSION, Callback, CallbackGroup},
    event::Event,
};
use providers::{CallbackKind, Verified};
use receipt_ingest::{ReceiptIngest, ReceiptMetrics};
use runtime::{CancellationToken, Config, Metrics};

/// Callbacks in a group, as at some 10,000 a second.
const GROUP: u32 = 100;
const REPETITIONS: u32 = 300;
const ROWS: u32 = 10_000;

fn main() {
    let names = Names::new();
    let body = names.group(0..GROUP);
    let groups = |what: &str, mut work: Box<dyn FnMut() + '_>| {
        let before = cpu_time();
        (0..REPETITIONS).for_each(|_| work());
        let nanos = (cpu_time() - before).as_nanos() / u128::from(REPETITIONS * GROUP);
        println!("{what}: {nanos} ns of CPU a receipt");
    };
    groups("open", Box::new(|| drop(black_box(open(&body)))));
    let taken = open(&body);
    groups("read", Box::new(|| taken.iter().for_each(read)));
    let rows: Vec<_> = (0..GROUP).map(|row| names.row(row)).collect();
    groups(
        "tell",
        Box::new(|| {
            let rows = rows.iter().cloned();
            drop(black_box(news::statuses(names.about(), rows, now())));
        }),
    );
    rounds(&names);
}

fn open(body: &Bytes) -> Vec<Taken> {
    let delivery = Delivery::new(
        body.clone(),
        "m".into(),
        Vec::new(),
        false,
        Box::new(Nobody),
    );
    callbacks::open(&delivery).expect("a group")
}

fn read(taken: &Taken) {
    let provider = providers::provider(&taken.callback.provider).expect("known");
    let request = taken.request().expect("a request");
    let read = provider.read_callback(Verified::already(&request, None), CallbackKind::Status);
    assert_eq!(black_box(read).map(|readings| readings.len()), Ok(1));
}

fn rounds(names: &Names) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (took, cpu) = runtime.block_on(async {
        let (bus, ledger) = (EmbeddedBus::new(), EmbeddedLedger::new());
        names.accept_all(&*ledger).await.expect("embedded");
        let mut groups = Vec::new();
        for first in (0..ROWS).step_by(GROUP as usize) {
            let route = Route::Queue(queue::STATUS_CALLBACKS.to_owned());
            let body = names.group(first..first + GROUP);
            groups.push(Outgoing::new(route, first.to_string(), body));
        }
        bus.publish(groups).await.expect("embedded");
        let mut events = bus.subscribe(Topic::Events, "#").await.expect("embedded");
        let config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
        let settings = config.section("receipt_ingest").expect("the defaults fit");
        let (metrics, stop) = (Metrics::new(), CancellationToken::new());
        let ours = ReceiptMetrics::new(&metrics);
        let ingest = ReceiptIngest::new(settings, bus.clone(), ledger, ours);
        let (started, cpu) = (Instant::now(), cpu_time());
        let ended = tokio::spawn(ingest.run(stop.clone()));
        let merged = format!("smsfleet_receipt_merged_total{{outcome=\"changed\"}} {ROWS}");
        while !String::from_utf8_lossy(&metrics.render()).contains(&merged) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        ended.await.expect("no panic").expect("drained");
        let took = (started.elapsed(), cpu_time() - cpu);
        let mut told = Vec::new();
        let wait = Duration::from_millis(50);
        while let Ok(Ok(event)) = tokio::time::timeout(wait, events.next()).await {
            told.push(event.body.clone());
            event.ack().await;
        }
        let messages: usize = told.iter().map(|body| statuses(body)).sum();
        assert_eq!(messages, ROWS as usize);
        took
    });
    println!(
        "rounds: {:.2} us of CPU a receipt on the embedded bus and ledger, {:.3} CPU-s per 10,000, in {took:.0?}",
        cpu.as_secs_f64() * 1e6 / f64::from(ROWS),
        cpu.as_secs_f64() * 1e4 / f64::from(ROWS)
    );
}

fn statuses(body: &[u8]) -> usize {
    match serde_json::from_slice(body) {
        Ok(Event::Status(events)) => events.messages.len(),
        other => panic!("{other:?} is no status event"),
    }
}

struct Nobody;

#[async_trait::async_trait]
impl Acker for Nobody {
    async fn ack(self: Box<Self>) {}
    fn give_back(self: Box<Self>) {}
}

struct Names {
    organization: OrganizationId,
    distribution: DistributionId,
    connection: ConnectionId,
    batch_id: BatchId,
    batch: BatchKey,
}

impl Names {
    fn new() -> Self {
        let organization = OrganizationId::new("ORG_8mQ2").expect("valid");
        let batch_id = BatchId::new("b-1").expect("valid");
        Self {
            batch: BatchKey::of(&organization, &batch_id),
            organization,
            distribution: DistributionId::new("d-1").expect("valid"),
            connection: ConnectionId::new("C_1").expect("valid"),
            batch_id,
        }
    }

    fn about(&self) -> About<'_> {
        About {
            batch: self.batch,
            organization_id: &self.organization,
            distribution_id: &self.distribution,
            batch_id: &self.batch_id,
        }
    }

    fn group(&self, rows: std::ops::Range<u32>) -> Bytes {
        let callbacks = rows.map(|row| self.callback(row)).collect();
        let group = CallbackGroup {
            v: CALLBACKS_VERSION,
            callbacks,
        };
        serde_json::to_vec(&group).expect("serializable").into()
    }

    fn callback(&self, row: u32) -> Callback {
        let (reference, sid) = (
            Reference {
                batch: self.batch,
                row,
            },
            sid(row),
        );
        Callback {
            organization_id: self.organization.clone(),
            connection_id: self.connection.clone(),
            provider: "twilio-sms".into(),
            received_at: now(),
            method: "POST".into(),
            target: format!("/distribution-providers/v1/receive/distribution/status/twilio-sms/ORG_8mQ2?m={reference}"),
            content_type: "application/x-www-form-urlencoded; charset=UTF-8".into(),
            body: format!("SmsSid={sid}&SmsStatus=delivered&MessageStatus=delivered&To=%2B12025550123&MessageSid={sid}&AccountSid=AC5b1f0c7e9a2d4b36815ce0f4a7d9023e&From=%2B12025550142&ApiVersion=2010-04-01&RawDlrDoneDate=2611201245").into(),
            pending: Vec::new(),
        }
    }

    fn row(&self, row: u32) -> Row {
        Row {
            row,
            state: MessageState::Delivered,
            attempt: 1,
            seq: row,
            to: Some(number().masked()),
            code: String::new(),
            provider_message_id: sid(row),
            connection_id: Some(self.connection.clone()),
            claimed_at: None,
            changed_at: Some(now()),
        }
    }

    async fn accept_all(&self, ledger: &dyn Ledger) -> Result<(), ledger::LedgerError> {
        let (batch, token) = (self.batch, 1);
        ledger
            .register_batch(&BatchRecord {
                key: batch,
                organization_id: self.organization.clone(),
                distribution_id: self.distribution.clone(),
                batch_id: self.batch_id.clone(),
                digest: "0".repeat(64),
                connection_id: self.connection.clone(),
                class: Class::Bulk,
                recipients: ROWS,
                on_doubt: DoubtPolicy::Hold,
                expires_at: now().plus(Duration::from_secs(3600)),
                created_at: now(),
                published: false,
            })
            .await?;
        let rows = (0..ROWS).map(|row| NewRow {
            row,
            to: Some(number().masked()),
            invalid: None,
        });
        ledger.write_rows(batch, &rows.collect::<Vec<_>>()).await?;
        let claim = ClaimRequest {
            organization_id: self.organization.clone(),
            batch,
            token,
            attempt: 1,
            connection_id: self.connection.clone(),
            sender: "12025550142".into(),
            now: now(),
            interrupted_after_millis: 60_000,
            redelivered: false,
            exempt_from_opt_out: false,
            rows: (0..ROWS).map(|row| (row, number())).collect(),
        };
        ledger.claim(&claim).await?;
        let rows = (0..ROWS).map(|row| SettleRow {
            row,
            to: number(),
            outcome: SettleOutcome::State(MessageState::Accepted),
            code: String::new(),
            provider_message_id: sid(row),
            parts: 0,
            part_ids: Vec::new(),
        });
        let settle = SettleRequest {
            batch,
            token,
            now: now(),
            index_ids: true,
            connection_id: self.connection.clone(),
            sender: (self.organization.clone(), "12025550142".into()),
            rows: rows.collect(),
        };
        ledger.settle(&settle).await?;
        Ok(())
    }
}

fn sid(row: u32) -> String {
    format!("SM{row:032x}")
}

fn number() -> Msisdn {
    Msisdn::parse("+12025550123").expect("valid")
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// CPU time of this thread, from the kernel's own books.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}
