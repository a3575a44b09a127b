//! What the twin remembers: messages, who wrote last to whom, and who is blocked.
//!
//! A run may have a million messages, so what repeats (senders, callback URLs) is stored once and a message holds its
//! number. Messages are never removed; they are found by the number inside their name.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::ids::{self, Kind, Number};
use super::phase::Phase;
use crate::audit::EntryId;

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
    text: Arc<str>,
    reference: Arc<str>,
    created: u32,
    updated: u32,
    sent: Option<u32>,
    sender: u32,
    details: u32,
    /// The account's message to the same person before this one: look-ups by recipient follow this chain.
    previous: Option<u32>,
    code: Option<&'static str>,
    account: u16,
    segments: u16,
    phase: Phase,
    /// Where each part is; `None` for a message with one receipt per phase.
    parts: Option<Box<[Phase]>>,
}

/// A message that a twin takes.
#[derive(Debug)]
pub(crate) struct NewMessage<D> {
    /// Digits of the recipient.
    pub to: u64,
    /// The number, short code or alphanumeric id that the handset will show.
    pub sender: String,
    pub text: String,
    pub segments: u32,
    /// What the provider keeps with it besides: callback URL, service. Stored once for all messages that share it.
    pub details: D,
    pub validity: Option<Duration>,
    /// [`Phase::Accepted`], if a receipt or a look-up can show that it waits for a queue; else [`Phase::Queued`].
    pub first: Phase,
    /// How it ends, if that is not left to chance, and the error code: for a receipt that says "opted out".
    pub end: Option<(Phase, &'static str)>,
    /// Taken and counted, but never sent, reported or replied to, as with test credentials.
    pub dry: bool,
}

/// A message as callbacks and look-ups show it.
#[derive(Debug)]
pub(crate) struct View<D> {
    pub id: MessageId,
    /// What the provider's name for it is written from.
    pub number: Number,
    pub account: u16,
    pub to: u64,
    pub sender: Arc<str>,
    pub text: Arc<str>,
    pub reference: Arc<str>,
    pub details: Arc<D>,
    pub segments: u16,
    pub phase: Phase,
    /// Error code of that phase.
    pub code: Option<&'static str>,
    /// Seconds since 1970.
    pub created: u32,
    /// The same, of the last change.
    pub updated: u32,
    /// The same, of the hand-over to the carrier.
    pub sent: Option<u32>,
    pub(super) entry: EntryId,
    pub(super) details_number: u32,
}

/// All of a twin's messages.
#[derive(Debug)]
pub(crate) struct Messages<D> {
    pub run: u64,
    generation: u32,
    list: Vec<Message>,
    last: HashMap<(u16, u64), u32>,
    /// Filled only for providers that look messages up by the client's name.
    by_reference: Option<HashMap<(u16, Arc<str>), u32>>,
    senders: Shared<str>,
    details: Shared<D>,
    scopes: Shared<str>,
    blocked: HashSet<(u16, u64, u32)>,
    inbound: u32,
    /// Scripted replies so far, by kind.
    pub replies: [u64; 4],
}

/// What [`Messages::push`] needs besides the message.
#[derive(Debug)]
pub(super) struct Taken {
    pub account: u16,
    pub reference: Arc<str>,
    pub entry: EntryId,
    /// Receipts per phase.
    pub parts: u8,
    /// Seconds since 1970.
    pub created: u32,
}

impl<D: Eq + Hash> Messages<D> {
    pub fn new(finds_by_reference: bool) -> Self {
        Self {
            run: ids::new_run(),
            generation: 0,
            list: Vec::new(),
            last: HashMap::new(),
            by_reference: finds_by_reference.then(HashMap::new),
            senders: Shared::default(),
            details: Shared::default(),
            scopes: Shared::default(),
            blocked: HashSet::new(),
            inbound: 0,
            replies: [0; 4],
        }
    }

    /// Forgets everything; the names of before are unknown from now on.
    pub fn reset(&mut self) {
        let generation = self.generation.wrapping_add(1);
        *self = Self {
            generation,
            ..Self::new(self.by_reference.is_some())
        };
    }

