//! The truth about every message: one contract, two implementations. [`redis`] keeps it in Redis,
//! [`embedded`] in the process; `tests/contract.rs` holds both to the same behaviour.
//!
//! What every caller may rely on:
//! - each call is atomic per batch, and idempotent: a call whose answer was lost is simply repeated;
//! - counters move in the same step as rows, so the books balance at every instant;
//! - a row only ever moves up (see [`MessageState::rank`]), except back to `queued` by the holder
//!   of its claim, while nothing better is known;
//! - an error means that the outcome is unknown. Who cannot claim does not send.

use std::time::Duration;

use async_trait::async_trait;
use message::{
    BatchId, BatchKey, Class, Connection, ConnectionId, DistributionId, DoubtPolicy, MaskedMsisdn,
    MessageState, Msisdn, OrganizationId, Reference, Refusal, Timestamp, Weight,
    connection::OrganizationSettings,
    opt_out::{OptOutChange, Standing},
};
use serde::{Deserialize, Serialize};

pub use books::{Books, Counts};
pub use embedded::EmbeddedLedger;
pub use limit::{Lease, LeaseRequest, LimitScope, LimitState, Slice, ThrottleReport};
pub use redis::{RedisLedger, RedisSettings};
pub use sealing::{InvalidSealingKey, Sealer};

mod books;
mod columns;
pub mod embedded;
mod entry;
mod gcra;
mod id_index;
mod limit;
mod order;
mod parts;
mod provider_id;
pub mod redis;
mod reply_index;
mod rules;
pub mod sealing;

