//! Vonage: the SMS API, and by choice the Messages API.
//! Source: `shared/providers/vonage.md`, read 2026-11-20; sections are named where they apply.
//!
//! Worth knowing before editing:
//! - One request is one message. The entries of an answer's `messages` are the parts of that one
//!   message, and each part has its own id and its own receipt.
//! - `200` says nothing: the SMS API refuses inside it, part by part.
//! - Which webhook format arrives is a setting of the account and not of the connection, so both are
//!   recognised and verified whichever API sends.
//! - The SMS API signs parameters and not the URL, and signs `&`, `=` and `_` as the same character.
//! - Long inbound messages come in parts in the SMS API's format, joined in the Messages API's.
//! - A person who opted out shows only in a receipt: the submission was accepted.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use message::{
    Connection, Sender, Timestamp,
    segments::{self, Encoding},
};
use serde::Serialize;

use crate::{
    AccessTokens, Answer, AnswersBy, CallbackAnswer, CallbackKind, CallbackRefused, Capabilities,
    Echo, Form, LocalRefusal, Malformed, MtMessage, OptOutScope, Provider, Reading,
    RefusedCallback, RejectReason, StatusLookUp, Submission, SubmitMode, Unsendable, Verified,
    basic, callback_path,
};

mod answer;
mod callback;
mod codes;
mod fields;
mod form;
mod look_up;
mod signed;

/// See the module.
#[derive(Debug)]
pub struct Vonage;

const SLUG: &str = "vonage-sms";
const SMS_API: &str = "https://rest.nexmo.com";
const MESSAGES_API: &str = "https://api.nexmo.com";

/// Characters of a text (sections 2 and 13; the Messages API's older limit, which is the safe one).
const SMS_CHARS_MAX: usize = 3200;
const MESSAGES_CHARS_MAX: usize = 1000;

/// Characters of the `callback` parameter, counted before it is encoded (sections 2 and 12).
const CALLBACK_CHARS_MAX: usize = 100;

/// How long Vonage tries (sections 2 and 13: the same limits in milliseconds and in seconds).
const TTL_SECONDS: std::ops::RangeInclusive<u64> = 20..=604_800;

static CAPABILITIES: Capabilities = Capabilities {
    messages_per_request: 1,
    answers_by: AnswersBy::One,
    reference_echo: Echo::Field("client-ref"),
    receipts_per_part: true,
    inbound_in_parts: true,
    repeat_is_safe: false,
    status_look_up: true,
    lifts_opt_outs: false,
    // Opt-Out Assist does, but only where a customer asked Vonage for it (section 10).
    opted_out_towards: OptOutScope::Sender,
    answers_keywords: false,
    // Section 5: 30 requests a second for an API key by default, and a request is one message.
    segments_per_second: 30.0,
    sender_limits: &[],
    callback_methods: &["GET", "POST"],
    callback_content_types: &["application/x-www-form-urlencoded", "application/json"],
    callback_slugs: &[SLUG],
    refused_callback: RefusedCallback {
        status: 401,
        asks_for_basic: false,
    },
};

impl Provider for Vonage {
    fn slug(&self) -> &'static str {
        SLUG
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAPABILITIES
    }

    fn form(&self) -> &'static Form {
        &form::FORM
    }

    fn access_tokens(&self) -> Option<&'static dyn AccessTokens> {
        None
    }

    fn status_look_up(&self) -> Option<&'static dyn StatusLookUp> {
        Some(&look_up::LookUp)
    }

    fn messages_per_request(&self, _connection: &Connection) -> usize {
        CAPABILITIES.messages_per_request
    }

    fn check_message(
        &self,
        connection: &Connection,
        message: &MtMessage<'_>,
    ) -> Result<(), LocalRefusal> {
        let chars_max = match Api::of(connection) {
            Api::Sms => SMS_CHARS_MAX,
            Api::Messages => MESSAGES_CHARS_MAX,
        };
        // A text of so few bytes has no more characters.
        if message.text.len() <= chars_max || message.text.chars().count() <= chars_max {
            Ok(())
        } else {
            Err(LocalRefusal {
                reason: RejectReason::TooLong,
                code: "text_too_long",
            })
        }
    }

    fn goes_alone(&self, _message: &MtMessage<'_>) -> bool {
        false // Every message does.
    }

    fn build_request(
        &self,
        connection: &Connection,
        submission: &Submission<'_>,
    ) -> Result<Request<Bytes>, Unsendable> {
        let [message] = submission.messages else {
            return Err(Unsendable::Count {
                given: submission.messages.len(),
                max: CAPABILITIES.messages_per_request,
            });
        };
        let path = callback_path(CallbackKind::Status, SLUG, &connection.organization_id);
        let status_url = format!("{}{path}", submission.public_url);
        let (url, content_type, body) = match Api::of(connection) {
            Api::Sms => (
                url(connection, "base_url", SMS_API, "/sms/json"),
                "application/x-www-form-urlencoded",
                submit_form(connection, message, &status_url).into_bytes(),
            ),
            Api::Messages => (
                url(
                    connection,
                    "messages_base_url",
                    MESSAGES_API,
                    "/v1/messages",
                ),
                "application/json",
                submit_json(connection, message, &status_url)?,
            ),
        };
        Request::post(url)
            .header(header::AUTHORIZATION, authorization(connection)?)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, "application/json")
            .body(body.into())
            .map_err(|_| unsendable(connection, "its base URL does not make a URL"))
    }

    fn read_response(
        &self,
        messages: &[MtMessage<'_>],
        _mode: SubmitMode,
        response: &Response<Bytes>,
    ) -> Answer {
        Answer::all(messages.len(), answer::outcome(response))
    }

    fn verify_callback<'a>(
        &self,
        connection: &'a Connection,
        callback: &'a Request<Bytes>,
        _public_urls: &[String], // Neither format signs the URL.
        now: Timestamp,
    ) -> Result<Verified<'a>, CallbackRefused> {
        signed::verify(connection, callback, now)?;
        // Without the nonce: whether a repetition is signed anew is not documented (section 8), and
        // one that was not must not be taken for a replay.
        Ok(Verified::by(connection, callback))
    }

    fn read_callback(
        &self,
        callback: Verified<'_>,
        kind: CallbackKind,
    ) -> Result<Vec<Reading>, Malformed> {
        callback::read(callback.request(), kind)
    }

    fn callback_answer(&self, _kind: CallbackKind) -> CallbackAnswer {
        CallbackAnswer {
            status: 200,
            content_type: "",
            body: "",
        }
    }
}

