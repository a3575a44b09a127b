//! How full the current window of somebody's index is, as far as this process knows: it decides over
//! how many shards new entries are spread, so that most writes need not ask first.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

/// Entries of the window that this process last wrote to, by whose index it is.
pub(super) struct Windows<K>(Mutex<HashMap<K, (u64, u64)>>);

impl<K> Default for Windows<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Windows<K> {
    /// Nothing if it was another window that was written to last, or none.
    pub(super) fn seen(&self, whose: &K, window: u64) -> Option<u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, entries) = *counts.get(whose)?;
        (of == window).then_some(entries)
    }

    pub(super) fn see(&self, whose: &K, window: u64, entries: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.insert(whose.clone(), (window, entries));
    }
}
