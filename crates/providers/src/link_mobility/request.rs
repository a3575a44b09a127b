//! Requests for one message and for many. Source: `shared/providers/link-mobility.md`, sections 1.1,
//! 2 and 3.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use message::{Connection, Msisdn, Sender};
use serde::Serialize;

use super::{CAPABILITIES, form};
use crate::{MtMessage, Submission, SubmitMode, Unsendable, basic};

/// What a validity may be, documented for its absolute form (section 2).
const VALIDITY_MIN: Duration = Duration::from_secs(15 * 60);
const VALIDITY_MAX: Duration = Duration::from_secs(48 * 60 * 60);

/// LINK names no limit; this one is ours (section 3). 250 texts of 10 segments come to half of it.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

pub(super) fn build(
    connection: &Connection,
    submission: &Submission<'_>,
) -> Result<Request<Bytes>, Unsendable> {
    let messages = submission.messages;
    let (path, body) = match submission.mode {
        SubmitMode::Single => ("/sms/send", single(connection, messages)?),
        SubmitMode::Batch => ("/sms/sendbatch", batch(connection, messages)?),
    };
    Request::post(origin(connection) + path)
        .header(header::AUTHORIZATION, authorization(connection)?)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(body.into())
        .map_err(|_| unsendable(connection, "its endpoint host does not make a URL"))
}

fn origin(connection: &Connection) -> String {
    match connection.field("base_url") {
        "" => format!(
            "https://{}",
            form::host(connection.field("endpoint_host")).to_ascii_lowercase()
        ),
        base => base.trim_end_matches('/').to_owned(),
    }
}

fn authorization(connection: &Connection) -> Result<HeaderValue, Unsendable> {
    let password = connection
        .secret("password")
        .ok_or_else(|| unsendable(connection, "it has no password"))?;
    basic::authorization(connection.field("username"), password.reveal())
        .ok_or_else(|| unsendable(connection, "its credentials do not make a header"))
}

fn unsendable(connection: &Connection, why: &'static str) -> Unsendable {
    Unsendable::Connection {
        connection: connection.id.clone(),
        why,
    }
}

fn single(connection: &Connection, messages: &[MtMessage<'_>]) -> Result<Vec<u8>, Unsendable> {
    let [message] = messages else {
        return Err(Unsendable::Count {
            given: messages.len(),
            max: 1,
        });
    };
    let source = Source::of(connection)?;
    let body = Single {
        message: source.sends(connection, message),
        common: Common::of(connection, message.validity),
    };
    serde_json::to_vec(&body).map_err(|_| unsendable(connection, "its fields do not make JSON"))
}

fn batch(connection: &Connection, messages: &[MtMessage<'_>]) -> Result<Vec<u8>, Unsendable> {
    let given = messages.len();
    let max = CAPABILITIES.messages_per_request;
    // One validity for all: nobody is to be texted when it is no longer worth it.
    let shortest = messages.iter().map(|message| message.validity).min();
    let Some(validity) = shortest.filter(|_| given <= max) else {
        return Err(Unsendable::Count { given, max });
    };
    let source = Source::of(connection)?;
    let body = Batch {
        common: Common::of(connection, validity),
        send_request_messages: messages
            .iter()
            .map(|message| source.sends(connection, message))
            .collect(),
    };
    let body = serde_json::to_vec(&body)
        .map_err(|_| unsendable(connection, "its fields do not make JSON"))?;
    if body.len() > BODY_BYTES_MAX && given > 1 {
        let max = (given * BODY_BYTES_MAX / body.len()).max(1);
        return Err(Unsendable::Count { given, max });
    }
    Ok(body)
}

/// Characters outside the BMP have four bytes in UTF-8, the first of them from 0xf0 on.
pub(super) fn has_non_bmp(text: &str) -> bool {
    text.bytes().any(|byte| byte >= 0xf0)
}

/// What holds emoji together, and what stands between them.
pub(super) fn shows_nothing(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200d}' | '\u{fe0f}')
}

/// What is sent of `text`: all of it, or what LINK carries of it if the connection wants that.
pub(super) fn text<'t>(connection: &Connection, text: &'t str) -> Cow<'t, str> {
    if !has_non_bmp(text) || !form::is_yes(connection.field("strip_non_bmp")) {
        return Cow::Borrowed(text);
    }
    text.chars().filter(|c| *c <= '\u{ffff}').collect()
}

// === Wire format ===

/// A sender as LINK writes it (section 1.1).
struct Source {
    text: String,
    type_of_number: &'static str,
}

impl Source {
    fn of(connection: &Connection) -> Result<Self, Unsendable> {
        let type_of_number = match &connection.sender {
            Sender::Number(_) => "MSISDN",
            Sender::Alphanumeric(_) => "ALPHANUMERIC",
            Sender::ShortCode(_) => "SHORTNUMBER",
            Sender::Service(_) => return Err(unsendable(connection, "LINK has no sender pools")),
        };
        Ok(Self {
            text: connection.sender.key(),
            type_of_number,
        })
    }

    fn sends<'a>(&'a self, connection: &Connection, message: &MtMessage<'a>) -> Message<'a> {
        Message {
            source: &self.text,
            source_ton: self.type_of_number,
            destination: message.to,
            destination_ton: "MSISDN",
            user_data: text(connection, message.text),
            dcs: "TEXT",
            ref_id: message.reference,
        }
    }
}

#[derive(Serialize)]
struct Single<'a> {
    #[serde(flatten)]
    message: Message<'a>,
    #[serde(flatten)]
    common: Common<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Batch<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    send_request_messages: Vec<Message<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    source: &'a str,
    #[serde(rename = "sourceTON")]
    source_ton: &'static str,
    destination: Msisdn,
    #[serde(rename = "destinationTON")]
    destination_ton: &'static str,
    user_data: Cow<'a, str>,
    /// `TEXT`: LINK chooses GSM-7 or UCS-2 and splits.
    dcs: &'static str,
    ref_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Common<'a> {
    platform_id: &'a str,
    /// A string even where it is a number.
    platform_partner_id: &'a str,
    use_delivery_report: bool,
    delivery_report_gates: [&'a str; 1],
    /// Milliseconds.
    relative_validity_time: u64,
    /// Always false: true is answered by 204, and the message's id is lost.
    ignore_response: bool,
}

impl<'a> Common<'a> {
    fn of(connection: &'a Connection, validity: Duration) -> Self {
        let validity = validity.clamp(VALIDITY_MIN, VALIDITY_MAX);
        Self {
            platform_id: connection.field("platform_id"),
            platform_partner_id: connection.field("platform_partner_id"),
            use_delivery_report: true,
            delivery_report_gates: [connection.field("gate_id")],
            relative_validity_time: validity.as_secs() * 1000,
            ignore_response: false,
        }
    }
}
