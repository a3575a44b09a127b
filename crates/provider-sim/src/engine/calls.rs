//! The way of an API call from arrival to answer: booked, limited, disturbed, decided, delayed.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::response::Response;

use super::accounts::Account;
use super::messages::{NewMessage, Taken, View};
use super::plan::{self, Way};
use super::{Engine, Job, Provider, status, unix_seconds};
use crate::audit::{Arrival, Key};
use crate::chance::{Dice, Subject};
use crate::fault::Fault;
use crate::locked;
use crate::rate::Place;
use crate::server::reset_connection;

/// One message that a request asks for, read leniently, before anything is checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// `None` if it names no recipient that could be one; then the twin has to refuse it.
    pub recipient: Option<u64>,
    /// The client's own name for it; empty if it gives none.
    pub reference: Arc<str>,
    pub segments: u32,
}

/// What a client is told instead of the outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    /// Over a limit, or by a fault as if it were.
    Throttled,
    /// An internal error; whether anything was taken, nobody knows.
    Error500,
    /// Out of service for a moment; certainly nothing was taken.
    Unavailable,
}

/// Marks, as an extension of the response, the answer to a send request that a limit refused, for a provider that words
/// its limits in another way than a fault's 429.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct OverLimit {
    /// Until the next request has a chance; `None` if there were too many at once.
    pub wait: Option<Duration>,
}

/// A send request that got through to the twin. Every message of it is to be taken, refused or recognised, once; what is
/// forgotten is booked as refused with the code `undecided`.
pub(crate) struct Call<'e, P: Provider> {
    pub engine: &'e Engine<P>,
    pub account: &'e Account<P::Account>,
    /// Requests of the account in flight, this one included.
    pub at_once: u32,
    /// When the request arrived.
    pub at: SystemTime,
    entries: Vec<Entry>,
    ambiguous: bool,
    took: bool,
}

struct Entry {
    asked: Asked,
    arrival: Option<Arrival>,
    decided: bool,
}

/// A place among the account's requests, for calls that send nothing.
pub(crate) struct Visit {
    /// Requests of the account in flight, this one included.
    pub at_once: u32,
    _place: Place,
}

