//! The JSON of Sinch's answers, with exactly its names. Source: `shared/providers/sinch.md`,
//! sections 2.2, 3.2 and 4.

use http::StatusCode;
use serde::Deserialize;

use crate::json;

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
