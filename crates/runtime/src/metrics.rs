//! Prometheus metrics, each declared once with its help; the list of what was declared is the
//! metric catalogue.

use std::sync::{Arc, Mutex};

use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};

/// The metrics of one process.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    registry: Registry,
    declared: Arc<Mutex<Vec<Declared>>>,
}

/// One line of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declared {
    /// The series' name.
    pub name: String,
    /// counter, gauge or histogram.
    pub kind: &'static str,
    /// Its labels.
    pub labels: Vec<String>,
    /// What it counts.
    pub help: String,
}

/// Seconds, from a local round trip to a hanging provider.
pub const LATENCY_BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0,
];

impl Metrics {
    /// An empty registry with the process's own figures (CPU, memory, descriptors).
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self::default();
        let process = prometheus::process_collector::ProcessCollector::for_self();
        metrics
            .registry
            .register(Box::new(process))
            .expect("an empty registry takes the process collector");
        metrics
    }

    fn declare<C: Collector + Clone + 'static>(
        &self,
        kind: &'static str,
        labels: &[&str],
        name: &str,
        help: &str,
        made: prometheus::Result<C>,
    ) -> C {
        let collector = made.expect("metric names and labels are literals in the code");
        self.registry
            .register(Box::new(collector.clone()))
            .expect("every metric is declared once in a process");
        self.declared
            .lock()
            .expect("no code panics while it declares a metric")
            .push(Declared {
                name: name.to_owned(),
                kind,
                labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                help: help.to_owned(),
            });
        collector
    }

    /// A counter.
    ///
    /// # Panics
    /// Like all of these: if the name is malformed or declared twice, which is a bug.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.declare("counter", &[], name, help, IntCounter::new(name, help))
    }

    /// A counter per combination of labels.
    #[must_use]
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.declare(
            "counter",
            labels,
            name,
            help,
            IntCounterVec::new(Opts::new(name, help), labels),
        )
    }

    /// A gauge.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.declare("gauge", &[], name, help, IntGauge::new(name, help))
    }

    /// A gauge per combination of labels.
    #[must_use]
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.declare(
            "gauge",
            labels,
            name,
            help,
            IntGaugeVec::new(Opts::new(name, help), labels),
        )
    }

    /// A gauge with fractions per combination of labels.
    #[must_use]
    pub fn rates(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.declare(
            "gauge",
            labels,
            name,
            help,
            GaugeVec::new(Opts::new(name, help), labels),
        )
    }

    /// A histogram of seconds with [`LATENCY_BUCKETS`].
    #[must_use]
    pub fn seconds(&self, name: &str, help: &str) -> Histogram {
        let opts = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec());
        self.declare("histogram", &[], name, help, Histogram::with_opts(opts))
    }

    /// A histogram of seconds per combination of labels.
    #[must_use]
    pub fn seconds_by(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        let opts = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec());
        self.declare(
            "histogram",
            labels,
            name,
            help,
            HistogramVec::new(opts, labels),
        )
    }

    /// What Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("a vector takes every byte");
        text
    }

    /// Everything that was declared, by name.
    #[must_use]
    pub fn catalogue(&self) -> Vec<Declared> {
        let mut declared = self
            .declared
            .lock()
            .expect("no code panics while it declares a metric")
            .clone();
        declared.sort();
        declared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_lists_what_was_declared_even_before_it_has_a_value() {
        let metrics = Metrics::new();
        let _ = metrics.counters("smsfleet_test_total", "Tests run.", &["outcome"]);
        let [line] = &metrics.catalogue()[..] else {
            panic!("one metric was declared")
        };
        assert_eq!(
            (line.name.as_str(), line.kind, &line.labels[..]),
            (
                "smsfleet_test_total",
                "counter",
                &["outcome".to_owned()][..]
            )
        );
    }
}
