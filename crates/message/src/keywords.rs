//! What an inbound text asks for: the ordered rules, on normalised words, over tables of words.
//!
//! The rules are lenient for an opt-out and strict for an opt-in, because a wrong opt-out costs one
//! contact and a wrong opt-in, or an overlooked opt-out, a complaint.
//!
//! Source: `shared/providers/opt-out.md`, section 3, rules 1 to 4 and 6 over the universal words.
//! Rule 5 (whole sentences) goes between [`opt_in`] and [`signed_opt_out`]; words of a language are
//! one more [`Vocabulary`] beside [`UNIVERSAL`].

mod answers;
mod normal;
mod words;

pub use answers::{confirmation, help, welcome};

use crate::event::Keyword;
use normal::words_of;
use words::{FILLERS, UNIVERSAL, Vocabulary};

/// What `text` asks for. `opted_out` says whether its writer is opted out now: only then is a bare
/// `yes` a wish to come back and not an answer to a question.
#[must_use]
pub fn verdict(text: &str, opted_out: bool) -> Keyword {
    let vocabularies = [&UNIVERSAL];
    let words = words_of(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let core = without_fillers(&words);
    if opt_out(&words, &vocabularies) || opt_out(core, &vocabularies) {
        Keyword::OptOut
    } else if contains(&vocabularies, |v| v.help, core) {
        Keyword::Help
    } else if opt_in(&words, &vocabularies, opted_out) {
        Keyword::OptIn
    } else if signed_opt_out(text, &vocabularies) {
        Keyword::OptOut
    } else {
        Keyword::None
    }
}

/// Rules 1 and 2: the whole message is a keyword or a known way to mistype one.
fn opt_out(words: &[&str], vocabularies: &[&Vocabulary]) -> bool {
    contains(vocabularies, |v| v.opt_out, words)
        || matches!(words, [word] if is_mistyped_opt_out(word))
}

/// Rule 4. No fillers here: `please start` may go on in the writer's head.
fn opt_in(words: &[&str], vocabularies: &[&Vocabulary], opted_out: bool) -> bool {
    contains(vocabularies, |v| v.opt_in, words)
        || (opted_out && contains(vocabularies, |v| v.opt_in_again, words))
}

/// Rule 6: a keyword on the first line, and what follows is a signature or a quoted message.
fn signed_opt_out(text: &str, vocabularies: &[&Vocabulary]) -> bool {
    if !text.contains(LINE_BREAKS) {
        return false; // The only line has been read as the whole message.
    }
    let words = text
        .split(LINE_BREAKS)
        .map(words_of)
        .find(|words| !words.is_empty());
    let words = words.unwrap_or_default();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    contains(vocabularies, |v| v.opt_out_before_signature, &words)
}

/// Source: Unicode, line breaking classes BK, CR, LF and NL.
const LINE_BREAKS: [char; 7] = [
    '\n', '\r', '\u{B}', '\u{C}', '\u{85}', '\u{2028}', '\u{2029}',
];

/// Politeness and greetings at both ends, any number of them.
fn without_fillers<'w, 't>(words: &'w [&'t str]) -> &'w [&'t str] {
    let mut core = words;
    loop {
        let shorter = FILLERS.iter().find_map(|filler| {
            let filler = || filler.split(' ');
            let length = filler().count();
            let (first, after) = core.split_at_checked(length)?;
            if filler().eq(first.iter().copied()) {
                return Some(after);
            }
            let (before, last) = core.split_at_checked(core.len() - length)?;
            filler().eq(last.iter().copied()).then_some(before)
        });
        match shorter {
            Some(shorter) => core = shorter,
            None => return core,
        }
    }
}

fn contains(
    vocabularies: &[&Vocabulary],
    set: fn(&Vocabulary) -> &'static [&'static str],
    words: &[&str],
) -> bool {
    !words.is_empty()
        && vocabularies
            .iter()
            .flat_map(|vocabulary| set(vocabulary))
            .any(|keyword| keyword.split(' ').eq(words.iter().copied()))
}

/// Two transpositions that thumbs make, and `unsubscribe` with one mistake in it.
fn is_mistyped_opt_out(word: &str) -> bool {
    matches!(word, "stpo" | "sotp") || one_edit_apart(word, "unsubscribe")
}

/// Whether one letter more, less, changed or swapped with its neighbour makes `a` into `b`.
fn one_edit_apart(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let same = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a, b) {
        ([], []) => false,
        ([x1, x2, a @ ..], [y1, y2, b @ ..]) if x1 == y2 && x2 == y1 && a == b => true,
        _ => a.get(1..) == b.get(1..) || a.get(1..) == Some(b) || Some(a) == b.get(1..),
    }
}

#[cfg(test)]
mod tests;
