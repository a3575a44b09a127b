//! The names that a provider gives to messages: a number of the twin's, written in the provider's form.
//!
//! Nothing is stored for them: the text is made from the number, and the number read back from the text.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// In front of a base64 id, so that each one has a `+`, a `/` and, because of its length, a `=`.
const AWKWARD: [u8; 3] = [0xfb, 0xff, 0xbf];
/// The version and variant bits of a UUID.
const UUID_FIXED: u128 = 0xf000_c000_0000_0000_0000;
const UUID_4: u128 = 0x4000_8000_0000_0000_0000;
/// How much of the run fits into 16 hex digits.
const SHORT_RUN: u64 = (1 << 22) - 1;

/// What a number names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A message to a person.
    Outbound,
    /// A message from a person.
    Inbound,
    /// A receipt, where the provider names those too.
    Report,
}

/// The number behind a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Number {
    /// In every name. New with every start and reset, so that a fleet which remembers yesterday's names takes none of
    /// today's for a duplicate.
    pub run: u64,
    pub kind: Kind,
    /// Counted from 0; only few providers name the parts of a message.
    pub part: u8,
    pub index: u32,
}

/// How a provider writes its names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IdForm {
    /// A prefix, possibly empty, and 32 hexadecimal digits.
    Hex32(&'static str),
    /// 16 hexadecimal digits in upper case.
    Hex16,
    /// A random-looking UUID in lower case.
    Uuid,
    /// 26 characters in Crockford's alphabet.
    Ulid,
    /// Base64 that is awkward in a URL: it always has `+`, `/` and `=`.
    Base64,
}

/// A new run: the time in milliseconds, then chance.
pub(crate) fn new_run() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let milliseconds = u64::try_from(now.as_millis()).unwrap_or_default();
    milliseconds << 16 | u64::from(fastrand::u16(..))
}

impl Number {
    /// The number of another part.
    pub fn part(self, part: u8) -> Self {
        Self { part, ..self }
    }

    // Run, then kind (2 bits above bit 56), part (8 bits above 40), index.
    fn bits(self) -> u128 {
        let kind: u128 = match self.kind {
            Kind::Outbound => 0,
            Kind::Inbound => 1,
            Kind::Report => 2,
        };
        u128::from(self.run) << 64
            | kind << 56
            | u128::from(self.part) << 40
            | u128::from(self.index)
    }

    fn of_bits(bits: u128) -> Option<Self> {
        let number = Self {
            run: (bits >> 64) as u64,
            kind: match (bits >> 56) & 3 {
                0 => Kind::Outbound,
                1 => Kind::Inbound,
                2 => Kind::Report,
                _ => return None,
            },
            part: (bits >> 40) as u8,
            index: bits as u32,
        };
        (number.bits() == bits).then_some(number)
    }

    fn short_bits(self) -> u64 {
        let kind = (self.bits() >> 56) as u64 & 3;
        (self.run & SHORT_RUN) << 42
            | kind << 40
            | u64::from(self.part) << 32
            | u64::from(self.index)
    }
}

impl IdForm {
    /// The name of a number.
    pub fn write(self, number: Number) -> String {
        let bits = number.bits();
        match self {
            Self::Hex32(prefix) => format!("{prefix}{bits:032x}"),
            Self::Hex16 => format!("{:016X}", number.short_bits()),
            Self::Uuid => {
                let hex = format!("{:032x}", bits & !UUID_FIXED | UUID_4);
                let cut = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
                format!(
                    "{}-{}-{}-{}-{}",
                    cut(0, 8),
                    cut(8, 12),
                    cut(12, 16),
                    cut(16, 20),
                    cut(20, 32)
                )
            }
            Self::Ulid => (0..26)
                .rev()
                .map(|place| char::from(CROCKFORD[(bits >> (place * 5)) as usize & 31]))
                .collect(),
            Self::Base64 => {
                let mut bytes = AWKWARD.to_vec();
                bytes.extend_from_slice(&bits.to_be_bytes());
                STANDARD.encode(bytes)
            }
        }
    }

    /// The number of a name that this run has given; `None` for every other text.
    pub fn read(self, text: &str, run: u64) -> Option<Number> {
        let bits = match self {
            Self::Hex32(prefix) => hex(text.strip_prefix(prefix)?, 32)?,
            Self::Hex16 => {
                let bits = hex(text, 16)?;
                u128::from(run) << 64
                    | (bits >> 40 & 3) << 56
                    | (bits >> 32 & 0xff) << 40
                    | bits & 0xffff_ffff
            }
            Self::Uuid => {
                let bits = hex(&text.replace('-', ""), 32)?;
                bits & !UUID_FIXED | u128::from(run) << 64 & UUID_FIXED
            }
            Self::Ulid => {
                text.bytes()
                    .filter(|_| text.len() == 26)
                    .try_fold(0_u128, |bits, byte| {
                        let digit = CROCKFORD.iter().position(|&known| known == byte)?;
                        Some(bits << 5 | digit as u128)
                    })?
            }
            Self::Base64 => {
                let bytes = STANDARD.decode(text).ok()?;
                u128::from_be_bytes(bytes.strip_prefix(&AWKWARD)?.try_into().ok()?)
            }
        };
        // What was lost in a short form is put back from this run, so only writing it again tells whether it is ours.
        Number::of_bits(bits).filter(|number| number.run == run && self.write(*number) == text)
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [IdForm; 6] = [
        IdForm::Hex32("SM"),
        IdForm::Hex32(""),
        IdForm::Hex16,
        IdForm::Uuid,
        IdForm::Ulid,
        IdForm::Base64,
    ];

    #[test]
    fn a_name_is_read_back_as_its_number_in_every_form() {
        let run = new_run();
        for form in FORMS {
            for kind in [Kind::Outbound, Kind::Inbound, Kind::Report] {
                for (part, index) in [(0, 0), (3, 1), (255, u32::MAX)] {
                    let number = Number {
                        run,
                        kind,
                        part,
                        index,
                    };
                    let name = form.write(number);
                    assert_eq!(form.read(&name, run), Some(number), "{form:?} {name}");
                }
            }
        }
    }

    #[test]
    fn names_of_another_run_and_other_texts_are_unknown() {
        let number = Number {
            run: 0x0123_4567_89ab_cdef,
            kind: Kind::Outbound,
            part: 0,
            index: 7,
        };
        for form in FORMS {
            let name = form.write(number);
            assert_eq!(form.read(&name, number.run ^ 1), None, "{form:?}");
            for text in ["", "x", "é", &name[1..], &format!("{name}0")] {
                assert_eq!(form.read(text, number.run), None, "{form:?} {text}");
            }
        }
    }

    #[test]
    fn each_form_looks_as_the_provider_writes_it() {
        let number = Number {
            run: 0x0199_4567_89ab_cdef,
            kind: Kind::Outbound,
            part: 1,
            index: 7,
        };
        let written = FORMS.map(|form| form.write(number));
        assert_eq!(written[0], "SM0199456789abcdef0000010000000007");
        assert_eq!(written[2].len(), 16);
        assert_eq!(written[3], "01994567-89ab-4def-8000-010000000007");
        assert_eq!(written[4].len(), 26);
        assert!(["+", "/", "="].iter().all(|c| written[5].contains(c)));
    }
}
