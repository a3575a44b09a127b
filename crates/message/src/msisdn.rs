//! Subscriber numbers. A full number is personal data: `Debug` and `Display` mask it, and the only
//! ways to the digits ([`Msisdn::e164`], [`Msisdn::digits`]) are easy to search for.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::{self, Digits};

/// A subscriber number in E.164: 7 to 15 digits, the first not zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msisdn(u64);

/// A text is not `+` and 7 to 15 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an E.164 number (`+` and 7 to 15 digits, the first of them 1 to 9)")]
pub struct InvalidMsisdn;

const DIGITS_MIN: u32 = 7;
const DIGITS_MAX: u32 = 15;

impl Msisdn {
    /// Reads `+33639980001`: the plus is required, nothing else than digits may follow.
    ///
    /// # Errors
    /// [`InvalidMsisdn`] for every other form; cleaning user input is [`crate::number`]'s work.
    pub fn parse(text: &str) -> Result<Self, InvalidMsisdn> {
        Self::parse_digits(text.strip_prefix('+').ok_or(InvalidMsisdn)?)
    }

    /// Reads the digits without the plus.
    ///
    /// # Errors
    /// [`InvalidMsisdn`] unless 7 to 15 ASCII digits, the first not zero.
    pub fn parse_digits(digits: &str) -> Result<Self, InvalidMsisdn> {
        let plain = !digits.is_empty()
            && digits.len() <= DIGITS_MAX as usize
            && digits.bytes().all(|b| b.is_ascii_digit());
        if !plain || digits.starts_with('0') {
            return Err(InvalidMsisdn);
        }
        digits
            .parse()
            .ok()
            .and_then(Self::from_u64)
            .ok_or(InvalidMsisdn)
    }

    /// The number whose decimal digits are `value`, if it has 7 to 15 of them.
    #[must_use]
    pub fn from_u64(value: u64) -> Option<Self> {
        let digits = value.checked_ilog10()? + 1;
        (DIGITS_MIN..=DIGITS_MAX)
            .contains(&digits)
            .then_some(Self(value))
    }

    /// The digits as one integer: how numbers are stored and compared.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// The full number with its plus, for the wire only.
    #[must_use]
    pub fn e164(self) -> String {
        Digits::of::<10>(self.0).with(b'+').as_str().to_owned()
    }

    /// The full number without its plus, for the wire only.
    #[must_use]
    pub fn digits(self) -> String {
        Digits::of::<10>(self.0).as_str().to_owned()
    }

    /// What may be shown and stored beside a message: the ends, not the middle.
    #[must_use]
    pub fn masked(self) -> MaskedMsisdn {
        let length = self.0.ilog10() + 1;
        let tail = 10u64.pow(SHOWN_LAST);
        let head = 10u64.pow(length - SHOWN_FIRST);
        MaskedMsisdn(self.0 / head * head + self.0 % tail)
    }
}

const SHOWN_FIRST: u32 = 3;
const SHOWN_LAST: u32 = 2;

/// A number whose middle is gone for good: `+336*******01`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaskedMsisdn(u64);

impl MaskedMsisdn {
    /// The digits with zeros for what is hidden; for compact storage.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// Back from [`Self::as_u64`]; masks again, so that a full number can not slip through.
    #[must_use]
    pub fn from_u64(value: u64) -> Option<Self> {
        Msisdn::from_u64(value).map(Msisdn::masked)
    }
}

impl fmt::Display for MaskedMsisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In every event: no allocations.
        let (mut digits, mut rest) = ([0; u64::MAX.ilog10() as usize + 1], self.0);
        let mut at = digits.len();
        while at == digits.len() || rest > 0 {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let last = digits.len() - SHOWN_LAST as usize;
        digits[at + SHOWN_FIRST as usize..last].fill(b'*');
        let shown = std::str::from_utf8(&digits[at..]).map_err(|_| fmt::Error)?;
        f.write_str("+")?;
        f.write_str(shown)
    }
}

impl fmt::Debug for MaskedMsisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.masked().fmt(f)
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// On the wire between our services a number is `"+33639980001"`.
impl Serialize for Msisdn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Digits::of::<10>(self.0).with(b'+').as_str())
    }
}

impl<'de> Deserialize<'de> for Msisdn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, Self::parse)
    }
}

impl Serialize for MaskedMsisdn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MaskedMsisdn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, |text| {
            Msisdn::parse(&text.replace('*', "0")).map(Msisdn::masked)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_and_display_never_show_the_middle_of_a_number() {
        let number = Msisdn::parse("+33639980001").expect("a well-formed number");
        assert_eq!(format!("{number} {number:?}"), "+336******01 +336******01");
        assert_eq!(number.e164(), "+33639980001");
    }

    #[test]
    fn a_masked_number_survives_its_integer_form() {
        let masked = Msisdn::parse("+15550100")
            .expect("a well-formed number")
            .masked();
        assert_eq!(MaskedMsisdn::from_u64(masked.as_u64()), Some(masked));
        assert_eq!(masked.to_string(), "+155***00");
    }

    #[test]
    fn only_a_plus_and_seven_to_fifteen_digits_are_a_number() {
        for text in [
            "",
            "+",
            "33639980001",
            "+033639980001",
            "+123456",
            "+1234567890123456",
            "+336 39980001",
            "+٣٣٦٣٩٩٨٠٠٠١",
        ] {
            assert_eq!(Msisdn::parse(text), Err(InvalidMsisdn), "{text}");
        }
    }
}
