//! The queues that workers consume, in the process.

use std::{collections::BTreeMap, time::SystemTime};

use message::Timestamp;

use super::distributions::Distributions;
use crate::{DistributionState, QueueEntry, QueueList};

/// The list, its version, and in which versions its queues changed.
#[derive(Default)]
pub(super) struct Queues {
    entries: BTreeMap<String, QueueEntry>,
    version: u64,
    /// Queues that are gone are in here too.
    changes: BTreeMap<String, u64>,
    /// Who holds an older version than this reads the whole list.
    known_since: u64,
}

/// Changes remembered; past it everybody reads the whole list once.
const CHANGES_MAX: usize = 5_000;

impl Queues {
    /// A distribution's state changed.
    pub(super) fn states_changed(&mut self) {
        self.version += 1;
        self.forget();
    }

    pub(super) fn open(&mut self, queue: &QueueEntry) {
        let mut queue = queue.clone();
        if let Some(known) = self.entries.get(&queue.name) {
            // A batch that expires sooner does not shorten the lease of the ones before it, and
            // one that does not say a weight does not change theirs.
            queue.expires_at = queue.expires_at.max(known.expires_at);
            queue.weight = queue.weight.or(known.weight);
            if *known == queue {
                return;
            }
        }
        self.note(queue.name.clone());
        self.entries.insert(queue.name.clone(), queue);
    }

    pub(super) fn close(&mut self, name: &str) {
        if self.entries.remove(name).is_some() {
            self.note(name.to_owned());
        }
    }

    pub(super) fn list(
        &mut self,
        known_version: Option<u64>,
        distributions: &Distributions,
    ) -> Option<QueueList> {
        let now = Timestamp::from(SystemTime::now());
        let ended = self
            .entries
            .extract_if(.., |_, queue| queue.expires_at <= now);
        for (name, _) in ended.collect::<Vec<_>>() {
            self.note(name);
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
        let Some(known) =
            known_version.filter(|known| (self.known_since..self.version).contains(known))
        else {
            return Some(QueueList {
                version: self.version,
                whole: true,
                queues: self.entries.values().map(with_state).collect(),
                gone: Vec::new(),
            });
        };
        let mut list = QueueList {
            version: self.version,
            whole: false,
            queues: Vec::new(),
            gone: Vec::new(),
        };
        for (name, _) in self.changes.iter().filter(|(_, at)| **at > known) {
            match self.entries.get(name) {
                Some(queue) => list.queues.push(with_state(queue)),
                None => list.gone.push(name.clone()),
            }
        }
        Some(list)
    }

    fn note(&mut self, name: String) {
        self.version += 1;
        self.changes.insert(name, self.version);
        if self.changes.len() > CHANGES_MAX {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.changes.clear();
        self.known_since = self.version;
    }
}
