//! Requests for one message and for many. Source: `shared/providers/link-mobility.md`, sections 1.1,
//! 2 and 3.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use message::{Connection, Sender};

use super::{CAPABILITIES, form};
use crate::{
    MtMessage, Prepared, Submission, SubmitMode, Unsendable, basic,
    prepared::{Envelope, Put},
};

/// What a validity may be, documented for its absolute form (section 2).
const VALIDITY_MIN: Duration = Duration::from_secs(15 * 60);
const VALIDITY_MAX: Duration = Duration::from_secs(48 * 60 * 60);

/// LINK names no limit; this one is ours (section 3). 250 texts of 10 segments come to half of it.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// The requests of one connection. Of each message only number, text and reference differ; what
/// stands between them is kept as it is written.
#[derive(Debug)]
pub(super) struct Messages {
    single: Envelope,
    batch: Envelope,
    strips_non_bmp: bool,
    /// `"source":…,"destination":"+`.
    before_number: Vec<u8>,
    /// `"platformId":…,"relativeValidityTime":`.
    before_validity: Vec<u8>,
}

impl Messages {
    pub(super) fn of(connection: &Connection) -> Result<Self, Unsendable> {
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        let headers = [
            (header::AUTHORIZATION, authorization(connection)?),
            (header::CONTENT_TYPE, json),
        ];
        let envelope = |path| {
            Envelope::post(origin(connection) + path, headers.clone())
                .ok_or_else(|| unsendable(connection, "its endpoint host does not make a URL"))
        };
        let type_of_number = match &connection.sender {
            Sender::Number(_) => "MSISDN",
            Sender::Alphanumeric(_) => "ALPHANUMERIC",
            Sender::ShortCode(_) => "SHORTNUMBER",
            Sender::Service(_) => return Err(unsendable(connection, "LINK has no sender pools")),
        };
        let mut before_number = Vec::new();
        before_number.put(br#""source":"#);
        before_number.put_json(&connection.sender.key());
        before_number.put(br#","sourceTON":"#);
        before_number.put_json(type_of_number);
        before_number.put(br#","destination":"+"#);
        // The partner's id is a string even where it is a number.
        let mut before_validity = Vec::new();
        before_validity.put(br#""platformId":"#);
        before_validity.put_json(connection.field("platform_id"));
        before_validity.put(br#","platformPartnerId":"#);
        before_validity.put_json(connection.field("platform_partner_id"));
        before_validity.put(br#","useDeliveryReport":true,"deliveryReportGates":["#);
        before_validity.put_json(connection.field("gate_id"));
        before_validity.put(br#"],"relativeValidityTime":"#);
        Ok(Self {
            single: envelope("/sms/send")?,
            batch: envelope("/sms/sendbatch")?,
            strips_non_bmp: strips_non_bmp(connection),
            before_number,
            before_validity,
        })
    }

    /// The members that a request has once. `ignoreResponse` is always false: true is answered by
    /// 204, and the message's id is lost.
    fn put_common(&self, body: &mut Vec<u8>, validity: Duration) {
        let validity = validity.clamp(VALIDITY_MIN, VALIDITY_MAX);
        body.put(&self.before_validity);
        body.put_number(validity.as_secs() * 1000); // milliseconds
        body.put(br#","ignoreResponse":false"#);
    }

    /// The members of one message. With `TEXT` LINK chooses GSM-7 or UCS-2 and splits.
    fn put_message(&self, body: &mut Vec<u8>, message: &MtMessage<'_>) {
        body.put(&self.before_number);
        body.put_digits(message.to);
        body.put(br#"","destinationTON":"MSISDN","userData":"#);
        body.put_json(&carried(message.text, self.strips_non_bmp));
        body.put(br#","dcs":"TEXT","refId":"#);
        body.put_json(message.reference);
    }

    fn buffer(&self, messages: &[MtMessage<'_>]) -> Vec<u8> {
        let each = self.before_number.len() + 160;
        let texts = messages.iter().map(|message| message.text.len() * 9 / 8);
        Vec::with_capacity(texts.sum::<usize>() + each * messages.len() + 512)
    }

    fn one(&self, messages: &[MtMessage<'_>]) -> Result<Vec<u8>, Unsendable> {
        let [message] = messages else {
            return Err(Unsendable::Count {
                given: messages.len(),
                max: 1,
            });
        };
        let mut body = self.buffer(messages);
        body.put(b"{");
        self.put_message(&mut body, message);
        body.put(b",");
        self.put_common(&mut body, message.validity);
        body.put(b"}");
        Ok(body)
    }

    fn many(&self, messages: &[MtMessage<'_>]) -> Result<Vec<u8>, Unsendable> {
        let given = messages.len();
        let max = CAPABILITIES.messages_per_request;
        // One validity for all: nobody is to be texted when it is no longer worth it.
        let shortest = messages.iter().map(|message| message.validity).min();
        let Some(validity) = shortest.filter(|_| given <= max) else {
            return Err(Unsendable::Count { given, max });
        };
        let mut body = self.buffer(messages);
        body.put(b"{");
        self.put_common(&mut body, validity);
        body.put(br#","sendRequestMessages":["#);
        for (at, message) in messages.iter().enumerate() {
            body.put(if at == 0 { b"{" } else { b",{" });
            self.put_message(&mut body, message);
            body.put(b"}");
        }
        body.put(b"]}");
        if body.len() > BODY_BYTES_MAX && given > 1 {
            let max = (given * BODY_BYTES_MAX / body.len()).max(1);
            return Err(Unsendable::Count { given, max });
        }
        Ok(body)
    }
}

impl Prepared for Messages {
    fn build_request(&self, submission: &Submission<'_>) -> Result<Request<Bytes>, Unsendable> {
        let messages = submission.messages;
        Ok(match submission.mode {
            SubmitMode::Single => self.single.around(self.one(messages)?),
            SubmitMode::Batch => self.batch.around(self.many(messages)?),
        })
    }
}

fn origin(connection: &Connection) -> String {
    match connection.field("base_url") {
        "" => format!(
            "https://{}",
            form::host(connection.field("endpoint_host")).to_ascii_lowercase()
        ),
        base => base.trim_end_matches('/').to_owned(),
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

/// Characters outside the BMP have four bytes in UTF-8, the first of them from 0xf0 on.
pub(super) fn has_non_bmp(text: &str) -> bool {
    text.bytes().any(|byte| byte >= 0xf0)
}

/// What holds emoji together, and what stands between them.
pub(super) fn shows_nothing(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200d}' | '\u{fe0f}')
}

/// What is sent of `text`: all of it, or what LINK carries of it if the connection wants that.
pub(super) fn text<'t>(connection: &Connection, text: &'t str) -> Cow<'t, str> {
    carried(text, strips_non_bmp(connection))
}

fn strips_non_bmp(connection: &Connection) -> bool {
    form::is_yes(connection.field("strip_non_bmp"))
}

fn carried(text: &str, strips_non_bmp: bool) -> Cow<'_, str> {
    if !strips_non_bmp || !has_non_bmp(text) {
        return Cow::Borrowed(text);
    }
    text.chars().filter(|c| *c <= '\u{ffff}').collect()
}
