//! Every series the ingress exports. Labels are provider slugs and enums, never what a stranger sent.

use std::sync::{Arc, OnceLock};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};
use providers::{CallbackKind, PROVIDERS, Provider};
use runtime::Metrics;

/// Outcome of a callback that is on the bus.
pub(crate) const TAKEN: &str = "taken";

/// The series of one ingress.
#[derive(Debug, Clone)]
pub struct IngressMetrics {
    callbacks: IntCounterVec,
    callback_seconds: HistogramVec,
    /// Those that nearly every callback counts in, found by their labels once.
    usual: Arc<[Usual]>,
    pub(crate) in_flight: IntGauge,
    pub(crate) connections: IntGauge,
    pub(crate) unknown_paths: IntCounterVec,
    pub(crate) groups: IntCounterVec,
    pub(crate) grouped: IntCounterVec,
    pub(crate) stale_lookups: IntCounter,
}

/// The series of callbacks that were taken, of one provider and kind.
#[derive(Debug)]
struct Usual {
    provider: &'static str,
    kind: CallbackKind,
    taken: OnceLock<IntCounter>,
    seconds: OnceLock<Histogram>,
}

impl IngressMetrics {
    /// Declares them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            usual: usual(),
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

    /// One more callback.
    pub(crate) fn count(&self, provider: &dyn Provider, kind: CallbackKind, outcome: &str) {
        let labels = [provider.slug(), kind.as_str(), outcome];
        let counter = || self.callbacks.with_label_values(&labels);
        match self.usual(provider, kind).filter(|_| outcome == TAKEN) {
            Some(usual) => usual.taken.get_or_init(counter).inc(),
            None => counter().inc(),
        }
    }

    /// How long a callback took that was taken.
    pub(crate) fn observe(&self, provider: &dyn Provider, kind: CallbackKind, seconds: f64) {
        let labels = [provider.slug(), kind.as_str()];
        let histogram = || self.callback_seconds.with_label_values(&labels);
        match self.usual(provider, kind) {
            Some(usual) => usual.seconds.get_or_init(histogram).observe(seconds),
            None => histogram().observe(seconds),
        }
    }

    fn usual(&self, provider: &dyn Provider, kind: CallbackKind) -> Option<&Usual> {
        let slug = provider.slug();
        let mut all = self.usual.iter();
        all.find(|usual| usual.kind == kind && usual.provider == slug)
    }
}

fn usual() -> Arc<[Usual]> {
    let of = |kind: CallbackKind| {
        PROVIDERS.iter().map(move |provider| Usual {
            provider: provider.slug(),
            kind,
            taken: OnceLock::new(),
            seconds: OnceLock::new(),
        })
    };
    of(CallbackKind::Status)
        .chain(of(CallbackKind::Message))
        .collect()
}
