//! The request that hands over messages. Source: `shared/providers/infobip.md`, sections 2 and 3.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header, request::Builder};
use message::{Connection, Sender};
use serde::Serialize;

use super::{SLUG, form};
use crate::{
    CallbackKind, MtMessage, Prepared, Submission, SubmitMode, Unsendable, basic, callback_path,
    prepared::{Envelope, Put},
};

/// Ours: no limit is documented.
const BODY_BYTES_MAX: usize = 1 << 20;

/// 48 hours: both the most that Infobip takes and what it assumes.
pub(super) const VALIDITY_MINUTES_MAX: u64 = 2880;

/// The requests of one connection. Of each entry only number, reference, text and validity differ;
/// what stands between them is kept as it is written.
#[derive(Debug)]
pub(super) struct Messages {
    envelope: Envelope,
    messages_max: usize,
    validity_minutes_max: u64,
    /// `{"sender":…,"destinations":[{"to":"`.
    before_number: Vec<u8>,
    /// What follows the text, the validity in it: the content's end.
    behind_text: Vec<u8>,
    /// The options but for the validity, without braces; empty if there are none.
    options: Vec<u8>,
    /// The entry's end, with the webhooks in it if requests name them.
    end: Vec<u8>,
}

impl Messages {
    pub(super) fn of(
        connection: &Connection,
        public_url: &str,
        messages_max: usize,
    ) -> Result<Self, Unsendable> {
        let url = format!("{}/sms/3/messages", origin(connection)?);
        let json = HeaderValue::from_static("application/json");
        let [authorization, accept] = headers(connection)?;
        let headers = [authorization, accept, (header::CONTENT_TYPE, json)];
        let envelope = Envelope::post(url, headers)
            .ok_or_else(|| unsendable(connection, "its base URL does not make a URL"))?;
        let settings = Settings::of(connection)?;
        let sender = match &connection.sender {
            Sender::Number(number) => &number.digits(),
            Sender::ShortCode(text) | Sender::Alphanumeric(text) | Sender::Service(text) => &**text,
        };
        let mut before_number = Vec::new();
        before_number.put(br#"{"sender":"#);
        before_number.put_json(sender);
        before_number.put(br#","destinations":[{"to":""#);
        let mut behind_text = Vec::new();
        if let Some(transliteration) = settings.transliteration {
            behind_text.put(br#","transliteration":"#);
            behind_text.put_json(transliteration);
        }
        behind_text.put(b"}");
        let mut end = Vec::new();
        if settings.status_url {
            let path = callback_path(CallbackKind::Status, SLUG, &connection.organization_id);
            end.put(br#","webhooks":{"delivery":{"url":"#);
            end.put_json(&format!("{public_url}{path}"));
            end.put(
                br#","intermediateReport":false,"notify":true},"contentType":"application/json"}"#,
            );
        }
        end.put(b"}");
        Ok(Self {
            envelope,
            messages_max,
            validity_minutes_max: settings.validity_minutes_max,
            before_number,
            behind_text,
            options: settings.options(),
            end,
        })
    }

    fn put_entry(&self, body: &mut Vec<u8>, message: &MtMessage<'_>) {
        body.put(&self.before_number);
        body.put_digits(message.to);
        body.put(br#"","messageId":"#);
        body.put_json(message.reference);
        body.put(br#"}],"content":{"text":"#);
        body.put_json(message.text);
        body.put(&self.behind_text);
        // Rounded down: past its validity a message is not worth its price.
        let minutes = message.validity.as_secs() / 60;
        let minutes = minutes.min(self.validity_minutes_max).max(1);
        let is_limited = minutes < VALIDITY_MINUTES_MAX;
        if is_limited {
            body.put(br#","options":{"validityPeriod":{"amount":"#);
            body.put_number(minutes);
            body.put(br#","timeUnit":"MINUTES"}"#);
        }
        if !self.options.is_empty() {
            let before: &[u8] = if is_limited { b"," } else { br#","options":{"# };
            body.put(before);
            body.put(&self.options);
        }
        if is_limited || !self.options.is_empty() {
            body.put(b"}");
        }
        body.put(&self.end);
    }

    /// What a message takes up in a body, about: for its buffer.
    fn bytes_of(&self, message: &MtMessage<'_>) -> usize {
        let fixed = self.before_number.len() + self.options.len() + self.end.len();
        fixed + message.text.len() * 9 / 8 + message.reference.len() + 160
    }
}

impl Prepared for Messages {
    fn build_request(&self, submission: &Submission<'_>) -> Result<Request<Bytes>, Unsendable> {
        let max = match submission.mode {
            SubmitMode::Single => 1,
            SubmitMode::Batch => self.messages_max,
        };
        let messages = submission.messages;
        let given = messages.len();
        if given == 0 || given > max {
            return Err(Unsendable::Count { given, max });
        }
        let bytes = messages.iter().map(|message| self.bytes_of(message)).sum();
        let mut body = Vec::with_capacity(bytes);
        body.put(br#"{"messages":["#);
        for (at, message) in messages.iter().enumerate() {
            if at > 0 {
                body.put(b",");
            }
            self.put_entry(&mut body, message);
        }
        body.put(b"]}");
        if body.len() > BODY_BYTES_MAX && given > 1 {
            // As many as fit if they are all of about the same length.
            let max = (given * BODY_BYTES_MAX / body.len()).max(1);
            return Err(Unsendable::Count { given, max });
        }
        Ok(self.envelope.around(body))
    }
}

/// Where its requests go. Checked again here and not only in the form, because whoever gets to name
/// another host gets the API key with it (section 1).
pub(super) fn origin(connection: &Connection) -> Result<String, Unsendable> {
    match connection.field("test_base_url") {
        "" => form::host(connection.field("base_url"))
            .map(|host| format!("https://{host}"))
            .ok_or_else(|| unsendable(connection, "its base URL is not a host of infobip.com")),
        url => Ok(url.trim_end_matches('/').to_owned()),
    }
}

/// The key, and JSON in return: the same paths speak XML too.
pub(super) fn headers(
    connection: &Connection,
) -> Result<[(HeaderName, HeaderValue); 2], Unsendable> {
    let key = connection
        .secret("api_key")
        .ok_or_else(|| unsendable(connection, "it has no API key"))?;
    let authorization = basic::sensitive(&format!("App {}", key.reveal()))
        .ok_or_else(|| unsendable(connection, "its API key does not make a header"))?;
    let json = HeaderValue::from_static("application/json");
    Ok([
        (header::AUTHORIZATION, authorization),
        (header::ACCEPT, json),
    ])
}

pub(super) fn with_headers(
    request: Builder,
    connection: &Connection,
) -> Result<Builder, Unsendable> {
    let headers = headers(connection)?;
    Ok(headers.into_iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    }))
}

pub(super) fn unsendable(connection: &Connection, why: &'static str) -> Unsendable {
    Unsendable::Connection {
        connection: connection.id.clone(),
        why,
    }
}

/// What all messages of a connection have in common.
struct Settings<'a> {
    validity_minutes_max: u64,
    transliteration: Option<&'a str>,
    regional: Option<Regional<'a>>,
    platform: Option<Platform<'a>>,
    status_url: bool,
}

impl<'a> Settings<'a> {
    fn of(connection: &'a Connection) -> Result<Self, Unsendable> {
        let given = |key| Some(connection.field(key)).filter(|value| !value.is_empty());
        let regional = match (
            given("india_dlt_content_template_id"),
            given("india_dlt_principal_entity_id"),
            given("india_dlt_telemarketer_id"),
        ) {
            (None, None, None) => None,
            (Some(content_template_id), Some(principal_entity_id), telemarketer_id) => {
                Some(Regional {
                    india_dlt: IndiaDlt {
                        content_template_id,
                        principal_entity_id,
                        telemarketer_id,
                    },
                })
            }
            _ => {
                let why = "India DLT takes a content template and a principal entity";
                return Err(unsendable(connection, why));
            }
        };
        let (entity_id, application_id) = (given("entity_id"), given("application_id"));
        let any = entity_id.or(application_id);
        let minutes: Option<u64> = given("validity_minutes").and_then(|text| text.parse().ok());
        Ok(Self {
            validity_minutes_max: minutes.unwrap_or(VALIDITY_MINUTES_MAX),
            transliteration: given("transliteration"),
            regional,
            platform: any.map(|_| Platform {
                entity_id,
                application_id,
            }),
            status_url: connection.field("status_url_in_requests") == "true",
        })
    }

    /// The members of the options that all messages share, without braces.
    fn options(&self) -> Vec<u8> {
        let options = Options {
            regional: self.regional,
            platform: self.platform,
        };
        let json = serde_json::to_vec(&options).expect("texts under fixed names are JSON");
        json[1..json.len() - 1].to_vec()
    }
}

// === Wire format ===

#[derive(Serialize)]
struct Options<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    regional: Option<Regional<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform<'a>>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Regional<'a> {
    india_dlt: IndiaDlt<'a>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct IndiaDlt<'a> {
    content_template_id: &'a str,
    principal_entity_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    telemarketer_id: Option<&'a str>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Platform<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_id: Option<&'a str>,
}
