//! A text cut into the SMS that carry it.
//!
//! Source: `shared/providers/vonage.md`, sections 2 and 7.

use crate::segments::septets;

/// The alphabet of an SMS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Encoding {
    /// GSM 03.38 with its extension table.
    Gsm,
    /// UCS-2.
    Unicode,
}

impl Encoding {
    /// The smaller alphabet that has all characters.
    pub fn of(text: &str) -> Self {
        if text.chars().all(|c| septets(c).is_some()) {
            Self::Gsm
        } else {
            Self::Unicode
        }
    }

    /// Vonage's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gsm => "text",
            Self::Unicode => "unicode",
        }
    }

    /// What a handset shows of a text: in the wrong alphabet it is garbled.
    pub fn transmitted(self, text: &str) -> String {
        match self {
            Self::Unicode => text.to_owned(),
            Self::Gsm => text
                .chars()
                .map(|c| if septets(c).is_some() { c } else { '?' })
                .collect(),
        }
    }

    fn size(self, c: char) -> u32 {
        match self {
            Self::Gsm => septets(c).unwrap_or(1),
            Self::Unicode if c.len_utf16() == 2 => 2,
            Self::Unicode => 1,
        }
    }
}

/// Cuts a text; no character is cut in two. An empty text is one part.
pub(crate) fn cut(text: &str, encoding: Encoding) -> Vec<String> {
    let (alone, each) = match encoding {
        Encoding::Gsm => (160, 153),
        Encoding::Unicode => (70, 67),
    };
    if text.chars().map(|c| encoding.size(c)).sum::<u32>() <= alone {
        return vec![text.to_owned()];
    }
    let mut parts = Vec::new();
    let (mut part, mut used) = (String::new(), 0);
    for c in text.chars() {
        let size = encoding.size(c);
        if used + size > each {
            parts.push(std::mem::take(&mut part));
            used = 0;
        }
        part.push(c);
        used += size;
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segments;

    #[test]
    fn there_are_as_many_parts_as_segments_and_together_they_are_the_text() {
        for text in [
            String::new(),
            "a".repeat(160),
            "a".repeat(161),
            format!("{}€{}", "a".repeat(152), "a".repeat(152)),
            "ж".repeat(71),
            format!("{}👍{}", "ж".repeat(66), "ж".repeat(66)),
        ] {
            let parts = cut(&text, Encoding::of(&text));
            assert_eq!(parts.len(), segments::count(&text) as usize);
            assert_eq!(parts.concat(), text);
        }
    }

    #[test]
    fn the_alphabet_that_is_asked_for_decides_and_the_wrong_one_garbles() {
        assert_eq!(cut(&"a".repeat(71), Encoding::Unicode).len(), 2);
        assert_eq!(cut(&"ж".repeat(71), Encoding::Gsm).len(), 1);
        assert_eq!(Encoding::Gsm.transmitted("Ça va ж 👍"), "Ça va ? ?");
        assert_eq!(Encoding::Unicode.transmitted("ж"), "ж");
    }
}
