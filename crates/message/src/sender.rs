//! What the handset shows as the origin of a message.

use serde::{Deserialize, Serialize};

use crate::Msisdn;

/// The origin of MT messages and, unless alphanumeric, the destination of replies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// A long number: two-way.
    Number(Msisdn),
    /// A short code: two-way in its country.
    ShortCode(Box<str>),
    /// A name of up to 11 characters: nobody can answer it.
    Alphanumeric(Box<str>),
    /// A provider's pool of senders, by the provider's own id.
    Service(Box<str>),
}

impl Sender {
    /// The sender in one canonical spelling: what replies are matched by.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Number(number) => number.e164(),
            Self::ShortCode(text) | Self::Alphanumeric(text) | Self::Service(text) => {
                text.to_string()
            }
        }
    }

    /// Whether a recipient's answer can arrive.
    #[must_use]
    pub fn receives(&self) -> bool {
        !matches!(self, Self::Alphanumeric(_))
    }
}
