//! The history checker: pure functions over what every witness says about a run. The scheduler
//! knows what was confirmed to it, the twin what it was asked and what it took, the ledger what the
//! fleet believes, the events what the platform was told. Where they differ, somebody was lost,
//! texted twice, or lied to, and [`check`] names the class, the number and a few examples.
//!
//! Nothing in here waits, asks or reads a clock, so that a made-up history can prove that a checker
//! which passes would have failed.

mod books;
mod report;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use message::{BatchId, BatchKey, OrganizationId, Reference};
use provider_sim::AuditReport;
use serde_json::Value;

pub use books::check;
pub use report::{Figure, Problem, Verdict};

/// A batch as the scheduler handed it over.
#[derive(Clone, Debug)]
pub struct HandedOver {
    /// The key that its references begin with.
    pub key: BatchKey,
    /// Its mailing.
    pub distribution: String,
    /// What each row should become: the number that must be texted, or nothing for a row that intake
    /// must refuse.
    pub recipients: Vec<Option<String>>,
    /// Whether the broker confirmed it. One that it did not may have arrived all the same.
    pub confirmed: bool,
}

impl HandedOver {
    /// A confirmed batch of good rows.
    ///
    /// # Errors
    /// If a name is none.
    pub fn new(
        organization: &str,
        distribution: &str,
        batch_id: &str,
        numbers: &[String],
    ) -> anyhow::Result<Self> {
        let key = BatchKey::of(
            &OrganizationId::new(organization)?,
            &BatchId::new(batch_id)?,
        );
        Ok(Self {
            key,
            distribution: distribution.to_owned(),
            recipients: numbers.iter().cloned().map(Some).collect(),
            confirmed: true,
        })
    }

    /// The name of a row.
    #[must_use]
    pub fn reference(&self, row: usize) -> String {
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        let batch = self.key;
        Reference { batch, row }.to_string()
    }
}

/// A message as the ledger tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LedgerRow {
    /// Its name.
    pub reference: String,
    /// Its state on the wire: `delivered`.
    pub state: String,
    /// Attempts made.
    pub attempt: u64,
    /// Error code or reason; empty where there is none.
    pub code: String,
}

/// What every witness says once a run has settled.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The provider's slug: the twin speaks its words.
    pub provider: &'static str,
    /// Everything that was handed over, each batch once however often it was published.
    pub batches: Vec<HandedOver>,
    /// The twin's audit, entries included.
    pub twin: AuditReport,
    /// The ledger's rows of all distributions of the run.
    pub rows: Vec<LedgerRow>,
    /// The ledger's counters of all those distributions, added, by state.
    pub counts: BTreeMap<String, u64>,
    /// What was heard on `sms.events`.
    pub events: Vec<Value>,
    /// What was heard on `sms.replies`.
    pub replies: Vec<Value>,
    /// What this run may show beyond a run without kills.
    pub allowed: Allowed,
}

/// What a run may show because of what was done to it. All zero for an undisturbed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Claims that may have been cut off before their request left: kills of the worker times its
    /// requests in flight. Such a row is in doubt and the twin has never heard of it.
    pub claims_cut_off: u64,
    /// How long after its acknowledgement an opt-out may still meet a request: a second, plus what
    /// whoever carries it to the ledger was down.
    pub late: Duration,
}

impl Default for Allowed {
    fn default() -> Self {
        Self {
            claims_cut_off: 0,
            late: Duration::from_secs(1),
        }
    }
}
