//! What Infobip's webhooks say. Source: `shared/providers/infobip.md`, sections 6, 7 and 10.

use message::{Msisdn, Timestamp, opt_out::OptOutKind};
use serde::Deserialize;
use serde_json::Value;
use time::{
    OffsetDateTime,
    format_description::{StaticFormatDescription, well_known::Rfc3339},
    macros::format_description,
};

use super::codes::{DUPLICATE, Status, is_account_fault, is_opt_out, receipt_status};
use crate::{
    CallbackKind, Inbound, Malformed, OptOutScope, ProviderOptOut, Reading, Receipt,
    checks::with_plus, json,
};

/// Every entry of the body, for itself. An entry that is about nothing of ours (a click, a change of
/// a blocklist) is [`Reading::Ignored`]; one that ought to say something and can not be used is
/// [`Reading::Unrecognised`], so that it is logged and kept.
pub(super) fn read(body: &[u8], kind: CallbackKind) -> Result<Vec<Reading>, Malformed> {
    let body = serde_json::from_slice(body).map_err(|_| Malformed { why: "not JSON" })?;
    let Results { results } = json::object(body).ok_or(Malformed {
        why: "no array `results`: a callback that is not about messages",
    })?;
    let readings = read_as(kind, &results);
    if readings.iter().any(|reading| *reading != Reading::Ignored) {
        return Ok(readings);
    }
    // Nothing in it belongs to its URL. People mix up the two, and a STOP is not to be lost by it.
    let other = match kind {
        CallbackKind::Status => CallbackKind::Message,
        CallbackKind::Message => CallbackKind::Status,
    };
    Ok(read_as(other, &results))
}

fn read_as(kind: CallbackKind, results: &[Value]) -> Vec<Reading> {
    let mut readings = Vec::with_capacity(results.len());
    for entry in results {
        match kind {
            CallbackKind::Status => match object(entry) {
                Some(report) => read_report(report, &mut readings),
                None => readings.push(unusable("unreadable_entry")),
            },
            CallbackKind::Message => {
                readings.push(object(entry).map_or_else(|| unusable("unreadable_entry"), inbound));
            }
        }
    }
    readings
}

/// As [`json::object`], of an entry that may be read once more.
fn object<'a, T: Deserialize<'a>>(entry: &'a Value) -> Option<T> {
    entry.is_object().then(|| T::deserialize(entry).ok())?
}

fn unusable(why: &str) -> Reading {
    Reading::Unrecognised {
        status: why.to_owned(),
    }
}

// === Reports: section 6 ===

fn read_report(report: Report, readings: &mut Vec<Reading>) {
    if report.status.is_null() {
        return readings.push(Reading::Ignored);
    }
    if report.message_id().is_none() {
        return readings.push(unusable("missing_message_id"));
    }
    let Some(status) = report.status() else {
        return readings.push(unusable("unreadable_status"));
    };
    let Some(receipt) = report.receipt(&status) else {
        return readings.push(unusable(&status.word()));
    };
    readings.push(Reading::Receipt(receipt));
    readings.extend(report.opt_out().map(Reading::OptOut));
}

/// A report, or a line of the log, which has the same members. The forms of v2 and v3 differ only in
/// what nobody needs; everything but the id and the status may be missing.
#[derive(Deserialize)]
pub(super) struct Report {
    #[serde(default, rename = "messageId")]
    message_id: Value,
    #[serde(default, deserialize_with = "json::text")]
    to: Option<String>,
    #[serde(default)]
    status: Value,
    #[serde(default, deserialize_with = "json::part")]
    error: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default, deserialize_with = "json::integer")]
    id: Option<i64>,
}

impl Report {
    /// Ours, so it is a text; a number is not.
    pub(super) fn message_id(&self) -> Option<&str> {
        self.message_id.as_str().filter(|id| !id.is_empty())
    }

    pub(super) fn status(&self) -> Option<Status> {
        json::object(self.status.clone())
    }

    fn error(&self) -> Option<i64> {
        let id = self.error.as_ref()?.id;
        id.filter(|id| *id != 0)
    }

