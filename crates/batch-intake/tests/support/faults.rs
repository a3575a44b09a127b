//! A bus and a ledger that fail or stop the world at a chosen call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bus::{Bus, BusError, Consumer, Declared, Delivery, Outgoing, SendQueue, Topic};
use ledger::{
    BatchRecord, Claim, ClaimRequest, Conversation, Counts, DistributionRecord, DistributionState,
    InboundPart, Joined, Lease, LeaseRequest, Ledger, LedgerError, LimitScope, LimitState, NewRow,
    QueueEntry, QueueList, RefusedBatch, Registered, Row, RowReport, SettleRequest, Settled,
    ThrottleReport,
};
use message::{
    BatchKey, Connection, ConnectionId, DistributionId, Msisdn, OrganizationId, Reference,
    Timestamp,
    connection::OrganizationSettings,
    opt_out::{OptOutChange, Standing},
};
use tokio::sync::Notify;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The n-th call is never made and never answers: the process dies before it.
    DieBefore(u32),
    /// The n-th call is made and never answers: the process dies after it.
    DieAfter(u32),
    /// Of every two calls, the first is not made and fails.
    FailEveryOther,
    /// Of every two calls, the first is made, and its answer is lost.
    LoseEveryOther,
    /// Nothing answers well.
    Away,
    /// All is well.
    Work,
}

/// Counts calls over bus and ledger together.
#[derive(Debug)]
pub struct Faults {
    pub mode: Mode,
    calls: AtomicU32,
    pub died: Notify,
}

impl Faults {
    pub fn new(mode: Mode) -> Arc<Self> {
        Arc::new(Self {
            mode,
            calls: AtomicU32::new(0),
            died: Notify::new(),
        })
    }

    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    async fn around<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
        away: impl Fn() -> E,
    ) -> Result<T, E> {
        let n = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.mode {
            Mode::DieBefore(at) if at == n => self.die().await,
            Mode::DieAfter(at) if at == n => {
                drop(call.await);
                self.die().await
            }
            Mode::Away => Err(away()),
            Mode::FailEveryOther if n.is_multiple_of(2) => Err(away()),
            Mode::LoseEveryOther if n.is_multiple_of(2) => {
                drop(call.await);
                Err(away())
            }
            _ => call.await,
        }
    }

    async fn die<T>(&self) -> T {
        self.died.notify_one();
        std::future::pending().await
    }
}

fn ledger_away() -> LedgerError {
    LedgerError::Unavailable("a test".to_owned())
}

fn bus_away() -> BusError {
    BusError::Unavailable("a test".into())
}

pub struct FaultyBus {
    pub inner: Arc<dyn Bus>,
    pub faults: Arc<Faults>,
    /// What declaring a send queue answers, one after the other; zero when all are used up.
    pub settles_in: std::sync::Mutex<Vec<Duration>>,
}

impl FaultyBus {
    pub fn new(inner: Arc<dyn Bus>, faults: &Arc<Faults>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            faults: Arc::clone(faults),
            settles_in: std::sync::Mutex::default(),
        })
    }
}

#[async_trait]
impl Bus for FaultyBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BusError> {
        let call = self.inner.publish(messages);
        self.faults.around(call, bus_away).await
    }

    async fn consume(&self, queue: &str, prefetch: u16) -> Result<Consumer, BusError> {
        self.inner.consume(queue, prefetch).await
    }

    async fn subscribe(&self, topic: Topic, pattern: &str) -> Result<Consumer, BusError> {
        self.inner.subscribe(topic, pattern).await
    }

    async fn declare_send_queue(&self, queue: &SendQueue) -> Result<Declared, BusError> {
        let call = self.inner.declare_send_queue(queue);
        let declared = self.faults.around(call, bus_away).await?;
        let mut young = self.settles_in.lock().expect("not poisoned");
        Ok(match young.is_empty() {
            true => declared,
            false => Declared {
                settles_in: young.remove(0),
            },
        })
    }

    async fn delete_send_queue_if_empty(&self, queue: &SendQueue) -> Result<bool, BusError> {
        self.inner.delete_send_queue_if_empty(queue).await
    }

    async fn purge(&self, queue: &str) -> Result<u64, BusError> {
        self.inner.purge(queue).await
    }

    async fn depth(&self, queue: &str) -> Result<u64, BusError> {
        self.inner.depth(queue).await
    }

    async fn get(&self, queue: &str) -> Result<Option<Delivery>, BusError> {
        self.inner.get(queue).await
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

pub struct FaultyLedger {
    pub inner: Arc<dyn Ledger>,
    pub faults: Arc<Faults>,
}

impl FaultyLedger {
    pub fn new(inner: Arc<dyn Ledger>, faults: &Arc<Faults>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            faults: Arc::clone(faults),
        })
    }
}