/// The ledger as the services see it.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    // --- Batches: written by batch-intake ---

    /// Enters a batch before its rows. A batch that is there already stays as it is.
    async fn register_batch(&self, batch: &BatchRecord) -> Result<Registered, LedgerError>;

    /// Enters rows that are not there yet, as `queued` or `invalid`, and counts them.
    async fn write_rows(&self, batch: BatchKey, rows: &[NewRow]) -> Result<(), LedgerError>;

    /// All chunks are confirmed: from now on a repetition of the batch changes nothing.
    async fn mark_published(&self, batch: BatchKey) -> Result<(), LedgerError>;

    /// A batch, unless it is unknown or its time is over.
    async fn batch(&self, batch: BatchKey) -> Result<Option<BatchRecord>, LedgerError>;

    /// A batch's counters.
    async fn counts(&self, batch: BatchKey) -> Result<Counts, LedgerError>;

    /// Rows of a batch in order, from `first` on, at most `limit`; rows never written are left out.
    async fn rows(&self, batch: BatchKey, first: u32, limit: u32) -> Result<Vec<Row>, LedgerError>;

    /// Keeps a refusal of a whole batch; the newest [`REFUSED_BATCHES_MAX`] per organisation stay.
    async fn record_refused_batch(&self, refused: &RefusedBatch) -> Result<(), LedgerError>;

    /// The refused batches of an organisation, newest first.
    async fn refused_batches(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<RefusedBatch>, LedgerError>;

    // --- The way out: used by send-worker ---

    /// Claims rows for one attempt and checks their opt-outs, in one round trip. The answers are
    /// in the order of the rows.
    async fn claim(&self, claim: &ClaimRequest) -> Result<Vec<Claim>, LedgerError>;

    /// Writes down what became of claimed rows, moves the counters, and remembers who was texted
    /// from which sender. The answers are in the order of the rows.
    async fn settle(&self, settle: &SettleRequest) -> Result<Vec<Settled>, LedgerError>;

    /// Takes the next tokens of limits, in one round trip. The clock is the store's. The answers are
    /// in the order of the requests.
    async fn lease(&self, asked: &[LeaseRequest]) -> Result<Vec<Lease>, LedgerError>;

    /// Narrows a limit for the whole fleet by what its provider answered, and holds it for as long
    /// as the provider said. It recovers by itself.
    async fn throttled(&self, report: &ThrottleReport) -> Result<LimitState, LedgerError>;

    /// How a limit stands; `per_second` is its rate where no operator set another.
    async fn limit(&self, scope: &LimitScope, per_second: f64) -> Result<LimitState, LedgerError>;

    /// Sets a limit's rate instead of the one that those who ask come with, or ends that. It holds
    /// from the next lease on, without a burst: what is due stays due.
    async fn set_limit(
        &self,
        scope: &LimitScope,
        per_second: Option<f64>,
    ) -> Result<(), LedgerError>;

    // --- The way back: used by receipt-ingest and reply-router ---

    /// Merges reports about rows of one batch by the lattice. The answers are in the order of the
    /// reports.
    async fn merge(
        &self,
        batch: BatchKey,
        reports: &[RowReport],
        now: Timestamp,
    ) -> Result<Vec<Settled>, LedgerError>;

    /// The messages that have these ids at the provider of `connection`, in order: for receipts that
    /// do not name them. Ids are known for eight days after the provider's answer, or the first
    /// receipt, told them.
    async fn by_provider_id(
        &self,
        connection: &ConnectionId,
        ids: &[&str],
    ) -> Result<Vec<Option<Reference>>, LedgerError>;

    /// The latest message of `organization` (the connection's owner) to `number` from `sender`
    /// ([`message::Sender::key`]).
    async fn latest_message(
        &self,
        organization: &OrganizationId,
        sender: &str,
        number: Msisdn,
    ) -> Result<Option<Conversation>, LedgerError>;

    /// Whether something that came in was processed before: an inbound message, a callback's nonce.
    async fn was_seen(
        &self,
        organization: &OrganizationId,
        name: &str,
    ) -> Result<bool, LedgerError>;

    /// Remembers for `keep_for` that something has been processed: [`INBOUND_SEEN_FOR`] or
    /// [`NONCE_SEEN_FOR`]. Marked again, it is remembered anew.
    async fn mark_seen(
        &self,
        organization: &OrganizationId,
        name: &str,
        keep_for: Duration,
    ) -> Result<(), LedgerError>;

    /// Keeps a part of an inbound message until it is whole, or until the part that arrived last has
    /// waited long enough. `message` names the message among those of `organization`. One part alone
    /// is told [`Joined::Ready`], and as often as it asks: whoever works on it may die before the
    /// message is told.
    async fn join_part(
        &self,
        organization: &OrganizationId,
        message: &str,
        part: &InboundPart,
    ) -> Result<Joined, LedgerError>;

    // --- Opt-outs ---

    /// Applies a change unless a later one, or at the same time an opt-out, is known. Whether it
    /// changed anything. A change towards one sender holds beside what holds towards the whole
    /// organisation; an opt-in towards the organisation ends the opt-outs towards its senders that
    /// are older.
    async fn change_opt_out(&self, change: &OptOutChange) -> Result<bool, LedgerError>;

    /// The latest change known for each number towards the whole organisation, in order.
    async fn standings(
        &self,
        organization: &OrganizationId,
        numbers: &[Msisdn],
    ) -> Result<Vec<Option<Standing>>, LedgerError>;

    /// What is known of a number towards single senders of the organisation, by sender.
    async fn sender_standings(
        &self,
        organization: &OrganizationId,
        number: Msisdn,
    ) -> Result<Vec<Standing>, LedgerError>;

    // --- Distributions and their queues ---

    /// A distribution with the batches it is made of.
    async fn distribution(
        &self,
        organization: &OrganizationId,
        distribution: &DistributionId,
    ) -> Result<Option<DistributionRecord>, LedgerError>;

    /// An organisation's distributions, newest first, from `offset` on.
    async fn distributions(
        &self,
        organization: &OrganizationId,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<DistributionRecord>, LedgerError>;

    /// Pauses, resumes or cancels a distribution. A cancelled one stays cancelled. `false` if there
    /// is no such distribution.
    async fn set_distribution_state(
        &self,
        organization: &OrganizationId,
        distribution: &DistributionId,
        state: DistributionState,
    ) -> Result<bool, LedgerError>;

    /// Marks every unclaimed row of a batch as cancelled; how many rows that were, and what they
    /// were, for the events.
    async fn cancel_rows(&self, batch: BatchKey, now: Timestamp) -> Result<Vec<Row>, LedgerError>;

    /// Lets rows that the fleet gave up after their last attempt (`failed` with a code that begins
    /// with [`ATTEMPTS_EXHAUSTED`]: certainly never taken) wait for a first attempt again. Which
    /// rows those were: an operator's redrive of anything else changes nothing.
    async fn reopen(
        &self,
        batch: BatchKey,
        rows: &[u32],
        now: Timestamp,
    ) -> Result<Vec<u32>, LedgerError>;

    /// Adds a queue to the list that workers consume, or renews its lease and changes its weight.
    async fn open_queue(&self, queue: &QueueEntry) -> Result<(), LedgerError>;

    /// Takes a queue off the list.
    async fn close_queue(&self, name: &str) -> Result<(), LedgerError>;

    /// The list that workers consume, each with its distribution's state, and its version. Who
    /// holds `known_version` gets what changed since, or nothing if nothing did; or the whole list
    /// again, where the ledger does not know any more what changed.
    async fn queues(&self, known_version: Option<u64>) -> Result<Option<QueueList>, LedgerError>;

    // --- Workers ---

    /// Says that a worker is there for the next `lease`, by the store's clock, and learns which
    /// are, in the order of their names.
    async fn attend(&self, worker: &str, lease: Duration) -> Result<Vec<String>, LedgerError>;

    /// Says that a worker goes: the others need not wait for the end of its lease.
    async fn leave(&self, worker: &str) -> Result<(), LedgerError>;

    // --- Connections and organisations ---

    /// Adds a connection behind the organisation's others. Its secrets are sealed before they
    /// leave the process.
    async fn add_connection(&self, connection: &Connection) -> Result<(), LedgerError>;

    /// An organisation's connections in their order, deleted ones included.
    async fn connections(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<Connection>, LedgerError>;

    /// A connection by its id, deleted ones included.
    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, LedgerError>;

    /// Makes a connection a tombstone; `false` if there is none or it is one already.
    async fn delete_connection(
        &self,
        organization: &OrganizationId,
        id: &ConnectionId,
        at: Timestamp,
    ) -> Result<bool, LedgerError>;

    /// What was decided about an organisation; the defaults where nothing was.
    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<OrganizationSettings, LedgerError>;

    /// Decides about an organisation.
    async fn set_organization(
        &self,
        organization: &OrganizationId,
        settings: &OrganizationSettings,
    ) -> Result<(), LedgerError>;

    /// Whether the ledger can be used right now: what `/readyz` answers by.
    async fn ping(&self) -> Result<(), LedgerError>;
}

/// How the code of a row begins that failed because its last attempt did.
pub const ATTEMPTS_EXHAUSTED: &str = "attempts_exhausted";

/// Refused batches kept per organisation.
pub const REFUSED_BATCHES_MAX: usize = 1_000;

/// How long an inbound message's id is remembered.
pub const INBOUND_SEEN_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a callback's nonce is remembered: providers sign for five minutes at most, and clocks
/// differ.
pub const NONCE_SEEN_FOR: Duration = Duration::from_secs(10 * 60);

/// How long the parts of an inbound message are kept after the last of them.
pub const PARTS_KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// A batch as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// Its key.
    pub key: BatchKey,
    /// Whose.
    pub organization_id: OrganizationId,
    /// Which mailing.
    pub distribution_id: DistributionId,
    /// The scheduler's name for it.
    pub batch_id: BatchId,
    /// SHA-256 of its content in hexadecimal: tells a repetition from a conflict.
    pub digest: String,
    /// The connection chosen when it was first seen.
    pub connection_id: ConnectionId,
    /// Bulk or express.
    pub class: Class,
    /// Recipients, valid or not.
    pub recipients: u32,
    /// What happens to doubts that nothing settles.
    pub on_doubt: DoubtPolicy,
    /// Not worth sending after this.
    pub expires_at: Timestamp,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// Whether all its chunks are confirmed.
    pub published: bool,
}

/// What registering a batch found.
#[derive(Debug, Clone, PartialEq)]
pub enum Registered {
    /// It was not there.
    New,
    /// The same content was: the record as first registered. If it is not `published`, an earlier
    /// intake died on the way and the rest has to be done again.
    Known(BatchRecord),
    /// The same id with other content was.
    Conflict,
    /// The distribution has been cancelled.
    Cancelled,
}

/// A row as intake enters it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRow {
    /// The row.
    pub row: u32,
    /// The recipient, masked; nothing if it was no number.
    pub to: Option<MaskedMsisdn>,
    /// Nothing for a good row; else the rule and, behind a colon, the field it is about.
    pub invalid: Option<String>,
}

