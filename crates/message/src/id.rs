//! Names that other systems gave: they end up in routing keys, Redis keys and URLs, so their
//! alphabet is narrow and checked once, here.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text;

/// Why a string is not a usable identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an identifier has 1 to {max} characters of {alphabet}")]
pub struct InvalidId {
    max: usize,
    alphabet: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $max:literal, $extra:literal, $alphabet:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>); // cloned far more often than made

        impl $name {
            /// Takes `text` if it has the right length and alphabet.
            ///
            /// # Errors
            /// [`InvalidId`] says what is allowed.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                let fits = (1..=$max).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || $extra.contains(&b));
                if fits { Ok(Self(text.into())) } else { Err(InvalidId { max: $max, alphabet: $alphabet }) }
            }

            /// The identifier as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::read(deserializer, Self::new)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// An organisation of the platform; owns connections, distributions and opt-outs.
    OrganizationId, 64, b"_-", "A-Z a-z 0-9 _ -"
);
id!(
    /// One mailing of one organisation.
    DistributionId, 64, b"_-", "A-Z a-z 0-9 _ -"
);
id!(
    /// One account at one provider with its sender.
    ConnectionId, 64, b"_-", "A-Z a-z 0-9 _ -"
);
id!(
    /// What the scheduler calls a batch: its idempotency key within the organisation.
    BatchId, 128, b"_-.:", "A-Z a-z 0-9 _ - . :"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_that_could_break_a_routing_key_is_refused() {
        for text in ["", "a.b", "a b", "a/b", "é", "{x}", "a\n", &"x".repeat(65)] {
            assert!(OrganizationId::new(text).is_err(), "{text:?}");
        }
        assert!(OrganizationId::new("ORG_8mQ2-x").is_ok());
        assert!(BatchId::new("2026-11-20:invite.1").is_ok());
    }
}
