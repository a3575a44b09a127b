//! What Sinch's webhooks say. Source: `shared/providers/sinch.md`, sections 6, 7 and 10.

use message::{Msisdn, Timestamp, opt_out::OptOutKind};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
use serde_json::Value;

use super::codes::{OPTED_OUT, Word, failure, status_word};
use crate::{
    Inbound, Malformed, OptOutScope, ProviderOptOut, Reading, Receipt, ReceiptStatus,
    checks::with_plus, json,
};

/// What the event is about is told by which member is there.
pub(super) fn read(body: &[u8]) -> Result<Vec<Reading>, Malformed> {
    let event: Event = json::read(body).ok_or(Malformed {
        why: "not a JSON object",
    })?;
    if let Some(report) = event.message_delivery_report {
        receipt(object(report)?)
    } else if let Some(message) = event.message {
        inbound(object(message)?, event.accepted_time.as_deref())
    } else if let Some(notification) = event.opt_out_notification {
        opt_out(object(notification)?, OptOutKind::OptOut)
    } else if let Some(notification) = event.opt_in_notification {
        opt_out(object(notification)?, OptOutKind::OptIn)
    } else {
        Ok(vec![Reading::Ignored])
    }
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Malformed> {
    json::object(value).ok_or(Malformed {
        why: "the event is not an object",
    })
}

fn receipt(report: Report) -> Result<Vec<Reading>, Malformed> {
    let provider_message_id = filled(report.message_id);
    let reference = filled(report.metadata).map(reference_in);
    if provider_message_id.is_none() && reference.is_none() {
        return Err(Malformed {
            why: "no message_id and no reference",
        });
    }
    let word = filled(report.status).ok_or(Malformed { why: "no status" })?;
    let reason = report.reason.unwrap_or_default();
    let code = reason.code.unwrap_or_default();
    let (status, error_code, account_fault) = match status_word(&word) {
        Word::Status(status) => (status, String::new(), false),
        Word::SwitchingChannel => (ReceiptStatus::Accepted, code, false),
        Word::Failed => {
            let (status, account) = failure(&code, reason.sub_code.as_deref().unwrap_or_default());
            (status, code, account)
        }
        Word::Unknown => return Ok(vec![unrecognised(&word)]),
    };
    let opted_out = status == ReceiptStatus::Rejected && error_code == OPTED_OUT;
    let mut readings = vec![Reading::Receipt(Receipt {
        reference,
        provider_message_id,
        status,
        error_code: error_code.chars().take(CODE_CHARS_MAX).collect(),
        part: None,
        parts: None,
        account_fault,
        about_repetition: false,
    })];
    if opted_out && let Some(number) = report.channel_identity.unwrap_or_default().sms_number() {
        readings.push(Reading::OptOut(ProviderOptOut {
            number,
            kind: OptOutKind::OptOut,
            scope: OptOutScope::Sender,
            code: OPTED_OUT.to_owned(),
        }));
    }
    Ok(readings)
}

/// Our reference in a report's metadata: the whole of it, or a member of the object that the Batch
/// API makes of it, beside its own.
fn reference_in(metadata: String) -> String {
    let batched = json::read::<Metadata>(metadata.as_bytes());
    match batched.and_then(|metadata| metadata.reference) {
        Some(Value::String(reference)) => reference,
        _ => metadata,
    }
}

fn inbound(message: Message, accepted_time: Option<&str>) -> Result<Vec<Reading>, Malformed> {
    let to_us = message.direction.as_deref().is_none_or(|to| to == "TO_APP");
    let ignored = Ok(vec![Reading::Ignored]);
    if !to_us || message.injected == Some(Value::Bool(true)) {
        return ignored;
    }
    let writer = message.channel_identity.ok_or(Malformed {
        why: "no channel_identity",
    })?;
    // Other channels of the same app are not ours.
    if !matches!(writer.channel.as_deref(), Some("SMS" | "MMS")) {
        return ignored;
    }
    let said = message.contact_message.ok_or(Malformed {
        why: "no contact_message",
    })?;
    let text = said.text();
    Ok(vec![Reading::Inbound(Inbound {
        provider_message_id: filled(message.id).ok_or(Malformed { why: "no id" })?,
        from: with_plus(&filled(writer.identity).ok_or(Malformed { why: "no identity" })?),
        to: filled(message.sender_id).map(|to| with_plus(&to)),
        service: None,
        // A place, a choice or a picture is no answer in words, but somebody did answer.
        media: u8::from(text.is_none() || said.media_message.is_some()),
        text: text.unwrap_or_default(),
        parts: 1, // Sinch joins them and does not say how many there were.
        part: None,
        answers: None, // `metadata` of a reply is the channel's own.
        received_at: message
            .accept_time
            .as_deref()
            .or(accepted_time)
            .and_then(time),
        provider_verdict: None,
    })])
}

/// The person's own wish, which Sinch understood.
fn opt_out(notification: Consent, kind: OptOutKind) -> Result<Vec<Reading>, Malformed> {
    let status = filled(notification.status).ok_or(Malformed { why: "no status" })?;
    let (succeeded, failed, code) = match kind {
        OptOutKind::OptOut => ("OPT_OUT_SUCCEEDED", "OPT_OUT_FAILED", "OPT_OUT"),
        OptOutKind::OptIn => ("OPT_IN_SUCCEEDED", "OPT_IN_FAILED", "OPT_IN"),
    };
    if status == failed || notification.channel.as_deref() != Some("SMS") {
        return Ok(vec![Reading::Ignored]);
    }
    if status != succeeded {
        return Ok(vec![unrecognised(&status)]);
    }
    let number = notification.identity.as_deref().and_then(number);
    Ok(vec![Reading::OptOut(ProviderOptOut {
        number: number.ok_or(Malformed { why: "no identity" })?,
        kind,
        scope: OptOutScope::Organization,
        code: code.to_owned(),
    })])
}

/// An unknown word is counted and logged; the longest known one has 17 letters.
const WORD_CHARS_MAX: usize = 40;
/// Codes are kept beside every message; the longest known one has 34 letters.
const CODE_CHARS_MAX: usize = 64;

fn unrecognised(word: &str) -> Reading {
    Reading::Unrecognised {
        status: word.chars().take(WORD_CHARS_MAX).collect(),
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Sinch writes numbers with and without their plus.
fn number(identity: &str) -> Option<Msisdn> {
    Msisdn::parse(&with_plus(identity)).ok()
}

fn time(text: &str) -> Option<Timestamp> {
    let text: serde::de::value::StrDeserializer<'_, Error> = text.into_deserializer();
    Timestamp::deserialize(text).ok()
}

// === Wire format: of every object only what is needed, and nothing is an error ===

#[derive(Deserialize)]
struct Event {
    message_delivery_report: Option<Value>,
    message: Option<Value>,
    opt_out_notification: Option<Value>,
    opt_in_notification: Option<Value>,
    #[serde(default, deserialize_with = "json::text")]
    accepted_time: Option<String>,
}

#[derive(Deserialize)]
struct Report {
    #[serde(default, deserialize_with = "json::text")]
    message_id: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "json::part")]
    channel_identity: Option<ChannelIdentity>,
    #[serde(default, deserialize_with = "json::text")]
    metadata: Option<String>,
    #[serde(default, deserialize_with = "json::part")]
    reason: Option<Reason>,
}

#[derive(Default, Deserialize)]
struct Reason {
    #[serde(default, deserialize_with = "json::text")]
    code: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    sub_code: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "ref")]
    reference: Option<Value>,
}

