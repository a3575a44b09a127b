//! What an answer to a submission means. Which API was asked shows in the answer itself: the Messages
//! API takes a message with 202, the SMS API answers 200. Source: `shared/providers/vonage.md`,
//! sections 2, 4 and 13.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde::Deserialize;
use serde_json::Value;

use super::codes::{Meaning, http_status, messages_refusal, part_status, wait_in};
use crate::{SubmitClass, SubmitOutcome, json, retry_after::retry_after};

/// How long to wait where nobody says (section 4).
const THROTTLED_WAIT: Duration = Duration::from_secs(1);

pub(super) fn outcome(response: &Response<Bytes>) -> SubmitOutcome {
    match response.status().as_u16() {
        202 => match json::read::<Submitted>(response.body()).and_then(|body| body.message_uuid) {
            Some(id) if !id.is_empty() => SubmitOutcome::accepted(id),
            _ => SubmitOutcome::in_doubt("unreadable_answer"),
        },
        200..=299 => sms_outcome(response),
        status => refused(status, response),
    }
}

/// By the HTTP status, or what the SMS API gives as such inside a 200.
pub(super) fn refused(status: u16, response: &Response<Bytes>) -> SubmitOutcome {
    let code = json::read::<Problem>(response.body()).and_then(Problem::code);
    let meaning = match &code {
        Some(code) if status == 422 => Meaning::Rejected(messages_refusal(code)),
        _ => http_status(status),
    };
    let wait = retry_after(response.headers()).unwrap_or(THROTTLED_WAIT);
    SubmitOutcome::new(
        class(meaning, wait),
        code.unwrap_or_else(|| format!("http_{status}")),
    )
}

fn class(meaning: Meaning, wait: Duration) -> SubmitClass {
    match meaning {
        Meaning::Rejected(reason) => SubmitClass::Rejected(reason),
        Meaning::AccountRefused => SubmitClass::AccountRefused,
        Meaning::Throttled => SubmitClass::Throttled {
            retry_after: Some(wait),
        },
        Meaning::Transient => SubmitClass::Transient,
        Meaning::InDoubt => SubmitClass::DOUBT,
    }
}

fn sms_outcome(response: &Response<Bytes>) -> SubmitOutcome {
    let unreadable = || SubmitOutcome::in_doubt("unreadable_answer");
    let Some(body) = json::read::<SmsAnswer>(response.body()) else {
        return unreadable();
    };
    match (body.messages, body.error_code) {
        (Value::Array(entries), _) => {
            let parts: Vec<_> = entries
                .into_iter()
                .map(|entry| json::object(entry).unwrap_or_default())
                .collect();
            parts_outcome(&parts).unwrap_or_else(unreadable)
        }
        // Errors only: a 200 inside a 200 would say that it was taken, and nothing says under which id.
        (Value::Null, Some(status)) => u16::try_from(status)
            .ok()
            .filter(|status| (300..=599).contains(status))
            .map_or_else(unreadable, |status| refused(status, response)),
        _ => unreadable(),
    }
}

/// One outcome of all parts; nothing if they do not say.
fn parts_outcome(parts: &[Part]) -> Option<SubmitOutcome> {
    let is_accepted = |part: &&Part| part.status == Some(0);
    let ids: Vec<String> = parts
        .iter()
        .filter(is_accepted)
        .filter_map(|part| part.message_id.clone().filter(|id| !id.is_empty()))
        .collect();
    let first_id = ids.first().cloned().unwrap_or_default();
    let Some(refused) = parts.iter().find(|part| !is_accepted(part)) else {
        if parts.is_empty() {
            return None;
        }
        if ids.len() < parts.len() {
            return Some(SubmitOutcome::in_doubt("missing_id").with_id(first_id));
        }
        return Some(SubmitOutcome {
            part_ids: if ids.len() > 1 { ids } else { Vec::new() },
            ..SubmitOutcome::accepted(first_id)
        });
    };
    if parts.iter().any(|part| is_accepted(&part)) {
        let code = refused.status.map(|status| status.to_string());
        let partial = SubmitClass::InDoubt { partial: true };
        let code = code.unwrap_or_else(|| "unreadable_answer".to_owned());
        return Some(SubmitOutcome::new(partial, code).with_id(first_id));
    }
    // No part was taken, if each of them says so. The first one's reason counts.
    if parts.iter().any(|part| part.status.is_none()) {
        return None;
    }
    let status = refused.status?;
    let text = refused.error_text.as_deref().unwrap_or_default();
    let wait = wait_in(text).unwrap_or(THROTTLED_WAIT);
    let class = class(part_status(status, text), wait);
    Some(SubmitOutcome::new(class, status.to_string()))
}

// === Wire format ===

#[derive(Deserialize)]
struct SmsAnswer {
    #[serde(default)]
    messages: Value,
    #[serde(rename = "error-code", default, deserialize_with = "json::integer")]
    error_code: Option<i64>,
}

#[derive(Deserialize, Default)]
struct Part {
    #[serde(default, deserialize_with = "json::integer")]
    status: Option<i64>,
    #[serde(rename = "message-id", default, deserialize_with = "json::text")]
    message_id: Option<String>,
    #[serde(rename = "error-text", default, deserialize_with = "json::text")]
    error_text: Option<String>,
}

#[derive(Deserialize)]
struct Submitted {
    #[serde(default, deserialize_with = "json::text")]
    message_uuid: Option<String>,
}

/// RFC 7807, in refusals and in receipts of the Messages API; or the SMS API's older form.
#[derive(Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type", default, deserialize_with = "json::text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    title: Option<String>,
    #[serde(rename = "error-code", default, deserialize_with = "json::text")]
    error_code: Option<String>,
}

impl Problem {
    /// A title that is a number, else what `type` has behind its `#`, else the older form's code.
    pub(super) fn code(self) -> Option<String> {
        let fragment = |kind: String| Some(kind.split_once('#')?.1.to_owned());
        self.title
            .filter(|title| is_number(title))
            .or_else(|| self.kind.and_then(fragment))
            .filter(|code| is_code(code))
            .or(self.error_code.filter(|code| is_code(code)))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Codes are kept beside every message, so what is no code is not.
pub(super) fn is_code(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=CODE_CHARS_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// The longest on the page, `account-suspended`, has 17.
const CODE_CHARS_MAX: usize = 40;