impl<P: Provider> Engine<P> {
    /// Serves one send request. `asked` are its messages, none if it cannot be read; `decide` checks the whole of it and
    /// decides about each message, unless the request is throttled or disturbed first. The messages are taken at arrival, so
    /// that a client which gives up waiting has really sent them.
    pub async fn serve(
        &self,
        account: &Account<P::Account>,
        asked: Vec<Asked>,
        decide: impl FnOnce(&mut Call<'_, P>) -> Response,
    ) -> Response {
        let place = account.in_flight.enter();
        let behaviour = self.stage.behaviour.get();
        let mut call = self.arrive(account, place.at_entry, asked);
        // One roll for the whole request, by its first message: a retry of it has another attempt, and another chance.
        let first = call.entries.first();
        let reference = first.map(|first| Arc::clone(&first.asked.reference));
        let subject = Subject {
            recipient: first
                .and_then(|first| first.asked.recipient)
                .unwrap_or_default(),
            reference: reference.as_deref().unwrap_or_default(),
            turn: first
                .and_then(|first| first.arrival)
                .map_or(0, |arrival| arrival.attempt),
        };
        let dice = Dice(behaviour.seed);
        let jitter = behaviour
            .latency_jitter
            .mul_f64(dice.roll("latency", subject));
        let fault = Fault::of(&behaviour.fault_rates, dice, subject);
        let mut over = None;
        let outcome = match fault {
            Some(Fault::Throttle) => call.throttle(),
            _ if !call.admitted() => {
                let crowded = account.is_crowded(place.at_entry);
                let wait = account.wait().filter(|_| !crowded);
                over = Some(OverLimit { wait });
                call.throttle()
            }
            Some(fault) if !fault.takes_the_message() => {
                call.cut_short();
                Err(fault)
            }
            fault => {
                call.ambiguous = fault.is_some();
                let answer = decide(&mut call);
                call.refuse_all("undecided");
                match fault {
                    Some(fault) if call.took => Err(fault),
                    // A refusal is not ambiguous: it is answered as it is, fault or not.
                    _ => Ok(answer),
                }
            }
        };
        drop(call);
        let latency = behaviour.latency + jitter;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let trouble = |trouble| self.provider.trouble(account, place.at_entry, trouble);
        match outcome {
            Ok(answer) => answer,
            Err(Fault::Error500 { .. }) => trouble(Trouble::Error500),
            Err(Fault::Unavailable) => trouble(Trouble::Unavailable),
            Err(Fault::Throttle) => {
                let mut answer = trouble(Trouble::Throttled);
                if let Some(over) = over {
                    answer.extensions_mut().insert(over);
                }
                answer
            }
            Err(Fault::Hang { .. }) => {
                self.stage.stop.cancelled().await;
                reset_connection()
            }
            Err(Fault::Reset { .. }) => reset_connection(),
        }
    }

    /// Books a send request that is refused before its account or its messages are known: one refused message.
    pub fn refuse_stranger(&self, code: &str) {
        self.stage.audit.count(|totals| {
            totals.http_requests += 1;
            totals.requests += 1;
            *totals.refused.entry(code.to_owned()).or_default() += 1;
        });
    }

    /// Lets a call in that sends nothing (a look-up, a list), after the latency.
    ///
    /// # Errors
    /// The provider's "too many", if the account has too many requests in flight.
    pub async fn visit(&self, account: &Account<P::Account>) -> Result<Visit, Box<Response>> {
        let place = account.in_flight.enter();
        tokio::time::sleep(self.stage.behaviour.get().latency).await;
        let at_once = place.at_entry;
        if account.is_crowded(at_once) {
            let answer = self.provider.trouble(account, at_once, Trouble::Throttled);
            return Err(Box::new(answer));
        }
        Ok(Visit {
            at_once,
            _place: place,
        })
    }

    fn arrive<'e>(
        &'e self,
        account: &'e Account<P::Account>,
        at_once: u32,
        asked: Vec<Asked>,
    ) -> Call<'e, P> {
        let audit = &self.stage.audit;
        let at = SystemTime::now();
        audit.count(|totals| {
            totals.http_requests += 1;
            // Nobody can say how many messages an unreadable request meant.
            totals.requests += u64::from(asked.is_empty());
        });
        let arrive = |asked: Asked| {
            let arrival = asked.recipient.map(|recipient| {
                let key = Key {
                    account: account.number,
                    recipient,
                    reference: Arc::clone(&asked.reference),
                };
                audit.arrived(key, at)
            });
            if arrival.is_none() {
                audit.count(|totals| totals.requests += 1);
            }
            Entry {
                asked,
                arrival,
                decided: false,
            }
        };
        Call {
            engine: self,
            account,
            at_once,
            at,
            entries: asked.into_iter().map(arrive).collect(),
            ambiguous: false,
            took: false,
        }
    }
}

