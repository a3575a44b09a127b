//! The rates of limits as metrics. Limits are as many as connections, so their series are bounded
//! here.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use prometheus::{Gauge as Series, GaugeVec};

/// Limits with series of their own in one process. The rates of the others are in the ledger.
const LIMITS_MAX: usize = 1_000;

/// Makes gauges until there are enough.
#[derive(Debug)]
pub(crate) struct Gauges {
    rates: GaugeVec,
    open: Arc<AtomicUsize>,
}

/// The two rates of one limit; their series end with it.
pub(crate) struct Gauge {
    rates: GaugeVec,
    limit: String,
    configured: Series,
    effective: Series,
    open: Arc<AtomicUsize>,
}

impl Gauges {
    /// `rates` has the labels `limit` and `rate`.
    pub(crate) fn new(rates: GaugeVec) -> Self {
        Self {
            rates,
            open: Arc::default(),
        }
    }

    pub(super) fn of(&self, limit: String) -> Option<Gauge> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= LIMITS_MAX {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let series = |rate: &str| self.rates.with_label_values(&[limit.as_str(), rate]);
        Some(Gauge {
            configured: series("configured"),
            effective: series("effective"),
            rates: self.rates.clone(),
            open: self.open.clone(),
            limit,
        })
    }
}

impl Gauge {
    pub(super) fn set(&self, configured: f64, effective: f64) {
        self.configured.set(configured);
        self.effective.set(effective);
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        for rate in ["configured", "effective"] {
            // A series that somebody removed already needs nothing.
            let _ = self.rates.remove_label_values(&[self.limit.as_str(), rate]);
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
