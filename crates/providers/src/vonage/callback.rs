//! What Vonage's webhooks say, in either format. Source: `shared/providers/vonage.md`, sections 6, 7
//! and 13.

use bytes::Bytes;
use http::Request;
use message::{Msisdn, Timestamp, opt_out::OptOutKind};
use serde::Deserialize;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    answer::{Problem, is_code},
    codes::{MESSAGES_OPTED_OUT, NO_ERROR, SMS_OPTED_OUT, messages_word, sms_word},
    fields::{Fields, Webhook},
};
use crate::{
    CallbackKind, Inbound, InboundPart, Malformed, OptOutScope, ProviderOptOut, Reading, Receipt,
    ReceiptStatus, checks::with_plus, json,
};

/// Uses the method, target, content type and body only: callbacks are read again from the queue,
/// where nothing else of them is left. A signature does not cover the URL, so a genuine request may
/// have been brought to the wrong one: its fields have to fit what the URL is for.
pub(super) fn read(
    callback: &Request<Bytes>,
    kind: CallbackKind,
) -> Result<Vec<Reading>, Malformed> {
    match Webhook::of(callback).map_err(|why| Malformed { why })? {
        Webhook::Sms(fields) if fields.is_empty() => Ok(vec![Reading::Ignored]),
        Webhook::Sms(fields) => match kind {
            CallbackKind::Status => receipt(&fields),
            CallbackKind::Message => inbound(&fields).map(|reading| vec![reading]),
        },
        Webhook::Messages => {
            let body: Body = json::read(callback.body()).ok_or(Malformed {
                why: "it is no JSON object",
            })?;
            if needed(body.channel.as_deref(), "no channel")? != "sms" {
                return Ok(vec![Reading::Ignored]);
            }
            match kind {
                CallbackKind::Status => body.receipt(),
                CallbackKind::Message => body.inbound().map(|reading| vec![reading]),
            }
        }
    }
}

fn needed<'v>(value: Option<&'v str>, why: &'static str) -> Result<&'v str, Malformed> {
    value
        .filter(|value| !value.is_empty())
        .ok_or(Malformed { why })
}

/// A receipt and, where it says so, that its recipient had opted out; nothing if the status is
/// unknown.
fn readings(
    receipt: Receipt,
    opted_out_code: &'static str,
    recipient: Option<&str>,
) -> Vec<Reading> {
    let refused = matches!(
        receipt.status,
        ReceiptStatus::Failed | ReceiptStatus::Rejected
    );
    let opted_out = refused && receipt.error_code == opted_out_code;
    let number = recipient.filter(|_| opted_out).map(with_plus);
    let number = number.and_then(|number| Msisdn::parse(&number).ok());
    let opt_out = number.map(|number| {
        Reading::OptOut(ProviderOptOut {
            number,
            kind: OptOutKind::OptOut,
            scope: OptOutScope::Sender,
            code: opted_out_code.to_owned(),
        })
    });
    [Reading::Receipt(receipt)]
        .into_iter()
        .chain(opt_out)
        .collect()
}

fn unrecognised(word: &str) -> Vec<Reading> {
    let status = word.chars().take(WORD_CHARS_MAX).collect();
    vec![Reading::Unrecognised { status }]
}

/// An unknown word is counted and logged; the longest known one has 13 letters.
const WORD_CHARS_MAX: usize = 40;

/// `2025-11-13 12:45:09`, which is UTC; or RFC 3339, as some of Vonage's own tests have it.
fn read_time(text: &str) -> Option<Timestamp> {
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let at = parse(text).or_else(|| parse(&format!("{}Z", text.replacen(' ', "T", 1))))?;
    let millis = at.unix_timestamp_nanos() / 1_000_000;
    u64::try_from(millis).ok().map(Timestamp::from_millis)
}

// === The SMS API's receipts and messages: sections 6 and 7 ===

fn receipt(fields: &Fields) -> Result<Vec<Reading>, Malformed> {
    let provider_message_id = needed(fields.filled("messageId"), "no messageId")?;
    let word = needed(fields.filled("status"), "no status")?;
    let Some(status) = sms_word(word) else {
        return Ok(unrecognised(word));
    };
    let code = fields.filled("err-code").filter(|code| is_code(code));
    let receipt = Receipt {
        reference: fields.filled("client-ref").map(str::to_owned),
        provider_message_id: Some(provider_message_id.to_owned()),
        status,
        error_code: code
            .filter(|code| *code != NO_ERROR)
            .unwrap_or_default()
            .to_owned(),
        // Each part has a receipt, but none says which part it is: that is known by its id.
        part: None,
        parts: None,
        account_fault: false,
        about_repetition: false,
    };
    // Only these two words say it (section 6); `deleted` is failed without that meaning.
    let says_opt_out = ["failed", "rejected"].contains(&word.to_lowercase().as_str());
    if !says_opt_out {
        return Ok(vec![Reading::Receipt(receipt)]);
    }
    Ok(readings(receipt, SMS_OPTED_OUT, fields.filled("msisdn")))
}

