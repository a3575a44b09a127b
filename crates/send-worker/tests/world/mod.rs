//! A small world for the worker: embedded bus and ledger, and a provider that answers as told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use bus::{Bus, Consumer, EmbeddedBus, Outgoing, Route, SendQueue, Topic};
use ledger::{BatchRecord, Counts, EmbeddedLedger, Ledger, NewRow, QueueEntry, Registered};
use message::{
    BatchId, BatchKey, Chunk, Class, Connection, ConnectionId, DistributionId, DoubtPolicy,
    MessageState, Msisdn, OrganizationId, Secret, Sender, Timestamp,
    chunk::{CHUNK_VERSION, ChunkRow},
    event::Event,
};
use runtime::{CancellationToken, Config, Metrics};
use send_worker::{SendMetrics, SendWorker, Settings, Shard};
use tokio::{net::TcpListener, task::JoinHandle};

/// What the provider answers to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer {
    Taken,
    Refused(u16, u32),
    Hang,
}

type Script = Arc<dyn Fn(&str, usize) -> Answer + Send + Sync>;

#[derive(Clone)]
struct Provider {
    script: Script,
    requests: Arc<Mutex<Vec<String>>>,
}

pub struct World {
    pub bus: Arc<dyn Bus>,
    pub ledger: Arc<dyn Ledger>,
    pub connection: Connection,
    pub organization: OrganizationId,
    pub settings: Settings,
    requests: Arc<Mutex<Vec<String>>>,
    events: Consumer,
    running: Vec<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
}

/// A recipient in the range that the United Kingdom keeps for drama.
pub fn number(n: u32) -> Msisdn {
    Msisdn::from_u64(447_700_900_000 + u64::from(n)).expect("12 digits")
}

pub fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

