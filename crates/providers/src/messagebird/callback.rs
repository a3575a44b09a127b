//! What MessageBird's webhooks say. Source: `shared/providers/messagebird.md`, sections 6 and 7.

use bytes::Bytes;
use http::Request;
use message::{Msisdn, Timestamp, opt_out::OptOutKind};
use sha2::{Digest, Sha256};
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::well_known::Rfc3339,
    macros::format_description,
};

use super::{
    codes::{OPTED_OUT, status_word},
    values::Values,
};
use crate::{
    CallbackKind, Inbound, Malformed, OptOutScope, ProviderOptOut, Reading, Receipt,
    checks::with_plus, signature::hex,
};

/// Uses the target and the body only: callbacks are read again from the queue, where little else of
/// them is left.
pub(super) fn read(
    callback: &Request<Bytes>,
    kind: CallbackKind,
) -> Result<Vec<Reading>, Malformed> {
    let values = Values::of(callback)?;
    match kind {
        CallbackKind::Status => receipt(&values),
        CallbackKind::Message => Ok(vec![Reading::Inbound(inbound(&values)?)]),
    }
}

// === Receipts: section 6 ===

fn receipt(values: &Values) -> Result<Vec<Reading>, Malformed> {
    let id = values.one("id").ok_or(Malformed { why: "no id" })?;
    let word = values.one("status").ok_or(Malformed { why: "no status" })?;
    let code = values
        .one("statusErrorCode")
        .filter(|code| *code != "0" && is_code(code))
        .unwrap_or_default();
    let Some(status) = status_word(word, code) else {
        let status = word.chars().take(WORD_CHARS_MAX).collect();
        return Ok(vec![Reading::Unrecognised { status }]);
    };
    let mut readings = vec![Reading::Receipt(Receipt {
        reference: values.one("reference").map(str::to_owned),
        provider_message_id: Some(id.to_owned()),
        status,
        error_code: code.to_owned(),
        part: None,
        // One receipt speaks for all parts (`messagePartCount`).
        parts: None,
        account_fault: false,
        about_repetition: false,
    })];
    if code == OPTED_OUT {
        let number = values.one("recipient").map(address);
        if let Some(number) = number.and_then(|number| Msisdn::parse(&number).ok()) {
            readings.push(Reading::OptOut(ProviderOptOut {
                number,
                kind: OptOutKind::OptOut,
                scope: OptOutScope::Sender,
                code: code.to_owned(),
            }));
        }
    }
    Ok(readings)
}

/// Codes are kept beside every message, so what is no code is not.
fn is_code(code: &str) -> bool {
    code.len() <= 6 && code.bytes().all(|b| b.is_ascii_digit())
}

/// An unknown word is counted and logged; the longest known one has 15 letters.
const WORD_CHARS_MAX: usize = 40;

// === Inbound messages: section 7 ===

/// A flow's author chooses its keys; a forwarded short code has keys of its own.
fn inbound(values: &Values) -> Result<Inbound, Malformed> {
    let short_code = values.one("shortcode");
    let (text_keys, id_keys): (&[_], &[_]) = match short_code {
        Some(_) => (&["message"], &["mid", "id"]),
        None => (
            &["body", "payload", "incomingMessage", "message"],
            &["id", "message_id", "mid"],
        ),
    };
    let text = values.first(text_keys).unwrap_or_default();
    let media = values.media();
    if text.is_empty() && media == 0 {
        return Err(Malformed {
            why: "nothing in it",
        });
    }
    let from = values
        .first(&["originator", "sender"])
        .map(address)
        .ok_or(Malformed {
            why: "no originator",
        })?;
    let to = short_code
        .or_else(|| values.first(&["recipient", "receiver"]))
        .map(address);
    let id = match values.first(id_keys) {
        Some(id) => id.to_owned(),
        None => {
            let time = TIMES.iter().find_map(|(name, _)| values.one(name));
            made_id([
                &from,
                to.as_deref().unwrap_or_default(),
                text,
                time.unwrap_or_default(),
            ])
        }
    };
    Ok(Inbound {
        provider_message_id: id,
        from,
        to,
        service: None,
        text: text.to_owned(),
        parts: 1,
        part: None,
        media,
        answers: None, // `reference` is the flow's, not ours.
        received_at: TIMES
            .iter()
            .find_map(|(name, read)| read(values.one(name)?)),
        provider_verdict: None,
    })
}

/// Someone's number or name. A plus that nobody escaped arrived as a blank.
fn address(text: &str) -> String {
    with_plus(text.trim())
}

/// An id of what the message says, so that its repetition has the same one. Their lengths keep the
/// parts apart.
fn made_id(parts: [&str; 4]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

type ReadTime = fn(&str) -> Option<Timestamp>;

/// Where the time of receipt may be, and how it is written there.
const TIMES: &[(&str, ReadTime)] = &[
    ("createdDatetime", rfc3339),
    ("receivedSMSDateTime", rfc3339),
    ("receive_datetime", compact),
    ("date_utc", unix),
];

/// With an offset whose plus may have become a blank, because nobody escaped it.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let blank = text.len().saturating_sub("+00:00".len());
    let at = match text.as_bytes().get(blank)? {
        b' ' => OffsetDateTime::parse(
            &[&text[..blank], "+", &text[blank + 1..]].concat(),
            &Rfc3339,
        ),
        _ => OffsetDateTime::parse(text, &Rfc3339),
    };
    timestamp(at.ok()?)
}

/// `YYYYMMDDhhmmss`, UTC.
fn compact(text: &str) -> Option<Timestamp> {
    let format = format_description!("[year][month][day][hour][minute][second]");
    let at = PrimitiveDateTime::parse(text, format).ok()?;
    timestamp(at.assume_utc())
}

/// Seconds since 1970.
fn unix(text: &str) -> Option<Timestamp> {
    timestamp(OffsetDateTime::from_unix_timestamp(text.parse().ok()?).ok()?)
}

fn timestamp(at: OffsetDateTime) -> Option<Timestamp> {
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()?;
    Some(Timestamp::from_millis(millis))
}
