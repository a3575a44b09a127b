//! What the twin remembers: messages, who wrote last to whom, and who is blocked.
//!
//! A run may have a million messages, so texts that repeat (senders, callback URLs) are stored once and a message holds
//! their numbers. Messages are never removed; they are found by the number inside their SID.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::form::{Callback, Submission};
use super::resource::Resource;
use crate::audit::EntryId;

/// Where a message is on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    Accepted,
    Queued,
    Sent,
    Undelivered,
    Failed,
    Delivered,
}

impl Status {
    /// Twilio's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Queued => 1,
            Self::Sent => 2,
            Self::Undelivered | Self::Failed | Self::Delivered => 3,
        }
    }
}

/// Names a message as long as the store is not reset.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct MessageId {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Message {
    entry: EntryId,
    to: u64,
    body: Box<str>,
    reference: Arc<str>,
    created: u32,
    updated: u32,
    sent: Option<u32>,
    sender: u32,
    service: Option<u32>,
    callback: Option<u32>,
    /// The account's message to the same person before this one: look-ups by recipient follow this chain.
    previous: Option<u32>,
    error_code: u32,
    account: u16,
    segments: u16,
    status: Status,
}

/// A message that was just accepted.
#[derive(Debug)]
pub(crate) struct NewMessage {
    pub account: u16,
    pub submission: Submission,
    pub status: Status,
    pub segments: u32,
    pub reference: Arc<str>,
    pub entry: EntryId,
    /// Seconds since 1970.
    pub created: u32,
}

/// A message as a callback needs it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub sid: String,
    pub account: u16,
    pub to: u64,
    pub sender: Arc<str>,
    pub service: Option<Arc<str>>,
    pub reference: Arc<str>,
    pub callback: Option<Arc<Callback>>,
    pub entry: EntryId,
    /// Status before and after, if it changed.
    pub moved: Option<(Status, Status)>,
}

/// All of a twin's messages.
#[derive(Debug)]
pub(crate) struct Messages {
    /// In every SID. New with every start and reset, so that a fleet which remembers yesterday's SIDs takes none of
    /// today's for a duplicate.
    run: u64,
    generation: u32,
    list: Vec<Message>,
    last: HashMap<(u16, u64), u32>,
    senders: Shared<str>,
    callbacks: Shared<Callback>,
    blocked: HashSet<(u16, u64, u32)>,
    inbound: u64,
    /// Scripted replies so far, by kind.
    pub replies: [u64; 4],
}

impl Messages {
    pub fn new() -> Self {
        Self {
            run: fastrand::u64(..),
            generation: 0,
            list: Vec::new(),
            last: HashMap::new(),
            senders: Shared::default(),
            callbacks: Shared::default(),
            blocked: HashSet::new(),
            inbound: 0,
            replies: [0; 4],
        }
    }

    /// Forgets everything; the SIDs of before are unknown from now on.
    pub fn reset(&mut self) {
        let generation = self.generation.wrapping_add(1);
        *self = Self {
            generation,
            ..Self::new()
        };
    }

    /// Stores a message.
    pub fn push(&mut self, new: NewMessage) -> MessageId {
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let NewMessage {
            account,
            submission,
            ..
        } = new;
        let message = Message {
            entry: new.entry,
            to: submission.to,
            body: submission.body.into_boxed_str(),
            reference: new.reference,
            created: new.created,
            updated: new.created,
            sent: None,
            sender: self.senders.number(submission.from.into()),
            service: submission
                .service
                .map(|sid| self.senders.number(sid.into())),
            callback: submission
                .callback
                .map(|callback| self.callbacks.number(Arc::new(callback))),
            previous: self.last.insert((account, submission.to), index),
            error_code: 0,
            account,
            segments: u16::try_from(new.segments).unwrap_or(u16::MAX),
            status: new.status,
        };
        self.list.push(message);
        MessageId {
            index,
            generation: self.generation,
        }
    }

    /// Moves a message on, never back, and describes it. `None` after a reset.
    pub fn advance(
        &mut self,
        id: MessageId,
        status: Status,
        error_code: u32,
        unix_seconds: u32,
    ) -> Option<Snapshot> {
        let message = self
            .list
            .get_mut(id.index as usize)
            .filter(|_| id.generation == self.generation)?;
        let before = message.status;
        let moves = status.rank() > before.rank();
        if moves {
            message.status = status;
            message.error_code = error_code;
            message.updated = unix_seconds;
            if matches!(
                status,
                Status::Sent | Status::Delivered | Status::Undelivered
            ) {
                message.sent.get_or_insert(unix_seconds);
            }
        }
        let mut snapshot = self.snapshot(id)?;
        snapshot.moved = moves.then_some((before, status));
        Some(snapshot)
    }

    /// Describes a message.
    pub fn snapshot(&self, id: MessageId) -> Option<Snapshot> {
        let message = self
            .list
            .get(id.index as usize)
            .filter(|_| id.generation == self.generation)?;
        Some(Snapshot {
            sid: self.sid(id.index),
            account: message.account,
            to: message.to,
            sender: self.senders.get(message.sender)?,
            service: message.service.and_then(|number| self.senders.get(number)),
            reference: Arc::clone(&message.reference),
            callback: message
                .callback
                .and_then(|number| self.callbacks.get(number)),
            entry: message.entry,
            moved: None,
        })
    }

