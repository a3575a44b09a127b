//! MessageBird REST, the API of the company that is now named Bird.
//! Source: `shared/providers/messagebird.md`, read 2026-11-20; sections are named where they apply.
//!
//! Worth knowing before editing:
//! - One request is one text. It could have 50 recipients, but not 50 texts, and nothing makes a
//!   repetition safe.
//! - Without `reference` no receipt is ever sent.
//! - A `201` can carry a failure: each recipient has a status of its own in it.
//! - `429` was certainly not taken. `408` and every `5xx` may have been, whatever their body says.
//! - Receipts are GET requests. Customers' webhooks arrive under Twilio's path as well, where only
//!   the signature says whose they are.
//! - Nobody answers STOP for us; a recipient who is barred shows up as code 103 in a receipt.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use message::{
    Connection, Sender, Timestamp,
    segments::{Encoding, measure},
};

use crate::{
    AccessTokens, Answer, AnswersBy, CallbackAnswer, CallbackKind, CallbackRefused, Capabilities,
    Echo, Form, LocalRefusal, Malformed, MtMessage, OptOutScope, Prepared, Provider, Reading,
    RefusedCallback, RejectReason, StatusLookUp, Submission, SubmitMode, Unsendable, Verified,
    basic,
    prepared::{Envelope, Put},
};

mod answer;
mod callback;
mod codes;
mod form;
mod look_up;
mod origin;
mod values;

/// See the module.
#[derive(Debug)]
pub struct MessageBird;

const SLUG: &str = "messagebird";
const API: &str = "https://rest.messagebird.com";

/// Nine segments: 153 septets or 67 code units in each (section 2). The limit for Unicode is only
/// inferred there; a text cut off unseen would be worse than one refused.
const SEGMENTS_MAX: u32 = 9;

static CAPABILITIES: Capabilities = Capabilities {
    messages_per_request: 1,
    answers_by: AnswersBy::One,
    reference_echo: Echo::Field("reference"),
    receipts_per_part: false,
    inbound_in_parts: false,
    repeat_is_safe: false,
    status_look_up: true,
    lifts_opt_outs: false,
    opted_out_towards: OptOutScope::Sender,
    answers_keywords: false,
    // Section 5: start at 50 requests a second, which is a tenth of what the newer API's pages
    // allow, and let 429 govern.
    segments_per_second: 50.0,
    // The page: start with 32.
    requests_in_flight: 32,
    sender_limits: &[],
    callback_methods: &["GET", "POST"],
    callback_content_types: &["application/x-www-form-urlencoded", "application/json"],
    // The product's help page tells MessageBird's customers Twilio's path.
    callback_slugs: &[SLUG, "twilio-sms"],
    refused_callback: RefusedCallback {
        status: 401,
        asks_for_basic: false,
    },
};

impl Provider for MessageBird {
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
        match over_limit(message.text) {
            None => Ok(()),
            Some(code) => Err(LocalRefusal {
                reason: RejectReason::TooLong,
                code,
            }),
        }
    }

    fn goes_alone(&self, _message: &MtMessage<'_>) -> bool {
        false // Every message does.
    }

    fn prepare(
        &self,
        connection: &Connection,
        _public_url: &str,
    ) -> Result<Box<dyn Prepared>, Unsendable> {
        Ok(Box::new(Messages::of(connection)?))
    }

    fn read_response(
        &self,
        messages: &[MtMessage<'_>],
        _mode: SubmitMode,
        response: &Response<Bytes>,
    ) -> Answer {
        answer::read(messages, response)
    }

    /// Without a nonce, although a JWT has one in `jti`: nobody knows whether a repetition is signed
    /// anew (section 12), and one that followed our own failure must not be taken for a replay.
    /// Receipts and messages are told apart by what they say, which stops replays too (section 8).
    fn verify_callback<'a>(
        &self,
        connection: &'a Connection,
        callback: &'a Request<Bytes>,
        public_urls: &[String],
        now: Timestamp,
    ) -> Result<Verified<'a>, CallbackRefused> {
        origin::verify(connection, callback, public_urls, now)?;
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
            content_type: "text/plain",
            body: "OK",
        }
    }
}

// === Build: section 2 ===

fn url(connection: &Connection, path: &str) -> String {
    let base = match connection.field("base_url") {
        "" => API,
        base => base.trim_end_matches('/'),
    };
    format!("{base}{path}")
}

fn authorization(connection: &Connection) -> Result<HeaderValue, Unsendable> {
    let access_key = connection
        .secret("access_key")
        .ok_or_else(|| unsendable(connection, "it has no access token"))?;
    basic::sensitive(&format!("AccessKey {}", access_key.reveal()))
        .ok_or_else(|| unsendable(connection, "its access token does not make a header"))
}

fn unsendable(connection: &Connection, why: &'static str) -> Unsendable {
    Unsendable::Connection {
        connection: connection.id.clone(),
        why,
    }
}

/// What is over the limit of `body`, if the text is: our own count, which also reads a refusal.
fn over_limit(text: &str) -> Option<&'static str> {
    let measured = measure(text);
    let too_long = measured.units > SEGMENTS_MAX * measured.encoding.each_max();
    too_long.then_some(match measured.encoding {
        Encoding::Gsm7 => "over_1377_septets",
        Encoding::Ucs2 => "over_603_code_units",
    })
}

/// The requests of one connection. `reportUrl` is left out: the account's own URL counts then.
#[derive(Debug)]
struct Messages {
    envelope: Envelope,
    /// `{"originator":…,"recipients":["`.
    before_number: Vec<u8>,
}

impl Messages {
    fn of(connection: &Connection) -> Result<Self, Unsendable> {
        let json = HeaderValue::from_static("application/json");
        let headers = [
            (header::AUTHORIZATION, authorization(connection)?),
            (header::CONTENT_TYPE, json.clone()),
            (header::ACCEPT, json),
        ];
        let envelope = Envelope::post(url(connection, "/messages"), headers)
            .ok_or_else(|| unsendable(connection, "its base URL does not make a URL"))?;
        let originator = match &connection.sender {
            Sender::Number(number) => &number.digits(),
            Sender::ShortCode(text) | Sender::Alphanumeric(text) | Sender::Service(text) => &**text,
        };
        let mut before_number = Vec::new();
        before_number.put(br#"{"originator":"#);
        before_number.put_json(originator);
        before_number.put(br#","recipients":[""#);
        Ok(Self {
            envelope,
            before_number,
        })
    }

    /// The default of `datacoding`, `plain`, replaces what GSM-7 does not have.
    fn json(&self, message: &MtMessage<'_>) -> Vec<u8> {
        let mut body =
            Vec::with_capacity(self.before_number.len() + message.text.len() * 9 / 8 + 192);
        body.put(&self.before_number);
        body.put_digits(message.to);
        body.put(br#""],"body":"#);
        body.put_json(message.text);
        body.put(br#","reference":"#);
        body.put_json(message.reference);
        body.put(br#","datacoding":"auto","validity":"#);
        body.put_number(message.validity.as_secs().max(1)); // seconds
        body.put(b"}");
        body
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
        Ok(self.envelope.around(self.json(message)))
    }
}

#[cfg(test)]
mod tests;
