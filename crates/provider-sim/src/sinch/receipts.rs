//! Sinch's words for the stages of a message, its reasons for a failure, and the event of a delivery report.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::accounts::{Account, SinchAccount};
use super::{Details, Sinch};
use crate::chance::{Dice, Subject};
use crate::engine::{Phase, Provider, Receipt, View};

/// Sinch's word. `QUEUED` is never told.
pub(crate) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Accepted | Phase::Queued => "QUEUED",
        Phase::Sent => "QUEUED_ON_CHANNEL",
        Phase::Delivered => "DELIVERED",
        Phase::Undelivered | Phase::Failed | Phase::Expired | Phase::Rejected => "FAILED",
    }
}

/// What becomes of a few messages of an account in good order. Codes that accuse the account are never left to chance.
pub(crate) fn codes(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Undelivered => &[
            "RECIPIENT_NOT_REACHABLE",
            "RECIPIENT_NOT_REACHABLE",
            "DELIVERY_TIMED_OUT",
            "DELIVERY_REPORT_TIME_OUT",
            "RECIPIENT_INVALID_CHANNEL_IDENTITY",
        ],
        Phase::Failed | Phase::Rejected => &[
            "CHANNEL_FAILURE",
            "CHANNEL_REJECT",
            "DELIVERY_REJECTED_DUE_TO_POLICY",
            "INTERNAL_ERROR",
            "RATE_LIMITED",
            "UNKNOWN",
        ],
        Phase::Expired => &["MESSAGE_EXPIRED"],
        Phase::Accepted | Phase::Queued | Phase::Sent | Phase::Delivered => &[],
    }
}

fn description(code: &str) -> &'static str {
    match code {
        "RECIPIENT_NOT_REACHABLE" => "The underlying channel reported: absent subscriber",
        "RECIPIENT_INVALID_CHANNEL_IDENTITY" => {
            "The underlying channel reported: unknown subscriber"
        }
        "DELIVERY_TIMED_OUT" => "The underlying channel reported: timed out",
        "DELIVERY_REPORT_TIME_OUT" => "No delivery report came from the underlying channel",
        "MESSAGE_EXPIRED" => "The message's time to live ended before it was sent",
        "CHANNEL_BAD_CONFIGURATION" => "The underlying channel reported: sender is not active",
        "CHANNEL_CONFIGURATION_MISSING" => "The service plan has no default originator",
        "MESSAGE_SPLIT_REQUIRED" => "The underlying channel reported: too many message parts",
        "RECIPIENT_NOT_OPTED_IN" => "The recipient has opted out",
        "BAD_REQUEST" => "The message is not valid for the underlying channel",
        _ => "The underlying channel reported a failure",
    }
}

/// What all events have around their own member.
#[derive(Serialize)]
pub(crate) struct Envelope<'a> {
    pub app_id: &'a str,
    pub accepted_time: String,
    pub event_time: String,
    pub project_id: &'a str,
    #[serde(flatten)]
    pub event: Event<'a>,
    pub message_metadata: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<&'a str>,
}

/// An event's own member.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    MessageDeliveryReport(Box<Report<'a>>),
    /// Of an event that the app sent, which the fleet's never do.
    #[serde(rename = "event_delivery_report")]
    Foreign(serde_json::Value),
    Message(serde_json::Value),
    OptOutNotification(serde_json::Value),
    OptInNotification(serde_json::Value),
}

#[derive(Serialize)]
pub(crate) struct ChannelIdentity {
    channel: &'static str,
    identity: String,
    app_id: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Report<'a> {
    message_id: String,
    conversation_id: &'static str,
    status: &'static str,
    channel_identity: ChannelIdentity,
    contact_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason<'a>>,
    metadata: String,
    processing_mode: &'static str,
    // Of a recipient that the batch could not process. Where these two stand is unconfirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_index: Option<usize>,
}

#[derive(Serialize)]
struct Reason<'a> {
    code: &'a str,
    description: &'static str,
    sub_code: &'static str,
    channel_code: &'static str,
}

