//! LINK's gates: delivery reports and MO messages, told apart by what they are.
//! Source: `shared/providers/link-mobility.md`, sections 6 and 7.

use message::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::codes::receipt_code;
use crate::{Inbound, Malformed, Reading, Receipt, ReceiptStatus, checks::with_plus, json};

pub(super) fn read(body: &[u8]) -> Result<Vec<Reading>, Malformed> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(one)) => Ok(vec![reading(one)?]),
        Ok(Value::Array(several)) => each(several),
        Ok(_) | Err(_) => Err(Malformed {
            why: "body is no JSON object",
        }),
    }
}

/// Several at once are not documented. One that can not be read does not take its neighbours with
/// it, but is counted.
fn each(several: Vec<Value>) -> Result<Vec<Reading>, Malformed> {
    let mut readings = Vec::with_capacity(several.len());
    let mut fault = Malformed {
        why: "an empty array",
    };
    let mut unreadable = 0;
    for one in several {
        let read = match one {
            Value::Object(one) => reading(one),
            _ => Err(Malformed {
                why: "an element is no JSON object",
            }),
        };
        match read {
            Ok(reading) => readings.push(reading),
            Err(why) => {
                fault = why;
                unreadable += 1;
            }
        }
    }
    if readings.is_empty() {
        return Err(fault);
    }
    readings.extend((0..unreadable).map(|_| Reading::Unrecognised {
        status: "malformed".to_owned(),
    }));
    Ok(readings)
}

/// By the body and not by the path: one gate may serve both URLs (section 6.4).
fn reading(one: Map<String, Value>) -> Result<Reading, Malformed> {
    let has = |name| one.get(name).is_some_and(|value| !value.is_null());
    if has("resultCode") {
        let report = json::object(Value::Object(one));
        receipt(report.unwrap_or_default())
    } else if has("content") || has("messageId") && has("source") {
        let message = json::object(Value::Object(one));
        inbound(message.unwrap_or_default())
    } else {
        Err(Malformed {
            why: "neither a report nor a message",
        })
    }
}

fn receipt(report: Report) -> Result<Reading, Malformed> {
    let code = report.result_code.ok_or(Malformed {
        why: "resultCode is no number",
    })?;
    let reference = report.ref_id.filter(|reference| !reference.is_empty());
    let id = report.id.filter(|id| !id.is_empty());
    if reference.is_none() && id.is_none() {
        return Err(Malformed {
            why: "neither id nor refId",
        });
    }
    let Some(status) = receipt_code(code) else {
        return Ok(Reading::Unrecognised {
            status: code.to_string(),
        });
    };
    let (provider_message_id, part) = match id {
        Some(id) => {
            let (id, part) = part_of(id);
            (Some(id), part)
        }
        None => (None, None),
    };
    Ok(Reading::Receipt(Receipt {
        reference,
        provider_message_id,
        status,
        error_code: match status {
            ReceiptStatus::Accepted | ReceiptStatus::Sent | ReceiptStatus::Delivered => {
                String::new()
            }
            _ => code.to_string(),
        },
        part,
        parts: report
            .segments
            .and_then(|segments| u8::try_from(segments).ok())
            .filter(|segments| *segments > 0),
        account_fault: false,
        about_repetition: false,
    }))
}

/// The message's id and the part, of an id like `QC5B…$1`: `$` is not in the alphabet of ids.
///
/// The part is the suffix as it is: the page counts from 0 and its one example reads as if from 1, so
/// nothing may depend on where LINK begins. No message has parts beyond what a byte counts; should
/// one come, it is not taken for a whole message.
fn part_of(mut id: String) -> (String, Option<u8>) {
    let Some((message, suffix)) = id.rsplit_once('$') else {
        return (id, None);
    };
    let is_part = (1..=3).contains(&suffix.len()) && suffix.bytes().all(|b| b.is_ascii_digit());
    if message.is_empty() || !is_part {
        return (id, None);
    }
    let part = suffix.parse().unwrap_or(u8::MAX);
    id.truncate(message.len());
    (id, Some(part))
}

fn inbound(message: Mo) -> Result<Reading, Malformed> {
    let required = |member: Option<String>, why| {
        let member = member.filter(|member| !member.is_empty());
        member.ok_or(Malformed { why })
    };
    let content = message.content;
    let is = |word: Option<&String>, known: &str| {
        word.is_none_or(|word| word.eq_ignore_ascii_case(known))
    };
    let is_text = is(content.encoding.as_ref(), "TEXT");
    let is_sms = is(content.kind.as_ref(), "SMS");
    Ok(Reading::Inbound(Inbound {
        provider_message_id: required(message.message_id, "no messageId")?,
        from: with_plus(&required(message.source, "no source")?),
        to: message
            .destination
            .filter(|to| !to.is_empty())
            .map(|to| without_country(&to).to_owned()),
        service: None,
        // Other encodings are not documented: that somebody wrote is all they say.
        text: if is_text {
            content.user_data.unwrap_or_default()
        } else {
            String::new()
        },
        parts: 1,
        part: None,
        media: u8::from(!is_text || !is_sms),
        answers: None,
        received_at: message.timestamp,
        provider_verdict: None,
    }))
}

/// Short numbers come with their country: `NO-2333`.
fn without_country(to: &str) -> &str {
    let Some((country, number)) = to.split_once('-') else {
        return to;
    };
    let is_country = country.len() == 2 && country.bytes().all(|b| b.is_ascii_alphabetic());
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    if is_country && is_number { number } else { to }
}

// === Wire format: only what is used; everything else may be anything ===

/// A delivery report.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Report {
    #[serde(deserialize_with = "json::text")]
    ref_id: Option<String>,
    #[serde(deserialize_with = "json::text")]
    id: Option<String>,
    #[serde(deserialize_with = "json::integer")]
    result_code: Option<i64>,
    #[serde(deserialize_with = "json::integer")]
    segments: Option<i64>,
}

/// An MO message. Its `route` says which keyword it matched, and may be missing.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Mo {
    #[serde(deserialize_with = "json::text")]
    message_id: Option<String>,
    #[serde(deserialize_with = "json::text")]
    source: Option<String>,
    #[serde(deserialize_with = "json::text")]
    destination: Option<String>,
    #[serde(deserialize_with = "content")]
    content: Content,
    #[serde(deserialize_with = "time")]
    timestamp: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Content {
    #[serde(rename = "type", deserialize_with = "json::text")]
    kind: Option<String>,
    #[serde(deserialize_with = "json::text")]
    user_data: Option<String>,
    #[serde(deserialize_with = "json::text")]
    encoding: Option<String>,
}

fn content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Content, D::Error> {
    Ok(json::object(Value::deserialize(deserializer)?).unwrap_or_default())
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}
