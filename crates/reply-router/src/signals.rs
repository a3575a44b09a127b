//! Opt-outs that a provider signals beside, or instead of, an inbound message.

use backing::{news, patience::Undone};
use bus::Outgoing;
use message::{
    callback::Callback,
    opt_out::{OptOutChange, OptOutKind, OptOutSource},
};
use providers::{OptOutScope, ProviderOptOut};

use crate::group::Groups;

impl Groups {
    /// Works on an opt-out that the provider signals without an inbound message.
    pub(crate) async fn signal(
        &self,
        callback: &Callback,
        signal: &ProviderOptOut,
    ) -> Result<Vec<Outgoing>, Undone> {
        let (organization, number) = (&callback.organization_id, signal.number);
        // The time makes the name the callback's own, however often it is worked on.
        let at = callback.received_at;
        let name = format!("{}:{}@{}", callback.provider, signal.code, at.as_millis());
        let _turn = self.turns.of(number).await;
        let sender = match signal.scope {
            OptOutScope::Organization => None,
            OptOutScope::Sender => self.senders_key(callback).await?,
        };
        let before = match &sender {
            None => self.standing(organization, number).await?,
            Some(sender) => {
                let ask = || self.ledger.sender_standings(organization, number);
                let mut known = self.patience.ledger(ask).await?.into_iter();
                known.find(|known| known.sender.as_ref() == Some(sender))
            }
        };
        let mut change = OptOutChange {
            organization_id: organization.clone(),
            number,
            kind: signal.kind,
            at,
            sender,
            source: OptOutSource::Provider,
            connection_id: Some(callback.connection_id.clone()),
            evidence: name.clone(),
        };
        let is_out = before
            .as_ref()
            .is_some_and(|known| known.kind == OptOutKind::OptOut);
        let told_again = before.as_ref().is_some_and(|known| known.evidence == name);
        let begins = told_again || is_out != (signal.kind == OptOutKind::OptOut);
        if !begins {
            change.evidence = before.map(|known| known.evidence).unwrap_or_default();
        }
        let in_force = self.write(&change, callback).await? || told_again;
        if !(begins && in_force) {
            return Ok(Vec::new());
        }
        self.metrics
            .opt_outs
            .with_label_values(&[news::word(change.kind)])
            .inc();
        // Several people may be signalled at the same moment: the name is the callback's, not theirs.
        Ok(vec![news::opt_out(change, None, None)])
    }
}
