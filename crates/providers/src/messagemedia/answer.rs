//! What the answer to a submission means. Source: `shared/providers/messagemedia.md`, sections 2 to 4.

use std::borrow::Cow;

use bytes::Bytes;
use http::Response;
use message::Msisdn;
use serde::Deserialize;
use serde_json::Value;

use super::{
    codes::{Culprit, Named, culprit},
    is_too_long,
};
use crate::{
    Answer, Hint, MtMessage, RejectReason, SubmitClass, SubmitOutcome, json,
    lenient::{self, List, Part, Scalar, members},
    retry_after::retry_after,
};

/// By the status alone, but for 400 and 422: validation is all or nothing.
pub(super) fn read(messages: &[MtMessage<'_>], response: &Response<Bytes>) -> Answer {
    let status = response.status().as_u16();
    let all = |class| Answer::all(messages.len(), SubmitOutcome::new(class, http(status)));
    match status {
        200..=299 => taken(messages, response.body()),
        400 => invalid(messages, response.body()),
        401..=404 | 415 => all(SubmitClass::AccountRefused),
        413 => unnamed(messages, status, RejectReason::TooLong),
        422 => without_tls_1_3(messages),
        429 => all(SubmitClass::Throttled {
            retry_after: retry_after(response.headers()),
        }),
        405..=499 => unnamed(messages, status, RejectReason::Other),
        503 => all(SubmitClass::Transient),
        _ => all(SubmitClass::DOUBT),
    }
}

fn http(status: u16) -> String {
    format!("http_{status}")
}

/// Refused as a whole without a word about which message did it.
fn unnamed(messages: &[MtMessage<'_>], status: u16, reason: RejectReason) -> Answer {
    let all = |class| Answer::all(messages.len(), SubmitOutcome::new(class, http(status)));
    match messages {
        [] | [_] => all(SubmitClass::Rejected(reason)),
        _ => all(SubmitClass::Transient).with_hint(Hint::Split),
    }
}

/// Each message is rejected for the reason that `culprits` has for it; the others were not sent.
fn named(
    culprits: impl Iterator<Item = Option<(RejectReason, String)>>,
    innocent_code: &str,
) -> Answer {
    let outcomes: Vec<_> = culprits
        .map(|culprit| match culprit {
            Some((reason, code)) => SubmitOutcome::new(SubmitClass::Rejected(reason), code),
            None => SubmitOutcome::new(SubmitClass::Transient, innocent_code),
        })
        .collect();
    let any_innocent = outcomes
        .iter()
        .any(|outcome| outcome.class == SubmitClass::Transient);
    Answer {
        outcomes,
        hint: any_innocent.then_some(Hint::Resubmit),
    }
}

// === 400: section 3 ===

/// What the details say about one message.
#[derive(Debug, Clone, Copy)]
struct Fault {
    /// Decides.
    first: Culprit,
    /// The connection's own field among all that are named.
    configuration: Option<Culprit>,
}

fn invalid(messages: &[MtMessage<'_>], body: &[u8]) -> Answer {
    let details = json::read::<Refused>(body).map_or(Value::Null, |refused| refused.details);
    let mut faults: Vec<Option<Fault>> = vec![None; messages.len()];
    let pointers = details.as_array().into_iter().flatten();
    for (index, field) in pointers.filter_map(Value::as_str).filter_map(pointer) {
        let Some(fault) = faults.get_mut(index) else {
            continue;
        };
        let first = culprit(field);
        let fault = fault.get_or_insert(Fault {
            first,
            configuration: None,
        });
        if first.field.is_configuration() {
            fault.configuration.get_or_insert(first);
        }
    }
    if faults.iter().all(Option::is_none) {
        return unnamed(messages, 400, RejectReason::Other);
    }
    // What every message has wrong is the connection's: each further one would be refused as well.
    let configuration = faults.iter().map(|fault| fault.as_ref()?.configuration);
    if let Some(faults) = configuration.collect::<Option<Vec<_>>>() {
        let refused = |fault: Culprit| SubmitOutcome::new(SubmitClass::AccountRefused, fault.code);
        return Answer {
            outcomes: faults.into_iter().map(refused).collect(),
            hint: None,
        };
    }
    let rejected = messages.iter().zip(faults).map(|(message, fault)| {
        let Fault { first, .. } = fault?;
        Some((reason(first, message), first.code.to_owned()))
    });
    named(rejected, "http_400")
}

/// `/messages/3/destination_number: …`: which message, and which of its fields.
fn pointer(detail: &str) -> Option<(usize, &str)> {
    let (index, rest) = detail.strip_prefix("/messages/")?.split_once('/')?;
    let end = rest
        .find(|c: char| !c.is_ascii_alphabetic() && c != '_')
        .unwrap_or(rest.len());
    let is_number = index.bytes().all(|b| b.is_ascii_digit());
    let index = index.parse().ok().filter(|_| is_number)?;
    Some((index, &rest[..end])).filter(|(_, field)| !field.is_empty())
}

fn reason(culprit: Culprit, message: &MtMessage<'_>) -> RejectReason {
    match culprit.field {
        Named::Recipient => RejectReason::InvalidRecipient,
        Named::Text if is_too_long(message.text) => RejectReason::TooLong,
        Named::Sender => RejectReason::BadSender,
        Named::Text | Named::CallbackUrl | Named::Ours => RejectReason::Other,
    }
}

/// 422: a message to Singapore came over an older TLS. Whether the whole request fails for it is not
/// documented; it is read as if nothing was sent.
fn without_tls_1_3(messages: &[MtMessage<'_>]) -> Answer {
    let is_singapore = |message: &MtMessage<'_>| message.to.digits().starts_with("65");
    if !messages.iter().any(is_singapore) {
        return unnamed(messages, 422, RejectReason::Other);
    }
    let rejected = messages.iter().map(|message| {
        is_singapore(message).then(|| (RejectReason::UnsupportedDestination, http(422)))
    });
    named(rejected, "http_422")
}

// === 2xx: sections 2 and 3 ===

fn taken(messages: &[MtMessage<'_>], body: &[u8]) -> Answer {
    let taken = lenient::read::<Part<Taken<'_>>>(body).and_then(|body| body.0);
    let Some(entries) = taken.and_then(|taken| taken.messages.0) else {
        return Answer::all(messages.len(), SubmitOutcome::in_doubt("unreadable_answer"));
    };
    // What is no object echoes nothing, and has no id.
    let entries: Vec<TakenEntry<'_>> = entries
        .into_iter()
        .map(|entry| entry.0.unwrap_or_default().into())
        .collect();
    let in_order = entries.len() == messages.len()
        && messages
            .iter()
            .zip(&entries)
            .all(|(message, entry)| entry.may_be(message));
    let outcomes = if in_order {
        entries.iter().map(TakenEntry::outcome).collect()
    } else {
        let by_reference = |message: &MtMessage<'_>| {
            let mut of_it = entries
                .iter()
                .filter(|entry| entry.reference() == Some(message.reference));
            match (of_it.next(), of_it.next()) {
                (Some(entry), None) => entry.outcome(),
                (Some(_), Some(_)) => SubmitOutcome::in_doubt("several_entries"),
                (None, _) => SubmitOutcome::in_doubt("missing_entry"),
            }
        };
        messages.iter().map(by_reference).collect()
    };
    Answer {
        outcomes,
        hint: None,
    }
}

/// An entry as far as anybody needs it.
struct TakenEntry<'a> {
    message_id: Option<Cow<'a, str>>,
    destination_number: Option<Cow<'a, str>>,
    reference: Scalar<'a>,
}

impl<'a> From<Entry<'a>> for TakenEntry<'a> {
    fn from(entry: Entry<'a>) -> Self {
        Self {
            message_id: entry.message_id.into_text(),
            destination_number: entry.destination_number.into_text(),
            reference: entry.metadata.0.unwrap_or_default().reference,
        }
    }
}

impl TakenEntry<'_> {
    fn reference(&self) -> Option<&str> {
        match &self.reference {
            Scalar::Text(reference) => Some(reference),
            Scalar::Nothing | Scalar::Number(_) | Scalar::Other => None,
        }
    }

    /// What it does not echo is no contradiction, another value is.
    fn may_be(&self, message: &MtMessage<'_>) -> bool {
        let reference_fits = match &self.reference {
            Scalar::Nothing => true,
            Scalar::Text(reference) => reference == message.reference,
            Scalar::Number(_) | Scalar::Other => false,
        };
        let number_fits = self.destination_number.as_deref().is_none_or(|number| {
            let digits = number.strip_prefix('+').unwrap_or(number);
            Msisdn::parse_digits(digits) == Ok(message.to)
        });
        reference_fits && number_fits
    }

    fn outcome(&self) -> SubmitOutcome {
        match self.message_id.as_deref() {
            Some(id) if !id.is_empty() => SubmitOutcome::accepted(id),
            _ => SubmitOutcome::in_doubt("missing_message_id"),
        }
    }
}

// === Wire format ===

members! {
    Taken<'a> {
        "messages" => messages: List<Part<Entry<'a>>>,
    }
}

members! {
    /// The entry of the request, completed.
    Entry<'a> {
        "message_id" => message_id: Scalar<'a>,
        "destination_number" => destination_number: Scalar<'a>,
        "metadata" => metadata: Part<Metadata<'a>>,
    }
}

members! {
    Metadata<'a> {
        "ref" => reference: Scalar<'a>,
    }
}

/// Has a `message` for people, too.
#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    details: Value,
}
