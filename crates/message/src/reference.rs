//! A message's name. It is short enough for every provider's own reference field, so that a receipt
//! finds its message without a look-up table.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::{
    BatchId, OrganizationId,
    text::{self, Digits},
};

/// 64 bits that name a batch of an organisation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchKey(u64);

impl BatchKey {
    /// The key of `batch`: the first eight bytes of SHA-256 over both names, so that a batch that
    /// is handed over again has the same key on every machine and in every version.
    #[must_use]
    pub fn of(organization: &OrganizationId, batch: &BatchId) -> Self {
        let digest = Sha256::new()
            .chain_update(organization.as_str())
            .chain_update([0])
            .chain_update(batch.as_str())
            .finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// The 64 bits.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// Back from [`Self::as_u64`].
    #[must_use]
    pub fn from_u64(value: u64) -> Self {
        Self(value)
    }
}

/// The name of one message: its batch and its row, `3w5e11264sgsf-2s`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The batch.
    pub batch: BatchKey,
    /// The position of the recipient in the batch, from 0.
    pub row: u32,
}

/// A text is not a reference of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message reference (batch key and row in base 36, joined by `-`)")]
pub struct InvalidReference;

impl fmt::Display for BatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(base36(self.0).as_str())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(base36(self.batch.0).as_str())?;
        f.write_str(base36(u64::from(self.row)).with(b'-').as_str())
    }
}

impl Reference {
    /// Writes it behind what `out` holds: for many of them in one buffer.
    pub fn append_to(self, out: &mut String) {
        out.push_str(base36(self.batch.0).as_str());
        out.push_str(base36(u64::from(self.row)).with(b'-').as_str());
    }
}

impl FromStr for BatchKey {
    type Err = InvalidReference;
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        from_base36(text).map(Self)
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let (batch, row) = text.split_once('-').ok_or(InvalidReference)?;
        let row = u32::try_from(from_base36(row)?).map_err(|_| InvalidReference)?;
        Ok(Self {
            batch: batch.parse()?,
            row,
        })
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text::read(deserializer, str::parse::<Self>)
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidReference;
            fn try_from(text: String) -> Result<Self, InvalidReference> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.to_string()
            }
        }
    )*};
}
as_text!(BatchKey, Reference);

/// `u64::MAX` has 13 digits in base 36.
const BASE36_DIGITS_MAX: usize = 13;

fn base36(value: u64) -> Digits {
    Digits::of::<36>(value)
}

/// Strict on purpose: one message has one spelling, so upper case and leading zeros are refused.
fn from_base36(text: &str) -> Result<u64, InvalidReference> {
    let canonical = (1..=BASE36_DIGITS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
        && (text == "0" || !text.starts_with('0'));
    if !canonical {
        return Err(InvalidReference);
    }
    u64::from_str_radix(text, 36).map_err(|_| InvalidReference)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_reference_reads_back_as_itself_and_is_short(batch: u64, row: u32) {
            let reference = Reference { batch: BatchKey(batch), row };
            let text = reference.to_string();
            prop_assert!(text.len() <= 21);
            prop_assert_eq!(text.parse(), Ok(reference));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string(), text);
            }
        }
    }

    #[test]
    fn the_key_of_a_batch_never_changes() {
        let key = BatchKey::of(
            &OrganizationId::new("ORG_1").expect("valid"),
            &BatchId::new("b-1").expect("valid"),
        );
        assert_eq!(key.to_string(), "3euyukgke5v19");
    }
}
