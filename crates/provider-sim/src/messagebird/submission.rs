//! The body of `POST /messages`: what it asks for, and whether MessageBird would take it.
//!
//! Source: `shared/providers/messagebird.md`, section 2. What the twin cannot do as MessageBird does (binary texts, groups
//! of contacts, a later time) is refused rather than done wrong.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::accounts::Account;
use super::coding::{self, Coding};
use super::errors::{Problem, Refusal};
use crate::engine::Asked;
use crate::engine::phone::digits;

const RECIPIENTS_MAX: usize = 50;
const PARTS_MAX: u32 = 9;

/// The body as it came.
#[derive(Debug)]
pub(crate) struct Request {
    /// `None` if it is no JSON object; then why not.
    fields: Result<Map<String, Value>, &'static str>,
    /// In the order of the request; `None` for what is no number.
    recipients: Vec<Option<u64>>,
}

/// A body that may be sent to at least one recipient.
#[derive(Debug)]
pub(crate) struct Submission {
    pub originator: String,
    pub body: String,
    /// In the order of the request; `None` for what is no number.
    pub recipients: Vec<Option<u64>>,
    pub coding: Coding,
    pub flash: bool,
    pub validity_seconds: Option<u32>,
    pub report_url: Option<String>,
}

impl Request {
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let fields = if !is_json(headers) {
            Err("The content type is not application/json")
        } else {
            serde_json::from_slice(body).map_err(|_| "The body is not a JSON object")
        };
        let recipients = fields.as_ref().map_or_else(|_| Vec::new(), recipients);
        Self { fields, recipients }
    }

    /// An entry for each recipient; none if the request names none or cannot be read.
    pub fn asked(&self) -> Vec<Asked> {
        let Ok(fields) = &self.fields else {
            return Vec::new();
        };
        let body = text(fields, "body").unwrap_or_default();
        let asked = Asked {
            recipient: None,
            reference: self.reference(),
            segments: coding::parts(body, coding_of(fields, body).unwrap_or(Coding::Plain)),
        };
        self.recipients
            .iter()
            .map(|&recipient| Asked {
                recipient,
                ..asked.clone()
            })
            .collect()
    }

    /// The client's name for the message; empty if it gave none.
    pub fn reference(&self) -> Arc<str> {
        let fields = self.fields.as_ref().ok();
        fields
            .and_then(|fields| text(fields, "reference"))
            .unwrap_or_default()
            .into()
    }

    /// Checks everything that does not depend on earlier messages, and names all that is wrong.
    pub fn check(&self, account: &Account) -> Result<Submission, Refusal> {
        let fields = match &self.fields {
            Ok(fields) => fields,
            Err(why) => return Err(Refusal::bad_request(why)),
        };
        let mut problems = Vec::new();
        let mut note = |problem: Option<Problem>| problems.extend(problem);
        note(check_originator(fields, account));
        note(self.check_recipients(fields));
        note(check_body(fields));
        note(check_choice(fields, "type", &["sms", "flash"]));
        note(check_choice(
            fields,
            "datacoding",
            &["plain", "unicode", "auto"],
        ));
        let is_text = given(fields, "reference").is_none_or(Value::is_string);
        note((!is_text).then(|| Problem::invalid("reference", "reference should be a string")));
        let validity = given(fields, "validity").map(|value| {
            let seconds = value
                .as_u64()
                .and_then(|seconds| u32::try_from(seconds).ok());
            seconds.filter(|&seconds| seconds > 0)
        });
        note(
            (validity == Some(None))
                .then(|| Problem::invalid("validity", "validity should be a number of seconds")),
        );
        let report_url = text(fields, "reportUrl");
        let callable = report_url.map_or(given(fields, "reportUrl").is_none(), is_url);
        note((!callable).then(|| Problem::invalid("reportUrl", "reportUrl should be a URL")));
        for name in ["scheduledDatetime", "groupIds"] {
            let absent = given(fields, name).is_none();
            note((!absent).then(|| Problem::invalid(name, "the twin does not do this")));
        }
        if !problems.is_empty() {
            return Err(Refusal::of(problems));
        }
        let own = |name| text(fields, name).unwrap_or_default().to_owned();
        let body = own("body");
        Ok(Submission {
            originator: own("originator"),
            recipients: self.recipients.clone(),
            coding: coding_of(fields, &body).unwrap_or(Coding::Plain),
            flash: text(fields, "type") == Some("flash"),
            validity_seconds: validity.flatten(),
            report_url: report_url.map(str::to_owned),
            body,
        })
    }

    /// "No (correct) recipients" says that wrong ones count only when all are wrong; so a wrong one beside good ones is
    /// left out of the answer's items (unconfirmed).
    fn check_recipients(&self, fields: &Map<String, Value>) -> Option<Problem> {
        let name = "recipients";
        let listed = given(fields, name).is_none_or(|value| value.is_array() || value.is_string());
        if !listed {
            return Some(Problem::invalid(name, "recipients should be a list"));
        }
        if self.recipients.len() > RECIPIENTS_MAX {
            let max = format!("no more than {RECIPIENTS_MAX} recipients are allowed");
            return Some(Problem::invalid(name, max));
        }
        let none = self.recipients.iter().all(Option::is_none);
        none.then(|| Problem::missing(name, "no (correct) recipients found"))
    }
}

