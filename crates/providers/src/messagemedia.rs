//! MessageMedia (Sinch MessageMedia, Sinch Engage), Messages API v1.
//! Source: `shared/providers/messagemedia.md`, read 2026-11-20; sections are named where they apply.
//!
//! Worth knowing before editing:
//! - One request carries up to 100 messages, and validation is all or nothing: one bad entry makes a
//!   400 that names it, and nothing of the request was sent.
//! - A 202 says nothing about a single message: blocked numbers, bad senders and missing credit all
//!   come later, as a `rejected` report.
//! - Our reference travels in `metadata.ref`, which is echoed in the answer, reports and replies.
//! - `callback_url` gets the reports **and** the replies; only the body tells which is which.
//! - Callbacks are signed with the vendor's private RSA key over request line, `Date` and body.
//! - The codes in reports are no HTTP statuses, though they look like them.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use message::{Connection, Sender, Timestamp};
use time::{OffsetDateTime, macros::format_description};

use crate::{
    AccessTokens, Answer, AnswersBy, CallbackAnswer, CallbackKind, CallbackRefused, Capabilities,
    Echo, Form, LocalRefusal, Malformed, MtMessage, OptOutScope, Prepared, Provider, Reading,
    RefusedCallback, RejectReason, StatusLookUp, Submission, SubmitMode, Unsendable, Verified,
    basic, callback_path,
    prepared::{Envelope, Put},
};

mod answer;
mod callback;
mod codes;
mod form;
mod keys;
mod look_up;
mod signature;

/// See the module.
#[derive(Debug)]
pub struct MessageMedia;

const SLUG: &str = "messagemedia";
/// The APAC host, and the one that both of the vendor's SDKs still use (section 2).
const API: &str = "https://api.messagemedia.com";

/// Characters of one text (section 2). The vendor does not say how it counts, so this is the count
/// that refuses least; what it refuses itself comes back as a 400 that names the message.
const TEXT_CHARS_MAX: usize = 5000;
/// Digits of a recipient, at least (section 1).
const RECIPIENT_DIGITS_MIN: u32 = 8;

static CAPABILITIES: Capabilities = Capabilities {
    messages_per_request: 100,
    answers_by: AnswersBy::OrderAndReference,
    reference_echo: Echo::Field("metadata.ref"),
    receipts_per_part: false,
    inbound_in_parts: false,
    repeat_is_safe: false, // De-duplication is a switch of the account that nobody can see.
    status_look_up: true,
    lifts_opt_outs: true, // DELETE …/mt/blacklist/{number}, section 10.
    opted_out_towards: OptOutScope::Sender,
    answers_keywords: false,
    // Section 5: no limit is published, and the vendor queues what a number can not send at once.
    // Ours: one full request a second, well below the ten in flight that the page starts with.
    segments_per_second: 100.0,
    // The page: start with 10 for an account.
    requests_in_flight: 10,
    sender_limits: &[],
    callback_methods: &["POST"],
    callback_content_types: &["application/json"],
    callback_slugs: &[SLUG],
    refused_callback: RefusedCallback {
        status: 401,
        asks_for_basic: false,
    },
};

impl Provider for MessageMedia {
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

    /// One bad entry costs the other 99 a round trip (section 3).
    fn check_message(
        &self,
        _connection: &Connection,
        message: &MtMessage<'_>,
    ) -> Result<(), LocalRefusal> {
        let refused = |reason, code| Err(LocalRefusal { reason, code });
        let digits = message.to.as_u64().checked_ilog10().unwrap_or(0) + 1;
        if digits < RECIPIENT_DIGITS_MIN {
            refused(RejectReason::InvalidRecipient, "number_too_short")
        } else if message.text.is_empty() {
            refused(RejectReason::Other, "empty_text")
        } else if is_too_long(message.text) {
            refused(RejectReason::TooLong, "text_too_long")
        } else {
            Ok(())
        }
    }

    fn goes_alone(&self, _message: &MtMessage<'_>) -> bool {
        false
    }

    fn prepare(
        &self,
        connection: &Connection,
        public_url: &str,
    ) -> Result<Box<dyn Prepared>, Unsendable> {
        Ok(Box::new(Messages::of(connection, public_url)?))
    }

    /// One message and many are the same form, and their answers mean the same.
    fn read_response(
        &self,
        messages: &[MtMessage<'_>],
        _mode: SubmitMode,
        response: &Response<Bytes>,
    ) -> Answer {
        answer::read(messages, response)
    }

    fn verify_callback<'a>(
        &self,
        connection: &'a Connection,
        callback: &'a Request<Bytes>,
        public_urls: &[String],
        now: Timestamp,
    ) -> Result<Verified<'a>, CallbackRefused> {
        signature::verify(connection, callback, public_urls, now)?;
        Ok(Verified::by(connection, callback))
    }

    fn read_callback(
        &self,
        callback: Verified<'_>,
        _kind: CallbackKind, // Both URLs get everything.
    ) -> Result<Vec<Reading>, Malformed> {
        callback::read(&callback)
    }

    fn callback_answer(&self, kind: CallbackKind) -> CallbackAnswer {
        match kind {
            CallbackKind::Status | CallbackKind::Message => CallbackAnswer {
                status: 200,
                content_type: "",
                body: "",
            },
        }
    }
}

