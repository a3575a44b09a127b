//! The send request: read leniently for the audit, then checked strictly, all or nothing.
//!
//! A detail names its field by a JSON pointer, partly by the JSON name, partly by the property's, as MessageMedia's own
//! example does. The wording of those that the page does not quote is the twin's.
//! Source: `shared/providers/messagemedia.md`, sections 2 and 3.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;

use super::field;
use super::refusal::Refusal;
use super::resource::Wire;
use crate::engine::Asked;
use crate::segments;

/// What happens to a request with more is not documented; this twin refuses it.
const MESSAGES_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Messages {
    messages: Vec<Wire>,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) enum Request {
    /// Its content type is another one.
    NotJson,
    /// Not the JSON of a request; a field of another name is enough, whatever MessageMedia does about those. `asked` is
    /// what can be guessed.
    Unreadable {
        asked: Vec<Asked>,
    },
    Readable(Vec<Wire>),
}

impl Request {
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        if !is_json(headers) {
            return Self::NotJson;
        }
        match serde_json::from_slice::<Messages>(body) {
            Ok(request) => Self::Readable(request.messages),
            Err(_) => Self::Unreadable {
                asked: guess(body).unwrap_or_default(),
            },
        }
    }

    /// Whom and how much it seems to ask for.
    pub fn asked(&self) -> Vec<Asked> {
        match self {
            Self::NotJson => Vec::new(),
            Self::Unreadable { asked } => asked.clone(),
            Self::Readable(messages) => messages.iter().map(Wire::asked).collect(),
        }
    }

    /// The messages, each of which can be taken.
    pub fn check(self, old_tls: bool) -> Result<Vec<Wire>, Refusal> {
        let messages = match self {
            Self::NotJson => return Err(Refusal::unsupported_type()),
            Self::Unreadable { .. } => return Err(Refusal::unreadable()),
            Self::Readable(messages) => messages,
        };
        if messages.is_empty() || messages.len() > MESSAGES_MAX {
            let detail = format!("/messages: size must be between 1 and {MESSAGES_MAX}");
            return Err(Refusal::invalid(vec![detail], Vec::new()));
        }
        let mut details = Vec::new();
        let mut culprits = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let faults = faults(message);
            if let Some((field, _)) = faults.first() {
                culprits.push((index, *field));
            }
            details.extend(faults.into_iter().map(|(field, reasons)| {
                format!("/messages/{index}/{field}: {}", reasons.join(", "))
            }));
        }
        if !culprits.is_empty() {
            return Err(Refusal::invalid(details, culprits));
        }
        // Another channel has to be enabled for the account, and the twin's are not.
        if messages.iter().any(|message| message.format() != "SMS") {
            return Err(Refusal::not_enabled());
        }
        let singapore = |message: &Wire| message.destination().starts_with("+65");
        if old_tls && messages.iter().any(singapore) {
            return Err(Refusal::old_tls());
        }
        Ok(messages)
    }
}

/// What is wrong with a message: field by field, each with its reasons.
fn faults(message: &Wire) -> Vec<(&'static str, Vec<&'static str>)> {
    let source = message.source_number.as_deref();
    let kind = message.source_number_type.as_deref();
    let time = |text: &Option<String>| field::time(text.as_deref());
    let fields = [
        ("content", field::content(message.content.as_deref())),
        (
            "destination_number",
            field::destination(message.destination_number.as_deref()),
        ),
        ("source_number", field::source(source, kind)),
        ("sourceNumberType", field::source_type(source, kind)),
        (
            "callbackUrl",
            field::callback_url(message.callback_url.as_deref()),
        ),
        ("metadata", field::metadata(message.metadata.as_ref())),
        ("format", field::format(message.format.as_deref())),
        (
            "messageExpiryTimestamp",
            time(&message.message_expiry_timestamp),
        ),
        ("scheduled", time(&message.scheduled)),
    ];
    let wrong = fields.into_iter();
    wrong.filter(|(_, reasons)| !reasons.is_empty()).collect()
}

/// Recipients of what only looks like a request.
fn guess(body: &[u8]) -> Option<Vec<Asked>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let guess = |message: &Value| {
        let text = |field: &str| message.get(field).and_then(Value::as_str);
        let reference = message
            .get("metadata")
            .and_then(|metadata| metadata.get("ref"))
            .and_then(Value::as_str);
        Asked {
            recipient: text("destination_number").and_then(field::recipient),
            reference: reference.unwrap_or_default().into(),
            segments: segments::count(text("content").unwrap_or_default()),
        }
    };
    Some(
        body.get("messages")?
            .as_array()?
            .iter()
            .map(guess)
            .collect(),
    )
}

pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
