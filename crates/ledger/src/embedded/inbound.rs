//! What came in and is remembered for a while: names of what was processed, refused batches.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use message::{OrganizationId, Timestamp};

use crate::{REFUSED_BATCHES_MAX, RefusedBatch};

/// Names of what was processed, and refused batches.
#[derive(Default)]
pub(super) struct Inbound {
    seen: HashMap<(OrganizationId, String), Instant>,
    ends: BTreeSet<(Instant, (OrganizationId, String))>,
    /// Keyed by time and content, so that a call that is repeated is one refusal.
    refused: HashMap<OrganizationId, BTreeMap<(Timestamp, String), RefusedBatch>>,
}

impl Inbound {
    pub(super) fn was_seen(&self, organization: &OrganizationId, name: &str) -> bool {
        let key = (organization.clone(), name.to_owned());
        self.seen.get(&key).is_some_and(|end| *end > Instant::now())
    }

    pub(super) fn mark_seen(
        &mut self,
        organization: &OrganizationId,
        name: &str,
        keep_for: Duration,
    ) {
        let now = Instant::now();
        while let Some((end, key)) = self.ends.first().filter(|(end, _)| *end <= now).cloned() {
            self.ends.pop_first();
            if self.seen.get(&key) == Some(&end) {
                self.seen.remove(&key);
            }
        }
        let key = (organization.clone(), name.to_owned());
        let end = now + keep_for;
        self.seen.insert(key.clone(), end);
        self.ends.insert((end, key));
    }

    pub(super) fn refuse(&mut self, refused: &RefusedBatch) {
        let kept = self
            .refused
            .entry(refused.organization_id.clone())
            .or_default();
        let content = serde_json::to_string(refused).unwrap_or_default();
        kept.insert((refused.at, content), refused.clone());
        while kept.len() > REFUSED_BATCHES_MAX {
            kept.pop_first();
        }
    }

    pub(super) fn refused(&self, organization: &OrganizationId) -> Vec<RefusedBatch> {
        let kept = self.refused.get(organization).into_iter();
        kept.flat_map(|kept| kept.values().rev().cloned()).collect()
    }
}
