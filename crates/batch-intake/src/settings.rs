//! How batch-intake works. Defaults live in `deploy/config/smsfleet.toml` and nowhere else.

use std::{
    net::SocketAddr,
    num::{NonZeroU8, NonZeroU16},
    time::Duration,
};

use message::OrganizationId;
use serde::{Deserialize, Deserializer, de::Error as _};

/// The section `[batch_intake]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub ops_listen: SocketAddr,
    /// Bytes a batch may have; more are not even parsed.
    pub body_bytes_max: usize,
    /// The highest `max_segments` a batch may ask for.
    pub segments_max: NonZeroU8,
    /// How long a batch without `expires_at` is worth sending.
    #[serde(with = "humantime_serde")]
    pub expiry_default: Duration,
    /// How far ahead `expires_at` may lie.
    #[serde(with = "humantime_serde")]
    pub expiry_max: Duration,
    /// How long workers keep a distribution's queue on their list after its last batch expired.
    #[serde(with = "humantime_serde")]
    pub queue_margin: Duration,
    /// How much of the connection's rate one chunk is.
    pub seconds_per_chunk: NonZeroU16,
    /// Chunks that are published together and confirmed as a group.
    pub chunks_per_publish: NonZeroU16,
    /// Batches taken and not yet acked, per lane: those at work and those whose queue settles.
    pub batches_in_flight: NonZeroU16,
    /// How many of them may be one organisation's; more are laid aside.
    pub batches_per_organization: NonZeroU16,
    /// Batches that are read, checked and written at the same time: what bounds memory.
    pub batches_at_work: NonZeroU16,
    /// The first pause when broker or ledger are away.
    #[serde(with = "humantime_serde")]
    pub retry_first: Duration,
    /// The longest pause.
    #[serde(with = "humantime_serde")]
    pub retry_longest: Duration,
    /// Whose connection an organisation without one uses; nothing if there is none for all.
    #[serde(deserialize_with = "id_or_empty")]
    pub default_organization: Option<OrganizationId>,
}

/// TOML has no null, so an empty text says that there is none.
fn id_or_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<OrganizationId>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    OrganizationId::new(&text)
        .map(Some)
        .map_err(D::Error::custom)
}
