//! From a text to the words that keywords are compared with: capitals, accents, width, punctuation,
//! emoji and invisible characters must not decide whether somebody is left alone.
//!
//! Source: `shared/providers/opt-out.md`, section 2; its steps are numbered below.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// The words of `text`, normalised. Letters of other scripts that look Latin are not folded.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let folded = if text.is_ascii() {
        fold_ascii(text)
    } else {
        fold(text)
    };
    let words = folded
        .split(' ')
        .map(|word| word.trim_matches('\''))
        .filter(|word| !word.is_empty());
    let mut words = spelled_out_joined(words);
    // 7.
    for word in &mut words {
        if is_lengthened_stop(word) {
            "stop".clone_into(word);
        }
    }
    words.dedup();
    words
}

/// What is left of [`fold`] for most replies.
fn fold_ascii(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '`' => '\'',
            c if is_of_a_word(c) => c.to_ascii_lowercase(),
            _ => ' ',
        })
        .collect()
}

fn fold(text: &str) -> String {
    text.chars()
        // 1. Before NFKC, which would make a space and an accent of it.
        .map(|c| if c == '\u{B4}' { '\'' } else { c })
        .nfkc()
        // 2.
        .filter(|c| !is_invisible(*c))
        // 3. Character by character: a sigma is one letter wherever it stands.
        .flat_map(char::to_lowercase)
        .flat_map(full_case_fold)
        // 4.
        .map(|c| if is_apostrophe(c) { '\'' } else { c })
        // 5. Latin accents only; the marks of Japanese or Hindi are not decoration.
        .nfd()
        .filter(|c| !matches!(c, '\u{300}'..='\u{36F}'))
        .nfc()
        // 6.
        .map(|c| if is_of_a_word(c) { c } else { ' ' })
        .collect()
}

fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2064}'
            | '\u{FEFF}'
            | '\u{FE00}'..='\u{FE0F}'
    )
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '’' | '‘' | 'ʼ' | 'ʹ' | '´' | '`' | '′')
}

/// The two foldings that lower case lacks and that words in our tables can meet.
fn full_case_fold(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        'ß' => ('s', Some('s')),
        'ς' => ('σ', None),
        c => (c, None),
    };
    std::iter::once(first).chain(second)
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '\'' || is_combining_mark(c)
}

/// `s t o p` is one word: four or more single characters in a row are joined.
fn spelled_out_joined<'t>(words: impl Iterator<Item = &'t str>) -> Vec<String> {
    const RUN_MIN: usize = 4;
    let mut joined: Vec<String> = Vec::new();
    let mut run = 0;
    let settle = |joined: &mut Vec<String>, run: usize| {
        if run >= RUN_MIN {
            let letters = joined.split_off(joined.len() - run);
            joined.push(letters.concat());
        }
    };
    for word in words {
        if word.chars().nth(1).is_some() {
            settle(&mut joined, run);
            run = 0;
        } else {
            run += 1;
        }
        joined.push(word.to_owned());
    }
    settle(&mut joined, run);
    joined
}

/// `stooop`, `stoppp`; but `stopp` is a word of its own in German and Scandinavian languages.
fn is_lengthened_stop(word: &str) -> bool {
    let lengthened = || {
        let rest = word.strip_prefix("st")?;
        let p = rest.strip_prefix('o')?.trim_start_matches('o');
        Some(p.starts_with('p') && p.trim_start_matches('p').is_empty())
    };
    word != "stopp" && lengthened() == Some(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_for_ascii_is_the_long_way(text in "[\\x00-\\x7f]{0,60}") {
            prop_assert_eq!(fold_ascii(&text), fold(&text));
        }
    }

    #[test]
    fn a_text_becomes_plain_words() {
        for (text, words) in [
            ("  STOP! ", "stop"),
            ("ｓｔｏｐ", "stop"),
            ("𝐒𝐓𝐎𝐏", "stop"),
            ("S\u{AD}T\u{200B}OP\u{FE0F}", "stop"),
            ("ARRÊT", "arret"),
            ("ARRE\u{302}T", "arret"),
            ("s.t.o.p", "stop"),
            ("S T O P please", "stop please"),
            ("e n d", "e n d"),
            ("stop, STOP... stop", "stop"),
            ("STOOOPPP", "stop"),
            ("Stopp", "stopp"),
            ("don’t 'quote' don´t don`t", "don't quote don't"),
            ("opt_out", "opt out"),
            ("👍stop👍", "stop"),
            ("ｽﾄｯﾌﾟ", "ストップ"),
            ("配信停止。", "配信停止"),
            ("हिन्दी", "हिन्दी"),
            ("Straße", "strasse"),
            ("İPTAL", "iptal"),
            ("ΣΤΟΠ στοπς", "στοπ στοπσ"),
            ("СТОР", "стор"),
            ("", ""),
            ("... 🙂", ""),
        ] {
            assert_eq!(words_of(text).join(" "), words, "{text}");
        }
    }
}
