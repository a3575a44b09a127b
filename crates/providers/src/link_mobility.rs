//! LINK Mobility, SMS REST API of the "Common" platform (formerly Sergel).
//! Source: `shared/providers/link-mobility.md`, read 2026-11-20; sections are named where they apply.
//!
//! Worth knowing before editing:
//! - `/sms/send` takes one message, `/sms/sendbatch` up to 1000, all with the same validity.
//! - A `200` can carry a refusal: only `resultCode` 1005 is "queued".
//! - Nothing is idempotent: `refId` is only echoed, and a repeated one is sent again.
//! - A refused batch is refused as a whole, and LINK does not say which message was to blame.
//! - Receipts come per part, their `id` being the message's with `$0`, `$1`, ... behind it.
//! - One gate may serve receipts and replies alike, so the body says which of them it is.
//! - Callbacks carry the account's own user name and password, and no signature.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Request, Response};
use message::{Connection, Timestamp, segments::measure};

use crate::{
    AccessTokens, Answer, AnswersBy, CallbackAnswer, CallbackKind, CallbackRefused, Capabilities,
    Echo, Form, LocalRefusal, Malformed, MtMessage, OptOutScope, Prepared, Provider, Reading,
    RefusedCallback, RejectReason, StatusLookUp, SubmitMode, Unsendable, Verified, basic,
};

mod answer;
mod callback;
mod codes;
mod form;
mod request;

/// See the module.
#[derive(Debug)]
pub struct LinkMobility;

const SLUG: &str = "link-mobility";

/// Parts of one message (section 2).
const SEGMENTS_MAX: u16 = 254;

/// A text of so many bytes fits whatever is in it: none has more UTF-16 units than bytes, and GSM-7
/// puts even its widest characters more densely.
const SURELY_FITS_BYTES: usize = SEGMENTS_MAX as usize * 67;

static CAPABILITIES: Capabilities = Capabilities {
    messages_per_request: 1000,
    answers_by: AnswersBy::Reference,
    reference_echo: Echo::Field("refId"),
    receipts_per_part: true,
    inbound_in_parts: false,
    repeat_is_safe: false,
    status_look_up: false,
    lifts_opt_outs: false,
    opted_out_towards: OptOutScope::Sender,
    answers_keywords: false,
    // Ours: no limit is published and the platform is called high capacity (section 5). It fills
    // batches well; what an account may really send, LINK's account manager knows.
    segments_per_second: 100.0,
    // The page: start with 4 parallel batch requests.
    requests_in_flight: 4,
    sender_limits: &[],
    callback_methods: &["POST"],
    callback_content_types: &["application/json"],
    callback_slugs: &[SLUG],
    refused_callback: RefusedCallback {
        status: 401,
        asks_for_basic: true,
    },
};

impl Provider for LinkMobility {
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
        None // There is an OAuth form too, but user name and password mean Basic.
    }

    fn status_look_up(&self) -> Option<&'static dyn StatusLookUp> {
        None // None is documented; receipts name our reference, which settles doubts (section 9).
    }

    fn messages_per_request(&self, _connection: &Connection) -> usize {
        CAPABILITIES.messages_per_request
    }

    fn check_message(
        &self,
        connection: &Connection,
        message: &MtMessage<'_>,
    ) -> Result<(), LocalRefusal> {
        let text = request::text(connection, message.text);
        // What LINK makes of characters outside the BMP is documented nowhere (section 2).
        let is_nothing_left =
            || matches!(&text, Cow::Owned(left) if left.chars().all(request::shows_nothing));
        if request::has_non_bmp(&text) || is_nothing_left() {
            return Err(LocalRefusal {
                reason: RejectReason::Other,
                code: "unsupported_character",
            });
        }
        if text.len() > SURELY_FITS_BYTES && measure(&text).segments > SEGMENTS_MAX {
            return Err(LocalRefusal {
                reason: RejectReason::TooLong,
                code: "too_long",
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
        _public_url: &str,
    ) -> Result<Box<dyn Prepared>, Unsendable> {
        Ok(Box::new(request::Messages::of(connection)?))
    }

    fn read_response(
        &self,
        messages: &[MtMessage<'_>],
        mode: SubmitMode,
        response: &Response<Bytes>,
    ) -> Answer {
        answer::read(messages, mode, response)
    }

    fn verify_callback<'a>(
        &self,
        connection: &'a Connection,
        callback: &'a Request<Bytes>,
        _public_urls: &[String], // Neither the URL nor the time is proven by anything.
        _now: Timestamp,
    ) -> Result<Verified<'a>, CallbackRefused> {
        let password = connection.secret("password");
        basic::verify(
            connection,
            callback.headers(),
            basic::Padding::Optional,
            connection.field("username"),
            password.map_or("", |password| password.reveal()),
        )?;
        Ok(Verified::by(connection, callback))
    }

    fn read_callback(
        &self,
        callback: Verified<'_>,
        _kind: CallbackKind, // One gate may serve both (section 1).
    ) -> Result<Vec<Reading>, Malformed> {
        callback::read(callback.request().body())
    }

    /// A gate that acknowledges wants a body; one that does not is content with the status.
    fn callback_answer(&self, _kind: CallbackKind) -> CallbackAnswer {
        CallbackAnswer {
            status: 200,
            content_type: "application/json",
            body: r#"{"status":"OK"}"#,
        }
    }
}

#[cfg(test)]
mod tests;
