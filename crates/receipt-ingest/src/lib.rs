//! Reads the delivery receipts that the ingress verified, merges them into the ledger, and tells the
//! platform what changed. Works in rounds: whatever is waiting is merged and published together, so
//! that the cost is per round and batch, not per receipt.
//!
//! A round is acked when its events are confirmed. Whatever happens before, it is simply done again:
//! merging twice changes nothing, and what is told twice has the same event id.

mod ingest;
mod metrics;
mod names;
mod opt_outs;
mod outcome;
mod patience;
mod reading;
mod resolve;
mod round;
mod settings;

pub use ingest::ReceiptIngest;
pub use metrics::ReceiptMetrics;
pub use settings::Settings;
