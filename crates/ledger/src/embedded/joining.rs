//! Inbound messages whose parts come one by one, in the process.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use message::OrganizationId;

use crate::{InboundPart, Joined, PARTS_KEPT_FOR};

/// Messages that are not whole yet, or were a short while ago.
#[derive(Default)]
pub(super) struct Joining(HashMap<(OrganizationId, String), Parts>);

struct Parts {
    /// Number, name and body.
    known: BTreeMap<u8, (String, String)>,
    last: u8,
    by: Option<String>,
    end: Instant,
}

impl Joining {
    pub(super) fn join(
        &mut self,
        organization: &OrganizationId,
        message: &str,
        part: &InboundPart,
    ) -> Joined {
        let now = Instant::now();
        self.0.retain(|_, parts| parts.end > now);
        let key = (organization.clone(), message.to_owned());
        let parts = self.0.entry(key).or_insert_with(|| Parts::new(now));
        let known = parts.known.get(&part.number).map(|(name, _)| name.as_str());
        let is_known = known == Some(part.name.as_str());
        match (&parts.by, known) {
            (Some(by), _) if *by == part.name => return parts.ready(),
            (Some(_), _) if is_known => return Joined::Elsewhere,
            // Without that part: it is late.
            (Some(_), None) => return Joined::Late,
            // With it, under another name: another message of that reference.
            (Some(_), Some(_)) => *parts = Parts::new(now),
            (None, Some(_)) if !is_known => return Joined::Late,
            (None, _) => {}
        }
        let said = || {
            parts.last = part.number;
            (part.name.clone(), part.body.clone())
        };
        parts.known.entry(part.number).or_insert_with(said);
        parts.end = now + PARTS_KEPT_FOR;
        let is_whole = parts.known.len() >= usize::from(part.total);
        if is_whole || (part.has_waited && parts.last == part.number) {
            parts.by = Some(part.name.clone());
            parts.ready()
        } else if part.has_waited {
            Joined::Elsewhere
        } else {
            Joined::Waits
        }
    }
}

impl Parts {
    fn new(now: Instant) -> Self {
        Self {
            known: BTreeMap::new(),
            last: 0,
            by: None,
            end: now + PARTS_KEPT_FOR,
        }
    }

    fn ready(&self) -> Joined {
        let body = |(number, (_, body)): (&u8, &(String, String))| (*number, body.clone());
        Joined::Ready(self.known.iter().map(body).collect())
    }
}