    /// Stores a message.
    pub(super) fn push(&mut self, new: NewMessage<D>, taken: Taken) -> MessageId {
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        if let Some(names) = &mut self.by_reference {
            names
                .entry((taken.account, Arc::clone(&taken.reference)))
                .or_insert(index);
        }
        let parts = usize::from(taken.parts);
        self.list.push(Message {
            entry: taken.entry,
            to: new.to,
            text: new.text.into(),
            reference: taken.reference,
            created: taken.created,
            updated: taken.created,
            sent: None,
            sender: self.senders.number(new.sender.into()),
            details: self.details.number(Arc::new(new.details)),
            previous: self.last.insert((taken.account, new.to), index),
            code: None,
            account: taken.account,
            segments: u16::try_from(new.segments).unwrap_or(u16::MAX),
            phase: new.first,
            parts: (parts > 1).then(|| vec![new.first; parts].into()),
        });
        self.id(index)
    }

    /// Moves a part of a message on, never back, and with it perhaps the message. Says where the message was before, if it
    /// moved. `None` after a reset.
    pub(super) fn advance(
        &mut self,
        id: MessageId,
        part: u8,
        phase: Phase,
        code: Option<&'static str>,
        unix_seconds: u32,
    ) -> Option<(View<D>, Option<Phase>)> {
        let message = self
            .list
            .get_mut(id.index as usize)
            .filter(|_| id.generation == self.generation)?;
        let whole = match &mut message.parts {
            None => phase,
            Some(parts) => {
                if let Some(part) = parts.get_mut(usize::from(part))
                    && phase.rank() > part.rank()
                {
                    *part = phase;
                }
                Phase::of_parts(parts, phase)
            }
        };
        let before = message.phase;
        let moves = whole.rank() > before.rank();
        if moves {
            message.phase = whole;
            message.code = code;
            message.updated = unix_seconds;
            if whole.was_sent() {
                message.sent.get_or_insert(unix_seconds);
            }
        }
        Some((self.view(id)?, moves.then_some(before)))
    }

    /// The message as it is now.
    pub fn view(&self, id: MessageId) -> Option<View<D>> {
        let message = self
            .list
            .get(id.index as usize)
            .filter(|_| id.generation == self.generation)?;
        Some(View {
            id,
            number: Number {
                run: self.run,
                kind: Kind::Outbound,
                part: 0,
                index: id.index,
            },
            account: message.account,
            to: message.to,
            sender: self.senders.get(message.sender)?,
            text: Arc::clone(&message.text),
            reference: Arc::clone(&message.reference),
            details: self.details.get(message.details)?,
            segments: message.segments,
            phase: message.phase,
            code: message.code,
            created: message.created,
            updated: message.updated,
            sent: message.sent,
            entry: message.entry,
            details_number: message.details,
        })
    }

    /// The message of a number, if `account` has one.
    pub fn find(&self, account: u16, number: Number) -> Option<MessageId> {
        let ours = number.run == self.run && number.kind == Kind::Outbound;
        self.list
            .get(number.index as usize)
            .filter(|message| ours && message.account == account)
            .map(|_| self.id(number.index))
    }

    /// The account's first message under the client's name for it, where the provider looks messages up by that.
    pub fn find_reference(&self, account: u16, reference: &Arc<str>) -> Option<MessageId> {
        let key = (account, Arc::clone(reference));
        let &index = self.by_reference.as_ref()?.get(&key)?;
        Some(self.id(index))
    }

    /// The account's messages, newest first, from below `before` on; to one person if `to` is given. What the API's list
    /// shows of them is for the caller to choose.
    pub fn newest_first(
        &self,
        account: u16,
        to: Option<u64>,
        before: Option<MessageId>,
    ) -> impl Iterator<Item = MessageId> {
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
            .map(|index| self.id(index))
    }

    /// Whether a person has blocked a sender, a service, or (scope `""`) the whole account.
    pub fn is_blocked(&self, account: u16, person: u64, scope: &str) -> bool {
        // Nobody blocked a scope that has no number yet.
        self.scopes
            .known(scope)
            .is_some_and(|scope| self.blocked.contains(&(account, person, scope)))
    }

    /// Blocks or unblocks a scope for a person.
    pub fn set_blocked(&mut self, account: u16, person: u64, scope: &str, blocked: bool) {
        let scope = self.scopes.number(scope.into());
        if blocked {
            self.blocked.insert((account, person, scope));
        } else {
            self.blocked.remove(&(account, person, scope));
        }
    }

    /// A number for an inbound message.
    pub(super) fn inbound_number(&mut self) -> Number {
        self.inbound = self.inbound.wrapping_add(1);
        Number {
            run: self.run,
            kind: Kind::Inbound,
            part: 0,
            index: self.inbound,
        }
    }

    fn id(&self, index: u32) -> MessageId {
        MessageId {
            index,
            generation: self.generation,
        }
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