impl<P: Provider> Call<'_, P> {
    /// Takes message `index` of the request: it is stored and counted, its receipts and perhaps a reply are planned. `None`
    /// for an entry that named no recipient, which only a refusal fits.
    pub fn take(&mut self, index: usize, new: NewMessage<P::Details>) -> Option<View<P::Details>> {
        self.take_later(index, new, Duration::ZERO)
    }

    /// As [`Call::take`], for a message that waits so long in a queue of the provider before its way begins. The validity
    /// counts from then on.
    pub fn take_later(
        &mut self,
        index: usize,
        new: NewMessage<P::Details>,
        held: Duration,
    ) -> Option<View<P::Details>> {
        let entry = self.entries.get_mut(index).filter(|entry| !entry.decided)?;
        let arrival = entry.arrival?;
        entry.decided = true;
        self.took = true;
        let engine = self.engine;
        let reference = Arc::clone(&entry.asked.reference);
        let (to, segments, dry) = (new.to, new.segments, new.dry);
        let way = Way {
            first: new.first,
            parts: match P::RECEIPTS.per_part {
                true => u8::try_from(segments.max(1)).unwrap_or(u8::MAX),
                false => 1,
            },
            validity: new.validity,
            end: new.end,
        };
        let taken = Taken {
            account: self.account.number,
            reference: Arc::clone(&reference),
            entry: arrival.entry,
            parts: way.parts,
            created: unix_seconds(self.at),
        };
        let view = {
            let mut messages = locked(&engine.messages);
            let id = messages.push(new, taken);
            messages.view(id)?
        };
        let first = status::<P>(way.first);
        let audit = &engine.stage.audit;
        let times = audit.accepted(arrival.entry, first, segments, self.ambiguous, self.at);
        if dry {
            return Some(view);
        }
        let subject = Subject {
            recipient: to,
            reference: &reference,
            turn: 0,
        };
        let now = Instant::now() + held;
        let behaviour = engine.stage.behaviour.get();
        let plan = plan::plan(&behaviour, subject, way, P::codes);
        for (after, step) in plan.steps {
            engine.schedule.push(now + after, Job::Step(view.id, step));
        }
        // Nobody can write to a one-way sender, and a message that came twice is answered once.
        let answerable = times == 1
            && (engine.provider)
                .receives_on(self.account, &view.sender, to)
                .is_some();
        if let Some(delivered_after) = plan.delivered_after.filter(|_| answerable) {
            let given = &mut locked(&engine.messages).replies;
            if let Some(text) = P::KEYWORDS.reply(&behaviour, subject, given) {
                let at = now + delivered_after + behaviour.replies.delay;
                engine.schedule.push(at, Job::Reply(view.id, text.into()));
            }
        }
        Some(view)
    }

    /// Whether a person has blocked a sender, a service, or (scope `""`) the whole account.
    pub fn is_blocked(&self, person: u64, scope: &str) -> bool {
        locked(&self.engine.messages).is_blocked(self.account.number, person, scope)
    }

    /// Refuses message `index` of the request.
    pub fn refuse(&mut self, index: usize, code: &str) {
        if self.decide(index) {
            self.count_refused(code, 1);
        }
    }

    /// Refuses every message of the request that is not decided yet, or the request itself if it has none.
    pub fn refuse_all(&mut self, code: &str) {
        let count = self.decide_all();
        self.count_refused(code, count);
    }

    /// Books every message of the request that is not decided yet as answered with "too many", for limits that only the
    /// provider knows.
    pub fn throttle_all(&mut self) {
        let count = self.decide_all();
        let audit = &self.engine.stage.audit;
        audit.count(|totals| totals.throttled += count);
    }

    /// Recognises message `index` as one that was taken before; it is not sent again.
    pub fn repeated(&mut self, index: usize) {
        if self.decide(index) {
            self.engine.stage.audit.count(|totals| totals.repeated += 1);
        }
    }

    /// Throttles message `index` of the request alone, where the provider's limit is not the request's.
    pub fn throttled(&mut self, index: usize) {
        if self.decide(index) {
            self.engine
                .stage
                .audit
                .count(|totals| totals.throttled += 1);
        }
    }

    fn count_refused(&self, code: &str, count: u64) {
        if count > 0 {
            let audit = &self.engine.stage.audit;
            audit.count(|totals| *totals.refused.entry(code.to_owned()).or_default() += count);
        }
    }

    fn throttle(&mut self) -> Result<Response, Fault> {
        self.throttle_all();
        Err(Fault::Throttle)
    }

    fn cut_short(&mut self) {
        let count = self.decide_all();
        let audit = &self.engine.stage.audit;
        audit.count(|totals| totals.ambiguous_not_taken += count);
    }

    fn decide(&mut self, index: usize) -> bool {
        let entry = self.entries.get_mut(index);
        entry.is_some_and(|entry| !std::mem::replace(&mut entry.decided, true))
    }

    /// How many messages this decides; an unreadable request is one, the first time.
    fn decide_all(&mut self) -> u64 {
        if self.entries.is_empty() {
            self.entries.push(Entry {
                asked: Asked::default(),
                arrival: None,
                decided: false,
            });
        }
        let left = self.entries.iter_mut().filter(|entry| !entry.decided);
        left.map(|entry| entry.decided = true).count() as u64
    }

    fn admitted(&self) -> bool {
        let messages = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let segments = self
            .entries
            .iter()
            .map(|entry| entry.asked.segments.max(1))
            .sum();
        self.account
            .admits(self.at_once, messages.max(1), segments, Instant::now())
    }
}
