//! Values that are texts on the wire, read and written without a copy between: a derived
//! `try_from = "String"` makes one for each, and so does `Cow`.

use std::fmt::{self, Display};

use serde::{
    Deserializer,
    de::{Error, Visitor},
};

/// Reads a string by `read`; what it makes of the text is all that is kept.
pub(crate) fn read<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct Text<F>(F);
    impl<T, E: Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<F> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_str<R: Error>(self, text: &str) -> Result<T, R> {
            (self.0)(text).map_err(R::custom)
        }
    }
    deserializer.deserialize_str(Text(read))
}

/// Room for any `u64` in base 10 or 36, with a sign before it.
pub(crate) struct Digits {
    bytes: [u8; 21],
    start: usize,
}

impl Digits {
    /// `value` in lower-case digits of base `RADIX`.
    pub(crate) fn of<const RADIX: u64>(mut value: u64) -> Self {
        let mut digits = Self {
            bytes: [0; 21],
            start: 21,
        };
        loop {
            digits.before(b"0123456789abcdefghijklmnopqrstuvwxyz"[(value % RADIX) as usize]);
            value /= RADIX;
            if value == 0 {
                return digits;
            }
        }
    }

    /// The same with a character before it.
    pub(crate) fn with(mut self, sign: u8) -> Self {
        self.before(sign);
        self
    }

    fn before(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[self.start] = byte;
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.start..]).expect("digits and signs are ASCII")
    }
}
