//! Sinch Conversation API, channel SMS, and its Batch API.
//! Source: `shared/providers/sinch.md`, read 2026-11-20; sections are named where they apply.
//!
//! Worth knowing before editing:
//! - One request of `messages:send` is one recipient. A `200` can still be followed by a `FAILED`
//!   receipt of reason `BAD_REQUEST`: the channel's own checks run after the answer.
//! - The Batch API takes one text and a thousand recipients. We make the whole text a parameter, so
//!   each may differ; but a value that contains `${` may be substituted again.
//! - A batch's answer names no message: the first receipt does, by our reference in its metadata.
//! - No idempotency key is known. Only a receipt settles a doubt.
//! - Requests carry a token of an hour. `401` with `expired` means that one, any other the account.

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use message::{Connection, Timestamp};

use crate::{
    AccessTokens, Answer, AnswersBy, CallbackAnswer, CallbackKind, CallbackRefused, Capabilities,
    Echo, Form, Hint, LocalRefusal, Malformed, MtMessage, OptOutScope, Prepared, Provider, Reading,
    RefusedCallback, RejectReason, StatusLookUp, SubmitClass, SubmitMode, SubmitOutcome,
    Unsendable, Verified, json, retry_after::retry_after,
};

mod callback;
mod codes;
mod form;
mod request;
mod signed;
mod token;
mod wire;

use codes::{Meaning, submit_meaning};

/// See the module.
#[derive(Debug)]
pub struct Sinch;

const SLUG: &str = "sinch";

/// Recipients of one batch, at most (section 3.2).
const BATCH_MESSAGES_MAX: usize = 1000;

/// Nothing is documented for SMS; the page's cap (section 2.2).
const TEXT_CHARS_MAX: usize = 1600;

static CAPABILITIES: Capabilities = Capabilities {
    messages_per_request: BATCH_MESSAGES_MAX,
    answers_by: AnswersBy::Whole,
    reference_echo: Echo::Field("message_metadata"),
    receipts_per_part: false,
    inbound_in_parts: false,
    repeat_is_safe: false,
    status_look_up: false,
    lifts_opt_outs: false,
    // Only with consent management in its primary mode, which few apps have (section 10).
    opted_out_towards: OptOutScope::Sender,
    answers_keywords: false,
    // An app's queue drains at 20 messages a second unless more is contracted (section 5).
    segments_per_second: 20.0,
    // Ours: the page names no figure.
    requests_in_flight: 20,
    sender_limits: &[],
    callback_methods: &["POST"],
    callback_content_types: &["application/json"],
    callback_slugs: &[SLUG],
    refused_callback: RefusedCallback {
        status: 401,
        asks_for_basic: false,
    },
};

impl Provider for Sinch {
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
        Some(&token::Tokens)
    }

    fn status_look_up(&self) -> Option<&'static dyn StatusLookUp> {
        None // The API has no query for receipts; section 9 says not to build on what there is.
    }

    fn messages_per_request(&self, connection: &Connection) -> usize {
        match connection.field("mode") {
            form::BATCH => BATCH_MESSAGES_MAX,
            _ => 1,
        }
    }

    fn check_message(
        &self,
        _connection: &Connection,
        message: &MtMessage<'_>,
    ) -> Result<(), LocalRefusal> {
        let text = message.text;
        // No text has more characters than bytes, and most end here.
        if text.len() <= TEXT_CHARS_MAX || text.chars().count() <= TEXT_CHARS_MAX {
            return Ok(());
        }
        Err(LocalRefusal {
            reason: RejectReason::TooLong,
            code: "too_long",
        })
    }

    fn goes_alone(&self, message: &MtMessage<'_>) -> bool {
        request::goes_alone(message.text)
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
        let all = |class, code| Answer::all(messages.len(), SubmitOutcome::new(class, code));
        if response.status().is_success() {
            return Answer::all(messages.len(), taken(mode, response));
        }
        let refused: wire::Refused = json::read(response.body()).unwrap_or_default();
        let code = refused.code(response.status());
        if is_token_expired(response) {
            return all(SubmitClass::Transient, code).with_hint(Hint::RefreshToken);
        }
        match submit_meaning(response.status().as_u16(), refused.message()) {
            // Nothing of it was taken, and the answer does not say whose fault it was (section 3.2).
            Meaning::Rejected(_) if messages.len() > 1 => {
                all(SubmitClass::Transient, code).with_hint(Hint::Split)
            }
            Meaning::Rejected(reason) => all(SubmitClass::Rejected(reason), code),
            Meaning::AccountRefused => all(SubmitClass::AccountRefused, code),
            Meaning::Throttled => {
                let retry_after = retry_after(response.headers());
                all(SubmitClass::Throttled { retry_after }, code)
            }
            Meaning::Transient => all(SubmitClass::Transient, code),
            Meaning::InDoubt => all(SubmitClass::DOUBT, code),
        }
    }

    fn verify_callback<'a>(
        &self,
        connection: &'a Connection,
        callback: &'a Request<Bytes>,
        _public_urls: &[String], // Neither URL nor method is signed.
        now: Timestamp,
    ) -> Result<Verified<'a>, CallbackRefused> {
        let nonce = signed::verify(connection, callback, now)?;
        Ok(Verified::by(connection, callback).with_nonce(nonce))
    }

    fn read_callback(
        &self,
        callback: Verified<'_>,
        _kind: CallbackKind, // The body says what it is, wherever it arrives (section 6).
    ) -> Result<Vec<Reading>, Malformed> {
        callback::read(callback.request().body())
    }

    fn callback_answer(&self, _kind: CallbackKind) -> CallbackAnswer {
        CallbackAnswer {
            status: 200,
            content_type: "",
            body: "",
        }
    }
}

fn unsendable(connection: &Connection, why: &'static str) -> Unsendable {
    Unsendable::Connection {
        connection: connection.id.clone(),
        why,
    }
}

// === Read: section 4 ===

/// A 2xx, which names the message, or the batch only. The batch's id is no message's, and its
/// receipts repeat it beside our reference.
fn taken(mode: SubmitMode, response: &Response<Bytes>) -> SubmitOutcome {
    let submitted: wire::Submitted = json::read(response.body()).unwrap_or_default();
    match mode {
        SubmitMode::Single if !submitted.message_id.is_empty() => {
            SubmitOutcome::accepted(submitted.message_id)
        }
        SubmitMode::Batch if !submitted.batch_id.is_empty() => SubmitOutcome::accepted(""),
        SubmitMode::Single | SubmitMode::Batch => SubmitOutcome::in_doubt("unreadable_answer"),
    }
}

/// The one 401 that a new token cures. The message was not accepted.
fn is_token_expired(response: &Response<Bytes>) -> bool {
    let mut challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
    response.status() == StatusCode::UNAUTHORIZED
        && challenges.any(|challenge| {
            let challenge = challenge.as_bytes().to_ascii_lowercase();
            challenge.windows(7).any(|word| word == b"expired")
        })
}

#[cfg(test)]
mod tests;