fn inbound(fields: &Fields) -> Result<Reading, Malformed> {
    let text = fields.get("text").unwrap_or_default();
    if fields.filled("type").is_none() && fields.filled("text").is_none() {
        return Err(Malformed {
            why: "neither text nor type: not an inbound message",
        });
    }
    let from = needed(fields.filled("msisdn"), "no msisdn")?;
    let to = needed(fields.filled("to"), "no to")?;
    let provider_message_id = needed(fields.filled("messageId"), "no messageId")?;
    if fields.filled("type") == Some("binary") {
        return Ok(Reading::Ignored);
    }
    Ok(Reading::Inbound(Inbound {
        provider_message_id: provider_message_id.to_owned(),
        from: with_plus(from),
        to: Some(with_plus(to)),
        service: None,
        text: text.to_owned(),
        parts: 1,
        part: inbound_part(fields),
        media: 0,
        answers: None,
        received_at: fields.filled("message-timestamp").and_then(read_time),
        provider_verdict: None,
    }))
}

/// Nothing if it is no part, or if nobody could join it by what it says: then it is a message of its
/// own, as from carriers that do not join.
fn inbound_part(fields: &Fields) -> Option<InboundPart> {
    fields.filled("concat").filter(|concat| *concat == "true")?;
    let count = |name| fields.filled(name)?.parse::<u8>().ok();
    let (number, total) = (count("concat-part")?, count("concat-total")?);
    let part = InboundPart {
        reference: fields.filled("concat-ref")?.to_owned(),
        number,
        total,
    };
    (total > 1 && (1..=total).contains(&number)).then_some(part)
}

// === The Messages API's: section 13 ===

/// A status or an inbound message; in a status `to` is the recipient.
#[derive(Deserialize)]
struct Body {
    #[serde(default, deserialize_with = "json::text")]
    message_uuid: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    channel: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    to: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    from: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    timestamp: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    client_ref: Option<String>,
    #[serde(default)]
    error: Value,
    #[serde(default, deserialize_with = "json::text")]
    message_type: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    text: Option<String>,
    #[serde(default)]
    sms: Value,
}

/// How many parts were joined, by any of three names.
#[derive(Deserialize)]
struct Parts {
    #[serde(default, deserialize_with = "json::integer")]
    num_messages: Option<i64>,
    #[serde(default, deserialize_with = "json::integer")]
    count_total: Option<i64>,
    #[serde(default, deserialize_with = "json::integer")]
    total_count: Option<i64>,
}

impl Body {
    fn receipt(self) -> Result<Vec<Reading>, Malformed> {
        let word = needed(self.status.as_deref(), "no status")?;
        let id = needed(self.message_uuid.as_deref(), "no message_uuid")?;
        let error = json::object::<Problem>(self.error).and_then(Problem::code);
        let error_code = error.unwrap_or_default();
        let Some(status) = messages_word(word, &error_code) else {
            return Ok(unrecognised(word));
        };
        let receipt = Receipt {
            reference: self.client_ref.filter(|reference| !reference.is_empty()),
            provider_message_id: Some(id.to_owned()),
            status,
            error_code,
            // One receipt speaks for all parts, so that no others are to be waited for.
            part: None,
            parts: None,
            account_fault: false,
            about_repetition: false,
        };
        Ok(readings(receipt, MESSAGES_OPTED_OUT, self.to.as_deref()))
    }

    fn inbound(self) -> Result<Reading, Malformed> {
        let kind = needed(
            self.message_type.as_deref(),
            "no message_type: not an inbound message",
        )?;
        let from = needed(self.from.as_deref(), "no from")?;
        let to = needed(self.to.as_deref(), "no to")?;
        let provider_message_id = needed(self.message_uuid.as_deref(), "no message_uuid")?;
        if kind != "text" {
            return Ok(Reading::Ignored);
        }
        let parts = json::object::<Parts>(self.sms)
            .and_then(|sms| sms.num_messages.or(sms.count_total).or(sms.total_count))
            .and_then(|parts| u8::try_from(parts).ok())
            .unwrap_or(1);
        Ok(Reading::Inbound(Inbound {
            provider_message_id: provider_message_id.to_owned(),
            from: with_plus(from),
            to: Some(with_plus(to)),
            service: None,
            text: self.text.unwrap_or_default(),
            parts: parts.max(1),
            part: None,
            media: 0,
            answers: None,
            received_at: self.timestamp.as_deref().and_then(read_time),
            provider_verdict: None,
        }))
    }
}
