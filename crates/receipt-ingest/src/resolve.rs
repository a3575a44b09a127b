//! Finds the messages of receipts that do not name them.

use std::collections::BTreeMap;

use backing::{callbacks::Taken, patience::Undone};
use message::{ConnectionId, OrganizationId};

use crate::{
    reading::{Read, Told},
    round::Rounds,
};

impl Rounds {
    /// Gives the receipts without a reference of ours the one that the provider's id finds.
    pub(crate) async fn resolve(&self, read: &mut Read, taken: &[Taken]) -> Result<(), Undone> {
        // By connection first: that is how the ledger keeps ids.
        let mut nameless = BTreeMap::<(ConnectionId, OrganizationId), Vec<usize>>::new();
        for (at, told) in read.receipts.iter().enumerate() {
            if told.reference.is_none() {
                let callback = &taken[told.callback].callback;
                let key = (
                    callback.connection_id.clone(),
                    callback.organization_id.clone(),
                );
                nameless.entry(key).or_default().push(at);
            }
        }
        for ((verified_by, organization), mut sought) in nameless {
            let asked = sought.len();
            let provider = taken[read.receipts[sought[0]].callback]
                .callback
                .provider
                .clone();
            self.look_up(&verified_by, &mut read.receipts, &mut sought)
                .await?;
            if !sought.is_empty() {
                // Connections may share an account and so a secret: another one may have sent it.
                let all = self
                    .patience
                    .ledger(|| self.ledger.connections(&organization))
                    .await?;
                let others = all
                    .iter()
                    .filter(|one| one.provider == provider && one.id != verified_by);
                for other in others {
                    self.look_up(&other.id, &mut read.receipts, &mut sought)
                        .await?;
                }
            }
            let count = |outcome, n: usize| {
                let labels = [provider.as_str(), outcome];
                let counter = self.metrics.sought_by_id.with_label_values(&labels);
                counter.inc_by(n as u64);
            };
            count("found", asked - sought.len());
            count("unknown", sought.len());
        }
        Ok(())
    }

    /// Looks for the messages of `sought` among those of `connection`; who is found leaves the list.
    async fn look_up(
        &self,
        connection: &ConnectionId,
        receipts: &mut [Told],
        sought: &mut Vec<usize>,
    ) -> Result<(), Undone> {
        if sought.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = sought
            .iter()
            .map(|at| receipts[*at].sought().unwrap_or_default())
            .collect();
        let found = self
            .patience
            .ledger(|| self.ledger.by_provider_id(connection, &ids))
            .await?;
        let mut found = found.into_iter();
        sought.retain(|at| {
            receipts[*at].reference = found.next().flatten();
            receipts[*at].reference.is_none()
        });
        Ok(())
    }
}
