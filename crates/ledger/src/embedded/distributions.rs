//! Distributions in the process.

use std::collections::HashMap;

use message::{DistributionId, OrganizationId};

use crate::{BatchRecord, DistributionRecord, DistributionState};

/// Distributions per organisation.
#[derive(Default)]
pub(super) struct Distributions(
    HashMap<OrganizationId, HashMap<DistributionId, DistributionRecord>>,
);

impl Distributions {
    pub(super) fn get(
        &self,
        organization: &OrganizationId,
        distribution: &DistributionId,
    ) -> Option<&DistributionRecord> {
        self.0.get(organization)?.get(distribution)
    }

    /// Lists a batch under its distribution; `false` if that is cancelled.
    pub(super) fn add_batch(&mut self, batch: &BatchRecord) -> bool {
        let record = self
            .0
            .entry(batch.organization_id.clone())
            .or_default()
            .entry(batch.distribution_id.clone())
            .or_insert_with(|| DistributionRecord {
                organization_id: batch.organization_id.clone(),
                distribution_id: batch.distribution_id.clone(),
                state: DistributionState::Active,
                created_at: batch.created_at,
                batches: Vec::new(),
            });
        if record.state == DistributionState::Cancelled {
            return false;
        }
        if !record.batches.contains(&batch.key) {
            record.batches.push(batch.key);
        }
        true
    }

    /// A batch ended: its distribution ends with its last one.
    pub(super) fn drop_batch(&mut self, batch: &BatchRecord) {
        let Some(records) = self.0.get_mut(&batch.organization_id) else {
            return;
        };
        if let Some(record) = records.get_mut(&batch.distribution_id) {
            record.batches.retain(|key| *key != batch.key);
            if record.batches.is_empty() {
                records.remove(&batch.distribution_id);
            }
        }
    }

    pub(super) fn newest(
        &self,
        organization: &OrganizationId,
        offset: u32,
        limit: u32,
    ) -> Vec<DistributionRecord> {
        let mut all: Vec<_> = self
            .0
            .get(organization)
            .into_iter()
            .flat_map(HashMap::values)
            .collect();
        all.sort_by(|a, b| {
            (b.created_at, &b.distribution_id).cmp(&(a.created_at, &a.distribution_id))
        });
        let page = all.into_iter().skip(offset as usize).take(limit as usize);
        page.cloned().collect()
    }

    /// Whether that changed anything; nothing if there is no such distribution.
    pub(super) fn set_state(
        &mut self,
        organization: &OrganizationId,
        distribution: &DistributionId,
        state: DistributionState,
    ) -> Option<bool> {
        let record = self.0.get_mut(organization)?.get_mut(distribution)?;
        let changes = record.state != state && record.state != DistributionState::Cancelled;
        if changes {
            record.state = state;
        }
        Some(changes)
    }
}
