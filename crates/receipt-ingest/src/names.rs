//! What a batch is called, for events: asked of the ledger once and remembered, because names never
//! change.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use backing::news::About;
use ledger::BatchRecord;
use message::{BatchId, BatchKey, DistributionId, OrganizationId};

/// A batch's names.
#[derive(Debug, PartialEq)]
pub(crate) struct Names {
    pub(crate) organization_id: OrganizationId,
    pub(crate) distribution_id: DistributionId,
    pub(crate) batch_id: BatchId,
    /// The owner of the connection it was given to: for the fleet's default connection that is not
    /// the batch's own organisation.
    pub(crate) connection_owner: OrganizationId,
}

impl Names {
    pub(crate) fn new(batch: BatchRecord, connection_owner: OrganizationId) -> Self {
        Self {
            organization_id: batch.organization_id,
            distribution_id: batch.distribution_id,
            batch_id: batch.batch_id,
            connection_owner,
        }
    }

    /// Whether callbacks of `organization` speak for this batch, wherever it was sent from.
    pub(crate) fn may_report(&self, organization: &OrganizationId) -> bool {
        *organization == self.organization_id || *organization == self.connection_owner
    }

    /// What news about `batch`, whose names these are, is about.
    pub(crate) fn about(&self, batch: BatchKey) -> About<'_> {
        About {
            batch,
            organization_id: &self.organization_id,
            distribution_id: &self.distribution_id,
            batch_id: &self.batch_id,
        }
    }
}

/// The names of recent batches in two generations: the elder is dropped whole when the younger is
/// full, so it is bounded, and what is in use stays.
pub(crate) struct Remembered {
    generation_max: usize,
    generations: Mutex<[HashMap<BatchKey, Arc<Names>>; 2]>,
}

impl Remembered {
    pub(crate) fn new(batches_max: usize) -> Self {
        Self {
            generation_max: batches_max.div_ceil(2),
            generations: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, batch: BatchKey) -> Option<Arc<Names>> {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = generations[0].get(&batch) {
            return Some(names.clone());
        }
        let names = generations[1].remove(&batch)?;
        Self::keep(&mut generations, self.generation_max, batch, names.clone());
        Some(names)
    }

    pub(crate) fn put(&self, batch: BatchKey, names: Names) -> Arc<Names> {
        let names = Arc::new(names);
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Self::keep(&mut generations, self.generation_max, batch, names.clone());
        names
    }

    fn keep(
        generations: &mut [HashMap<BatchKey, Arc<Names>>; 2],
        max: usize,
        batch: BatchKey,
        names: Arc<Names>,
    ) {
        if generations[0].len() >= max {
            generations[1] = std::mem::take(&mut generations[0]);
        }
        generations[0].insert(batch, names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(batch: u64) -> Names {
        Names {
            organization_id: OrganizationId::new("ORG_1").expect("valid"),
            distribution_id: DistributionId::new("d-1").expect("valid"),
            batch_id: BatchId::new(&format!("b-{batch}")).expect("valid"),
            connection_owner: OrganizationId::new("ORG_1").expect("valid"),
        }
    }

    #[test]
    fn what_is_in_use_is_remembered_and_the_rest_forgotten() {
        let remembered = Remembered::new(10);
        let key = BatchKey::from_u64;
        for batch in 0..100 {
            remembered.put(key(batch), names(batch));
            assert_eq!(
                remembered.get(key(0)).as_deref(),
                Some(&names(0)),
                "after {batch}"
            );
        }
        assert_eq!(remembered.get(key(50)), None);
        let generations = remembered.generations.lock().expect("no panic");
        assert!(generations[0].len() + generations[1].len() <= 11);
    }
}