fn is_too_long(text: &str) -> bool {
    // No text has more characters than bytes, and most have few of either.
    text.len() > TEXT_CHARS_MAX && text.chars().count() > TEXT_CHARS_MAX
}

// === Build: section 2 ===

fn base_url(connection: &Connection) -> &str {
    match connection.field("base_url") {
        "" => API,
        base => base.trim_end_matches('/'),
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

/// The requests of one connection. Of each entry only text, number, reference and expiry differ;
/// what stands between them is kept as it is written.
#[derive(Debug)]
struct Messages {
    envelope: Envelope,
    /// `","source_number":…,"metadata":{"ref":`. The type is always said, since the vendor warns
    /// that guessing it may go wrong (section 1), and there is one key of metadata only: the
    /// vendor's own template breaks with two (section 6).
    before_reference: Vec<u8>,
    /// `},"callback_url":…,"message_expiry_timestamp":`.
    before_expiry: Vec<u8>,
}

impl Messages {
    fn of(connection: &Connection, public_url: &str) -> Result<Self, Unsendable> {
        let json = HeaderValue::from_static("application/json");
        let headers = [
            (header::AUTHORIZATION, authorization(connection)?),
            (header::CONTENT_TYPE, json.clone()),
            (header::ACCEPT, json),
        ];
        let url = format!("{}/v1/messages", base_url(connection));
        let envelope = Envelope::post(url, headers)
            .ok_or_else(|| unsendable(connection, "its base URL does not make a URL"))?;
        let source_number_type = match &connection.sender {
            Sender::Number(_) => "INTERNATIONAL",
            Sender::ShortCode(_) => "SHORTCODE",
            Sender::Alphanumeric(_) => "ALPHANUMERIC",
            Sender::Service(_) => {
                return Err(unsendable(connection, "its sender is of no known type"));
            }
        };
        let mut before_reference = Vec::new();
        before_reference.put(br#"","source_number":"#);
        before_reference.put_json(&connection.sender.key());
        before_reference.put(br#","source_number_type":"#);
        before_reference.put_json(source_number_type);
        before_reference.put(br#","delivery_report":true,"format":"SMS","metadata":{"ref":"#);
        let path = callback_path(CallbackKind::Status, SLUG, &connection.organization_id);
        let mut before_expiry = Vec::new();
        before_expiry.put(br#"},"callback_url":"#);
        before_expiry.put_json(&format!("{public_url}{path}"));
        before_expiry.put(br#","message_expiry_timestamp":"#);
        Ok(Self {
            envelope,
            before_reference,
            before_expiry,
        })
    }

    fn json(&self, submission: &Submission<'_>) -> Vec<u8> {
        let messages = submission.messages;
        let texts = messages.iter().map(|message| message.text.len() * 9 / 8);
        let fixed = self.before_reference.len() + self.before_expiry.len() + 160;
        let mut body = Vec::with_capacity(texts.sum::<usize>() + fixed * messages.len() + 32);
        // Mostly all of them expire together.
        let mut expiry: Option<(Timestamp, String)> = None;
        body.put(br#"{"messages":["#);
        for (at, message) in messages.iter().enumerate() {
            let before: &[u8] = if at == 0 { b"" } else { b"," };
            body.put(before);
            body.put(br#"{"content":"#);
            body.put_json(message.text);
            body.put(br#","destination_number":"+"#);
            body.put_digits(message.to);
            body.put(&self.before_reference);
            body.put_json(message.reference);
            body.put(&self.before_expiry);
            let expires_at = submission.now.plus(message.validity);
            let written = match expiry.take() {
                Some((at, written)) if at == expires_at => written,
                _ => milliseconds(expires_at),
            };
            body.put_json(&written);
            body.put(b"}");
            expiry = Some((expires_at, written));
        }
        body.put(b"]}");
        body
    }
}

impl Prepared for Messages {
    fn build_request(&self, submission: &Submission<'_>) -> Result<Request<Bytes>, Unsendable> {
        let (given, max) = (submission.messages.len(), CAPABILITIES.messages_per_request);
        if !(1..=max).contains(&given) {
            return Err(Unsendable::Count { given, max });
        }
        Ok(self.envelope.around(self.json(submission)))
    }
}

/// ISO 8601 in UTC, always with milliseconds (section 2).
fn milliseconds(at: Timestamp) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_millis()) * 1_000_000)
        .ok()
        .and_then(|at| at.format(format).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
