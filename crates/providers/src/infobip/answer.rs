//! What an answer to a submission means. Source: `shared/providers/infobip.md`, sections 2 to 4.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, hash_map},
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

use super::codes::{Group, submit_status};
use crate::{
    Answer, Hint, MtMessage, RejectReason, SubmitClass, SubmitOutcome,
    lenient::{self, List, Part, Scalar, members},
    retry_after::retry_after,
};

pub(super) fn read(messages: &[MtMessage<'_>], response: &Response<Bytes>) -> Answer {
    let status = response.status();
    if status.is_success() {
        return entries(messages, response.body());
    }
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let code = code(status, &body);
    match meaning(status, response.headers()) {
        Meaning::Whole(class) => Answer::all(messages.len(), SubmitOutcome::new(class, code)),
        Meaning::TooLarge => isolated(
            messages.len(),
            RejectReason::TooLong,
            BTreeSet::new(),
            &code,
        ),
        Meaning::OneOfThem => isolated(messages.len(), RejectReason::Other, culprits(&body), &code),
    }
}

// === A 2xx: each message for itself, section 2 ===

fn entries(messages: &[MtMessage<'_>], body: &[u8]) -> Answer {
    let submitted = lenient::read::<Part<Submitted<'_>>>(body).and_then(|body| body.0);
    let Some(entries) = submitted.and_then(|submitted| submitted.messages.0) else {
        let unreadable = SubmitOutcome::in_doubt("unreadable_answer");
        return Answer::all(messages.len(), unreadable);
    };
    let mut by_id: HashMap<Cow<'_, str>, SubmitOutcome> = HashMap::with_capacity(entries.len());
    for Part(entry) in entries {
        let Some(entry) = entry else {
            continue;
        };
        let (Some(id), outcome) = (entry.message_id.into_text(), outcome(entry.status.0)) else {
            continue;
        };
        match by_id.entry(id) {
            hash_map::Entry::Vacant(free) => {
                free.insert(outcome);
            }
            hash_map::Entry::Occupied(mut other) if *other.get() != outcome => {
                other.insert(SubmitOutcome::in_doubt("contradictory_entries"));
            }
            hash_map::Entry::Occupied(_) => {}
        }
    }
    let outcomes = messages.iter().map(|message| {
        match by_id.get(message.reference) {
            // Its id is our reference, of a refused message too: its reports will name it.
            Some(outcome) => outcome.clone().with_id(message.reference),
            None => SubmitOutcome::in_doubt("missing_entry"),
        }
    });
    Answer {
        outcomes: outcomes.collect(),
        hint: None,
    }
}

fn outcome(status: Option<Status<'_>>) -> SubmitOutcome {
    let status = status.unwrap_or_default();
    let id = status.id.integer();
    let group = Group::read(
        status.group_id.integer(),
        status.group_name.into_text().as_deref(),
    );
    match group {
        None => SubmitOutcome::in_doubt("unknown_status"),
        Some(group) if group.is_failure() => {
            let code = id.map_or_else(|| group.name().to_owned(), |id| id.to_string());
            SubmitOutcome::new(submit_status(id), code)
        }
        Some(_) => SubmitOutcome::accepted(""),
    }
}

// === Anything else: the request as a whole, section 4 ===

/// What a status other than 2xx says about the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The same for every message.
    Whole(SubmitClass),
    /// Fewer messages would fit.
    TooLarge,
    /// Some message is at fault, and none was taken.
    OneOfThem,
}

pub(super) fn meaning(status: StatusCode, headers: &HeaderMap) -> Meaning {
    let retry_after = retry_after(headers);
    Meaning::Whole(match status.as_u16() {
        401..=405 => SubmitClass::AccountRefused,
        // Not in the table. Redirects are not followed with a key in hand: the base URL is wrong.
        300..=399 => SubmitClass::AccountRefused,
        429 => SubmitClass::Throttled { retry_after },
        503 if retry_after.is_some() => SubmitClass::Throttled { retry_after },
        413 => return Meaning::TooLarge,
        // Not in the table, but a timeout like 504.
        408 => SubmitClass::DOUBT,
        // Only 400 is in the table: the others are refusals too, so nothing was taken.
        400..=499 => return Meaning::OneOfThem,
        _ => SubmitClass::DOUBT,
    })
}

fn isolated(
    messages: usize,
    reason: RejectReason,
    culprits: BTreeSet<usize>,
    code: &str,
) -> Answer {
    let rejected = SubmitOutcome::new(SubmitClass::Rejected(reason), code);
    let innocent = SubmitOutcome::new(SubmitClass::Transient, code);
    if messages <= 1 {
        return Answer::all(messages, rejected);
    }
    let outcomes: Vec<_> = (0..messages)
        .map(|at| {
            if culprits.contains(&at) {
                rejected.clone()
            } else {
                innocent.clone()
            }
        })
        .collect();
    let hint = match outcomes.iter().filter(|one| **one == rejected).count() {
        0 => Some(Hint::Split),
        all if all == messages => None,
        _ => Some(Hint::Resubmit),
    };
    Answer { outcomes, hint }
}

/// The positions that a v3 refusal names: the number in `messages[3].destinations[0].to`.
fn culprits(body: &Value) -> BTreeSet<usize> {
    let violations = body["violations"].as_array().into_iter().flatten();
    violations
        .filter_map(|violation| position(violation["property"].as_str()?))
        .collect()
}

fn position(property: &str) -> Option<usize> {
    property.split("messages[").skip(1).find_map(|rest| {
        let (digits, _) = rest.split_once(']')?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    })
}

/// The body's code in the form of v3 or of v2, if it is one; else the HTTP status.
pub(super) fn code(status: StatusCode, body: &Value) -> String {
    let v2 = || {
        body.pointer("/requestError/serviceException/messageId")?
            .as_str()
    };
    body["errorCode"]
        .as_str()
        .or_else(v2)
        .filter(|code| is_code(code))
        .map_or_else(|| format!("http_{}", status.as_u16()), str::to_owned)
}

/// Codes are kept beside every message, so what is no code is not. The longest known one has 17
/// letters.
fn is_code(code: &str) -> bool {
    (1..=40).contains(&code.len())
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

// === Wire format ===

members! {
    Submitted<'a> {
        "messages" => messages: List<Part<Entry<'a>>>,
    }
}

members! {
    Entry<'a> {
        "messageId" => message_id: Scalar<'a>,
        "status" => status: Part<Status<'a>>,
    }
}

members! {
    Status<'a> {
        "groupId" => group_id: Scalar<'a>,
        "groupName" => group_name: Scalar<'a>,
        "id" => id: Scalar<'a>,
    }
}
