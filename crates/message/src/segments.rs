//! What a text costs: its encoding, its units and the segments a carrier bills. Nothing here
//! rewrites a text except [`nfc`], which callers apply before they count **and** before they send.
//!
//! Source: 3GPP TS 23.038 §6.2.1 (both tables) and TS 23.040 §9.2.3.24.1 (concatenation).

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// What [`measure`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// How the text travels.
    pub encoding: Encoding,
    /// Septets of GSM-7, or UTF-16 code units of UCS-2.
    pub units: u32,
    /// Billable segments; 1 for the empty text. Saturates far above what any provider takes.
    pub segments: u16,
}

/// The two encodings that every handset and provider understands. National shift tables exist, but
/// gateways use them only by arrangement, so they are never assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The GSM 7-bit default alphabet with its extension table.
    Gsm7,
    /// Two octets a unit, in practice UTF-16BE.
    Ucs2,
}

impl Encoding {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "gsm7",
            Self::Ucs2 => "ucs2",
        }
    }

    /// Units that fit into a message of one segment: 140 octets of user data.
    #[must_use]
    pub const fn single_max(self) -> u32 {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// Units that fit into each of several segments: the concatenation header takes 6 octets.
    #[must_use]
    pub const fn each_max(self) -> u32 {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }
}

/// Counts `text`, which is expected in NFC.
///
/// One character outside the GSM tables moves the whole text to UCS-2. A character of two units
/// (`€`, an emoji) that does not fit goes whole to the next segment; nothing else is kept together.
#[must_use]
pub fn measure(text: &str) -> Segments {
    match gsm7_units(text) {
        Some((units, wide)) => count(Encoding::Gsm7, units, wide, || {
            text.chars().map(|c| u32::from(gsm7_weight(c)))
        }),
        None => {
            let (units, pairs) = utf16_units(text);
            count(Encoding::Ucs2, units, pairs > 0, || {
                text.chars().map(utf16_weight)
            })
        }
    }
}

/// `text` in Unicode NFC. It turns decomposed letters and the ohm and angstrom signs into characters
/// of the GSM table: left alone, each of them would double the bill.
#[must_use]
pub fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// Septets that `c` takes: 1, 2 behind the escape, or 0 if it is in neither table. The escape
/// itself (U+001B) is no character: one public counter takes it as one, networks do not.
#[must_use]
pub fn gsm7_weight(c: char) -> u8 {
    match u8::try_from(c) {
        Ok(byte) if byte.is_ascii() => ASCII_WEIGHTS[usize::from(byte)],
        _ => match c {
            '£' | '¥' | 'è' | 'é' | 'ù' | 'ì' | 'ò' | 'Ç' | 'Ø' | 'ø' | 'Å' | 'å' | 'Δ' | 'Φ'
            | 'Γ' | 'Λ' | 'Ω' | 'Π' | 'Ψ' | 'Σ' | 'Θ' | 'Ξ' | 'Æ' | 'æ' | 'ß' | 'É' | '¤' | '¡'
            | 'Ä' | 'Ö' | 'Ñ' | 'Ü' | '§' | '¿' | 'ä' | 'ö' | 'ñ' | 'ü' | 'à' => 1,
            '€' => 2,
            _ => 0,
        },
    }
}

/// A table, because nearly every character of nearly every text is ASCII.
static ASCII_WEIGHTS: [u8; 128] = ascii_weights();

const fn ascii_weights() -> [u8; 128] {
    let mut weights = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        weights[byte] = match byte as u8 {
            b'`' | 0x7F => 0,
            b'\n' | b'\r' => 1,
            0x0C | b'[' | b'\\' | b']' | b'^' | b'{' | b'|' | b'}' | b'~' => 2,
            0..=0x1F => 0,
            _ => 1,
        };
        byte += 1;
    }
    weights
}

