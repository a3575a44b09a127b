//! Every series batch-intake exports. Label values are enums, so the number of series is known here.

use message::Rule;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};
use runtime::Metrics;

/// What batch-intake counts.
#[derive(Debug, Clone)]
pub struct IntakeMetrics {
    batches: IntCounterVec,
    rows: IntCounter,
    refused: IntCounterVec,
    seconds: Histogram,
    in_flight: IntGauge,
    retries: IntCounterVec,
    laid_aside: IntCounter,
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its good rows are on their way.
    Taken,
    /// The same content was taken before: nothing changed.
    Repeated,
    /// An earlier attempt at it was interrupted and has been finished.
    Finished,
    /// Its distribution was cancelled while it was on its way in.
    Cancelled,
    /// Nothing of it was taken.
    Refused,
    /// It could not be processed and lies in the dead queue.
    Dead,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Repeated => "repeated",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Dead => "dead",
        }
    }
}

/// What had to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backing {
    /// The message bus.
    Bus,
    /// The ledger.
    Ledger,
}

impl Backing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bus => "bus",
            Self::Ledger => "ledger",
        }
    }
}

impl IntakeMetrics {
    /// Declares them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            batches: metrics.counters(
                "smsfleet_intake_batches_total",
                "Batches decided, by what became of them.",
                &["outcome"],
            ),
            rows: metrics.counter(
                "smsfleet_intake_rows_accepted_total",
                "Recipients taken and handed on to the workers' queues.",
            ),
            refused: metrics.counters(
                "smsfleet_intake_refusals_total",
                "Faults found in rows and batches, by the rule that is broken.",
                &["rule"],
            ),
            seconds: metrics.seconds(
                "smsfleet_intake_batch_seconds",
                "Seconds from taking a batch to deciding it, the settling of its queue included.",
            ),
            in_flight: metrics.gauge(
                "smsfleet_intake_batches_in_flight",
                "Batches taken and not decided yet.",
            ),
            retries: metrics.counters(
                "smsfleet_intake_retries_total",
                "Calls repeated because the broker or the ledger did not answer well.",
                &["backing"],
            ),
            laid_aside: metrics.counter(
                "smsfleet_intake_batches_laid_aside_total",
                "Batches moved to a waiting queue because their organisation had its share in hand.",
            ),
        }
    }

    pub(crate) fn began(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn ended(&self, outcome: Option<Outcome>, seconds: f64) {
        self.in_flight.dec();
        if let Some(outcome) = outcome {
            self.batches.with_label_values(&[outcome.as_str()]).inc();
            self.seconds.observe(seconds);
        }
    }

    pub(crate) fn accepted(&self, rows: usize) {
        self.rows.inc_by(rows as u64);
    }

    pub(crate) fn refused(&self, rule: Rule) {
        self.refused.with_label_values(&[rule.as_str()]).inc();
    }

    pub(crate) fn laid_aside(&self) {
        self.laid_aside.inc();
    }

    pub(crate) fn retried(&self, backing: Backing) {
        self.retries.with_label_values(&[backing.as_str()]).inc();
    }
}
