//! What every binary starts with: configuration, telemetry, metrics, health endpoints, shutdown.
//! Knows nothing about messages.

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
