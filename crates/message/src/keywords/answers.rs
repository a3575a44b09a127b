//! What the fleet answers by itself, in English: one segment of GSM-7 whatever the brand is called.

use unicode_normalization::UnicodeNormalization;

use crate::segments::{Encoding, gsm7_weight, nfc};

/// The one message that still goes to somebody who opted out.
#[must_use]
pub fn confirmation(brand: &str) -> String {
    named(
        brand,
        "You are unsubscribed and will receive no more messages. Reply START to resubscribe.",
    )
}

/// For somebody who opted in again.
#[must_use]
pub fn welcome(brand: &str) -> String {
    named(
        brand,
        "You are subscribed again. Reply HELP for help, STOP to unsubscribe.",
    )
}

/// For somebody who asked who this is and how to end it.
#[must_use]
pub fn help(brand: &str) -> String {
    named(
        brand,
        "For help, please contact us directly. Reply STOP to unsubscribe.",
    )
}

fn named(brand: &str, text: &str) -> String {
    let room = Encoding::Gsm7.single_max() - units(text) - units(": ");
    let brand = fitted(brand, room);
    if brand.contains(char::is_alphanumeric) {
        format!("{brand}: {text}")
    } else {
        text.to_owned()
    }
}

/// `brand` in characters of GSM-7 and at most `units_max` of them: accents that the alphabet lacks
/// go, so do letters of other scripts, because one of them would make two messages of it.
fn fitted(brand: &str, units_max: u32) -> String {
    let mut fitted = String::new();
    let mut left = units_max;
    for c in nfc(brand).chars().flat_map(to_gsm7) {
        let doubled_space = c == ' ' && (fitted.is_empty() || fitted.ends_with(' '));
        if doubled_space {
            continue;
        }
        match left.checked_sub(u32::from(gsm7_weight(c))) {
            Some(rest) => left = rest,
            None => break,
        }
        fitted.push(c);
    }
    fitted.truncate(fitted.trim_end().len());
    fitted
}

/// Source of the marks: `shared/providers/segments.md`, section 3.
fn to_gsm7(c: char) -> Vec<char> {
    match c {
        c if c.is_whitespace() || c.is_control() => vec![' '],
        c if gsm7_weight(c) > 0 => vec![c],
        '“' | '”' | '„' | '«' | '»' => vec!['"'],
        '‘' | '’' | '‚' | '`' | '´' | '′' => vec!['\''],
        '\u{2010}'..='\u{2015}' | '•' | '−' => vec!['-'],
        '…' => vec!['.', '.', '.'],
        'ł' => vec!['l'],
        'Ł' => vec!['L'],
        'đ' => vec!['d'],
        'Đ' => vec!['D'],
        'ı' => vec!['i'],
        'œ' => vec!['o', 'e'],
        'Œ' => vec!['O', 'E'],
        c => c.nfkd().filter(|c| gsm7_weight(*c) > 0).collect(),
    }
}

fn units(text: &str) -> u32 {
    text.chars().map(|c| u32::from(gsm7_weight(c))).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segments::measure;

    #[test]
    fn a_brand_is_named_as_well_as_the_alphabet_allows() {
        for (brand, starts) in [
            ("Acme", "Acme: You are"),
            ("  Café\n Ñandú ", "Café Ñandu: You are"),
            ("Kraków “Łódź” – Œuvre", "Krakow \"Lodz\" - OEuvre: You are"),
            ("Ａｃｍｅ", "Acme: You are"),
            ("Ромашка", "You are"),
            ("顧客 24", "24: You are"),
            ("", "You are"),
            ("🙂", "You are"),
        ] {
            let text = confirmation(brand);
            assert!(text.starts_with(starts), "{brand}: {text}");
        }
    }

    proptest! {
        #[test]
        fn every_answer_is_one_segment_of_gsm_7(brand in "\\PC{0,200}", odd: String) {
            for brand in [brand, odd] {
                for text in [confirmation(&brand), welcome(&brand), help(&brand)] {
                    let measured = measure(&text);
                    prop_assert_eq!((measured.encoding, measured.segments), (Encoding::Gsm7, 1));
                }
            }
        }
    }
}
