//! All batches in the process, each until its time is over.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use message::BatchKey;

use super::{batch::Batch, lock};
use crate::{BatchRecord, Registered};

/// How long a batch is known after its expiry: receipts come as late as the carrier likes, and an
/// operator looks a month back.
const KEPT_AFTER_EXPIRY: Duration = Duration::from_secs(35 * 24 * 3600);

/// All batches.
#[derive(Default)]
pub(super) struct Batches {
    known: HashMap<BatchKey, Arc<Mutex<Batch>>>,
    ends: BTreeSet<(Instant, BatchKey)>,
}

impl Batches {
    pub(super) fn get(&self, key: BatchKey) -> Option<Arc<Mutex<Batch>>> {
        self.known.get(&key).cloned()
    }

    pub(super) fn register(&mut self, record: &BatchRecord) -> Registered {
        if let Some(known) = self.known.get(&record.key) {
            let known = &lock(known).record;
            return if known.digest == record.digest {
                Registered::Known(known.clone())
            } else {
                Registered::Conflict
            };
        }
        // Counted from now and not by the wall clock, which somebody may set.
        let kept_for = record.expires_at.since(record.created_at) + KEPT_AFTER_EXPIRY;
        if let Some(end) = Instant::now().checked_add(kept_for) {
            self.ends.insert((end, record.key));
        }
        self.known
            .insert(record.key, Arc::new(Mutex::new(Batch::new(record))));
        Registered::New
    }

    /// Forgets the batches whose time is over, and names them.
    pub(super) fn sweep(&mut self) -> Vec<BatchRecord> {
        let now = Instant::now();
        let mut ended = Vec::new();
        while let Some((_, key)) = self.ends.first().filter(|(end, _)| *end <= now).copied() {
            self.ends.pop_first();
            ended.extend(
                self.known
                    .remove(&key)
                    .map(|batch| lock(&batch).record.clone()),
            );
        }
        ended
    }
}
