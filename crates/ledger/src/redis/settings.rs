//! How the ledger uses Redis.

use std::time::Duration;

use serde::Deserialize;

/// How the ledger uses Redis. Every setting has a default that fits one server on a local network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// Longest wait for an answer; past it the outcome of the call is unknown.
    #[serde(with = "humantime_serde")]
    pub response_timeout: Duration,
    /// Longest wait for a connection.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Attempts to connect, after the first, before a waiting call fails. The next call tries again.
    pub connect_retries: u8,
    /// Longest pause between two attempts to connect; the first is a tenth of a second.
    #[serde(with = "humantime_serde")]
    pub connect_pause_max: Duration,
    /// In front of every key, so that several fleets can share a server. No braces.
    pub key_prefix: String,
    /// How long a batch is known after its expiry.
    #[serde(with = "humantime_serde")]
    pub keep_ended_batches_for: Duration,
    /// How long a refused batch is listed.
    #[serde(with = "humantime_serde")]
    pub keep_refused_batches_for: Duration,
    /// A reply finds the message it answers for at least this long, at most twice as long.
    #[serde(with = "humantime_serde")]
    pub reply_window: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            response_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            connect_retries: 2,
            connect_pause_max: Duration::from_secs(1),
            key_prefix: "sms:".into(),
            keep_ended_batches_for: 35 * DAY,
            keep_refused_batches_for: 35 * DAY,
            reply_window: 7 * DAY,
        }
    }
}
