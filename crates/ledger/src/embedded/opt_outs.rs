//! Standings of subscribers, in the process.

use std::collections::HashMap;

use message::{
    Msisdn, OrganizationId,
    opt_out::{OptOutChange, OptOutKind, Standing},
};

/// The latest change per organisation and number.
#[derive(Default)]
pub(super) struct OptOuts(HashMap<OrganizationId, HashMap<Msisdn, Standing>>);

impl OptOuts {
    pub(super) fn is_out(&self, organization: &OrganizationId, number: Msisdn) -> bool {
        self.get(organization, number)
            .is_some_and(|standing| standing.kind == OptOutKind::OptOut)
    }

    pub(super) fn change(&mut self, change: &OptOutChange) -> bool {
        // At the same time the refusal holds.
        let order = |change: &OptOutChange| (change.at, change.kind == OptOutKind::OptOut);
        let holds = self
            .get(&change.organization_id, change.number)
            .is_none_or(|known| order(change) > order(known));
        if holds {
            self.0
                .entry(change.organization_id.clone())
                .or_default()
                .insert(change.number, change.clone());
        }
        holds
    }

    pub(super) fn standings(
        &self,
        organization: &OrganizationId,
        numbers: &[Msisdn],
    ) -> Vec<Option<Standing>> {
        numbers
            .iter()
            .map(|number| self.get(organization, *number).cloned())
            .collect()
    }

    fn get(&self, organization: &OrganizationId, number: Msisdn) -> Option<&Standing> {
        self.0.get(organization)?.get(&number)
    }
}
