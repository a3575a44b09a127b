//! What every binary starts with: configuration, telemetry, metrics, health endpoints, shutdown.
//! Knows nothing about messages.

/// The services make and drop many small things for every message. The allocator of the C library takes
/// a fifth of a send-worker's CPU for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod config;
pub mod metrics;
pub mod ops;
pub mod service;
pub mod shutdown;
pub mod telemetry;

pub use config::{Config, ConfigError};
pub use metrics::Metrics;
pub use ops::Readiness;
pub use service::{Boot, PublicSettings, Service};
pub use tokio_util::sync::CancellationToken;
