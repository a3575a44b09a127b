//! What an operator decides about receipt-ingest.

use std::{
    net::SocketAddr,
    num::{NonZeroU16, NonZeroUsize},
    time::Duration,
};

use serde::Deserialize;

/// How receipts are merged. Defaults live in `deploy/config/smsfleet.toml` and nowhere else.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub ops_listen: SocketAddr,
    /// Groups of callbacks taken from the broker and not finished yet.
    pub prefetch: NonZeroU16,
    /// Rounds under way at once.
    pub rounds_max: NonZeroUsize,
    /// Groups of callbacks that are merged in one round, if as many wait.
    pub groups_per_round: NonZeroUsize,
    /// Batches of one round that are merged at once.
    pub merges_max: NonZeroUsize,
    /// Batches whose names are remembered, for the events.
    pub batches_remembered: NonZeroUsize,
    /// How long a receipt for an unknown message is tried again, first after 30 seconds and at last
    /// every hour, before it ends with the dead letters.
    #[serde(with = "humantime_serde")]
    pub unknown_for: Duration,
    /// The first wait when the ledger or the broker is away; doubles from there.
    #[serde(with = "humantime_serde")]
    pub retry_first: Duration,
    /// The longest such wait.
    #[serde(with = "humantime_serde")]
    pub retry_longest: Duration,
}
