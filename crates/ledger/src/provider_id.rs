//! Providers' message ids, packed: most of them are hexadecimal or decimal digits, and there is one
//! beside every message.

/// A provider's id as it is stored; no bytes where none is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PackedId(Vec<u8>);

/// Longer ids are cut: no provider documents one of more than 64 characters.
const BYTES_MAX: usize = 128;

const RAW: u8 = 0;
/// Two letters and 32 hexadecimal digits: Twilio's SIDs.
const LETTERS_HEX: u8 = 1;
/// A UUID with its hyphens: Vonage, MessageMedia, Infobip.
const UUID: u8 = 2;
/// 32 hexadecimal digits: MessageBird.
const HEX: u8 = 3;

const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl PackedId {
    /// Packs `id`.
    pub(crate) fn pack(id: &str) -> Self {
        if id.is_empty() {
            return Self::default();
        }
        let text = id.as_bytes();
        let packed = match text.len() {
            34 => hex_of(text[2..].iter())
                .filter(|_| text[..2].iter().all(u8::is_ascii_alphabetic))
                .map(|hex| [&[LETTERS_HEX, text[0], text[1]], hex.as_slice()].concat()),
            36 if HYPHENS.iter().all(|at| text[*at] == b'-') => {
                let digits = text
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| !HYPHENS.contains(at));
                hex_of(digits.map(|(_, b)| b)).map(|hex| [&[UUID], hex.as_slice()].concat())
            }
            32 => hex_of(text.iter()).map(|hex| [&[HEX], hex.as_slice()].concat()),
            _ => None,
        };
        Self(packed.unwrap_or_else(|| [&[RAW], &text[..cut(id, BYTES_MAX)]].concat()))
    }

    /// The id as the provider wrote it; `None` if the bytes are not what [`Self::pack`] makes.
    pub(crate) fn unpack(&self) -> Option<String> {
        let Some((tag, rest)) = self.0.split_first() else {
            return Some(String::new());
        };
        match (*tag, rest) {
            (RAW, text) => String::from_utf8(text.to_vec()).ok(),
            (LETTERS_HEX, [a, b, hex @ ..]) => Some(format!(
                "{}{}{}",
                char::from(*a),
                char::from(*b),
                hexadecimal(hex)
            )),
            (UUID, hex) => {
                let mut text = hexadecimal(hex);
                for at in HYPHENS {
                    if text.len() < at {
                        return None;
                    }
                    text.insert(at, '-');
                }
                Some(text)
            }
            (HEX, hex) => Some(hexadecimal(hex)),
            _ => None,
        }
    }

    /// The stored bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Back from [`Self::as_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Whether none is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How many bytes of `text` fit in `bytes_max` without splitting a character.
pub(crate) fn cut(text: &str, bytes_max: usize) -> usize {
    text.floor_char_boundary(bytes_max)
}

/// 32 digits as 16 bytes. Lower case only: an id has to come back as the provider wrote it.
fn hex_of<'a>(digits: impl Iterator<Item = &'a u8>) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    for (at, digit) in digits.enumerate() {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        bytes[at / 2] = bytes[at / 2] << 4 | value;
    }
    Some(bytes)
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)]);
    let mut text = String::with_capacity(bytes.len() * 2 + HYPHENS.len());
    text.extend(digits);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_comes_back_as_the_provider_wrote_it(
            id in "[A-Z]{2}[0-9a-f]{32}|[0-9a-fA-F]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|.{0,32}"
        ) {
            prop_assert_eq!(PackedId::pack(&id).unpack(), Some(id));
        }

        #[test]
        fn no_stored_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = PackedId::from_bytes(&bytes).unpack();
        }
    }

    #[test]
    fn the_usual_ids_take_at_most_19_bytes() {
        for id in [
            "SM0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdef",
            "01234567-89ab-cdef-0123-456789abcdef",
        ] {
            assert!(PackedId::pack(id).as_bytes().len() <= 19, "{id}");
        }
    }
}
