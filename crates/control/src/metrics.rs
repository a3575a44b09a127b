//! Every series control exports. Label values are enums and the routes of the router.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus::{HistogramVec, IntCounter, IntCounterVec};
use runtime::Metrics;

/// What control counts.
#[derive(Debug, Clone)]
pub struct ControlMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    pub(crate) batches: IntCounter,
    pub(crate) redriven: IntCounter,
}

impl ControlMetrics {
    /// Declares them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counters(
                "smsfleet_control_requests_total",
                "Requests answered, by route and by class of status.",
                &["route", "status"],
            ),
            seconds: metrics.seconds_by(
                "smsfleet_control_request_seconds",
                "Seconds from a request's head to its answer, by route.",
                &["route"],
            ),
            batches: metrics.counter(
                "smsfleet_control_batches_total",
                "Batches handed over by HTTP and confirmed by the broker.",
            ),
            redriven: metrics.counter(
                "smsfleet_control_redriven_total",
                "Dead letters put back into the queue they came from.",
            ),
        }
    }

    pub(crate) fn answered(&self, route: &str, status: StatusCode, took: Duration) {
        let class = match status.as_u16() {
            ..400 => "ok",
            400..500 => "client_error",
            _ => "server_error",
        };
        self.requests.with_label_values(&[route, class]).inc();
        self.seconds
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }
}