// === Build: sections 2 and 13 ===

/// Which API sends; both kinds of webhooks are understood all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    Sms,
    Messages,
}

impl Api {
    fn of(connection: &Connection) -> Self {
        match connection.field("api") {
            "messages" => Self::Messages,
            _ => Self::Sms,
        }
    }
}

fn url(connection: &Connection, key: &str, usual: &str, path: &str) -> String {
    let base = match connection.field(key) {
        "" => usual,
        base => base.trim_end_matches('/'),
    };
    format!("{base}{path}")
}

fn authorization(connection: &Connection) -> Result<HeaderValue, Unsendable> {
    let auth_token = connection
        .secret("auth_token")
        .ok_or_else(|| unsendable(connection, "it has no auth token"))?;
    basic::authorization(connection.field("account_sid"), auth_token.reveal())
        .ok_or_else(|| unsendable(connection, "its credentials do not make a header"))
}

fn unsendable(connection: &Connection, why: &'static str) -> Unsendable {
    Unsendable::Connection {
        connection: connection.id.clone(),
        why,
    }
}

/// Numbers without their plus.
fn from(sender: &Sender) -> Cow<'_, str> {
    match sender {
        Sender::Number(number) => number.digits().into(),
        Sender::ShortCode(text) | Sender::Alphanumeric(text) | Sender::Service(text) => {
            Cow::Borrowed(text)
        }
    }
}

fn ttl_seconds(message: &MtMessage<'_>) -> u64 {
    let (least, most) = (*TTL_SECONDS.start(), *TTL_SECONDS.end());
    message.validity.as_secs().clamp(least, most)
}

fn submit_form(connection: &Connection, message: &MtMessage<'_>, status_url: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("from", &from(&connection.sender));
    form.append_pair("to", &message.to.digits());
    form.append_pair("text", message.text);
    // The wrong one garbles the text.
    let encoding = match segments::measure(message.text).encoding {
        Encoding::Gsm7 => "text",
        Encoding::Ucs2 => "unicode",
    };
    form.append_pair("type", encoding);
    form.append_pair("status-report-req", "1");
    form.append_pair("client-ref", message.reference);
    if fits_callback(status_url) {
        form.append_pair("callback", status_url);
    }
    form.append_pair("ttl", &(ttl_seconds(message) * 1000).to_string());
    for (name, key) in [("entity-id", "entity_id"), ("content-id", "content_id")] {
        match connection.field(key) {
            "" => {}
            id => _ = form.append_pair(name, id),
        }
    }
    form.finish()
}

/// Vonage refuses the whole message over a URL that is too long or has an underscore in its host's
/// name. Without it receipts come to the URL that is set in the account.
fn fits_callback(url: &str) -> bool {
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':');
    url.chars().count() <= CALLBACK_CHARS_MAX && host.bytes().all(plain)
}

fn submit_json(
    connection: &Connection,
    message: &MtMessage<'_>,
    status_url: &str,
) -> Result<Vec<u8>, Unsendable> {
    serde_json::to_vec(&Submit {
        channel: "sms",
        message_type: "text",
        to: &message.to.digits(),
        from: &from(&connection.sender),
        text: message.text,
        client_ref: message.reference,
        webhook_url: status_url,
        webhook_version: "v1",
        ttl: ttl_seconds(message),
        sms: Sms {
            encoding_type: "auto",
        },
    })
    .map_err(|_| unsendable(connection, "a message does not make JSON"))
}

// === Wire format of the Messages API: section 13 ===

#[derive(Serialize)]
struct Submit<'a> {
    channel: &'static str,
    message_type: &'static str,
    to: &'a str,
    from: &'a str,
    text: &'a str,
    client_ref: &'a str,
    webhook_url: &'a str,
    webhook_version: &'static str,
    ttl: u64,
    sms: Sms,
}

#[derive(Serialize)]
struct Sms {
    encoding_type: &'static str,
}

#[cfg(test)]
mod tests;