/// The body of a status callback.
pub(crate) fn body(account: &Account, receipt: &Receipt<Details>) -> String {
    let message = &receipt.message;
    let batch = message.details.batch.as_ref();
    let unprocessed = batch.and_then(|batch| Some((batch.id.as_str(), batch.unprocessed?)));
    let report = Report {
        // What was never made a message has no id.
        message_id: match unprocessed {
            Some(_) => String::new(),
            None => Sinch::IDS.write(message.number),
        },
        conversation_id: "",
        status: word(receipt.phase),
        channel_identity: ChannelIdentity::new(identity_of(message)),
        contact_id: "",
        reason: receipt.code.map(|code| Reason {
            code,
            description: description(code),
            sub_code: match code {
                "CHANNEL_BAD_CONFIGURATION" => "INACTIVE_SENDER",
                _ => "UNSPECIFIED_SUB_CODE",
            },
            channel_code: "",
        }),
        metadata: metadata_of(message),
        processing_mode: "DISPATCH",
        batch_id: unprocessed.map(|(id, _)| id),
        message_index: unprocessed.map(|(_, index)| index),
    };
    let correlation = message.details.correlation_id.as_str();
    let envelope = Envelope {
        accepted_time: seconds(message.created),
        event_time: nanoseconds(receipt.at),
        event: Event::MessageDeliveryReport(Box::new(report)),
        correlation_id: (!correlation.is_empty()).then_some(correlation),
        ..Envelope::of(&account.settings, receipt.at)
    };
    envelope.json()
}

impl<'a> Envelope<'a> {
    /// An envelope of this moment around an event of nobody's.
    pub fn of(account: &'a SinchAccount, at: SystemTime) -> Self {
        Self {
            app_id: &account.app_id,
            accepted_time: milliseconds(at),
            event_time: nanoseconds(at),
            project_id: &account.project_id,
            event: Event::Foreign(serde_json::Value::Null),
            message_metadata: "",
            correlation_id: None,
        }
    }

    pub fn json(&self) -> String {
        // Strings and numbers only, which always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ChannelIdentity {
    pub fn new(identity: String) -> Self {
        Self {
            channel: "SMS",
            identity,
            app_id: "",
        }
    }
}

/// The recipient as the API gives it back.
pub(crate) fn identity_of(message: &View<Details>) -> String {
    match &message.details.odd_identity {
        Some(odd) => odd.clone(),
        None => identity(message.to),
    }
}

/// A person's number: Sinch gives back either form, here mostly without plus.
pub(crate) fn identity(person: u64) -> String {
    let subject = Subject {
        recipient: person,
        reference: "",
        turn: 0,
    };
    if Dice(0).roll("plus", subject) < 0.25 {
        format!("+{person}")
    } else {
        person.to_string()
    }
}

/// A single message's metadata as it came; in a batch JSON in a string, with the batch's id.
pub(crate) fn metadata_of(message: &View<Details>) -> String {
    let Some(batch) = &message.details.batch else {
        return message.reference.to_string();
    };
    let reference = Some(("ref", &*message.reference)).filter(|(_, text)| !text.is_empty());
    let rest = batch
        .rest
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let all = reference
        .into_iter()
        .chain(rest)
        .chain([("_batch_id", batch.id.as_str())]);
    let member = |(key, value): (&str, &str)| {
        format!("{}:{}", serde_json::json!(key), serde_json::json!(value))
    };
    format!("{{{}}}", all.map(member).collect::<Vec<_>>().join(","))
}

/// A time as most of Sinch's are written.
pub(crate) fn milliseconds(at: SystemTime) -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from(at).format(&form).unwrap_or_default()
}

/// With as many digits as there are, up to nine.
pub(crate) fn nanoseconds(at: SystemTime) -> String {
    OffsetDateTime::from(at)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// Seconds since 1970.
pub(crate) fn seconds(unix: u32) -> String {
    nanoseconds(UNIX_EPOCH + Duration::from_secs(unix.into()))
}
