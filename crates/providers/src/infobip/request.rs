//! The request that hands over messages. Source: `shared/providers/infobip.md`, sections 2 and 3.

use bytes::Bytes;
use http::{HeaderValue, Request, header, request::Builder};
use message::{Connection, Msisdn, Sender};
use serde::{Serialize, Serializer};

use super::{SLUG, form};
use crate::{CallbackKind, MtMessage, Submission, Unsendable, basic, callback_path};

/// Ours: no limit is documented.
const BODY_BYTES_MAX: usize = 1 << 20;

/// 48 hours: both the most that Infobip takes and what it assumes.
pub(super) const VALIDITY_MINUTES_MAX: u64 = 2880;

/// At most `max` messages.
pub(super) fn build(
    connection: &Connection,
    submission: &Submission<'_>,
    max: usize,
) -> Result<Request<Bytes>, Unsendable> {
    let given = submission.messages.len();
    if given == 0 || given > max {
        return Err(Unsendable::Count { given, max });
    }
    let sender = match &connection.sender {
        Sender::Number(number) => &number.digits(),
        Sender::ShortCode(text) | Sender::Alphanumeric(text) | Sender::Service(text) => &**text,
    };
    let settings = Settings::of(connection)?;
    let status_url = settings.status_url.then(|| {
        let path = callback_path(CallbackKind::Status, SLUG, &connection.organization_id);
        format!("{}{path}", submission.public_url)
    });
    let entry = |message| settings.entry(sender, status_url.as_deref(), message);
    let messages = submission.messages.iter().map(entry).collect();
    let body = serde_json::to_vec(&Submit { messages })
        .map_err(|_| unsendable(connection, "its messages do not make JSON"))?;
    if body.len() > BODY_BYTES_MAX && given > 1 {
        // As many as fit if they are all of about the same length.
        let max = (given * BODY_BYTES_MAX / body.len()).max(1);
        return Err(Unsendable::Count { given, max });
    }
    let url = format!("{}/sms/3/messages", origin(connection)?);
    with_headers(Request::post(url), connection)?
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .map_err(|_| unsendable(connection, "its base URL does not make a URL"))
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
pub(super) fn with_headers(
    request: Builder,
    connection: &Connection,
) -> Result<Builder, Unsendable> {
    let key = connection
        .secret("api_key")
        .ok_or_else(|| unsendable(connection, "it has no API key"))?;
    let authorization = basic::sensitive(&format!("App {}", key.reveal()))
        .ok_or_else(|| unsendable(connection, "its API key does not make a header"))?;
    let json = HeaderValue::from_static("application/json");
    Ok(request
        .header(header::AUTHORIZATION, authorization)
        .header(header::ACCEPT, json))
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

    fn entry(
        &self,
        sender: &'a str,
        status_url: Option<&'a str>,
        message: &'a MtMessage<'_>,
    ) -> Entry<'a> {
        // Rounded down: past its validity a message is not worth its price.
        let minutes = message.validity.as_secs() / 60;
        let minutes = minutes.min(self.validity_minutes_max).max(1);
        let validity_period = (minutes < VALIDITY_MINUTES_MAX).then_some(Period {
            amount: minutes,
            time_unit: "MINUTES",
        });
        let (regional, platform) = (self.regional, self.platform);
        let any = validity_period.is_some() || regional.is_some() || platform.is_some();
        let options = any.then_some(Options {
            validity_period,
            regional,
            platform,
        });
        Entry {
            sender,
            destinations: [Destination {
                to: message.to,
                message_id: message.reference,
            }],
            content: Content {
                text: message.text,
                transliteration: self.transliteration,
            },
            options,
            webhooks: status_url.map(|url| Webhooks {
                delivery: Delivery {
                    url,
                    intermediate_report: false,
                    notify: true,
                },
                content_type: "application/json",
            }),
        }
    }
}

// === Wire format ===

#[derive(Serialize)]
struct Submit<'a> {
    messages: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    sender: &'a str,
    destinations: [Destination<'a>; 1],
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<Webhooks<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Destination<'a> {
    #[serde(serialize_with = "digits")]
    to: Msisdn,
    message_id: &'a str,
}

fn digits<S: Serializer>(number: &Msisdn, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&number.as_u64())
}

#[derive(Serialize)]
struct Content<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    transliteration: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Options<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    validity_period: Option<Period>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regional: Option<Regional<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform<'a>>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Period {
    amount: u64,
    time_unit: &'static str,
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Webhooks<'a> {
    delivery: Delivery<'a>,
    content_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivery<'a> {
    url: &'a str,
    intermediate_report: bool,
    notify: bool,
}