#[derive(Default, Deserialize)]
struct ChannelIdentity {
    #[serde(default, deserialize_with = "json::text")]
    channel: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    identity: Option<String>,
}

impl ChannelIdentity {
    fn sms_number(&self) -> Option<Msisdn> {
        let identity = self.identity.as_deref()?;
        (self.channel.as_deref() == Some("SMS")).then(|| number(identity))?
    }
}

#[derive(Deserialize)]
struct Message {
    #[serde(default, deserialize_with = "json::text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    direction: Option<String>,
    injected: Option<Value>,
    #[serde(default, deserialize_with = "json::part")]
    channel_identity: Option<ChannelIdentity>,
    #[serde(default, deserialize_with = "json::part")]
    contact_message: Option<ContactMessage>,
    #[serde(default, deserialize_with = "json::text")]
    sender_id: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    accept_time: Option<String>,
}

#[derive(Deserialize)]
struct ContactMessage {
    #[serde(default, deserialize_with = "json::part")]
    text_message: Option<TextMessage>,
    #[serde(default, deserialize_with = "json::part")]
    fallback_message: Option<FallbackMessage>,
    media_message: Option<Value>,
}

impl ContactMessage {
    /// What was written; nothing if it was no text at all.
    fn text(&self) -> Option<String> {
        let fallback = || Some(self.fallback_message.as_ref()?.raw_message.clone());
        match &self.text_message {
            Some(message) => Some(message.text.clone()),
            None => fallback(),
        }
        .map(Option::unwrap_or_default)
    }
}

#[derive(Deserialize)]
struct TextMessage {
    #[serde(default, deserialize_with = "json::text")]
    text: Option<String>,
}

#[derive(Deserialize)]
struct FallbackMessage {
    #[serde(default, deserialize_with = "json::text")]
    raw_message: Option<String>,
}

#[derive(Deserialize)]
struct Consent {
    #[serde(default, deserialize_with = "json::text")]
    channel: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    identity: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    status: Option<String>,
}
