//! Who was texted from which sender, in two generations: the older one is dropped whole.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use message::{Msisdn, OrganizationId, Reference};

use crate::{
    Conversation, SettleRequest,
    reply_index::{Told, sender_hash},
};

/// A reply finds its message for at least this long, and at most twice as long.
const REPLY_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

/// A number, and the hash of a sender.
type Pair = (Msisdn, [u8; 4]);

/// Who was texted, per organisation.
pub(super) struct Conversations {
    current: HashMap<OrganizationId, HashMap<Pair, Told>>,
    previous: HashMap<OrganizationId, HashMap<Pair, Told>>,
    since: Instant,
}

impl Default for Conversations {
    fn default() -> Self {
        Self {
            current: HashMap::new(),
            previous: HashMap::new(),
            since: Instant::now(),
        }
    }
}

impl Conversations {
    pub(super) fn remember(&mut self, settle: &SettleRequest) {
        self.rotate();
        let (organization, sender) = &settle.sender;
        for what in settle
            .rows
            .iter()
            .filter(|what| what.outcome.may_be_answered())
        {
            let reference = Reference {
                batch: settle.batch,
                row: what.row,
            };
            let told = Told::new(reference, settle.now);
            if !self.current.contains_key(organization) {
                self.current.insert(organization.clone(), HashMap::new());
            }
            if let Some(pairs) = self.current.get_mut(organization) {
                let known = pairs.entry((what.to, sender_hash(sender))).or_insert(told);
                *known = told.max(*known);
            }
        }
    }

    pub(super) fn latest(
        &self,
        organization: &OrganizationId,
        sender: &str,
        number: Msisdn,
    ) -> Option<Conversation> {
        let pair = (number, sender_hash(sender));
        let newest = [&self.current, &self.previous]
            .into_iter()
            .filter_map(|pairs| pairs.get(organization)?.get(&pair))
            .max()?;
        Some(newest.conversation())
    }

    fn rotate(&mut self) {
        if self.since.elapsed() > REPLY_WINDOW {
            self.previous = std::mem::take(&mut self.current);
            self.since = Instant::now();
        }
    }
}
