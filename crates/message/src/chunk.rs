//! The unit on the wire from intake to a worker: rows of one batch that travel together.

use serde::{Deserialize, Serialize};

use crate::{
    BatchId, BatchKey, ConnectionId, DistributionId, Fields, Msisdn, OrganizationId, Timestamp,
};

/// The version a chunk is written in; readers refuse a higher one by dead-lettering it.
pub const CHUNK_VERSION: u8 = 1;

/// The AMQP header that says when a chunk was first put into its queue, in milliseconds since 1970: what
/// the time from queue to request is counted from. Chunks that come back have none.
pub const QUEUED_AT: &str = "queued-at";

/// Rows a chunk may have.
pub const CHUNK_ROWS_MAX: usize = 250;

/// Which of a connection's two lanes a chunk travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Confirmations and two-way replies: served first, within a reserved share.
    Express,
    /// Everything else.
    Bulk,
}

/// Rows of one batch, ready to be sent over one connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// [`CHUNK_VERSION`].
    pub v: u8,
    /// Whose.
    pub organization_id: OrganizationId,
    /// Which mailing.
    pub distribution_id: DistributionId,
    /// The scheduler's name of the batch, for events.
    pub batch_id: BatchId,
    /// The batch's key, the first half of every reference.
    pub batch: BatchKey,
    /// The connection these rows are meant for.
    pub connection_id: ConnectionId,
    /// Bulk or express.
    pub class: Class,
    /// The attempt these rows are up to, counted from 1.
    pub attempt: u8,
    /// The text with its placeholders.
    pub text: String,
    /// Not worth sending after this.
    pub expires_at: Timestamp,
    /// True for the one confirmation that an opted-out recipient still gets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exempt_from_opt_out: bool,
    /// The rows.
    pub rows: Vec<ChunkRow>,
}

/// One recipient of a chunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkRow {
    /// The row in the batch.
    pub row: u32,
    /// The recipient.
    pub to: Msisdn,
    /// Billable segments of the rendered text: what the limit is counted in.
    pub segments: u8,
    /// Values of the placeholders that the text names; others are left out.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub fields: Fields,
}