impl World {
    /// A world whose provider answers each request by (recipient, how many requests came for them).
    pub async fn new(
        per_second: f64,
        script: impl Fn(&str, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let provider = Provider {
            script: Arc::new(script),
            requests: requests.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("bound"));
        let router = Router::new()
            .route("/{*path}", post(answer))
            .with_state(provider);
        tokio::spawn(async move { axum::serve(listener, router).await });

        let organization = OrganizationId::new("ORG_1").expect("valid");
        let connection = connection("c1", &organization, &base_url, per_second);
        Self::of(connection, requests).await
    }

    /// A world whose connection's provider is served elsewhere.
    pub async fn of(connection: Connection, requests: Arc<Mutex<Vec<String>>>) -> Self {
        let bus: Arc<dyn Bus> = EmbeddedBus::new();
        let ledger: Arc<dyn Ledger> = EmbeddedLedger::new();
        ledger.add_connection(&connection).await.expect("embedded");
        let events = bus.subscribe(Topic::Events, "#").await.expect("embedded");
        let config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
        let mut settings: Settings = config
            .section("send_worker")
            .expect("the defaults are valid");
        settings.allow_private_hosts = true;
        settings.reconcile_every = Duration::from_millis(20);
        settings.connection_cache_for = Duration::from_millis(20);
        Self {
            bus,
            ledger,
            organization: connection.organization_id.clone(),
            connection,
            settings,
            requests,
            events,
            running: Vec::new(),
        }
    }

    /// Starts a worker; several may run.
    pub fn start(&mut self) {
        let stop = CancellationToken::new();
        let worker = SendWorker::new(
            self.settings.clone(),
            Shard::WHOLE,
            "https://sms.example.org".into(),
            self.bus.clone(),
            self.ledger.clone(),
            SendMetrics::new(&Metrics::new()),
        )
        .expect("valid settings");
        self.running
            .push((stop.clone(), tokio::spawn(worker.run(stop))));
    }

    /// Asks all workers to stop and waits for their drain.
    pub async fn drain(&mut self) {
        for (stop, running) in self.running.drain(..) {
            stop.cancel();
            tokio::time::timeout(Duration::from_secs(40), running)
                .await
                .expect("drains within its deadline")
                .expect("no panic")
                .expect("ends well");
        }
    }

    /// Registers a batch as intake does and returns its chunks, unpublished.
    pub async fn batch(
        &self,
        distribution: &str,
        recipients: u32,
        rows_per_chunk: usize,
    ) -> (BatchKey, Vec<Chunk>) {
        let distribution_id = DistributionId::new(distribution).expect("valid");
        let batch_id = BatchId::new(&format!("{distribution}-1")).expect("valid");
        let batch = BatchKey::of(&self.organization, &batch_id);
        let expires_at = now().plus(Duration::from_secs(3600));
        let record = BatchRecord {
            key: batch,
            organization_id: self.organization.clone(),
            distribution_id: distribution_id.clone(),
            batch_id: batch_id.clone(),
            digest: "d".into(),
            connection_id: self.connection.id.clone(),
            class: Class::Bulk,
            recipients,
            on_doubt: DoubtPolicy::Hold,
            expires_at,
            created_at: now(),
            published: false,
        };
        assert_eq!(
            self.ledger.register_batch(&record).await.expect("embedded"),
            Registered::New
        );
        let rows: Vec<NewRow> = (0..recipients)
            .map(|row| NewRow {
                row,
                to: Some(number(row).masked()),
                invalid: None,
            })
            .collect();
        self.ledger
            .write_rows(batch, &rows)
            .await
            .expect("embedded");
        self.ledger.mark_published(batch).await.expect("embedded");
        let rows: Vec<ChunkRow> = (0..recipients)
            .map(|row| ChunkRow {
                row,
                to: number(row),
                segments: 1,
                fields: message::Fields::new(),
            })
            .collect();
        let chunks = rows
            .chunks(rows_per_chunk)
            .map(|rows| Chunk {
                v: CHUNK_VERSION,
                organization_id: self.organization.clone(),
                distribution_id: distribution_id.clone(),
                batch_id: batch_id.clone(),
                batch,
                connection_id: self.connection.id.clone(),
                class: Class::Bulk,
                attempt: 1,
                text: "Hello".into(),
                expires_at,
                exempt_from_opt_out: false,
                rows: rows.to_vec(),
            })
            .collect();
        (batch, chunks)
    }

    pub fn queue(&self, chunk: &Chunk) -> SendQueue {
        SendQueue {
            organization_id: chunk.organization_id.clone(),
            connection_id: chunk.connection_id.clone(),
            distribution_id: chunk.distribution_id.clone(),
            class: chunk.class,
        }
    }

    /// Publishes chunks to their queue and lists it.
    pub async fn publish(&self, chunks: &[Chunk]) {
        let Some(first) = chunks.first() else { return };
        let queue = self.queue(first);
        self.bus.declare_send_queue(&queue).await.expect("embedded");
        let bodies = chunks
            .iter()
            .map(|chunk| serde_json::to_vec(chunk).expect("JSON"));
        let messages = bodies
            .map(|body| Outgoing::new(Route::Queue(queue.name()), "m", body))
            .collect();
        self.bus.publish(messages).await.expect("embedded");
        self.ledger
            .open_queue(&QueueEntry {
                name: queue.name(),
                organization_id: queue.organization_id,
                distribution_id: queue.distribution_id,
                connection_id: queue.connection_id,
                class: queue.class,
                expires_at: now().plus(Duration::from_secs(7200)),
                weight: None,
            })
            .await
            .expect("embedded");
    }

    /// A batch of `recipients` on its way.
    pub async fn enqueue(
        &self,
        distribution: &str,
        recipients: u32,
        rows_per_chunk: usize,
    ) -> BatchKey {
        let (batch, chunks) = self.batch(distribution, recipients, rows_per_chunk).await;
        self.publish(&chunks).await;
        batch
    }

    /// Waits until the batch's counters satisfy `wanted`.
    pub async fn until(&self, batch: BatchKey, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let mut last = Counts::default();
        for _ in 0..3_000 {
            last = self.ledger.counts(batch).await.expect("embedded");
            if wanted(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not reached within 30 s: {last:?}");
    }

    /// Waits until `n` rows of the batch are in `state`.
    pub async fn until_in(&self, batch: BatchKey, state: MessageState, n: u64) {
        self.until(batch, |counts| counts.of(state) == n).await;
    }

    /// Waits until nothing is ready in the chunk's queue and its deliveries are acked.
    pub async fn until_empty(&self, queue: &SendQueue) {
        for _ in 0..500 {
            if self.bus.depth(&queue.name()).await.expect("exists") == 0
                && self
                    .bus
                    .delete_send_queue_if_empty(queue)
                    .await
                    .expect("exists")
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the queue is not empty within 5 s");
    }

    /// Recipients of all requests so far, in order.
    pub fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .expect("no panic in the provider")
            .clone()
    }

    /// The next event.
    pub async fn event(&mut self) -> Event {
        let delivery = tokio::time::timeout(Duration::from_secs(10), self.events.next())
            .await
            .expect("an event within 10 s")
            .expect("embedded");
        let event = serde_json::from_slice(&delivery.body).expect("an event");
        delivery.ack().await;
        event
    }

    /// The next dead letter's reason.
    pub async fn dead_letter(&self) -> String {
        for _ in 0..1_000 {
            if let Some(letter) = self.bus.get(bus::queue::DEAD).await.expect("embedded") {
                let reason = letter
                    .header("reason")
                    .expect("dead letters have a reason")
                    .to_owned();
                letter.ack().await;
                return reason;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no dead letter within 10 s");
    }
}

/// A Twilio connection to `base_url`.
pub fn connection(
    id: &str,
    organization: &OrganizationId,
    base_url: &str,
    per_second: f64,
) -> Connection {
    let field = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    Connection {
        id: ConnectionId::new(id).expect("valid"),
        organization_id: organization.clone(),
        provider: "twilio-sms".into(),
        name: "Test".into(),
        sender: Sender::Number(Msisdn::parse("+12025550100").expect("valid")),
        fields: [
            field("account_sid", "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e"),
            field("base_url", base_url),
        ]
        .into(),
        secrets: [(
            "auth_token".to_owned(),
            Secret::new("3f1c8e2ab94d47d0a6e5c7b1928d4f60".into()),
        )]
        .into(),
        segments_per_second: per_second,
        created_at: now(),
        deleted_at: None,
    }
}

async fn answer(
    State(provider): State<Provider>,
    axum::Form(form): axum::Form<BTreeMap<String, String>>,
) -> axum::response::Response {
    let to = form["To"].clone();
    let nth = {
        let mut requests = provider.requests.lock().expect("no panic in the provider");
        requests.push(to.clone());
        requests.iter().filter(|known| **known == to).count()
    };
    match (provider.script)(&to, nth) {
        Answer::Taken => {
            let sid = format!(
                "SM{:032x}",
                to.trim_start_matches('+')
                    .parse::<u64>()
                    .unwrap_or_default()
                    * 10
                    + nth as u64
            );
            (
                StatusCode::CREATED,
                format!(r#"{{"sid":"{sid}","status":"queued"}}"#),
            )
                .into_response()
        }
        Answer::Refused(status, code) => {
            let status = StatusCode::from_u16(status).expect("a status");
            (
                status,
                format!(
                    r#"{{"code":{code},"message":"no","status":{}}}"#,
                    status.as_u16()
                ),
            )
                .into_response()
        }
        Answer::Hang => std::future::pending().await,
    }
}