/// A row as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The row.
    pub row: u32,
    /// Where it is.
    pub state: MessageState,
    /// Attempts made or under way.
    pub attempt: u8,
    /// Position of its latest change in the batch's history.
    pub seq: u32,
    /// The recipient, masked.
    pub to: Option<MaskedMsisdn>,
    /// The provider's error code or the fleet's reason; empty where there is none.
    pub code: String,
    /// The provider's id; empty while unknown.
    pub provider_message_id: String,
    /// The connection that carried it, once claimed.
    pub connection_id: Option<ConnectionId>,
    /// When it was last claimed.
    pub claimed_at: Option<Timestamp>,
    /// When its state last changed (whole seconds are enough for a store).
    pub changed_at: Option<Timestamp>,
}

/// Rows of one chunk that want to be sent now.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimRequest {
    /// Whose opt-outs count.
    pub organization_id: OrganizationId,
    /// The batch.
    pub batch: BatchKey,
    /// Names the delivery: a repetition of the same call by the same delivery gets the same answer.
    pub token: u32,
    /// The attempt, counted from 1: the chunk's.
    pub attempt: u8,
    /// The connection that is about to carry the rows.
    pub connection_id: ConnectionId,
    /// The sender they are about to be sent from ([`message::Sender::key`]): an opt-out may hold for
    /// one sender only.
    pub sender: String,
    /// The caller's clock.
    pub now: Timestamp,
    /// A claim of another token that is older than this was interrupted: request timeout + 30 s.
    pub interrupted_after_millis: u64,
    /// The broker said that this chunk was delivered before: other claims on it were interrupted.
    pub redelivered: bool,
    /// The one confirmation that an opted-out recipient still gets.
    pub exempt_from_opt_out: bool,
    /// Rows and their recipients.
    pub rows: Vec<(u32, Msisdn)>,
}

