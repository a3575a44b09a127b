//! Twilio Programmable Messaging, REST version 2010-04-01.
//! Source: `shared/providers/twilio.md`, read 2026-11-20; sections are named where they apply.
//!
//! Worth knowing before editing:
//! - One request is one message; there is no bulk form and no idempotency key.
//! - Our reference travels in the query of `StatusCallback`, where the signature covers it.
//! - Twilio delivers a callback once, repeats it only after a failed connection, and gives up after
//!   15 seconds: the fragment of `StatusCallback` asks for more repetitions.
//! - `429` was certainly not taken. `408` and every `5xx` may have been, whatever their body says.
//! - Twilio answers STOP, START and HELP by itself and still hands them on to us.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use message::{Connection, Sender, Timestamp};
use serde::Deserialize;

use crate::{
    AccessTokens, Answer, AnswersBy, CallbackAnswer, CallbackKind, CallbackRefused, Capabilities,
    Echo, Form, LocalRefusal, Malformed, MtMessage, OptOutScope, Prepared, Provider, Reading,
    RefusedCallback, RejectReason, SenderClass, SenderLimit, StatusLookUp, Submission, SubmitClass,
    SubmitMode, SubmitOutcome, Unsendable, Verified, basic, callback_path,
    prepared::{Envelope, Put},
    retry_after::retry_after,
};

mod callback;
mod codes;
mod form;
mod look_up;

use codes::{Meaning, submit_code, submit_status};

/// See the module.
#[derive(Debug)]
pub struct Twilio;

const SLUG: &str = "twilio-sms";
const API: &str = "https://api.twilio.com";

/// Connection overrides (section 6): four repetitions, after every kind of failure. They all fall
/// within Twilio's 15 seconds, so this bridges a restart of the ingress and no more.
const CALLBACK_OVERRIDES: &str = "#rc=4&rp=all";

/// Characters of a body (section 2).
const BODY_CHARS_MAX: usize = 1600;

/// Seconds a message may wait in Twilio's queue, and the default if nothing is said (section 2).
const VALIDITY_SECONDS_MAX: u64 = 36_000;

static CAPABILITIES: Capabilities = Capabilities {
    messages_per_request: 1,
    answers_by: AnswersBy::One,
    reference_echo: Echo::CallbackUrl,
    receipts_per_part: false,
    inbound_in_parts: false,
    repeat_is_safe: false,
    status_look_up: true,
    lifts_opt_outs: false,
    opted_out_towards: OptOutScope::Organization,
    answers_keywords: true,
    // Ours: Twilio queues what its sender can not send at once (one segment a second for a US long
    // code), so this only bounds how fast that queue of ten hours fills.
    segments_per_second: 10.0,
    // The page: start at 20 for a connection.
    requests_in_flight: 20,
    // Section 5. A messaging service sends as fast as its pool, which only the account knows.
    sender_limits: &[
        SenderLimit {
            class: SenderClass::NorthAmericanNumber,
            segments_per_second: 1.0,
        },
        SenderLimit {
            class: SenderClass::TollFreeNumber,
            segments_per_second: 3.0,
        },
        SenderLimit {
            class: SenderClass::ShortCode,
            segments_per_second: 100.0,
        },
    ],
    callback_methods: &["POST"],
    callback_content_types: &["application/x-www-form-urlencoded", "application/json"],
    callback_slugs: &[SLUG],
    refused_callback: RefusedCallback {
        status: 403,
        asks_for_basic: false,
    },
};

impl Provider for Twilio {
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
        _connection: &Connection,
        message: &MtMessage<'_>,
    ) -> Result<(), LocalRefusal> {
        if message.text.chars().count() > BODY_CHARS_MAX {
            return Err(LocalRefusal {
                reason: RejectReason::TooLong,
                code: "text_too_long",
            });
        }
        Ok(())
    }

    fn goes_alone(&self, _message: &MtMessage<'_>) -> bool {
        false // Every message does.
    }

    fn prepare(
        &self,
        connection: &Connection,
        public_url: &str,
    ) -> Result<Box<dyn Prepared>, Unsendable> {
        Ok(Box::new(Messages::of(connection, public_url)?))
    }

    fn read_response(
        &self,
        messages: &[MtMessage<'_>],
        _mode: SubmitMode,
        response: &Response<Bytes>,
    ) -> Answer {
        Answer::all(messages.len(), outcome(response))
    }

    fn verify_callback<'a>(
        &self,
        connection: &'a Connection,
        callback: &'a Request<Bytes>,
        public_urls: &[String],
        _now: Timestamp, // Nothing in a callback says when it was signed.
    ) -> Result<Verified<'a>, CallbackRefused> {
        callback::verify(connection, callback, public_urls)?;
        Ok(Verified::by(connection, callback))
    }

    fn read_callback(
        &self,
        callback: Verified<'_>,
        kind: CallbackKind,
    ) -> Result<Vec<Reading>, Malformed> {
        callback::read(callback.request(), kind)
    }

    fn callback_answer(&self, kind: CallbackKind) -> CallbackAnswer {
        match kind {
            CallbackKind::Status => CallbackAnswer {
                status: 204,
                content_type: "",
                body: "",
            },
            // Anything but TwiML shows up as error 12300 in the customer's console (section 7).
            CallbackKind::Message => CallbackAnswer {
                status: 200,
                content_type: "text/xml",
                body: r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#,
            },
        }
    }
}

