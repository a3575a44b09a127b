//! Standings of subscribers, in the process.

use std::collections::{BTreeMap, HashMap};

use message::{
    Msisdn, OrganizationId,
    opt_out::{OptOutChange, OptOutKind, Standing},
};

/// The latest changes per organisation and number.
#[derive(Default)]
pub(super) struct OptOuts(HashMap<OrganizationId, HashMap<Msisdn, Known>>);

/// What is known of a number.
#[derive(Default)]
struct Known {
    towards_all: Option<Standing>,
    towards_senders: BTreeMap<String, Standing>,
}

impl OptOuts {
    pub(super) fn is_out(
        &self,
        organization: &OrganizationId,
        sender: &str,
        number: Msisdn,
    ) -> bool {
        let is_out = |standing: &Standing| standing.kind == OptOutKind::OptOut;
        self.get(organization, number).is_some_and(|known| {
            known.towards_all.as_ref().is_some_and(is_out)
                || known.towards_senders.get(sender).is_some_and(is_out)
        })
    }

    pub(super) fn change(&mut self, change: &OptOutChange) -> bool {
        let known = self
            .0
            .entry(change.organization_id.clone())
            .or_default()
            .entry(change.number)
            .or_default();
        let holds = known.behind(change).all(|other| is_behind(change, other));
        if !holds {
            return false;
        }
        if let Some(sender) = &change.sender {
            known.towards_senders.insert(sender.clone(), change.clone());
            return true;
        }
        if change.kind == OptOutKind::OptIn {
            // Who comes back to the organisation comes back to all its senders.
            known
                .towards_senders
                .retain(|_, other| is_behind(other, change));
        }
        known.towards_all = Some(change.clone());
        true
    }

    pub(super) fn standings(
        &self,
        organization: &OrganizationId,
        numbers: &[Msisdn],
    ) -> Vec<Option<Standing>> {
        numbers
            .iter()
            .map(|number| self.get(organization, *number)?.towards_all.clone())
            .collect()
    }

    pub(super) fn towards_senders(
        &self,
        organization: &OrganizationId,
        number: Msisdn,
    ) -> Vec<Standing> {
        let known = self.get(organization, number).into_iter();
        known
            .flat_map(|known| known.towards_senders.values().cloned())
            .collect()
    }

    fn get(&self, organization: &OrganizationId, number: Msisdn) -> Option<&Known> {
        self.0.get(organization)?.get(&number)
    }
}

impl Known {
    /// What `change` has to come behind to hold.
    fn behind(&self, change: &OptOutChange) -> impl Iterator<Item = &Standing> {
        let towards_all = self
            .towards_all
            .as_ref()
            .filter(|standing| change.sender.is_none() || standing.kind == OptOutKind::OptIn);
        let sender = change.sender.as_ref();
        let towards_it = sender.and_then(|sender| self.towards_senders.get(sender));
        towards_all.into_iter().chain(towards_it)
    }
}

/// Later, or at the same time and the refusal.
fn is_behind(change: &OptOutChange, other: &OptOutChange) -> bool {
    let order = |change: &OptOutChange| (change.at, change.kind == OptOutKind::OptOut);
    order(change) > order(other)
}
