//! What the ingress hands on: verified callbacks as the provider sent them, in groups.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use crate::{ConnectionId, OrganizationId, Timestamp};

/// The version a group is written in.
pub const CALLBACKS_VERSION: u8 = 1;

/// Callbacks that arrived within a few milliseconds: one AMQP message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallbackGroup {
    /// [`CALLBACKS_VERSION`].
    pub v: u8,
    /// The callbacks in the order of their arrival.
    pub callbacks: Vec<Callback>,
}

/// One HTTP request of a provider, its signature checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Callback {
    /// The organisation in the path.
    pub organization_id: OrganizationId,
    /// The connection whose secret verified it.
    pub connection_id: ConnectionId,
    /// That connection's provider slug.
    pub provider: String,
    /// When it arrived.
    pub received_at: Timestamp,
    /// `POST` or `GET`.
    pub method: String,
    /// Path and query as received.
    pub target: String,
    /// The content type, empty where none was sent.
    #[serde(default)]
    pub content_type: String,
    /// The raw body.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub body: Vec<u8>,
    /// Of a callback that waits for another try: which of the things that it says are not done, by
    /// their position; all if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<u32>,
}

fn to_base64<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(body))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    /// Decodes straight out of what is read, where the text stands there without escapes.
    struct Base64;

    impl Visitor<'_> for Base64 {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("base64")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
            STANDARD.decode(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Base64)
}
