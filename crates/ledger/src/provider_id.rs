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
        let mut bytes = Vec::new();
        pack(id, &mut bytes);
        Self(bytes)
    }

    /// The id as the provider wrote it; `None` if the bytes are not what [`Self::pack`] makes.
    pub(crate) fn unpack(&self) -> Option<String> {
        unpack(&self.0)
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

/// How many bytes [`pack`] makes of `id`.
pub(crate) fn packed_bytes(id: &str) -> usize {
    match form(id) {
        None => 0,
        Some(LETTERS_HEX) => 19,
        Some(UUID | HEX) => 17,
        Some(_) => 1 + cut(id, BYTES_MAX),
    }
}

/// Packs `id` behind `bytes`.
pub(crate) fn pack(id: &str, bytes: &mut Vec<u8>) {
    let Some(form) = form(id) else { return };
    let text = id.as_bytes();
    bytes.push(form);
    match form {
        LETTERS_HEX => {
            bytes.extend(&text[..2]);
            extend_hex(&text[2..], bytes);
        }
        UUID => {
            let mut start = 0;
            for end in HYPHENS.into_iter().chain([text.len()]) {
                extend_hex(&text[start..end], bytes);
                start = end + 1;
            }
        }
        HEX => extend_hex(text, bytes),
        _ => bytes.extend(&text[..cut(id, BYTES_MAX)]),
    }
}

/// How an id is stored; nothing if there is none.
fn form(id: &str) -> Option<u8> {
    // Lower case only: an id has to come back as the provider wrote it.
    let is_hex = |text: &[u8]| text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let text = id.as_bytes();
    match text.len() {
        0 => None,
        34 if text[..2].iter().all(u8::is_ascii_alphabetic) && is_hex(&text[2..]) => {
            Some(LETTERS_HEX)
        }
        36 if (0..).zip(text).all(|(at, b)| match HYPHENS.contains(&at) {
            true => *b == b'-',
            false => is_hex(&[*b]),
        }) =>
        {
            Some(UUID)
        }
        32 if is_hex(text) => Some(HEX),
        _ => Some(RAW),
    }
}

/// The id as the provider wrote it; `None` if the bytes are not what [`pack`] makes.
pub(crate) fn unpack(bytes: &[u8]) -> Option<String> {
    let Some((tag, rest)) = bytes.split_first() else {
        return Some(String::new());
    };
    match (*tag, rest) {
        (RAW, text) => String::from_utf8(text.to_vec()).ok(),
        (LETTERS_HEX, [a, b, hex @ ..]) => {
            let mut text = String::with_capacity(2 + 2 * hex.len());
            text.extend([char::from(*a), char::from(*b)]);
            push_hexadecimal(hex, &mut text);
            Some(text)
        }
        (UUID, hex) => {
            let mut text = String::with_capacity(2 * hex.len() + HYPHENS.len());
            for (at, byte) in hex.iter().enumerate() {
                if HYPHENS.contains(&text.len()) && at > 0 {
                    text.push('-');
                }
                push_hexadecimal(&[*byte], &mut text);
            }
            Some(text)
        }
        (HEX, hex) => {
            let mut text = String::with_capacity(2 * hex.len());
            push_hexadecimal(hex, &mut text);
            Some(text)
        }
        _ => None,
    }
}

/// How many bytes of `text` fit in `bytes_max` without splitting a character.
pub(crate) fn cut(text: &str, bytes_max: usize) -> usize {
    text.floor_char_boundary(bytes_max)
}

fn extend_hex(digits: &[u8], bytes: &mut Vec<u8>) {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit - b'a' + 10,
    };
    let pairs = digits.as_chunks().0.iter();
    bytes.extend(pairs.map(|[high, low]| value(*high) << 4 | value(*low)));
}

fn push_hexadecimal(bytes: &[u8], text: &mut String) {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
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
