//! What the bus counts about itself; the services export it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Counters since the process started.
#[derive(Debug, Default)]
pub struct BusStats {
    published: AtomicU64,
    confirmed: AtomicU64,
    returned: AtomicU64,
    reconnects: AtomicU64,
    consumers: AtomicI64,
}

impl BusStats {
    /// Messages handed to the broker.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Messages that the broker confirmed and had a place for.
    #[must_use]
    pub fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// Messages that it returned because nothing was bound.
    #[must_use]
    pub fn returned(&self) -> u64 {
        self.returned.load(Ordering::Relaxed)
    }

    /// Connections opened to replace one that was lost.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// Consumers attached right now.
    #[must_use]
    pub fn consumers(&self) -> u64 {
        u64::try_from(self.consumers.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub(super) fn add_published(&self, messages: usize) {
        self.published.fetch_add(messages as u64, Ordering::Relaxed);
    }

    pub(super) fn add_confirmed(&self) {
        self.confirmed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_returned(&self) {
        self.returned.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn consumer_attached(&self) {
        self.consumers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn consumer_detached(&self) {
        self.consumers.fetch_sub(1, Ordering::Relaxed);
    }
}