/// The septets of `text` and whether any character takes two; nothing if it is not GSM-7.
fn gsm7_units(text: &str) -> Option<(u32, bool)> {
    let (mut units, mut wide) = (0u32, false);
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        let weight = match ASCII_WEIGHTS.get(usize::from(*byte)) {
            Some(weight) => {
                at += 1;
                *weight
            }
            None => {
                let c = text[at..].chars().next()?;
                at += c.len_utf8();
                gsm7_weight(c)
            }
        };
        if weight == 0 {
            return None;
        }
        units += u32::from(weight);
        wide |= weight == 2;
    }
    Some((units, wide))
}

/// UTF-16 code units and how many characters take two, counted over the bytes, which is quicker
/// than decoding them: a character has one byte that is no continuation.
fn utf16_units(text: &str) -> (u32, u32) {
    const FOUR_BYTE_LEAD: u8 = 0xF0;
    let count = |counted: fn(&u8) -> bool| {
        let count = text.as_bytes().iter().filter(|byte| counted(byte)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let pairs = count(|byte| *byte >= FOUR_BYTE_LEAD);
    let characters = count(|byte| byte & 0xC0 != 0x80);
    (characters.saturating_add(pairs), pairs)
}

const fn utf16_weight(c: char) -> u32 {
    c.len_utf16() as u32
}

/// Only characters of two units make a difference to division, so only then is the text walked.
fn count<I: Iterator<Item = u32>>(
    encoding: Encoding,
    units: u32,
    wide: bool,
    weights: impl FnOnce() -> I,
) -> Segments {
    let segments = if units <= encoding.single_max() {
        1
    } else if wide {
        fill(weights(), encoding.each_max())
    } else {
        units.div_ceil(encoding.each_max())
    };
    Segments {
        encoding,
        units,
        segments: u16::try_from(segments).unwrap_or(u16::MAX),
    }
}

fn fill(weights: impl Iterator<Item = u32>, each_max: u32) -> u32 {
    let (mut segments, mut used) = (1, 0);
    for weight in weights {
        if used + weight > each_max {
            segments += 1;
            used = 0;
        }
        used += weight;
    }
    segments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> (Encoding, u32, u16) {
        let Segments {
            encoding,
            units,
            segments,
        } = measure(text);
        (encoding, units, segments)
    }

    /// Both tables once more, as the standard prints them: rows by code, then the extension.
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
        ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENSION: &str = "\u{C}^{}\\[~]|€";

    /// Written the slow and obvious way: a list of segments, each a list of characters.
    fn naive(text: &str) -> (Encoding, u32, u16) {
        let gsm = |c: char| match c {
            _ if BASIC.contains(c) => Some(1),
            _ if EXTENSION.contains(c) => Some(2),
            _ => None,
        };
        let (encoding, weights, single, each): (_, Vec<usize>, _, _) =
            match text.chars().map(gsm).collect::<Option<Vec<_>>>() {
                Some(weights) => (Encoding::Gsm7, weights, 160, 153),
                None => (
                    Encoding::Ucs2,
                    text.chars().map(char::len_utf16).collect(),
                    70,
                    67,
                ),
            };
        let units: usize = weights.iter().sum();
        let mut segments = vec![Vec::<usize>::new()];
        if units > single {
            for weight in weights {
                let last = segments.last_mut().expect("never empty");
                if last.iter().sum::<usize>() + weight > each {
                    segments.push(vec![weight]);
                } else {
                    last.push(weight);
                }
            }
        }
        let small = |n: usize| u32::try_from(n).expect("small");
        (
            encoding,
            small(units),
            u16::try_from(segments.len()).expect("small"),
        )
    }

    fn text() -> impl Strategy<Value = String> {
        let gsm: Vec<char> = BASIC.chars().chain(EXTENSION.chars()).collect();
        let septets = prop::collection::vec(prop::sample::select(gsm), 0..700);
        let any = prop::collection::vec(
            prop_oneof![
                8 => prop::sample::select(vec!['a', 'é', '€', '[', 'ç', '\u{1F600}', '\u{200D}']),
                1 => any::<char>(),
            ],
            0..400,
        );
        prop_oneof![septets, any].prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn counting_agrees_with_a_list_of_segments(text in text()) {
            prop_assert_eq!(of(&text), naive(&text));
        }

        #[test]
        fn a_longer_text_never_costs_less(text in text(), more: char) {
            let longer = format!("{text}{more}");
            prop_assert!(measure(&longer).segments >= measure(&text).segments);
        }

        #[test]
        fn normalising_twice_is_normalising_once(text: String) {
            let once = nfc(&text).into_owned();
            prop_assert_eq!(nfc(&once).into_owned(), once);
        }
    }

    #[test]
    fn the_tables_have_137_characters_of_the_standard() {
        let weights = |weight| {
            ('\0'..=char::MAX)
                .filter(|c| gsm7_weight(*c) == weight)
                .count()
        };
        assert_eq!((weights(1), weights(2)), (127, 10));
        assert!(BASIC.chars().all(|c| gsm7_weight(c) == 1));
        assert!(EXTENSION.chars().all(|c| gsm7_weight(c) == 2));
    }

    #[test]
    fn the_limits_are_160_and_153_or_70_and_67() {
        use Encoding::{Gsm7, Ucs2};
        for (text, expected) in [
            (String::new(), (Gsm7, 0, 1)),
            ("a".repeat(160), (Gsm7, 160, 1)),
            ("a".repeat(161), (Gsm7, 161, 2)),
            ("a".repeat(306), (Gsm7, 306, 2)),
            ("a".repeat(307), (Gsm7, 307, 3)),
            ("€".repeat(80), (Gsm7, 160, 1)),
            ("ç".repeat(70), (Ucs2, 70, 1)),
            ("ç".repeat(71), (Ucs2, 71, 2)),
            ("ç".repeat(134), (Ucs2, 134, 2)),
            ("ç".repeat(135), (Ucs2, 135, 3)),
            ("\u{1F600}".repeat(35), (Ucs2, 70, 1)),
        ] {
            assert_eq!(of(&text), expected, "{} of {:.1}", text.len(), text);
        }
    }

    #[test]
    fn neither_an_extension_character_nor_a_surrogate_pair_is_split() {
        assert_eq!(of(&"€".repeat(153)), (Encoding::Gsm7, 306, 3));
        let straddling = format!("{}€{}", "a".repeat(152), "b".repeat(152));
        assert_eq!(of(&straddling), (Encoding::Gsm7, 306, 3));
        assert_eq!(of(&"\u{1F600}".repeat(67)), (Encoding::Ucs2, 134, 3));
        let straddling = format!("{}\u{1F600}{}", "ç".repeat(66), "ç".repeat(66));
        assert_eq!(of(&straddling), (Encoding::Ucs2, 134, 3));
    }

    #[test]
    fn what_looks_like_gsm_but_is_not_moves_the_text_to_ucs_2() {
        for c in "`\tçáíóúâêîôûëïãõΑΒ\u{A0}“”‘’–—…•½°©™\u{1B}\u{7F}\0şğıİ".chars()
        {
            assert_eq!(measure(&c.to_string()).encoding, Encoding::Ucs2, "{c:?}");
        }
        // Extension characters count one unit once the text is UCS-2.
        assert_eq!(of("ç€["), (Encoding::Ucs2, 3, 1));
    }

    #[test]
    fn emoji_count_their_utf_16_units() {
        for (text, units) in [
            ("\u{1F600}", 2),
            ("\u{1F44D}\u{1F3FD}", 4),
            ("\u{1F1EB}\u{1F1F7}", 4),
            (
                "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{200D}\u{1F466}",
                11,
            ),
            ("1\u{FE0F}\u{20E3}", 3),
        ] {
            assert_eq!(of(text), (Encoding::Ucs2, units, 1), "{text}");
        }
    }

    #[test]
    fn nfc_brings_decomposed_letters_and_unit_signs_back_into_the_table() {
        assert_eq!(nfc("e\u{301} \u{2126} \u{212B}"), "é Ω Å");
        assert_eq!(measure(&nfc("cafe\u{301}")).encoding, Encoding::Gsm7);
        assert!(matches!(nfc("plain"), Cow::Borrowed(_)));
        assert!(matches!(nfc("déjà vu"), Cow::Borrowed(_)));
    }
}
