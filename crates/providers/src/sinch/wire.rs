//! Sinch's JSON, with exactly its names. Source: `shared/providers/sinch.md`, sections 2.2, 3.2
//! and 4.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use message::{Connection, Msisdn};
use serde::{Deserialize, Serialize, Serializer};

use super::sender_of;
use crate::{MtMessage, json};

/// The body of `messages:send`.
pub(super) fn single(connection: &Connection, message: &MtMessage<'_>) -> Bytes {
    bytes_of(&Single {
        app_id: connection.field("app_id"),
        recipient: Recipient::of(message.to),
        message: Message::of(message.text),
        channel_priority_order: ["SMS"],
        channel_properties: ChannelProperties::of(connection),
        message_metadata: message.reference,
        ttl: Ttl::of(message),
    })
}

/// The body of a batch. It has one validity for all: the shortest, so that no message arrives when
/// it is worth nothing any more.
pub(super) fn batch(connection: &Connection, messages: &[MtMessage<'_>]) -> Bytes {
    bytes_of(&Batch {
        app_id: connection.field("app_id"),
        message: Message::of("${t}"),
        recipient_and_params: messages.iter().map(Entry::of).collect(),
        channel_priority_order: ["SMS"],
        channel_properties: ChannelProperties::of(connection),
        ttl: messages.iter().map(Ttl::of).min().unwrap_or(TTL_MIN),
    })
}

fn bytes_of(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body)
        .expect("texts and numbers under fixed names are JSON")
        .into()
}

#[derive(Serialize)]
struct Single<'a> {
    app_id: &'a str,
    recipient: Recipient,
    message: Message<'a>,
    channel_priority_order: [&'static str; 1],
    channel_properties: ChannelProperties<'a>,
    message_metadata: &'a str,
    ttl: Ttl,
}

#[derive(Serialize)]
struct Batch<'a> {
    app_id: &'a str,
    message: Message<'a>,
    recipient_and_params: Vec<Entry<'a>>,
    channel_priority_order: [&'static str; 1],
    channel_properties: ChannelProperties<'a>,
    ttl: Ttl,
}

#[derive(Serialize)]
struct Entry<'a> {
    recipient: Recipient,
    parameters: Parameters<'a>,
    message_metadata: Metadata<'a>,
}

impl<'a> Entry<'a> {
    fn of(message: &MtMessage<'a>) -> Self {
        Self {
            recipient: Recipient::of(message.to),
            parameters: Parameters { t: message.text },
            message_metadata: Metadata {
                reference: message.reference,
            },
        }
    }
}

#[derive(Serialize)]
struct Parameters<'a> {
    t: &'a str,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(rename = "ref")]
    reference: &'a str,
}

#[derive(Serialize)]
struct Recipient {
    identified_by: IdentifiedBy,
}

#[derive(Serialize)]
struct IdentifiedBy {
    channel_identities: [ChannelIdentity; 1],
}

#[derive(Serialize)]
struct ChannelIdentity {
    channel: &'static str,
    /// With its plus.
    identity: Msisdn,
}

impl Recipient {
    fn of(to: Msisdn) -> Self {
        Self {
            identified_by: IdentifiedBy {
                channel_identities: [ChannelIdentity {
                    channel: "SMS",
                    identity: to,
                }],
            },
        }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    text_message: TextMessage<'a>,
}

#[derive(Serialize)]
struct TextMessage<'a> {
    text: &'a str,
}

impl<'a> Message<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text_message: TextMessage { text },
        }
    }
}

#[derive(Serialize)]
struct ChannelProperties<'a> {
    #[serde(rename = "SMS_SENDER")]
    sender: Cow<'a, str>,
}

impl<'a> ChannelProperties<'a> {
    fn of(connection: &'a Connection) -> Self {
        Self {
            sender: sender_of(connection),
        }
    }
}

/// How long a message is worth sending: whole seconds and `s`, three at least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ttl {
    seconds: u64,
}

const TTL_MIN: Ttl = Ttl { seconds: 3 };

impl Ttl {
    fn of(message: &MtMessage<'_>) -> Self {
        let seconds = message.validity.as_secs();
        TTL_MIN.max(Self { seconds })
    }
}

impl Serialize for Ttl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}s", self.seconds))
    }
}

/// The body of a 2xx: the one of a message or the one of a batch.
#[derive(Default, Deserialize)]
pub(super) struct Submitted {
    #[serde(default)]
    pub message_id: String,
    #[serde(default)]
    pub batch_id: String,
}

/// The body of a refusal, in the form of the API or as problem+json.
#[derive(Default, Deserialize)]
pub(super) struct Refused {
    #[serde(default, deserialize_with = "json::part")]
    error: Option<RefusedError>,
    #[serde(default, deserialize_with = "json::text")]
    detail: Option<String>,
}

#[derive(Deserialize)]
struct RefusedError {
    #[serde(default, deserialize_with = "json::text")]
    message: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    status: Option<String>,
}

impl Refused {
    /// The text for people; empty if there is none.
    pub fn message(&self) -> &str {
        let message = self.error.as_ref().and_then(|error| error.message.as_ref());
        message.or(self.detail.as_ref()).map_or("", String::as_str)
    }

    /// Sinch's word, `INVALID_ARGUMENT` say; its number only repeats the HTTP status.
    pub fn code(&self, status: StatusCode) -> String {
        let word = self.error.as_ref().and_then(|error| error.status.as_ref());
        match word.filter(|word| is_word(word)) {
            Some(word) => word.clone(),
            None => format!("http_{}", status.as_u16()),
        }
    }
}

/// Codes are kept beside every message, so what is no code is not.
fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}
