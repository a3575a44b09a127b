//! Who works, in the process.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Workers by name, each with the end of its lease.
#[derive(Default)]
pub(super) struct Workers {
    until: BTreeMap<String, Instant>,
}

impl Workers {
    pub(super) fn attend(&mut self, worker: &str, lease: Duration) -> Vec<String> {
        let now = Instant::now();
        self.until.retain(|_, until| *until > now);
        self.until.insert(worker.to_owned(), now + lease);
        self.until.keys().cloned().collect()
    }

    pub(super) fn leave(&mut self, worker: &str) {
        self.until.remove(worker);
    }
}
