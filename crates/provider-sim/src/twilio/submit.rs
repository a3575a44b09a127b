//! The way of a send request from arrival to outcome: booked, limited, disturbed, checked, taken.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::accounts::{Account, is_number};
use super::errors::Refusal;
use super::form::Form;
use super::messages::{NewMessage, Status};
use super::{Twilio, unix_seconds};
use crate::audit::{Arrival, Key};
use crate::behaviour::TwinBehaviour;
use crate::chance::{Dice, Subject};
use crate::fault::Fault;
use crate::locked;

/// What a send request comes to.
pub(crate) enum Outcome {
    /// Taken; the JSON of the message.
    Created(String),
    Refused(Refusal),
    Throttled,
    /// Neither answer nor end, until the client gives up.
    Silence,
    Reset,
}

/// A send request whose arrival is booked.
struct Received {
    /// `None` if it names no recipient; then it will be refused.
    arrival: Option<Arrival>,
    reference: Arc<str>,
    fault: Option<Fault>,
    at: SystemTime,
}

impl Twilio {
    /// Decides about a send request and, if it is accepted, takes the message. Nothing is awaited in here.
    pub(crate) fn submit(
        &self,
        account: &Account,
        at_once: u32,
        headers: &HeaderMap,
        body: &[u8],
        behaviour: &TwinBehaviour,
    ) -> (Outcome, Duration) {
        let audit = &self.stage.audit;
        let dice = Dice(behaviour.seed);
        let at = SystemTime::now();
        let form = if is_form(headers) {
            Form::read(body)
        } else {
            Form::default()
        };
        let reference: Arc<str> = form.reference().into();
        let recipient = form.recipient();
        let arrival = recipient.map(|recipient| {
            let key = Key {
                account: account.number,
                recipient,
                reference: Arc::clone(&reference),
            };
            audit.arrived(key, at)
        });
        if arrival.is_none() {
            audit.count(|totals| totals.requests += 1);
        }
        let attempt = Subject {
            recipient: recipient.unwrap_or_default(),
            reference: &reference,
            turn: arrival.map_or(0, |arrival| arrival.attempt),
        };
        let jitter = behaviour
            .latency_jitter
            .mul_f64(dice.roll("latency", attempt));
        let latency = behaviour.latency + jitter;
        let fault = Fault::of(&behaviour.fault_rates, dice, attempt);
        let outcome = match fault {
            Some(Fault::Throttle) => Outcome::Throttled,
            _ if !account.admits(at_once, form.segments(), Instant::now()) => Outcome::Throttled,
            Some(fault) if !fault.takes_the_message() => disguise(fault),
            _ if !is_form(headers) => Outcome::Refused(Refusal::new(19056, "")),
            fault => {
                let received = Received {
                    arrival,
                    reference: Arc::clone(&reference),
                    fault,
                    at,
                };
                match self.take(account, form, received) {
                    Ok(resource) => {
                        return (fault.map_or(Outcome::Created(resource), disguise), latency);
                    }
                    // A refusal is not ambiguous: it is answered as it is, fault or not.
                    Err(refusal) => Outcome::Refused(refusal),
                }
            }
        };
        audit.count(|totals| match &outcome {
            Outcome::Throttled => totals.throttled += 1,
            Outcome::Refused(refusal) if refusal.status < 500 => {
                *totals.refused.entry(refusal.code).or_default() += 1;
            }
            Outcome::Refused(_) | Outcome::Silence | Outcome::Reset => {
                totals.ambiguous_not_taken += 1
            }
            Outcome::Created(_) => {} // booked where the message is
        });
        (outcome, latency)
    }

    /// Takes the message or says why not. The text is the JSON of the new message.
    fn take(&self, account: &Account, form: Form, received: Received) -> Result<String, Refusal> {
        let segments = form.segments();
        let submission = form.check(account)?;
        let Some(arrival) = received.arrival else {
            return Err(Refusal::new(21211, ""));
        };
        let (to, validity) = (submission.to, submission.validity);
        // One-way senders get no reply.
        let answerable = is_number(&submission.from);
        let status = if submission.service.is_some() {
            Status::Accepted
        } else {
            Status::Queued
        };
        let account_sid = &account.settings.account_sid;
        let (id, resource) = {
            let mut store = locked(&self.messages);
            let scope = submission
                .service
                .as_deref()
                .or(account.service_of(&submission.from));
            if store.is_blocked(account.number, to, scope.unwrap_or(&submission.from)) {
                return Err(Refusal::new(21610, ""));
            }
            let id = store.push(NewMessage {
                account: account.number,
                submission,
                status,
                segments,
                reference: Arc::clone(&received.reference),
                entry: arrival.entry,
                created: unix_seconds(received.at),
            });
            (id, store.resource(id, account_sid))
        };
        let ambiguous = received.fault.is_some();
        let times = self.stage.audit.accepted(
            arrival.entry,
            status.word(),
            segments,
            ambiguous,
            received.at,
        );
        if !account.settings.test_credentials {
            let subject = Subject {
                recipient: to,
                reference: &received.reference,
                turn: 0,
            };
            self.plan(id, subject, status, validity, answerable && times == 1);
        }
        // Only a reset in this very instant makes it unknown.
        resource
            .map(|resource| resource.json())
            .ok_or_else(|| Refusal::new(20404, ""))
    }
}

/// What the client sees of a fault.
fn disguise(fault: Fault) -> Outcome {
    match fault {
        Fault::Error500 { .. } => Outcome::Refused(Refusal::new(20500, "")),
        Fault::Unavailable => Outcome::Refused(Refusal::new(20503, "")),
        Fault::Hang { .. } => Outcome::Silence,
        Fault::Reset { .. } => Outcome::Reset,
        Fault::Throttle => Outcome::Throttled,
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}
