//! Where providers come in: verifies each callback, hands it to the bus in a group with others of
//! the same moment, and answers once the bus has confirmed it. Nothing else: what a callback says is
//! read behind the bus.

mod body;
mod candidates;
mod connections;
#[cfg(test)]
mod fake;
mod groups;
mod log_budget;
mod metrics;
mod nonces;
mod paths;
mod place;
mod receive;
mod refused;
mod server;
mod settings;
mod written;

pub use metrics::IngressMetrics;
pub use server::Ingress;
pub use settings::Settings;
