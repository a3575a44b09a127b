//! Delayed work: a message moves on and the customer hears of it, or its recipient writes back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use super::ids::{Kind, Number};
use super::messages::{MessageId, View};
use super::phase::Phase;
use super::plan::{Posting, Step};
use super::{Engine, Provider, status, unix_seconds};
use crate::chance::{Dice, Subject};
use crate::locked;
use crate::webhook::Callback;

/// What happens later.
#[derive(Debug)]
pub(super) enum Job {
    /// A message moves on.
    Step(MessageId, Step),
    /// The person writes back.
    Reply(MessageId, Box<str>),
    /// The receipts collected under this key are posted.
    Flush(GroupKey),
    /// A callback is posted that carries so many reports.
    Post(Box<Callback>, u64),
}

/// How a provider sends its receipts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiptForm {
    /// One receipt for each part of a long message, rather than one for the message.
    pub per_part: bool,
    /// Reports in one callback at most; 1 posts each as soon as it is due.
    pub grouped_max: usize,
    /// How long a report waits for others, if several go into one callback.
    pub grouped_within: Duration,
}

impl ReceiptForm {
    /// One callback per message and phase.
    pub const SINGLE: Self = Self {
        per_part: false,
        grouped_max: 1,
        grouped_within: Duration::ZERO,
    };
}

/// A phase that the customer is to hear of.
#[derive(Debug)]
pub(crate) struct Receipt<D> {
    pub message: View<D>,
    /// Which part of the message, counted from 0.
    pub part: u8,
    /// The part's phase; the message as a whole may be elsewhere already.
    pub phase: Phase,
    pub code: Option<&'static str>,
    /// Whether it is posted for the second time on purpose.
    pub again: bool,
    pub at: SystemTime,
    /// For details that differ from receipt to receipt.
    pub dice: Dice,
}

impl<D> Receipt<D> {
    /// Whom the dice are about.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            recipient: self.message.to,
            reference: &self.message.reference,
            turn: u32::from(self.part),
        }
    }

    /// What the provider's name for the receipt itself is written from; a duplicate has the same.
    pub fn number(&self) -> Number {
        Number {
            kind: Kind::Report,
            // Eight phases; a name for parts beyond the thirty-second may repeat.
            part: self.part << 3 | self.phase as u8,
            ..self.message.number
        }
    }
}

/// Receipts of one account with the same details go to the same address.
type GroupKey = (u16, u32);

/// Receipts that wait for others.
pub(super) type Groups<D> = Mutex<HashMap<GroupKey, Vec<Receipt<D>>>>;

impl<P: Provider> Engine<P> {
    /// Posts reports of what was never taken, such as a refusal that the provider tells a second time.
    pub fn post_later(&self, after: Duration, callback: Callback, reports: u64) {
        let job = Job::Post(Box::new(callback), reports);
        self.schedule.push(Instant::now() + after, job);
    }

    pub(super) async fn carry_out(&self, job: Job) {
        match job {
            Job::Step(id, step) => self.step(id, step).await,
            Job::Reply(id, text) => self.reply(id, &text).await,
            Job::Flush(key) => {
                let group = locked(&self.groups).remove(&key).unwrap_or_default();
                self.post(key.0, group).await;
            }
            Job::Post(callback, reports) => {
                let pause = self.stage.behaviour.get().callback_retry_pause;
                let posted = self.stage.poster.post(&callback, pause).await;
                self.stage
                    .audit
                    .count(|totals| posted.count(reports, &mut totals.callbacks));
            }
        }
    }

    async fn step(&self, id: MessageId, step: Step) {
        let at = SystemTime::now();
        let Step {
            part,
            phase,
            code,
            posted,
        } = step;
        let moved = locked(&self.messages).advance(id, part, phase, code, unix_seconds(at));
        let Some((message, before)) = moved else {
            return;
        };
        if let Some(before) = before {
            let (from, to) = (status::<P>(before), status::<P>(message.phase));
            self.stage
                .audit
                .moved(message.entry, from, to, message.code);
        }
        let Some(account) = self.accounts.get(message.account) else {
            return;
        };
        let receipt = Receipt {
            message,
            part,
            phase,
            code,
            again: posted == Posting::Again,
            at,
            dice: Dice(self.stage.behaviour.get().seed),
        };
        if !self.provider.reports(account, &receipt) {
            return;
        }
        if posted == Posting::Lost {
            self.stage.audit.count(|totals| totals.callbacks.lost += 1);
        } else if P::RECEIPTS.grouped_max <= 1 {
            self.post(account.number, vec![receipt]).await;
        } else if let Some(full) = self.collect(receipt) {
            self.post(account.number, full).await;
        }
    }

    /// Puts a receipt to those that wait; gives them all back once there are enough.
    fn collect(&self, receipt: Receipt<P::Details>) -> Option<Vec<Receipt<P::Details>>> {
        let key = (receipt.message.account, receipt.message.details_number);
        let mut groups = locked(&self.groups);
        match groups.entry(key) {
            Entry::Vacant(place) => {
                place.insert(vec![receipt]);
                let at = Instant::now() + P::RECEIPTS.grouped_within;
                self.schedule.push(at, Job::Flush(key));
                None
            }
            Entry::Occupied(mut group) => {
                group.get_mut().push(receipt);
                // The flush that was planned for them finds nothing, or posts the next ones a little early.
                (group.get().len() >= P::RECEIPTS.grouped_max).then(|| group.remove())
            }
        }
    }

    async fn post(&self, account: u16, receipts: Vec<Receipt<P::Details>>) {
        let Some(account) = self.accounts.get(account).filter(|_| !receipts.is_empty()) else {
            return;
        };
        let behaviour = self.stage.behaviour.get();
        let callback = self
            .provider
            .receipts(account, &receipts, &behaviour.signature);
        let Some(callback) = callback else { return };
        let pause = behaviour.callback_retry_pause;
        let posted = self.stage.poster.post(&callback, pause).await;
        let again = receipts.iter().filter(|receipt| receipt.again).count();
        self.stage.audit.count(|totals| {
            posted.count(receipts.len() as u64, &mut totals.callbacks);
            totals.callbacks.duplicated += again as u64;
        });
    }

    async fn reply(&self, id: MessageId, text: &str) {
        let message = locked(&self.messages).view(id);
        let Some(message) = message else { return };
        let Some(account) = self.accounts.get(message.account) else {
            return;
        };
        let from = format!("+{}", message.to);
        let to = message.sender.to_string();
        self.deliver(account, &from, &to, Some(message), text).await;
    }
}