impl Submission {
    pub fn parts(&self) -> u32 {
        coding::parts(&self.body, self.coding)
    }

    pub fn validity(&self) -> Option<Duration> {
        self.validity_seconds
            .map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// A list of strings of digits. The vendor's Python SDK joins them with commas, which MessageBird must therefore take.
fn recipients(fields: &Map<String, Value>) -> Vec<Option<u64>> {
    match fields.get("recipients") {
        Some(Value::Array(list)) => list
            .iter()
            .map(|one| one.as_str().and_then(digits))
            .collect(),
        Some(Value::String(joined)) => joined.split(',').map(|one| digits(one.trim())).collect(),
        _ => Vec::new(),
    }
}

fn check_originator(fields: &Map<String, Value>, account: &Account) -> Option<Problem> {
    let name = "originator";
    let originator = match given(fields, name) {
        None => return Some(Problem::missing(name, "originator is required")),
        Some(Value::String(text)) if text.is_empty() => {
            return Some(Problem::missing(name, "originator is required"));
        }
        Some(Value::String(text)) => text,
        Some(_) => return Some(Problem::invalid(name, "originator should be a string")),
    };
    if !is_originator(originator) {
        return Some(Problem::invalid(name, "originator is invalid"));
    }
    (!account.owns(originator)).then(|| Problem::invalid(name, "originator is not allowed"))
}

/// A number with country code and without plus, a short code, or a name.
fn is_originator(text: &str) -> bool {
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit());
    let short_code = numeric && (3..=6).contains(&text.len());
    let alphanumeric = (1..=11).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
        && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    digits(text).is_some() || short_code || alphanumeric
}

fn check_body(fields: &Map<String, Value>) -> Option<Problem> {
    let name = "body";
    match given(fields, name) {
        None => Some(Problem::missing(name, "body is required")),
        Some(Value::String(text)) if text.is_empty() => {
            Some(Problem::missing(name, "body is required"))
        }
        Some(Value::String(text)) => {
            let coding = coding_of(fields, text).unwrap_or(Coding::Plain);
            let too_long = coding::parts(text, coding) > PARTS_MAX;
            too_long.then(|| Problem::invalid(name, "the length of the body is over 9 parts"))
        }
        Some(_) => Some(Problem::invalid(name, "body should be a string")),
    }
}

fn check_choice(
    fields: &Map<String, Value>,
    name: &'static str,
    known: &[&str],
) -> Option<Problem> {
    let value = given(fields, name)?;
    let good = value.as_str().is_some_and(|word| known.contains(&word));
    (!good).then(|| Problem::invalid(name, format!("{name} should be one of {known:?}")))
}

/// `None` for an unknown word.
fn coding_of(fields: &Map<String, Value>, body: &str) -> Option<Coding> {
    Coding::of(text(fields, "datacoding").unwrap_or("plain"), body)
}

/// The value, unless it is null.
fn given<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f str> {
    fields.get(name)?.as_str()
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn is_url(text: &str) -> bool {
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    clean
        && reqwest::Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