    /// The message as the API shows it.
    pub fn resource(&self, id: MessageId, account_sid: &str) -> Option<Resource> {
        (id.generation == self.generation).then(|| self.resource_at(id.index, account_sid))?
    }

    /// The message of a SID, if `account` has one.
    pub fn find(&self, account: u16, sid: &str) -> Option<MessageId> {
        let hex = sid
            .strip_prefix("SM")
            .filter(|hex| hex.len() == 32 && hex.is_ascii())?;
        let (run, index) = hex.split_at(16);
        let index = u32::try_from(u64::from_str_radix(index, 16).ok()?).ok()?;
        let ours = u64::from_str_radix(run, 16).ok()? == self.run;
        let message = self
            .list
            .get(index as usize)
            .filter(|message| ours && message.account == account)?;
        (message.account == account).then_some(MessageId {
            index,
            generation: self.generation,
        })
    }

    /// The account's messages, newest first, from below `before` on; to one person if `to` is given. What the API's list
    /// shows of them is for the caller to choose.
    pub fn newest_first(
        &self,
        account: u16,
        to: Option<u64>,
        before: Option<MessageId>,
    ) -> impl Iterator<Item = MessageId> {
        let generation = self.generation;
        let length = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let below = before.map_or(length, |id| id.index);
        let mut next = match to {
            Some(to) => self.last.get(&(account, to)).copied(),
            None => length.checked_sub(1),
        };
        let steps = std::iter::from_fn(move || {
            let index = next?;
            next = match to {
                Some(_) => self.list.get(index as usize)?.previous,
                None => index.checked_sub(1),
            };
            Some(index)
        });
        steps
            .filter(move |&index| index < below)
            .filter(move |&index| {
                self.list
                    .get(index as usize)
                    .is_some_and(|m| m.account == account)
            })
            .map(move |index| MessageId { index, generation })
    }

    /// Sender and service of the last message to a person, from `sender` if one is named.
    pub fn conversation(
        &self,
        account: u16,
        person: u64,
        sender: Option<&str>,
    ) -> Option<Snapshot> {
        self.newest_first(account, Some(person), None)
            .filter_map(|id| self.snapshot(id))
            .find(|message| sender.is_none_or(|sender| &*message.sender == sender))
    }

    /// Whether a person has blocked a sender or service.
    pub fn is_blocked(&self, account: u16, person: u64, scope: &str) -> bool {
        // Nobody blocked a sender that has no number yet.
        self.senders
            .known(scope)
            .is_some_and(|scope| self.blocked.contains(&(account, person, scope)))
    }

    /// Blocks or unblocks a sender or service for a person.
    pub fn set_blocked(&mut self, account: u16, person: u64, scope: &str, blocked: bool) {
        let scope = self.senders.number(scope.into());
        if blocked {
            self.blocked.insert((account, person, scope));
        } else {
            self.blocked.remove(&(account, person, scope));
        }
    }

    /// A SID for an inbound message.
    pub fn inbound_sid(&mut self) -> String {
        self.inbound += 1;
        format!("SM{:016x}{:016x}", self.run, self.inbound | 1 << 63)
    }

    fn sid(&self, index: u32) -> String {
        format!("SM{:016x}{index:016x}", self.run)
    }

    fn resource_at(&self, index: u32, account_sid: &str) -> Option<Resource> {
        let message = self.list.get(index as usize)?;
        // A service chooses its number when it sends; until then the API shows none, and no segments.
        let chosen = message.status != Status::Accepted;
        Some(Resource {
            sid: self.sid(index),
            account_sid: account_sid.to_owned(),
            to: message.to,
            from: self
                .senders
                .get(message.sender)
                .filter(|_| chosen)
                .map(|text| text.to_string()),
            service: message
                .service
                .and_then(|n| self.senders.get(n))
                .map(|text| text.to_string()),
            body: message.body.to_string(),
            segments: if chosen { message.segments } else { 0 },
            status: message.status,
            error_code: message.error_code,
            created: message.created,
            updated: message.updated,
            sent: message.sent,
        })
    }
}

/// Values that repeat, each stored once and named by a number.
#[derive(Debug)]
struct Shared<T: ?Sized> {
    values: Vec<Arc<T>>,
    numbers: HashMap<Arc<T>, u32>,
}

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: ?Sized + Eq + Hash> Shared<T> {
    fn number(&mut self, value: Arc<T>) -> u32 {
        if let Some(&number) = self.numbers.get(&value) {
            return number;
        }
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(Arc::clone(&value));
        self.numbers.insert(value, number);
        number
    }

    fn known(&self, value: &T) -> Option<u32> {
        self.numbers.get(value).copied()
    }

    fn get(&self, number: u32) -> Option<Arc<T>> {
        self.values.get(number as usize).cloned()
    }
}
