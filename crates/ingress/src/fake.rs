//! A provider for tests of what the ingress decides by capabilities: callbacks by `GET` and `POST`
//! under a slug of its own, proven by the connection's key in a header, with a nonce if there is one.

use bytes::Bytes;
use http::{Request, Response};
use message::{Connection, Timestamp};
use providers::{
    AccessTokens, Answer, CallbackAnswer, CallbackKind, CallbackRefused, Capabilities, Form,
    LocalRefusal, Malformed, MtMessage, Prepared, Provider, Reading, StatusLookUp, SubmitMode,
    Unsendable, Verified,
};

#[derive(Debug)]
pub(crate) struct Fake {
    capabilities: Capabilities,
}

/// The one there is.
pub(crate) static FAKE: Fake = Fake {
    capabilities: Capabilities {
        messages_per_request: 1,
        answers_by: providers::AnswersBy::One,
        reference_echo: providers::Echo::Field("reference"),
        receipts_per_part: false,
        inbound_in_parts: false,
        repeat_is_safe: false,
        status_look_up: false,
        lifts_opt_outs: false,
        opted_out_towards: providers::OptOutScope::Sender,
        answers_keywords: false,
        segments_per_second: 1.0,
        requests_in_flight: 1,
        sender_limits: &[],
        callback_methods: &["GET", "POST"],
        callback_content_types: &["application/json"],
        callback_slugs: &["fake"],
        refused_callback: providers::RefusedCallback {
            status: 401,
            asks_for_basic: true,
        },
    },
};

impl Provider for Fake {
    fn slug(&self) -> &'static str {
        "fake"
    }

    fn capabilities(&self) -> &'static Capabilities {
        &FAKE.capabilities
    }

    fn form(&self) -> &'static Form {
        unreachable!("the ingress shows no form")
    }

    fn access_tokens(&self) -> Option<&'static dyn AccessTokens> {
        None
    }

    fn status_look_up(&self) -> Option<&'static dyn StatusLookUp> {
        None
    }

    fn messages_per_request(&self, _connection: &Connection) -> usize {
        1
    }

    fn check_message(
        &self,
        _connection: &Connection,
        _message: &MtMessage<'_>,
    ) -> Result<(), LocalRefusal> {
        unreachable!("the ingress sends nothing")
    }

    fn goes_alone(&self, _message: &MtMessage<'_>) -> bool {
        false
    }

    fn prepare(
        &self,
        _connection: &Connection,
        _public_url: &str,
    ) -> Result<Box<dyn Prepared>, Unsendable> {
        unreachable!("the ingress sends nothing")
    }

    fn read_response(
        &self,
        _messages: &[MtMessage<'_>],
        _mode: SubmitMode,
        _response: &Response<Bytes>,
    ) -> Answer {
        unreachable!("the ingress sends nothing")
    }

    fn verify_callback<'a>(
        &self,
        connection: &'a Connection,
        callback: &'a Request<Bytes>,
        _public_urls: &[String],
        _now: Timestamp,
    ) -> Result<Verified<'a>, CallbackRefused> {
        let key = callback.headers().get("x-key");
        let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
        if key.is_empty() {
            return Err(CallbackRefused::UnsignedYet { header: "x-key" });
        }
        let genuine = connection
            .secret("key")
            .is_some_and(|secret| secret.reveal() == key);
        if !genuine {
            return Err(CallbackRefused::BadSignature {
                connection: connection.id.clone(),
            });
        }
        Ok(Verified::already(callback, Some(&connection.sender)))
    }

    fn read_callback(
        &self,
        _callback: Verified<'_>,
        _kind: CallbackKind,
    ) -> Result<Vec<Reading>, Malformed> {
        unreachable!("the ingress reads nothing")
    }

    fn callback_answer(&self, _kind: CallbackKind) -> CallbackAnswer {
        CallbackAnswer {
            status: 200,
            content_type: "",
            body: "",
        }
    }
}
