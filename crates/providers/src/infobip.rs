//! Infobip SMS over HTTP, API version 3.
//! Source: `shared/providers/infobip.md`, read 2026-11-20; sections are named where they apply.
//!
//! Worth knowing before editing:
//! - One request carries many messages, each with its own text. Answers are matched by `messageId`,
//!   which is our reference: never by order, and never by number, since one may occur twice.
//! - A `200` carries failures of single messages; a `400` refuses all for the fault of one.
//! - A `messageId` that was used before is refused with status 23: the first try was accepted then.
//!   So a doubt is settled by submitting once more under the same reference, within minutes.
//! - One callback carries many reports: 100 by default and up to 2000, so that the route that takes
//!   them must allow bodies of at least 10 MiB. What is wrong with one report leaves the others be.
//! - Nothing is signed and nothing has a time: a replay is caught by whoever knows the message.

use bytes::Bytes;
use http::{Request, Response};
use message::{Connection, Timestamp, segments};

use crate::{
    AccessTokens, Answer, AnswersBy, CallbackAnswer, CallbackKind, CallbackRefused, Capabilities,
    Echo, Form, LocalRefusal, Malformed, MtMessage, OptOutScope, Prepared, Provider, Reading,
    RefusedCallback, RejectReason, StatusLookUp, SubmitMode, Unsendable, Verified,
    basic::{self, Padding},
};

mod answer;
mod callback;
mod codes;
mod form;
mod look_up;
mod request;

/// See the module.
#[derive(Debug)]
pub struct Infobip;

const SLUG: &str = "infobip-sms";

/// Neither is documented; both are ours (section 3).
const MESSAGES_MAX: usize = 500;
const MESSAGES_DEFAULT: usize = 100;

/// Status 25 (section 4). A character takes one byte at least, however Infobip counts them.
const SEGMENTS_MAX: u16 = 25;
const TEXT_BYTES_MAX: usize = 4000;

/// A text of so many bytes is short enough however it is encoded: nearly all are.
const TEXT_BYTES_SHORT: usize = 25 * 67;

static CAPABILITIES: Capabilities = Capabilities {
    messages_per_request: MESSAGES_MAX,
    answers_by: AnswersBy::Reference,
    reference_echo: Echo::Field("messageId"),
    receipts_per_part: false,
    inbound_in_parts: false,
    repeat_is_safe: true,
    status_look_up: true,
    lifts_opt_outs: false,
    opted_out_towards: OptOutScope::Sender,
    answers_keywords: false,
    // No figure is published (section 5), and the page starts with 4 requests in flight: of 100
    // messages each, answered within a second. Past what the account may, a 429 says so.
    segments_per_second: 400.0,
    // The page: start with 4 to 8 for one account.
    requests_in_flight: 8,
    sender_limits: &[],
    callback_methods: &["POST"],
    callback_content_types: &["application/json"],
    callback_slugs: &[SLUG],
    refused_callback: RefusedCallback {
        status: 401,
        asks_for_basic: true,
    },
};

impl Provider for Infobip {
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

    fn messages_per_request(&self, connection: &Connection) -> usize {
        let configured = connection.field("max_messages_per_request").parse();
        configured
            .unwrap_or(MESSAGES_DEFAULT)
            .clamp(1, MESSAGES_MAX)
    }

    fn check_message(
        &self,
        connection: &Connection,
        message: &MtMessage<'_>,
    ) -> Result<(), LocalRefusal> {
        let text = message.text;
        if text.len() <= TEXT_BYTES_SHORT {
            return Ok(());
        }
        // Transliteration may bring a text back into GSM-7, where it takes half the segments.
        let as_it_is = connection.field("transliteration").is_empty();
        let too_long = text.chars().count() > TEXT_BYTES_MAX
            || (as_it_is && segments::measure(text).segments > SEGMENTS_MAX);
        if too_long {
            return Err(LocalRefusal {
                reason: RejectReason::TooLong,
                code: "message_too_long",
            });
        }
        Ok(())
    }

    fn goes_alone(&self, _message: &MtMessage<'_>) -> bool {
        false
    }

    fn prepare(
        &self,
        connection: &Connection,
        public_url: &str,
    ) -> Result<Box<dyn Prepared>, Unsendable> {
        let max = self.messages_per_request(connection);
        Ok(Box::new(request::Messages::of(
            connection, public_url, max,
        )?))
    }

    fn read_response(
        &self,
        messages: &[MtMessage<'_>],
        _mode: SubmitMode, // One message and many have the same form.
        response: &Response<Bytes>,
    ) -> Answer {
        answer::read(messages, response)
    }

    fn verify_callback<'a>(
        &self,
        connection: &'a Connection,
        callback: &'a Request<Bytes>,
        _public_urls: &[String], // The URL is no part of the check (section 8).
        _now: Timestamp,
    ) -> Result<Verified<'a>, CallbackRefused> {
        basic::verify(
            connection,
            callback.headers(),
            Padding::Required,
            connection.field("webhook_username"),
            connection
                .secret("webhook_password")
                .map_or("", |password| password.reveal()),
        )?;
        Ok(Verified::by(connection, callback))
    }

    fn read_callback(
        &self,
        callback: Verified<'_>,
        kind: CallbackKind,
    ) -> Result<Vec<Reading>, Malformed> {
        callback::read(callback.request().body(), kind)
    }

    /// The body is not read (section 6).
    fn callback_answer(&self, _kind: CallbackKind) -> CallbackAnswer {
        CallbackAnswer {
            status: 200,
            content_type: "",
            body: "",
        }
    }
}

#[cfg(test)]
mod tests;
