//! How control works. Defaults live in `deploy/config/smsfleet.toml` and nowhere else.

use std::{net::SocketAddr, num::NonZeroU16, time::Duration};

use serde::Deserialize;

use crate::Tokens;

/// The section `[control]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub ops_listen: SocketAddr,
    /// Where the API is.
    pub listen: SocketAddr,
    /// Who may use it.
    pub tokens: Tokens,
    /// Bytes a batch may have.
    pub batch_bytes_max: usize,
    /// Bytes any other body may have.
    pub body_bytes_max: usize,
    /// Batches waiting for intake above which new ones are turned away for now.
    pub batches_waiting_max: u64,
    /// Requests answered at the same time.
    pub requests_at_once: NonZeroU16,
    /// How long a request may take.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Whether connections may name private hosts and plain http.
    pub allow_private_hosts: bool,
}
