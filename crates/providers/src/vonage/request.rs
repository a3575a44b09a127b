//! The requests of both APIs. Source: `shared/providers/vonage.md`, sections 2 and 13.

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use message::{
    Connection, Sender,
    segments::{self, Encoding},
};

use super::{Api, CAPABILITIES, MESSAGES_API, SLUG, SMS_API, authorization, unsendable};
use crate::{
    CallbackKind, MtMessage, Prepared, Submission, Unsendable, callback_path,
    prepared::{Envelope, Put},
};

/// Characters of the `callback` parameter, counted before it is encoded (sections 2 and 12).
const CALLBACK_CHARS_MAX: usize = 100;

/// How long Vonage tries (sections 2 and 13: the same limits in milliseconds and in seconds).
const TTL_SECONDS: std::ops::RangeInclusive<u64> = 20..=604_800;

/// The requests of one connection. Of each only number, text, reference and validity differ; what
/// stands between them is kept as it is written.
#[derive(Debug)]
pub(super) struct Messages {
    api: Api,
    envelope: Envelope,
    /// Up to the number's digits.
    before_number: Vec<u8>,
    /// From behind the number up to the text.
    before_text: Vec<u8>,
    /// From behind the reference up to the validity.
    before_ttl: Vec<u8>,
    /// What ends the body.
    end: Vec<u8>,
}

impl Messages {
    pub(super) fn of(connection: &Connection, public_url: &str) -> Result<Self, Unsendable> {
        let path = callback_path(CallbackKind::Status, SLUG, &connection.organization_id);
        let status_url = format!("{public_url}{path}");
        match Api::of(connection) {
            Api::Sms => Self::of_sms_api(connection, &status_url),
            Api::Messages => Self::of_messages_api(connection, &status_url),
        }
    }

    fn of_sms_api(connection: &Connection, status_url: &str) -> Result<Self, Unsendable> {
        let url = url(connection, "base_url", SMS_API, "/sms/json");
        let mut before_number = Vec::new();
        before_number.put(b"from=");
        before_number.put_form(&sender(connection));
        before_number.put(b"&to=");
        let mut before_ttl = Vec::new();
        if fits_callback(status_url) {
            before_ttl.put(b"&callback=");
            before_ttl.put_form(status_url);
        }
        before_ttl.put(b"&ttl=");
        let mut end = Vec::new();
        for (name, key) in [("&entity-id=", "entity_id"), ("&content-id=", "content_id")] {
            let id = connection.field(key);
            if !id.is_empty() {
                end.put(name.as_bytes());
                end.put_form(id);
            }
        }
        Ok(Self {
            api: Api::Sms,
            envelope: envelope(connection, url, "application/x-www-form-urlencoded")?,
            before_number,
            before_text: b"&text=".to_vec(),
            before_ttl,
            end,
        })
    }

    fn of_messages_api(connection: &Connection, status_url: &str) -> Result<Self, Unsendable> {
        let url = url(
            connection,
            "messages_base_url",
            MESSAGES_API,
            "/v1/messages",
        );
        let mut before_text = Vec::new();
        before_text.put(br#"","from":"#);
        before_text.put_json(&sender(connection));
        before_text.put(br#","text":"#);
        let mut before_ttl = Vec::new();
        before_ttl.put(br#","webhook_url":"#);
        before_ttl.put_json(status_url);
        before_ttl.put(br#","webhook_version":"v1","ttl":"#);
        Ok(Self {
            api: Api::Messages,
            envelope: envelope(connection, url, "application/json")?,
            before_number: br#"{"channel":"sms","message_type":"text","to":""#.to_vec(),
            before_text,
            before_ttl,
            end: br#","sms":{"encoding_type":"auto"}}"#.to_vec(),
        })
    }

    fn body(&self, message: &MtMessage<'_>) -> Vec<u8> {
        let fixed = self.before_number.len() + self.before_text.len();
        let fixed = fixed + self.before_ttl.len() + self.end.len();
        let mut body = Vec::with_capacity(fixed + message.text.len() * 5 / 4 + 160);
        body.put(&self.before_number);
        body.put_digits(message.to);
        body.put(&self.before_text);
        match self.api {
            Api::Sms => {
                body.put_form(message.text);
                // The wrong one garbles the text.
                body.put(match segments::measure(message.text).encoding {
                    Encoding::Gsm7 => b"&type=text".as_slice(),
                    Encoding::Ucs2 => b"&type=unicode",
                });
                body.put(b"&status-report-req=1&client-ref=");
                body.put_form(message.reference);
            }
            Api::Messages => {
                body.put_json(message.text);
                body.put(br#","client_ref":"#);
                body.put_json(message.reference);
            }
        }
        body.put(&self.before_ttl);
        let ttl = ttl_seconds(message);
        body.put_number(match self.api {
            Api::Sms => ttl * 1000,
            Api::Messages => ttl,
        });
        body.put(&self.end);
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
        Ok(self.envelope.around(self.body(message)))
    }
}

fn envelope(
    connection: &Connection,
    url: String,
    content_type: &'static str,
) -> Result<Envelope, Unsendable> {
    let headers = [
        (header::AUTHORIZATION, authorization(connection)?),
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::ACCEPT, HeaderValue::from_static("application/json")),
    ];
    Envelope::post(url, headers)
        .ok_or_else(|| unsendable(connection, "its base URL does not make a URL"))
}

pub(super) fn url(connection: &Connection, key: &str, usual: &str, path: &str) -> String {
    let base = match connection.field(key) {
        "" => usual,
        base => base.trim_end_matches('/'),
    };
    format!("{base}{path}")
}

/// Numbers without their plus.
fn sender(connection: &Connection) -> String {
    match &connection.sender {
        Sender::Number(number) => number.digits(),
        Sender::ShortCode(text) | Sender::Alphanumeric(text) | Sender::Service(text) => {
            text.to_string()
        }
    }
}

fn ttl_seconds(message: &MtMessage<'_>) -> u64 {
    let (least, most) = (*TTL_SECONDS.start(), *TTL_SECONDS.end());
    message.validity.as_secs().clamp(least, most)
}

/// Vonage refuses the whole message over a URL that is too long or has an underscore in its host's
/// name. Without it receipts come to the URL that is set in the account.
fn fits_callback(url: &str) -> bool {
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':');
    url.chars().count() <= CALLBACK_CHARS_MAX && host.bytes().all(plain)
}
