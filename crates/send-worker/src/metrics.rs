//! Every series send-worker exports. Label values are enums and slugs, so their number is bounded.

use std::sync::Arc;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};
use providers::{SubmitClass, SubmitOutcome};
use runtime::Metrics;

use crate::{
    codes::Codes,
    limits::{Gauges, LimitMetrics},
};

/// See the help texts.
#[derive(Debug, Clone)]
pub struct SendMetrics {
    pub(crate) submits: IntCounterVec,
    pub(crate) codes: Arc<Codes>,
    pub(crate) submit_seconds: HistogramVec,
    pub(crate) queue_seconds: HistogramVec,
    pub(crate) requests_in_flight: IntGauge,
    pub(crate) rows: IntCounterVec,
    pub(crate) chunks: IntCounterVec,
    pub(crate) queues: IntGauge,
    pub(crate) leases: IntCounter,
    pub(crate) granted: IntCounter,
    pub(crate) throttled: IntCounterVec,
    pub(crate) limits: Arc<Gauges>,
    pub(crate) held_back: IntCounterVec,
    pub(crate) ledger_errors: IntCounter,
    pub(crate) publish_errors: IntCounter,
}

impl SendMetrics {
    /// Declares them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            submits: metrics.counters(
                "smsfleet_send_submits_total",
                "Messages submitted, by provider and by what the answer meant.",
                &["provider", "outcome"],
            ),
            codes: Arc::new(Codes::new(metrics.counters(
                "smsfleet_send_codes_total",
                "Messages submitted and not accepted, by provider, by what the answer meant and by the provider's code.",
                &["provider", "outcome", "code"],
            ))),
            submit_seconds: metrics.seconds_by(
                "smsfleet_send_submit_seconds",
                "Seconds from the start of a request to the end of its answer, by provider.",
                &["provider"],
            ),
            queue_seconds: metrics.seconds_by(
                "smsfleet_send_queue_seconds",
                "Seconds from the moment a message was put into its queue to the start of its first request, by provider.",
                &["provider"],
            ),
            requests_in_flight: metrics.gauge(
                "smsfleet_send_requests_in_flight",
                "Requests waiting for their answer.",
            ),
            rows: metrics.counters(
                "smsfleet_send_rows_total",
                "Rows decided by this worker, by the state or step they were put into.",
                &["state"],
            ),
            chunks: metrics.counters(
                "smsfleet_send_chunks_total",
                "Chunks finished, by how they ended.",
                &["end"],
            ),
            queues: metrics.gauge("smsfleet_send_queues", "Queues this worker consumes."),
            leases: metrics.counter(
                "smsfleet_send_leases_total",
                "Times tokens of limits were asked for.",
            ),
            granted: metrics.counter(
                "smsfleet_send_tokens_granted_total",
                "Tokens of limits that were granted, one for each segment.",
            ),
            throttled: metrics.counters(
                "smsfleet_send_throttled_total",
                "Answers of providers that said \"too fast\", by provider.",
                &["provider"],
            ),
            limits: Arc::new(Gauges::new(metrics.rates(
                "smsfleet_send_limit_segments_per_second",
                "Limits of this worker's connections and providers, by what they were set to and what they are now; of a thousand limits at most.",
                &["limit", "rate"],
            ))),
            held_back: metrics.counters(
                "smsfleet_send_held_back_total",
                "Times a connection was made to rest, by why.",
                &["provider", "why"],
            ),
            ledger_errors: metrics.counter(
                "smsfleet_send_ledger_errors_total",
                "Calls to the ledger that failed and were repeated; nothing is sent meanwhile.",
            ),
            publish_errors: metrics.counter(
                "smsfleet_send_publish_errors_total",
                "Publishes that were not confirmed and were repeated.",
            ),
        }
    }

    pub(crate) fn limits(&self) -> LimitMetrics {
        LimitMetrics {
            leases: self.leases.clone(),
            granted: self.granted.clone(),
            throttled: self.throttled.clone(),
            ledger_errors: self.ledger_errors.clone(),
            gauges: self.limits.clone(),
        }
    }
}

/// The series of one provider that move with every message, found once and not by their labels each
/// time.
#[derive(Debug, Clone)]
pub(crate) struct ProviderMetrics {
    slug: &'static str,
    accepted: IntCounter,
    others: IntCounterVec,
    codes: Arc<Codes>,
    pub(crate) submit_seconds: Histogram,
    pub(crate) queue_seconds: Histogram,
}

impl ProviderMetrics {
    pub(crate) fn new(metrics: &SendMetrics, slug: &'static str) -> Self {
        let accepted = [slug, SubmitClass::Accepted.as_str()];
        Self {
            slug,
            accepted: metrics.submits.with_label_values(&accepted),
            others: metrics.submits.clone(),
            codes: metrics.codes.clone(),
            submit_seconds: metrics.submit_seconds.with_label_values(&[slug]),
            queue_seconds: metrics.queue_seconds.with_label_values(&[slug]),
        }
    }

    /// Counts what an answer meant.
    pub(crate) fn count(&self, outcomes: &[SubmitOutcome]) {
        let mut accepted = 0;
        for outcome in outcomes {
            if outcome.class == SubmitClass::Accepted {
                accepted += 1;
                continue;
            }
            let labels = [self.slug, outcome.class.as_str()];
            self.others.with_label_values(&labels).inc();
            self.codes.count(self.slug, outcome);
        }
        self.accepted.inc_by(accepted);
    }
}