macro_rules! calls {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Ledger for FaultyLedger {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, LedgerError> {
                let call = self.inner.$name($($arg),*);
                self.faults.around(call, ledger_away).await
            })*
        }
    };
}

calls! {
    fn register_batch(batch: &BatchRecord) -> Registered;
    fn write_rows(batch: BatchKey, rows: &[NewRow]) -> ();
    fn mark_published(batch: BatchKey) -> ();
    fn batch(batch: BatchKey) -> Option<BatchRecord>;
    fn counts(batch: BatchKey) -> Counts;
    fn rows(batch: BatchKey, first: u32, limit: u32) -> Vec<Row>;
    fn record_refused_batch(refused: &RefusedBatch) -> ();
    fn refused_batches(organization: &OrganizationId) -> Vec<RefusedBatch>;
    fn claim(claim: &ClaimRequest) -> Vec<Claim>;
    fn settle(settle: &SettleRequest) -> Vec<Settled>;
    fn lease(asked: &[LeaseRequest]) -> Vec<Lease>;
    fn throttled(report: &ThrottleReport) -> LimitState;
    fn limit(scope: &LimitScope, per_second: f64) -> LimitState;
    fn set_limit(scope: &LimitScope, per_second: Option<f64>) -> ();
    fn merge(batch: BatchKey, reports: &[RowReport], now: Timestamp) -> Vec<Settled>;
    fn by_provider_id(connection: &ConnectionId, ids: &[&str]) -> Vec<Option<Reference>>;
    fn latest_message(organization: &OrganizationId, sender: &str, number: Msisdn)
        -> Option<Conversation>;
    fn was_seen(organization: &OrganizationId, name: &str) -> bool;
    fn mark_seen(organization: &OrganizationId, name: &str, keep_for: std::time::Duration) -> ();
    fn join_part(organization: &OrganizationId, message: &str, part: &InboundPart) -> Joined;
    fn change_opt_out(change: &OptOutChange) -> bool;
    fn standings(organization: &OrganizationId, numbers: &[Msisdn]) -> Vec<Option<Standing>>;
    fn sender_standings(organization: &OrganizationId, number: Msisdn) -> Vec<Standing>;
    fn distribution(organization: &OrganizationId, distribution: &DistributionId)
        -> Option<DistributionRecord>;
    fn distributions(organization: &OrganizationId, offset: u32, limit: u32)
        -> Vec<DistributionRecord>;
    fn set_distribution_state(
        organization: &OrganizationId,
        distribution: &DistributionId,
        state: DistributionState
    ) -> bool;
    fn cancel_rows(batch: BatchKey, now: Timestamp) -> Vec<Row>;
    fn reopen(batch: BatchKey, rows: &[u32], now: Timestamp) -> Vec<u32>;
    fn open_queue(queue: &QueueEntry) -> ();
    fn close_queue(name: &str) -> ();
    fn queues(known_version: Option<u64>) -> Option<QueueList>;
    fn attend(worker: &str, lease: std::time::Duration) -> Vec<String>;
    fn leave(worker: &str) -> ();
    fn add_connection(connection: &Connection) -> ();
    fn connections(organization: &OrganizationId) -> Vec<Connection>;
    fn connection(id: &ConnectionId) -> Option<Connection>;
    fn delete_connection(organization: &OrganizationId, id: &ConnectionId, at: Timestamp) -> bool;
    fn organization(organization: &OrganizationId) -> OrganizationSettings;
    fn set_organization(organization: &OrganizationId, settings: &OrganizationSettings) -> ();
    fn ping() -> ();
}
