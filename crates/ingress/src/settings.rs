//! What an operator decides about the ingress.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use serde::Deserialize;

/// How the ingress takes callbacks. Defaults live in `deploy/config/smsfleet.toml` and nowhere else.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where providers (or the proxy in front) connect.
    pub listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub ops_listen: SocketAddr,
    /// Threads that serve connections, each with its own sockets to the broker and Redis; 0: one for
    /// each core. Callbacks that different threads take do not share an AMQP message.
    pub threads: usize,
    /// Connections open at once; the next one waits in the kernel's queue.
    pub connections_max: NonZeroUsize,
    /// Callbacks being worked on at once; the next one is answered 503.
    pub in_flight_max: NonZeroUsize,
    /// Bytes a body may have.
    pub body_bytes_max: usize,
    /// Bytes that all bodies over 64 KiB may have together; the next one is answered 503.
    pub large_bodies_bytes_max: usize,
    /// Bytes request line and headers may have together.
    pub header_bytes_max: usize,
    /// How long the headers of a request may take. An idle connection ends by the same clock.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a body may take.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long a callback waits for others to share an AMQP message with.
    #[serde(with = "humantime_serde")]
    pub group_wait: Duration,
    /// Callbacks in one AMQP message.
    pub group_max: NonZeroUsize,
    /// Body bytes in one AMQP message, as near as whole callbacks allow.
    pub group_bytes_max: usize,
    /// AMQP messages waiting for their confirm at once, per kind of callback.
    pub publishes_max: NonZeroUsize,
    /// How long a confirm may take; then the callback is answered 503.
    #[serde(with = "humantime_serde")]
    pub publish_timeout: Duration,
    /// What `Retry-After` of a 503 says.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
    /// How long an organisation's connections are believed before the ledger is asked again.
    #[serde(with = "humantime_serde")]
    pub connections_fresh_for: Duration,
    /// Organisations whose connections are remembered.
    pub organizations_max: NonZeroUsize,
    /// Log lines a second about refused callbacks; the others are only counted.
    pub refusal_lines_per_second: u32,
}

impl Settings {
    /// What one of `threads` may have of the limits that hold for the process.
    #[must_use]
    pub fn shared_by(self, threads: NonZeroUsize) -> Self {
        let share = |all: usize| all.div_ceil(threads.get());
        let at_least_one =
            |all: NonZeroUsize| NonZeroUsize::new(share(all.get())).unwrap_or(NonZeroUsize::MIN);
        Self {
            connections_max: at_least_one(self.connections_max),
            in_flight_max: at_least_one(self.in_flight_max),
            large_bodies_bytes_max: share(self.large_bodies_bytes_max),
            publishes_max: at_least_one(self.publishes_max),
            refusal_lines_per_second: self
                .refusal_lines_per_second
                .div_ceil(u32::try_from(threads.get()).unwrap_or(u32::MAX)),
            ..self
        }
    }
}
