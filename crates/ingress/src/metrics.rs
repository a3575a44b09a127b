//! Every series the ingress exports. Labels are provider slugs and enums, never what a stranger sent.

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge};
use runtime::Metrics;

/// The series of one ingress.
#[derive(Debug, Clone)]
pub struct IngressMetrics {
    pub(crate) callbacks: IntCounterVec,
    pub(crate) callback_seconds: HistogramVec,
    pub(crate) in_flight: IntGauge,
    pub(crate) connections: IntGauge,
    pub(crate) unknown_paths: IntCounterVec,
    pub(crate) groups: IntCounterVec,
    pub(crate) grouped: IntCounterVec,
    pub(crate) stale_lookups: IntCounter,
}

impl IngressMetrics {
    /// Declares them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            callbacks: metrics.counters(
                "smsfleet_ingress_callbacks_total",
                "Callbacks by provider, kind and what became of them: taken, taken_before, or why refused.",
                &["provider", "kind", "outcome"],
            ),
            callback_seconds: metrics.seconds_by(
                "smsfleet_ingress_callback_seconds",
                "Seconds from a callback's headers to its answer, for callbacks that were taken.",
                &["provider", "kind"],
            ),
            in_flight: metrics.gauge(
                "smsfleet_ingress_in_flight",
                "Callbacks being worked on right now.",
            ),
            connections: metrics.gauge(
                "smsfleet_ingress_connections",
                "Open HTTP connections, idle ones included.",
            ),
            unknown_paths: metrics.counters(
                "smsfleet_ingress_unknown_paths_total",
                "Requests for paths that do not exist, by whether they look like a mistyped callback URL.",
                &["near_miss"],
            ),
            groups: metrics.counters(
                "smsfleet_ingress_groups_total",
                "AMQP messages of grouped callbacks, by kind and whether the bus confirmed them.",
                &["kind", "outcome"],
            ),
            grouped: metrics.counters(
                "smsfleet_ingress_grouped_callbacks_total",
                "Callbacks in those AMQP messages; divided by the groups it is the mean group size.",
                &["kind", "outcome"],
            ),
            stale_lookups: metrics.counter(
                "smsfleet_ingress_stale_lookups_total",
                "Callbacks verified against remembered connections because the ledger was away.",
            ),
        }
    }
}
