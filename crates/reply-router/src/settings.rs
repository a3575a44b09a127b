//! What an operator decides about reply-router.

use std::{
    net::SocketAddr,
    num::{NonZeroU16, NonZeroUsize},
    time::Duration,
};

use serde::Deserialize;

/// How replies are routed. Defaults live in `deploy/config/smsfleet.toml` and nowhere else.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub ops_listen: SocketAddr,
    /// Groups of callbacks taken from the broker and not finished yet; also worked on at once.
    pub prefetch: NonZeroU16,
    /// People of one group whose messages are worked on at once; one person's stay in order.
    pub people_max: NonZeroUsize,
    /// A confirmation or help text that has not left this long after the message it answers is
    /// dropped: later it would be an SMS nobody asked for.
    #[serde(with = "humantime_serde")]
    pub answer_within: Duration,
    /// The first wait when the ledger or the broker is away; doubles from there.
    #[serde(with = "humantime_serde")]
    pub retry_first: Duration,
    /// The longest such wait.
    #[serde(with = "humantime_serde")]
    pub retry_longest: Duration,
}