// === Build: section 2 ===

/// `rest` goes behind `Messages`: `.json`, or a message's own path.
fn messages_url(connection: &Connection, rest: &str) -> String {
    let base = match connection.field("base_url") {
        "" => API,
        base => base.trim_end_matches('/'),
    };
    let account_sid = connection.field("account_sid");
    format!("{base}/2010-04-01/Accounts/{account_sid}/Messages{rest}")
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

/// The requests of one connection: a form, of which only number, text, reference and validity
/// differ.
#[derive(Debug)]
struct Messages {
    envelope: Envelope,
    /// `&From=…&Body=`.
    before_text: Vec<u8>,
    /// `&StatusCallback=…`, up to our reference.
    before_reference: Vec<u8>,
    /// The overrides of the callback.
    behind_reference: Vec<u8>,
}

impl Messages {
    fn of(connection: &Connection, public_url: &str) -> Result<Self, Unsendable> {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let json = HeaderValue::from_static("application/json");
        let headers = [
            (header::AUTHORIZATION, authorization(connection)?),
            (header::CONTENT_TYPE, form),
            (header::ACCEPT, json),
        ];
        let envelope =
            Envelope::post(messages_url(connection, ".json"), headers).ok_or_else(|| {
                unsendable(
                    connection,
                    "its base URL or account SID does not make a URL",
                )
            })?;
        let from = match &connection.sender {
            Sender::Service(_) => "MessagingServiceSid",
            Sender::Number(_) | Sender::ShortCode(_) | Sender::Alphanumeric(_) => "From",
        };
        let mut before_text = Vec::new();
        before_text.put(b"&");
        before_text.put(from.as_bytes());
        before_text.put(b"=");
        before_text.put_form(&connection.sender.key());
        before_text.put(b"&Body=");
        let path = callback_path(CallbackKind::Status, SLUG, &connection.organization_id);
        let mut before_reference = Vec::new();
        before_reference.put(b"&StatusCallback=");
        before_reference.put_form(&format!("{public_url}{path}?m="));
        let mut behind_reference = Vec::new();
        behind_reference.put_form(CALLBACK_OVERRIDES);
        Ok(Self {
            envelope,
            before_text,
            before_reference,
            behind_reference,
        })
    }

    fn form(&self, message: &MtMessage<'_>) -> Vec<u8> {
        let fixed =
            self.before_text.len() + self.before_reference.len() + self.behind_reference.len();
        let mut form = Vec::with_capacity(fixed + message.text.len() * 5 / 4 + 128);
        form.put(b"To=%2B");
        form.put_digits(message.to);
        form.put(&self.before_text);
        form.put_form(message.text);
        form.put(&self.before_reference);
        // A value of the URL's query, which is itself a value of the form.
        for part in form_urlencoded::byte_serialize(message.reference.as_bytes()) {
            form.put_form(part);
        }
        form.put(&self.behind_reference);
        let validity_seconds = message.validity.as_secs().max(1);
        if validity_seconds < VALIDITY_SECONDS_MAX {
            form.put(b"&ValidityPeriod=");
            form.put_number(validity_seconds);
        }
        form
    }
}

impl Prepared for Messages {
    fn build_request(&self, submission: &Submission<'_>) -> Result<Request<Bytes>, Unsendable> {
        let [message] = submission.messages else {
            return Err(Unsendable::Count {
                given: submission.messages.len(),
                max: CAPABILITIES.messages_per_request,
            });
        };
        Ok(self.envelope.around(self.form(message)))
    }
}

// === Read: section 4, in its order of decision ===

fn outcome(response: &Response<Bytes>) -> SubmitOutcome {
    let status = response.status();
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return SubmitOutcome::in_doubt(format!("http_{}", status.as_u16()));
    }
    if status.is_success() {
        return match serde_json::from_slice::<Submitted>(response.body()) {
            Ok(Submitted { sid }) if !sid.is_empty() => SubmitOutcome::accepted(sid),
            _ => SubmitOutcome::in_doubt("unreadable_answer"),
        };
    }
    let code = serde_json::from_slice::<Refused>(response.body()).map_or(0, |body| body.code);
    let class = match submit_code(code).unwrap_or_else(|| submit_status(status.as_u16())) {
        Meaning::Rejected(reason) => SubmitClass::Rejected(reason),
        Meaning::AccountRefused => SubmitClass::AccountRefused,
        Meaning::Throttled => SubmitClass::Throttled {
            retry_after: retry_after(response.headers()),
        },
        Meaning::InDoubt => SubmitClass::DOUBT,
    };
    let code = match code {
        0 => format!("http_{}", status.as_u16()),
        code => code.to_string(),
    };
    SubmitOutcome::new(class, code)
}

// === Wire format ===

/// The message as it was taken. It has twenty more members that nobody needs.
#[derive(Deserialize)]
struct Submitted {
    sid: String,
}

/// The body of every refusal. The text is for people and never decides.
#[derive(Deserialize)]
struct Refused {
    code: u32,
}

#[cfg(test)]
mod tests;
