//! The queues that workers consume, in the process.

use std::{collections::BTreeMap, time::SystemTime};

use message::Timestamp;

use super::distributions::Distributions;
use crate::{DistributionState, QueueEntry, QueueList};

/// The list and its version.
#[derive(Default)]
pub(super) struct Queues {
    entries: BTreeMap<String, QueueEntry>,
    version: u64,
}

impl Queues {
    /// A distribution's state changed.
    pub(super) fn touch(&mut self) {
        self.version += 1;
    }

    pub(super) fn open(&mut self, queue: &QueueEntry) {
        let mut queue = queue.clone();
        if let Some(known) = self.entries.get(&queue.name) {
            // A batch that expires sooner does not shorten the lease of the ones before it.
            queue.expires_at = queue.expires_at.max(known.expires_at);
            if *known == queue {
                return;
            }
        }
        self.entries.insert(queue.name.clone(), queue);
        self.touch();
    }

    pub(super) fn close(&mut self, name: &str) {
        if self.entries.remove(name).is_some() {
            self.touch();
        }
    }

    pub(super) fn list(
        &mut self,
        known_version: Option<u64>,
        distributions: &Distributions,
    ) -> Option<QueueList> {
        let now = Timestamp::from(SystemTime::now());
        let before = self.entries.len();
        self.entries.retain(|_, queue| queue.expires_at > now);
        if self.entries.len() < before {
            self.touch();
        }
        if known_version == Some(self.version) {
            return None;
        }
        let with_state = |queue: &QueueEntry| {
            let record = distributions.get(&queue.organization_id, &queue.distribution_id);
            (
                queue.clone(),
                record.map_or(DistributionState::Active, |record| record.state),
            )
        };
        Some(QueueList {
            version: self.version,
            queues: self.entries.values().map(with_state).collect(),
        })
    }
}
