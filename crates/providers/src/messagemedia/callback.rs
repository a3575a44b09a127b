//! What callbacks say: reports, replies and opt-out events, all of them on the same URL.
//! Source: `shared/providers/messagemedia.md`, sections 6, 7 and 10.
//!
//! Account webhooks are templates of the customer's: a variable that is not set shows up as its own
//! name, `$replyId`, and is as good as absent.

use message::{Msisdn, Sender, Timestamp, event::Keyword, opt_out::OptOutKind};
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::codes::{DESTINATION_BLOCKED, USAGE_THRESHOLD, is_code, status};
use crate::{
    Inbound, Malformed, OptOutScope, ProviderOptOut, Reading, Receipt, ReceiptStatus, Verified,
    json,
};

/// The event's name where the customer registers for it.
const OPT_OUT_EVENT: &str = "OPT_OUT_SMS";

/// Dispatches on the keys that are there. An opt-out event is recognised before the bare `status`
/// of a template: an opt-out that is overlooked is the worse mistake.
pub(super) fn read(callback: &Verified<'_>) -> Result<Vec<Reading>, Malformed> {
    let body = callback.request().body();
    let said = Said(json::read(body).ok_or(Malformed {
        why: "body is not a JSON object",
    })?);
    if said.has("delivery_report_id") {
        receipt(&said)
    } else if said.has("reply_id") {
        let inbound = inbound(&said, "reply_id", callback)?;
        Ok(vec![Reading::Inbound(inbound)])
    } else if said.has("notification_id") {
        opt_out_event(&said, callback)
    } else if said.has("status") {
        receipt(&said)
    } else {
        Err(Malformed {
            why: "neither a report nor a reply nor an opt-out event",
        })
    }
}

/// The body's members.
struct Said(Map<String, Value>);

impl Said {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        usable(self.0.get(name)?)
    }

    /// Our reference, of the message that is reported on or answered.
    fn reference(&self) -> Option<String> {
        usable(self.0.get("metadata")?.get("ref")?)
    }
}

/// A text or a number, unless it says nothing.
fn usable(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| !text.is_empty() && !text.starts_with('$'))
}

// === Reports: section 6 ===

fn receipt(said: &Said) -> Result<Vec<Reading>, Malformed> {
    let word = match said.0.get("status") {
        Some(Value::String(word)) if !word.is_empty() && !word.starts_with('$') => word,
        _ => return Err(Malformed { why: "no status" }),
    };
    let (reference, provider_message_id) = (said.reference(), said.text("message_id"));
    if reference.is_none() && provider_message_id.is_none() {
        return Err(Malformed {
            why: "neither message_id nor metadata.ref",
        });
    }
    let error_code = said.text("error_code").filter(|code| is_code(code));
    let error_code = error_code.unwrap_or_default();
    let Some(status) = status(word, &error_code) else {
        let status = word.chars().take(WORD_CHARS_MAX).collect();
        return Ok(vec![Reading::Unrecognised { status }]);
    };
    let given_up = match status {
        ReceiptStatus::Rejected | ReceiptStatus::Failed | ReceiptStatus::Undelivered => true,
        ReceiptStatus::Accepted
        | ReceiptStatus::Sent
        | ReceiptStatus::Delivered
        | ReceiptStatus::Read
        | ReceiptStatus::Expired => false,
    };
    let refused_as = |code| given_up && error_code == code;
    // Reports come from the phone: the recipient is their source.
    let opted_out = said
        .text("source_number")
        .filter(|_| refused_as(DESTINATION_BLOCKED))
        .and_then(|number| opt_out(&number, OptOutScope::Sender, DESTINATION_BLOCKED));
    let receipt = Reading::Receipt(Receipt {
        reference,
        provider_message_id,
        status,
        account_fault: refused_as(USAGE_THRESHOLD),
        about_repetition: false,
        error_code,
        part: None,
        parts: None,
    });
    Ok(std::iter::once(receipt).chain(opted_out).collect())
}

/// An unknown word is counted and logged; the longest known one has 13 letters.
const WORD_CHARS_MAX: usize = 40;

// === Replies and opt-out events: section 7 ===

fn inbound(said: &Said, id: &str, callback: &Verified<'_>) -> Result<Inbound, Malformed> {
    let from = said.text("source_number").ok_or(Malformed {
        why: "no source_number",
    })?;
    let to = said.text("destination_number");
    let media = said.0.get("attachments").and_then(Value::as_array);
    let media = media.map_or(0, Vec::len);
    Ok(Inbound {
        provider_message_id: said.text(id).unwrap_or_default(),
        from: address(from),
        // Left out of replies to a message that was sent without a sender.
        to: to
            .map(address)
            .or_else(|| callback.sender().map(Sender::key)),
        service: None,
        text: content(said),
        parts: 1, // The vendor joins them.
        part: None,
        media: u8::try_from(media).unwrap_or(u8::MAX),
        answers: said.reference(),
        received_at: said.text("date_received").and_then(|text| time(&text)),
        provider_verdict: None,
    })
}

/// Whatever its text, it is an opt-out: the vendor has put its writer on the account's blacklist. So
/// the verdict is the vendor's, and ours to `START` or to nothing at all is not asked for; and no
/// confirmation of ours follows, which the blacklist would stop.
fn opt_out_event(said: &Said, callback: &Verified<'_>) -> Result<Vec<Reading>, Malformed> {
    let inbound = Inbound {
        provider_verdict: Some(Keyword::OptOut),
        ..inbound(said, "notification_id", callback)?
    };
    let opt_out = opt_out(&inbound.from, OptOutScope::Organization, OPT_OUT_EVENT);
    Ok(std::iter::once(Reading::Inbound(inbound))
        .chain(opt_out)
        .collect())
}

fn opt_out(number: &str, scope: OptOutScope, code: &str) -> Option<Reading> {
    let digits = number.strip_prefix('+').unwrap_or(number);
    Some(Reading::OptOut(ProviderOptOut {
        number: Msisdn::parse_digits(digits).ok()?,
        kind: OptOutKind::OptOut,
        scope,
        code: code.to_owned(),
    }))
}

/// Eight digits and more are a number, fewer a short code: as in the form.
fn address(text: String) -> String {
    match Msisdn::parse_digits(&text) {
        Ok(number) if text.len() >= 8 => number.e164(),
        _ => text,
    }
}

/// People do write texts that begin with `$`, so only what a template makes of no text is none.
fn content(said: &Said) -> String {
    match said.0.get("content") {
        Some(Value::String(text)) if !UNSET_CONTENT.contains(&text.as_str()) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

const UNSET_CONTENT: &[&str] = &[
    "$moContent",
    "$!moContent",
    "$esc.json($moContent)",
    "$esc.json($!moContent)",
];

fn time(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()?;
    Some(Timestamp::from_millis(millis))
}
