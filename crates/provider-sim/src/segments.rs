//! How many segments a text is billed as: 160 or 153 septets, 70 or 67 UTF-16 units.
//!
//! Written from 3GPP TS 23.038 §6.2.1 and TS 23.040 §9.2.3.24.1, a second time on purpose (see the crate's page).

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// Counts the segments of `text`; an empty text is one segment.
pub(crate) fn count(text: &str) -> u32 {
    if text.chars().all(|c| septets(c).is_some()) {
        fill(text.chars().filter_map(septets), 160, 153)
    } else {
        let units = |c: char| if c.len_utf16() == 2 { 2 } else { 1 };
        fill(text.chars().map(units), 70, 67)
    }
}

/// Replaces typographic characters by their plain likeness, as Twilio's `SmartEncoded` does for the common ones.
pub(crate) fn smart_encoded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{2032}' => plain.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' => plain.push('"'),
            '\u{2010}'..='\u{2015}' => plain.push('-'),
            '\u{2026}' => plain.push_str("..."),
            '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' => plain.push(' '),
            '\u{200b}' | '\u{feff}' => {}
            other => plain.push(other),
        }
    }
    plain
}

/// What a character costs in the GSM alphabet; `None` if it has none.
pub(crate) fn septets(c: char) -> Option<u32> {
    if c.is_ascii_alphanumeric() || c == ' ' || BASIC.contains(c) {
        Some(1)
    } else if EXTENDED.contains(c) {
        Some(2)
    } else {
        None
    }
}

/// Characters are never split over two segments, so a segment may stay one unit short.
fn fill(sizes: impl Iterator<Item = u32> + Clone, alone: u32, each: u32) -> u32 {
    if sizes.clone().sum::<u32>() <= alone {
        return 1;
    }
    let (mut segments, mut used) = (1, 0);
    for size in sizes {
        if used + size > each {
            segments += 1;
            used = 0;
        }
        used += size;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_counted_at_their_borders() {
        for (text, wanted) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("é".repeat(160), 1),
            ("ж".repeat(70), 1),
            ("ж".repeat(71), 2),
            ("ж".repeat(134), 2),
            ("ж".repeat(135), 3),
            ("👍".repeat(35), 1),
            ("👍".repeat(36), 2),
            ("ç".to_owned(), 1),
        ] {
            assert_eq!(
                count(&text),
                wanted,
                "{} characters of {:?}",
                text.chars().count(),
                text.chars().next()
            );
        }
    }

    #[test]
    fn no_character_is_split_between_segments() {
        // 152 + 2 does not fit 153, so the sign begins the second segment and the third one is needed.
        let text = format!("{}€{}", "a".repeat(152), "a".repeat(152));
        assert_eq!(count(&text), 3);
        let emoji = format!("{}👍{}", "ж".repeat(66), "ж".repeat(66));
        assert_eq!(count(&emoji), 3);
    }

    #[test]
    fn smart_encoding_saves_a_typographic_text_from_ucs2() {
        let text = format!("\u{201c}{}\u{201d}\u{2026}", "a".repeat(100));
        assert_eq!(count(&text), 2);
        assert_eq!(count(&smart_encoded(&text)), 1);
    }
}