/// What claiming a row found.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// It is ours: send it.
    Fresh,
    /// It is ours, and its recipient has opted out: settle it as `suppressed`.
    OptedOut,
    /// Another delivery of it is being sent right now: come back later.
    Busy,
    /// An earlier attempt was interrupted between claim and answer; the row is in doubt now.
    Interrupted(Row),
    /// It is beyond this attempt: decided, or waiting for a later one. The chunk's copy is inert,
    /// but whoever decided may have died before telling: tell again what the row says.
    Settled(Row),
    /// The ledger does not know it.
    Unknown,
}

/// What became of claimed rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SettleRequest {
    /// The batch.
    pub batch: BatchKey,
    /// The token they were claimed with.
    pub token: u32,
    /// The caller's clock.
    pub now: Timestamp,
    /// The connection that carried them: whose ids the provider's ids are.
    pub connection_id: ConnectionId,
    /// The owner of the connection and the sender the rows were sent from, for matching replies.
    pub sender: (OrganizationId, String),
    /// Whether [`Ledger::by_provider_id`] shall find the messages: not needed where every receipt
    /// carries their reference.
    pub index_ids: bool,
    /// The rows.
    pub rows: Vec<SettleRow>,
}

/// What became of one claimed row.
#[derive(Debug, Clone, PartialEq)]
pub struct SettleRow {
    /// The row.
    pub row: u32,
    /// Its recipient: remembered for matching replies if a request may have been taken.
    pub to: Msisdn,
    /// What became of it.
    pub outcome: SettleOutcome,
    /// The provider's error code or the fleet's reason; empty where there is none.
    pub code: String,
    /// The provider's id; empty while unknown.
    pub provider_message_id: String,
    /// Parts of the message whose receipts come one by one; 0 or 1: one receipt speaks for the whole
    /// message. Where a request may have been taken it is said even if nobody knows whether it was:
    /// without it the parts' receipts never make the message delivered.
    pub parts: u8,
    /// The ids of all parts, where each has its own; else empty.
    pub part_ids: Vec<String>,
}

/// What became of a claimed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettleOutcome {
    /// This state now: accepted, rejected, failed, in doubt, suppressed, expired before send.
    State(MessageState),
    /// Back to `queued` for another attempt; this one counted.
    Retry,
    /// Back to `queued` as if it had never been claimed: throttled or handed back.
    Release,
}

impl SettleOutcome {
    /// Whether a request may have been taken, so that a reply may come.
    pub(crate) const fn may_be_answered(self) -> bool {
        matches!(
            self,
            Self::State(
                MessageState::InDoubt
                    | MessageState::Accepted
                    | MessageState::Sent
                    | MessageState::Delivered
            )
        )
    }
}

/// What a row is after a settle or a merge.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// The row moved: tell the world.
    Changed(Row),
    /// The row already says this or more. A duplicate is told again with the same event id.
    Unchanged(Row),
    /// A receipt for a row that was never handed over: an alarm, nothing was changed.
    NeverSent(Row),
    /// The ledger does not know the row.
    Unknown,
}

/// What a receipt says about a row.
#[derive(Debug, Clone, PartialEq)]
pub struct RowReport {
    /// The row.
    pub row: u32,
    /// The state it reports.
    pub state: MessageState,
    /// The provider's error code; empty where there is none.
    pub code: String,
    /// The provider's id; empty if the receipt has none.
    pub provider_message_id: String,
    /// Which part it is about; nothing if it speaks for the whole message.
    pub part: Option<PartReport>,
}

/// Which part of a message a receipt is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReport {
    /// The part.
    pub name: PartName,
    /// How many parts the message has, where the receipt says so.
    pub of: Option<u8>,
}

