//! Settings of `[send_worker]`; the defaults and what they mean stand in
//! `deploy/config/smsfleet.toml`.

use std::{collections::HashMap, net::SocketAddr, num::NonZeroU8, time::Duration};

use anyhow::Context;
use serde::Deserialize;

/// How send-worker sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub ops_listen: SocketAddr,
    /// Threads that send, each with its own connections; 0: one for each core.
    pub threads: usize,
    /// First byte written to last byte read; past it the outcome is in doubt.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// TCP and TLS together.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Below the shortest keep-alive of a provider, so that no request meets a closing connection.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Bytes of an answer that are read; a longer one is in doubt.
    pub answer_bytes_max: usize,
    /// Requests in flight per connection, at most.
    pub requests_in_flight_max: usize,
    /// Attempts a message gets before it has failed.
    pub attempts_max: NonZeroU8,
    /// Chunks taken ahead per queue, at most.
    pub prefetch: u16,
    /// How long a chunk may be held before what is left of it is handed back.
    #[serde(with = "humantime_serde")]
    pub hold_max: Duration,
    /// How often the list of queues is looked at without a nudge.
    #[serde(with = "humantime_serde")]
    pub reconcile_every: Duration,
    /// How long a worker that says nothing counts as there, before others take its seats.
    #[serde(with = "humantime_serde")]
    pub seat_lease: Duration,
    /// Segments per second of a connection that have one worker to serve them.
    pub segments_per_seat: u32,
    /// How long a queue must have been silent before it is looked at for removal.
    #[serde(with = "humantime_serde")]
    pub idle_queue_after: Duration,
    /// The share of a connection's segments that the express class gets before all others.
    pub express_share: f64,
    /// How long a connection's fields are believed without asking the ledger.
    #[serde(with = "humantime_serde")]
    pub connection_cache_for: Duration,
    /// How long a connection rests after its provider refused the account.
    #[serde(with = "humantime_serde")]
    pub account_refused_rest: Duration,
    /// How long a message that was throttled waits at least before it comes back.
    #[serde(with = "humantime_serde")]
    pub throttled_rest: Duration,
    /// `slug=segments per second`: what the whole fleet may send over a provider.
    pub provider_segments_per_second: Vec<String>,
    /// Lets connections reach loopback and private addresses; for tests and demos only.
    pub allow_private_hosts: bool,
}

impl Settings {
    /// The limits of providers over the whole fleet.
    pub(crate) fn provider_limits(&self) -> anyhow::Result<HashMap<String, f64>> {
        let read = |entry: &String| {
            let (slug, rate) = entry.split_once('=')?;
            let known = providers::provider(slug.trim())?;
            let rate: f64 = rate.trim().parse().ok()?;
            (rate.is_finite() && rate > 0.0).then(|| (known.slug().to_owned(), rate))
        };
        let limits = self.provider_segments_per_second.iter().map(|entry| {
            read(entry).with_context(|| {
                format!("send_worker.provider_segments_per_second: `{entry}`: expected a provider's slug, `=` and a number above 0")
            })
        });
        limits.collect()
    }

    /// After this a claim of somebody else was interrupted: no request of theirs can be running.
    pub(crate) fn interrupted_after_millis(&self) -> u64 {
        let margin = Duration::from_secs(30);
        // A request may be repeated for twice its time (see `request`), and the last one takes it whole.
        u64::try_from((self.request_timeout * 3 + margin).as_millis()).unwrap_or(u64::MAX)
    }
}
