//! `datacoding`: in which alphabet a text travels, and how many parts it takes.

use crate::segments;

/// The alphabet of a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Coding {
    /// GSM-7; other characters are replaced.
    Plain,
    Unicode,
}

impl Coding {
    /// What a `datacoding` of the request means for a text; `None` for an unknown word.
    pub fn of(word: &str, text: &str) -> Option<Self> {
        let is_gsm = || text.chars().all(|c| segments::septets(c).is_some());
        match word {
            "plain" => Some(Self::Plain),
            "unicode" => Some(Self::Unicode),
            "auto" if is_gsm() => Some(Self::Plain),
            "auto" => Some(Self::Unicode),
            _ => None,
        }
    }

    /// The word in answers and reports. `auto` is answered with what was chosen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Unicode => "unicode",
        }
    }
}

/// What the handset shows.
pub(crate) fn shown(text: &str, coding: Coding) -> String {
    match coding {
        Coding::Unicode => text.to_owned(),
        Coding::Plain => text
            .chars()
            .map(|c| segments::septets(c).map_or('?', |_| c))
            .collect(),
    }
}

/// How many parts a text is billed as.
pub(crate) fn parts(text: &str, coding: Coding) -> u32 {
    match coding {
        Coding::Plain => segments::count(&shown(text, coding)),
        // Characters of the GSM alphabet take one unit each, so none is ever split.
        Coding::Unicode if text.chars().all(|c| segments::septets(c).is_some()) => {
            let units = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            if units <= 70 { 1 } else { units.div_ceil(67) }
        }
        Coding::Unicode => segments::count(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_follow_the_coding_and_not_only_the_text() {
        let parts = |text: &str, word| parts(text, Coding::of(word, text).expect("a known word"));
        let latin = "a".repeat(160);
        assert_eq!((parts(&latin, "plain"), parts(&latin, "auto")), (1, 1));
        assert_eq!(parts(&latin, "unicode"), 3);
        assert_eq!(parts(&"a".repeat(70), "unicode"), 1);
        let cyrillic = "ж".repeat(71);
        assert_eq!(
            (parts(&cyrillic, "auto"), parts(&cyrillic, "unicode")),
            (2, 2)
        );
        assert_eq!(parts(&cyrillic, "plain"), 1);
        assert_eq!(shown("a ж €", Coding::Plain), "a ? €");
        assert_eq!(Coding::of("utf-8", ""), None);
    }
}
