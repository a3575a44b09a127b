//! What MessageBird's answers mean. Source: `shared/providers/messagebird.md`, sections 2 and 4.

use bytes::Bytes;
use http::Response;
use message::Msisdn;
use serde::Deserialize;
use serde_json::Value;

use super::{
    codes::{Meaning, NO_BALANCE, NOT_ALLOWED, failure_code, submit_code, submit_status},
    over_limit,
};
use crate::{
    Answer, MtMessage, RejectReason, SubmitClass, SubmitOutcome, json, retry_after::retry_after,
};

pub(super) fn read(messages: &[MtMessage<'_>], response: &Response<Bytes>) -> Answer {
    let outcomes = if response.status().is_success() {
        taken(messages, response.body())
    } else {
        let refused = |message: &MtMessage<'_>| refusal(response, message.text);
        messages.iter().map(refused).collect()
    };
    Answer {
        outcomes,
        hint: None,
    }
}

// === Taken: section 2 ===

fn taken(messages: &[MtMessage<'_>], body: &[u8]) -> Vec<SubmitOutcome> {
    let Some(message) = json::read::<Message>(body).filter(|message| !message.id.is_empty()) else {
        return vec![SubmitOutcome::in_doubt("unreadable_answer"); messages.len()];
    };
    let of = |to| match message.item(to) {
        Lookup::NoItems => SubmitOutcome::accepted(""),
        // Every number that is not usable is left out, says the page, if not for certain.
        Lookup::Missing => rejected(RejectReason::InvalidRecipient, "missing_entry"),
        Lookup::Item(item) => item.outcome(),
    };
    messages
        .iter()
        .map(|message| of(message.to))
        .map(|outcome| outcome.with_id(message.id.as_str()))
        .collect()
}

fn rejected(reason: RejectReason, code: &str) -> SubmitOutcome {
    SubmitOutcome::new(SubmitClass::Rejected(reason), code)
}

/// A message as it is answered to a submission and to a look-up. It has a dozen more members that
/// nobody needs.
#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) id: String,
    #[serde(default, deserialize_with = "json::text")]
    pub(super) reference: Option<String>,
    #[serde(default)]
    recipients: Value,
}

/// What a message says about one recipient.
pub(super) enum Lookup {
    /// Nothing about anybody.
    NoItems,
    /// Nothing about this one.
    Missing,
    Item(Item),
}

impl Message {
    pub(super) fn item(&self, recipient: Msisdn) -> Lookup {
        let Some(items) = self.recipients.get("items").and_then(Value::as_array) else {
            return Lookup::NoItems;
        };
        let is_it = |item: &&Value| item.get("recipient").and_then(number) == Some(recipient);
        match items.iter().find(is_it) {
            None => Lookup::Missing,
            Some(item) => Lookup::Item(Item {
                status: item.get("status").and_then(text).unwrap_or_default(),
                error_code: item
                    .get("statusErrorCode")
                    .and_then(text)
                    .filter(|code| code != "0")
                    .unwrap_or_default(),
            }),
        }
    }
}

/// One recipient's state.
pub(super) struct Item {
    pub(super) status: String,
    /// Empty for none.
    pub(super) error_code: String,
}

impl Item {
    /// A word that the page does not have changes nothing: the message was taken.
    fn outcome(self) -> SubmitOutcome {
        let reason = match self.status.as_str() {
            "delivery_failed" => failure_code(&self.error_code),
            "expired" => RejectReason::Other,
            _ => return SubmitOutcome::accepted(""),
        };
        let code = match self.error_code.as_str() {
            "" => &self.status,
            code => code,
        };
        rejected(reason, code)
    }
}

/// MessageBird answers numbers as numbers that were given as texts.
fn number(value: &Value) -> Option<Msisdn> {
    match value {
        Value::Number(number) => Msisdn::from_u64(number.as_u64()?),
        Value::String(text) => Msisdn::parse_digits(text.strip_prefix('+').unwrap_or(text)).ok(),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

// === Refused: section 4 ===

/// What an answer that is no 2xx means for a message of this text.
pub(super) fn refusal(response: &Response<Bytes>, text: &str) -> SubmitOutcome {
    let status = response.status().as_u16();
    let errors = errors(response.body());
    let status_decides = matches!(status, 408 | 429 | 500..);
    let account = errors.iter().find(|error| match error.code {
        NOT_ALLOWED | NO_BALANCE => true,
        code => !status_decides && submit_code(code) == Some(Meaning::AccountRefused),
    });
    if let Some(account) = account {
        return SubmitOutcome::new(SubmitClass::AccountRefused, account.code.to_string());
    }
    if status_decides {
        return SubmitOutcome::new(
            match (status, retry_after(response.headers())) {
                (429, retry_after) => SubmitClass::Throttled { retry_after },
                (503, retry_after @ Some(_)) => SubmitClass::Throttled { retry_after },
                _ => SubmitClass::DOUBT,
            },
            format!("http_{status}"),
        );
    }
    let first = errors.first();
    let meaning = first.and_then(|error| submit_code(error.code));
    let class = match meaning.unwrap_or_else(|| submit_status(status)) {
        Meaning::Rejected(reason) => SubmitClass::Rejected(reason),
        Meaning::AccountRefused => SubmitClass::AccountRefused,
        Meaning::InDoubt => SubmitClass::DOUBT,
        Meaning::ByParameter => {
            let (reason, code) = by_parameter(&errors, text);
            return rejected(reason, &code.to_string());
        }
    };
    let code = match first {
        Some(error) => error.code.to_string(),
        None => format!("http_{status}"),
    };
    SubmitOutcome::new(class, code)
}

/// Of several errors a bad sender comes first, because it will fail every message, then a bad
/// recipient; else the first one decides.
fn by_parameter(errors: &[Error], text: &str) -> (RejectReason, i64) {
    let reasons = || {
        errors
            .iter()
            .filter(|error| submit_code(error.code) == Some(Meaning::ByParameter))
            .map(|error| (error.reason(text), error.code))
    };
    let of = |wanted| reasons().find(|(reason, _)| *reason == wanted);
    of(RejectReason::BadSender)
        .or_else(|| of(RejectReason::InvalidRecipient))
        .or_else(|| reasons().next())
        .unwrap_or((RejectReason::Other, 0))
}

/// The errors in a body; none if it is HTML, empty or cut off.
pub(super) fn errors(body: &[u8]) -> Vec<Error> {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Value>,
    }
    let errors = json::read::<Body>(body).map_or_else(Vec::new, |body| body.errors);
    let readable = errors
        .into_iter()
        .filter_map(json::object::<Wire>)
        .filter_map(|wire| {
            Some(Error {
                code: wire.code?,
                parameter: wire.parameter.unwrap_or_default().to_ascii_lowercase(),
                description: wire.description.unwrap_or_default().to_ascii_lowercase(),
            })
        });
    readable.collect()
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "json::integer")]
    code: Option<i64>,
    #[serde(default, deserialize_with = "json::text")]
    parameter: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    description: Option<String>,
}

/// One of several reasons for a refusal, in lower case.
pub(super) struct Error {
    pub(super) code: i64,
    parameter: String,
    description: String,
}

impl Error {
    fn reason(&self, text: &str) -> RejectReason {
        match self.parameter.as_str() {
            "recipients" | "recipient" => RejectReason::InvalidRecipient,
            "originator" => RejectReason::BadSender,
            "body" if over_limit(text).is_some() || self.speaks_of_length() => {
                RejectReason::TooLong
            }
            _ => RejectReason::Other,
        }
    }

    /// The only place where words for people decide anything: no code says it.
    fn speaks_of_length(&self) -> bool {
        ["length", "too long", "longer than", "1377"]
            .iter()
            .any(|words| self.description.contains(words))
    }
}