/// How a receipt names a part. One message's parts are all named in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartName {
    /// Its number, from 1.
    Number(u8),
    /// The provider's id of the part.
    Id(String),
}

/// A part of an inbound message.
#[derive(Clone, PartialEq)]
pub struct InboundPart {
    /// Which, from 1.
    pub number: u8,
    /// How many there are.
    pub total: u8,
    /// Names it among all inbound messages and parts.
    pub name: String,
    /// What is kept of it.
    pub body: String,
    /// It has waited for the others as long as it shall.
    pub has_waited: bool,
}

impl std::fmt::Debug for InboundPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No body: it holds what somebody wrote.
        f.debug_struct("InboundPart")
            .field("number", &self.number)
            .field("total", &self.total)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What became of a part of an inbound message.
#[derive(Clone, PartialEq)]
pub enum Joined {
    /// Others are missing: ask again when it has waited for them.
    Waits,
    /// The message is this part's to tell: the number and the body of each part that is there, in
    /// order.
    Ready(Vec<(u8, String)>),
    /// The message is another part's to tell.
    Elsewhere,
    /// The message was told without it, or another part came in its place: it stands alone.
    Late,
}

impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Waits => "Waits",
            Self::Ready(_) => "Ready",
            Self::Elsewhere => "Elsewhere",
            Self::Late => "Late",
        })
    }
}

/// The message that a reply from a number most likely answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation {
    /// The message.
    pub reference: Reference,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// A batch that was refused as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedBatch {
    /// Whose.
    pub organization_id: OrganizationId,
    /// Which mailing, if it could be read.
    pub distribution_id: Option<DistributionId>,
    /// Which batch, if it could be read.
    pub batch_id: Option<BatchId>,
    /// Why.
    pub refusals: Vec<Refusal>,
    /// When.
    pub at: Timestamp,
}

/// A distribution as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistributionRecord {
    /// Whose.
    pub organization_id: OrganizationId,
    /// Which mailing.
    pub distribution_id: DistributionId,
    /// Running, paused or cancelled.
    pub state: DistributionState,
    /// When its first batch was registered.
    pub created_at: Timestamp,
    /// Its batches in the order of their registration.
    pub batches: Vec<BatchKey>,
}

/// What an operator decided about a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DistributionState {
    /// Sends.
    Active,
    /// Keeps its queue, sends nothing.
    Paused,
    /// Sends nothing any more.
    Cancelled,
}

/// A queue that workers consume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueEntry {
    /// Its name on the bus.
    pub name: String,
    /// Whose mailing.
    pub organization_id: OrganizationId,
    /// The mailing.
    pub distribution_id: DistributionId,
    /// The connection that sends.
    pub connection_id: ConnectionId,
    /// Bulk or express.
    pub class: Class,
    /// Taken off the list then, if nobody renews it: the last batch's expiry and a margin.
    pub expires_at: Timestamp,
    /// Its share of the connection; nothing if whoever opens it does not say, and what was said
    /// before stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
}

/// Queues that workers consume.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueList {
    /// Changes whenever the list or a distribution's state does.
    pub version: u64,
    /// Whether these are all; else those that changed since the version that the caller held.
    pub whole: bool,
    /// The queues in the order of their names, each with its distribution's state.
    pub queues: Vec<(QueueEntry, DistributionState)>,
    /// Queues that are off the list since then.
    pub gone: Vec<String>,
}

/// What can go wrong with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store is away, too slow, or refuses; nothing is known about the call.
    #[error("ledger unavailable: {0}")]
    Unavailable(String),
    /// The store can not be used as it is set up: nothing but an operator changes that.
    #[error("ledger can not be used: {0}")]
    Unusable(String),
    /// What is stored can not be read: written by a newer version, or damaged.
    #[error("ledger holds something unreadable at {place}: {why}")]
    Damaged {
        /// Which key or record.
        place: String,
        /// What was expected.
        why: String,
    },
    /// A sealed secret can not be opened: the key is missing or wrong.
    #[error("the secrets of connection {connection} can not be opened: {why}")]
    Sealed {
        /// Which.
        connection: ConnectionId,
        /// Unknown key id, or the key does not fit.
        why: &'static str,
    },
}

impl LedgerError {
    pub(crate) fn not_registered(batch: BatchKey) -> Self {
        Self::Damaged {
            place: format!("batch {batch}"),
            why: "it is not registered".into(),
        }
    }

    pub(crate) fn row_out_of_range(batch: BatchKey, row: u32) -> Self {
        Self::Damaged {
            place: format!("batch {batch}"),
            why: format!("row {row} is not one of its recipients"),
        }
    }
}
