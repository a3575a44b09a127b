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

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use message::{Connection, Timestamp};

use crate::{
    AccessTokens, Answer, AnswersBy, CallbackAnswer, CallbackKind, CallbackRefused, Capabilities,
    Echo, Form, LocalRefusal, Malformed, MtMessage, OptOutScope, Prepared, Provider, Reading,
    RefusedCallback, RejectReason, StatusLookUp, SubmitMode, Unsendable, Verified, basic,
};

mod answer;
mod callback;
mod codes;
mod fields;
mod form;
mod look_up;
mod request;
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
    // Ours: the page names no figure.
    requests_in_flight: 20,
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

    fn prepare(
        &self,
        connection: &Connection,
        public_url: &str,
    ) -> Result<Box<dyn Prepared>, Unsendable> {
        Ok(Box::new(request::Messages::of(connection, public_url)?))
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

// === What sends ===

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

#[cfg(test)]
mod tests;
