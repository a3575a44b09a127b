//! What the rest of the platform hears: a survey service that listens to `sms.replies`, and a
//! directory service that listens for opt-outs.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use bus::{Bus, Consumer, Topic};
use message::{
    Msisdn, OrganizationId,
    event::{Event, Keyword, ReplyEvent},
    opt_out::OptOutKind,
};
use serde::Serialize;

/// What was heard of an organisation's people so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// Replies that are an opt-out.
    pub stop: u64,
    /// Replies that are an opt-in.
    pub start: u64,
    /// Replies that ask for help.
    pub help: u64,
    /// Every other reply.
    pub text: u64,
    /// Replies of all kinds that found the message they answer.
    pub matched: u64,
    /// Numbers that opted out.
    pub opted_out: u64,
    /// Numbers that opted in again.
    pub opted_in: u64,
}

impl Heard {
    /// Replies of all kinds.
    #[must_use]
    pub fn replies(&self) -> u64 {
        self.stop + self.start + self.help + self.text
    }
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Listener {
    notes: Arc<Mutex<Notes>>,
    tasks: tokio::task::JoinSet<()>,
}

/// What was heard, and under which names: news may be told twice and is the same news then.
#[derive(Debug, Default)]
struct Notes {
    heard: HashMap<OrganizationId, Heard>,
    seen: HashSet<String>,
    /// Who opted out or in: the same person may do so by a text and again by a provider's word.
    changed: HashSet<(OrganizationId, Msisdn, bool)>,
}

impl Listener {
    /// Listens from now on.
    pub async fn start(bus: &dyn Bus) -> anyhow::Result<Self> {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let replies = bus.subscribe(Topic::Replies, "#").await?;
        let events = bus.subscribe(Topic::Events, "#").await?;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(listen(replies, notes.clone(), Notes::reply));
        tasks.spawn(listen(events, notes.clone(), Notes::event));
        Ok(Self { notes, tasks })
    }

    /// What was heard so far.
    pub fn heard(&self, organization: &OrganizationId) -> Heard {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.heard.get(organization).copied().unwrap_or_default()
    }

    /// Whether nobody stopped listening: then the figures would lie.
    pub fn is_whole(&mut self) -> bool {
        self.tasks.try_join_next().is_none()
    }
}

async fn listen(mut from: Consumer, notes: Arc<Mutex<Notes>>, note: fn(&mut Notes, &[u8])) {
    while let Ok(delivery) = from.next().await {
        note(
            &mut notes.lock().unwrap_or_else(PoisonError::into_inner),
            &delivery.body,
        );
        delivery.ack().await;
    }
}

impl Notes {
    fn reply(&mut self, body: &[u8]) {
        let Ok(reply) = serde_json::from_slice::<ReplyEvent>(body) else {
            return;
        };
        if !self.seen.insert(reply.event_id) {
            return;
        }
        let heard = self.heard.entry(reply.organization_id).or_default();
        heard.matched += u64::from(reply.in_reply_to.is_some());
        match reply.keyword {
            Keyword::OptOut => heard.stop += 1,
            Keyword::OptIn => heard.start += 1,
            Keyword::Help => heard.help += 1,
            Keyword::None => heard.text += 1,
        }
    }

    fn event(&mut self, body: &[u8]) {
        let Ok(Event::OptOut(event)) = serde_json::from_slice(body) else {
            return; // statuses are in the ledger, refusals too
        };
        let change = event.change;
        let is_out = change.kind == OptOutKind::OptOut;
        let person = (change.organization_id.clone(), change.number, is_out);
        if self.changed.insert(person) {
            let heard = self.heard.entry(change.organization_id).or_default();
            match change.kind {
                OptOutKind::OptOut => heard.opted_out += 1,
                OptOutKind::OptIn => heard.opted_in += 1,
            }
        }
    }
}
