//! What LINK's answers mean. Source: `shared/providers/link-mobility.md`, sections 2 to 4.

use std::{borrow::Cow, collections::HashMap};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::codes::{Meaning, submit_code, submit_status};
use crate::{
    Answer, Hint, MtMessage, SubmitClass, SubmitMode, SubmitOutcome,
    lenient::{self, List, Part, Scalar, members},
    retry_after::retry_after,
};

pub(super) fn read(
    messages: &[MtMessage<'_>],
    mode: SubmitMode,
    response: &Response<Bytes>,
) -> Answer {
    let status = response.status();
    if status == StatusCode::NO_CONTENT {
        // Receipts still name our reference.
        return Answer::all(messages.len(), SubmitOutcome::accepted(""));
    }
    if !status.is_success() {
        return refused(messages.len(), mode, response);
    }
    let body = response.body();
    let headers = response.headers();
    let read = match mode {
        SubmitMode::Single => lenient::read::<Part<Wire<'_>>>(body)
            .and_then(|body| body.0)
            .map(|entry| vec![Entry::of(entry).outcome(headers); messages.len()]),
        SubmitMode::Batch => lenient::read::<List<Part<Wire<'_>>>>(body)
            .and_then(|body| body.0)
            .map(|entries| each(messages, entries, headers)),
    };
    match read {
        Some(outcomes) => Answer {
            outcomes,
            hint: None,
        },
        None => Answer::all(messages.len(), unreadable()),
    }
}

fn unreadable() -> SubmitOutcome {
    SubmitOutcome::in_doubt("unreadable_answer")
}

fn refused(messages: usize, mode: SubmitMode, response: &Response<Bytes>) -> Answer {
    let status = response.status().as_u16();
    let refusal = lenient::read::<Part<Wire<'_>>>(response.body()).and_then(|body| body.0);
    let code = refusal.and_then(|refusal| Entry::of(refusal).code());
    let several = mode == SubmitMode::Batch && messages > 1;
    let meaning = submit_status(status, code);
    let class = match meaning {
        Meaning::RequestRefused(_) if several => SubmitClass::Transient,
        _ => class(meaning, response.headers()),
    };
    let code = code.map_or_else(|| format!("http_{status}"), |code| code.to_string());
    let answer = Answer::all(messages, SubmitOutcome::new(class, code));
    match meaning {
        Meaning::RequestRefused(_) if several => answer.with_hint(Hint::Split),
        _ => answer,
    }
}

fn class(meaning: Meaning, headers: &HeaderMap) -> SubmitClass {
    match meaning {
        Meaning::Accepted => SubmitClass::Accepted,
        Meaning::Rejected(reason) | Meaning::RequestRefused(reason) => {
            SubmitClass::Rejected(reason)
        }
        Meaning::AccountRefused => SubmitClass::AccountRefused,
        Meaning::Throttled => SubmitClass::Throttled {
            retry_after: retry_after(headers),
        },
        Meaning::Transient => SubmitClass::Transient,
        Meaning::InDoubt => SubmitClass::DOUBT,
    }
}

/// The entries of a batch by their `refId`; by their place only if none has one and none is missing,
/// because the order of the request is shown in examples and promised nowhere.
fn each(
    messages: &[MtMessage<'_>],
    entries: Vec<Part<Wire<'_>>>,
    headers: &HeaderMap,
) -> Vec<SubmitOutcome> {
    // What is no object says nothing, like one without members.
    let entries: Vec<Entry<'_>> = entries
        .into_iter()
        .map(|entry| Entry::of(entry.0.unwrap_or_default()))
        .collect();
    if entries.len() == messages.len() && entries.iter().all(|entry| entry.ref_id.is_none()) {
        return entries
            .into_iter()
            .map(|entry| entry.outcome(headers))
            .collect();
    }
    let mut by_reference: HashMap<Cow<'_, str>, SubmitOutcome> =
        HashMap::with_capacity(entries.len());
    for mut entry in entries {
        let Some(reference) = entry.ref_id.take() else {
            continue;
        };
        // Of two answers for one message nobody can say which is its own.
        by_reference
            .entry(reference)
            .and_modify(|outcome| *outcome = SubmitOutcome::in_doubt("duplicate_entry"))
            .or_insert_with(|| entry.outcome(headers));
    }
    messages
        .iter()
        .map(|message| {
            by_reference
                .remove(message.reference)
                .unwrap_or_else(|| SubmitOutcome::in_doubt("missing_entry"))
        })
        .collect()
}

members! {
    /// The answer about one message, and the body of every refusal, which calls its code `status`.
    /// The texts (`description` here, `message` in a batch) are for people and never decide.
    Wire<'a> {
        "messageId" => message_id: Scalar<'a>,
        "refId" => ref_id: Scalar<'a>,
        "resultCode" => result_code: Scalar<'a>,
        "status" => status: Scalar<'a>,
    }
}

struct Entry<'a> {
    message_id: Option<Cow<'a, str>>,
    ref_id: Option<Cow<'a, str>>,
    result_code: Option<i64>,
    status: Option<i64>,
}

impl<'a> Entry<'a> {
    fn of(wire: Wire<'a>) -> Self {
        let reference = wire.ref_id.into_text();
        Self {
            message_id: wire.message_id.into_text(),
            ref_id: reference.filter(|reference| !reference.is_empty()),
            result_code: wire.result_code.integer(),
            status: wire.status.integer(),
        }
    }

    fn code(&self) -> Option<i64> {
        self.result_code.or(self.status)
    }

    /// With the id whatever the code is: a later receipt may still name it.
    fn outcome(self, headers: &HeaderMap) -> SubmitOutcome {
        let outcome = match self.code() {
            None => SubmitOutcome::in_doubt("missing_result_code"),
            Some(code) => match class(submit_code(code), headers) {
                SubmitClass::Accepted => SubmitOutcome::accepted(""),
                class => SubmitOutcome::new(class, code.to_string()),
            },
        };
        outcome.with_id(self.message_id.unwrap_or_default())
    }
}