    /// Nothing if the table does not know the status.
    pub(super) fn receipt(&self, status: &Status) -> Option<Receipt> {
        let group = status.group_of_report()?;
        let error_code = match (self.error(), status.id) {
            (Some(error), _) => error.to_string(),
            (None, Some(id)) if group.is_failure() => format!("status-{id}"),
            (None, _) => String::new(),
        };
        let id = self.message_id().map(str::to_owned);
        Some(Receipt {
            reference: id.clone(),
            provider_message_id: id,
            status: receipt_status(group, status.id),
            error_code,
            part: None,
            // `messageCount` says what is billed; a report is always about the whole message.
            parts: None,
            account_fault: group.is_failure() && is_account_fault(status.id, self.error()),
            about_repetition: status.id == Some(DUPLICATE),
        })
    }

    /// Only this sender was refused: nobody else's messages, as far as the operator tells.
    fn opt_out(&self) -> Option<ProviderOptOut> {
        let code = self.error().filter(|error| is_opt_out(*error))?;
        Some(ProviderOptOut {
            number: Msisdn::parse(&with_plus(self.to.as_deref()?)).ok()?,
            kind: OptOutKind::OptOut,
            scope: OptOutScope::Sender,
            code: code.to_string(),
        })
    }
}

// === Inbound messages: section 7 ===

fn inbound(entry: Mo) -> Reading {
    let media = media(&entry.message);
    // The whole text: without its keyword, a STOP would be empty.
    let text = entry.text.or_else(|| plain_text(&entry.message));
    let text = text.unwrap_or_default();
    if text.is_empty() && media == 0 {
        return Reading::Ignored;
    }
    let given = |value: Option<String>| value.filter(|value| !value.is_empty());
    // Without an id it may still be a STOP.
    let provider_message_id = given(entry.message_id).unwrap_or_default();
    let Some(from) = given(entry.from) else {
        return unusable("missing_from");
    };
    let parts = entry.sms_count.unwrap_or_default().clamp(1, 255);
    Reading::Inbound(Inbound {
        provider_message_id,
        from: with_plus(&from),
        to: given(entry.to).map(|to| with_plus(&to)),
        service: None,
        text,
        parts: u8::try_from(parts).unwrap_or(u8::MAX),
        part: None, // One entry holds the joined text.
        media,
        // `callbackData` may be echoed from the last message sent; it is not relied on.
        answers: None,
        received_at: entry.received_at.as_deref().and_then(time_of),
        provider_verdict: None,
    })
}

/// The texts of an MMS, a line each; nothing if it is none or has none.
fn plain_text(message: &Value) -> Option<String> {
    let is_plain = |part: &&Value| {
        let content_type = part["contentType"].as_str().unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default();
        content_type.trim().eq_ignore_ascii_case("text/plain")
    };
    let parts = message.as_array()?.iter().filter(is_plain);
    let texts: Vec<_> = parts.filter_map(|part| part["value"].as_str()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn media(message: &Value) -> u8 {
    let parts = message.as_array().into_iter().flatten();
    let media = parts.filter(|part| part["url"].as_str().is_some_and(|url| !url.is_empty()));
    u8::try_from(media.count()).unwrap_or(u8::MAX)
}

/// The offset has no colon, which RFC 3339 asks for.
const TIME: StaticFormatDescription = format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond][offset_hour sign:mandatory][offset_minute]"
);

fn time_of(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, TIME).or_else(|_| OffsetDateTime::parse(text, &Rfc3339));
    let millis = at.ok()?.unix_timestamp_nanos() / 1_000_000;
    u64::try_from(millis).ok().map(Timestamp::from_millis)
}

// === Wire format ===

#[derive(Deserialize)]
pub(super) struct Results {
    pub(super) results: Vec<Value>,
}

/// An inbound message, `MO_JSON_2`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mo {
    #[serde(default, deserialize_with = "json::text")]
    message_id: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    from: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    to: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    text: Option<String>,
    /// The parts of an MMS, in place of `text`.
    #[serde(default)]
    message: Value,
    #[serde(default, deserialize_with = "json::text")]
    received_at: Option<String>,
    #[serde(default, deserialize_with = "json::integer")]
    sms_count: Option<i64>,
}
