use proptest::prelude::*;

use super::{Keyword::*, *};

/// Text, and what it asks for whether or not its writer is opted out.
const CASES: &[(&str, Keyword)] = &[
    // Rule 1: the word alone, however it is written.
    ("STOP", OptOut),
    ("stop", OptOut),
    ("  Stop. ", OptOut),
    ("\"STOP\"", OptOut),
    ("STOP!!! 😡", OptOut),
    ("ＳＴＯＰ", OptOut),
    ("S.T.O.P.", OptOut),
    ("s t o p", OptOut),
    ("stop stop STOP", OptOut),
    ("STOOOOP", OptOut),
    ("stop all", OptOut),
    ("STOP-ALL", OptOut),
    ("Stopall", OptOut),
    ("unsubscribe", OptOut),
    ("Unsub", OptOut),
    ("CANCEL", OptOut),
    ("End", OptOut),
    ("quit", OptOut),
    ("REVOKE", OptOut),
    ("OPT-OUT", OptOut),
    ("opt_out", OptOut),
    ("optout", OptOut),
    ("remove", OptOut),
    ("stopp", OptOut),
    ("ARRÊT", OptOut),
    ("arrete", OptOut),
    // Typos.
    ("stpo", OptOut),
    ("Sotp", OptOut),
    ("unsubcribe", OptOut),
    ("unsubscibe", OptOut),
    ("unsuscribe", OptOut),
    ("unsubscribed", OptOut),
    ("unsubsrcibe", OptOut),
    ("unzubscribe", OptOut),
    // Rule 2: fillers.
    ("stop please", OptOut),
    ("Please stop", OptOut),
    ("pls STOP now, thanks", OptOut),
    ("Hi, please cancel. Thank you!", OptOut),
    ("ok ok stop", OptOut),
    ("STOP right now", OptOut),
    ("stop merci", OptOut),
    ("STOP s'il vous plaît", OptOut),
    ("stop s’il te plait", OptOut),
    ("stop, por favor", OptOut),
    ("bitte stopp", OptOut),
    ("sotp pls", OptOut),
    // Rule 3.
    ("HELP", Help),
    ("help please", Help),
    ("Info?", Help),
    ("AIDE", Help),
    ("hello, help!", Help),
    // Rule 4: strict.
    ("START", OptIn),
    ("start!", OptIn),
    ("Unstop", OptIn),
    ("subscribe", OptIn),
    ("resubscribe", OptIn),
    ("opt-in", OptIn),
    ("OPTIN", OptIn),
    ("start please", None),
    ("please start", None),
    ("start now", None),
    ("get started", None),
    // Rule 6: a signature follows.
    ("STOP\nSent from my phone", OptOut),
    ("\n\n Stop \r\n--\r\nAna", OptOut),
    ("Unsubscribe\u{2028}Bob", OptOut),
    ("🙏\nstop\nBob", OptOut),
    ("Cancel\nmy appointment on Monday", None),
    ("End\nof the road", None),
    ("Please\nstop by tomorrow", None),
    ("I will\nSTOP\nthere", None),
    // Answers of people who want to go on, and other tricky negatives.
    ("", None),
    ("   \n", None),
    ("🛑", None),
    ("?", None),
    ("no", None),
    ("NO!", None),
    ("n", None),
    ("10", None),
    ("stop by tomorrow", None),
    ("cancel my appointment", None),
    ("don't stop", None),
    ("non-stop", None),
    ("nonstop", None),
    ("bus stop", None),
    ("the end", None),
    ("weekend", None),
    ("please", None),
    ("thank you", None),
    ("stop it if you can", None),
    ("helpful", None),
    ("I need help with stop signs", None),
    ("information", None),
    ("stops", None),
    ("st op", None),
    ("stoped", None),
    ("step", None),
    ("shop", None),
    ("spot", None),
    ("post", None),
    ("subscribed", None),
    ("ends", None),
    ("quite", None),
    ("yes please", None),
    ("yes I do", None),
    ("СТОР", None), // Cyrillic letters that look like STOP
    ("tak", None),
];

#[test]
fn every_case_of_the_table_is_read_as_it_says() {
    for (text, expected) in CASES {
        for opted_out in [false, true] {
            assert_eq!(verdict(text, opted_out), *expected, "{text:?}");
        }
    }
}

#[test]
fn yes_means_come_back_only_from_somebody_who_left() {
    assert_eq!(verdict("Yes!", true), OptIn);
    assert_eq!(verdict("YES", false), None);
}

#[test]
fn our_own_answers_never_count_as_keywords() {
    for text in [confirmation("Acme"), welcome("Acme"), help("Acme")] {
        assert_eq!(verdict(&text, true), None, "{text}");
    }
}

#[test]
fn every_word_of_the_tables_is_spelled_as_texts_are_normalised() {
    let tables = [
        UNIVERSAL.opt_out,
        UNIVERSAL.opt_out_before_signature,
        UNIVERSAL.help,
    ];
    let tables = tables
        .into_iter()
        .chain([UNIVERSAL.opt_in, UNIVERSAL.opt_in_again, FILLERS]);
    for keyword in tables.flatten() {
        assert_eq!(words_of(keyword).join(" "), *keyword);
    }
}

fn respelled() -> impl Strategy<Value = (String, Keyword)> {
    let case = prop::sample::select(CASES.to_vec());
    let marks = prop::sample::select(vec!["", ".", "!!", " ", " - ", "…", " 🙂 ", "\u{200B}"]);
    (case, any::<u64>(), marks.clone(), marks).prop_map(
        |((text, expected), bits, before, after)| {
            let respell = |(i, c): (usize, char)| match (bits >> (i % 64)) & 1 {
                1 if c == ' ' => '\u{3000}',
                // Full-width forms, but not of what is punctuation between single letters.
                1 if c.is_ascii_alphanumeric() => {
                    char::from_u32(u32::from(c.to_ascii_uppercase()) + 0xFEE0).unwrap_or(c)
                }
                0 if c.is_ascii() => c.to_ascii_uppercase(),
                _ => c,
            };
            let respelled: String = text.chars().enumerate().map(respell).collect();
            (format!("{before}{respelled}{after}"), expected)
        },
    )
}

proptest! {
    #[test]
    fn case_width_spacing_and_punctuation_never_change_a_verdict((text, expected) in respelled()) {
        prop_assert_eq!(verdict(&text, false), expected, "{:?}", text);
    }

    #[test]
    fn doubled_spaces_and_marks_between_words_change_nothing(
        case in prop::sample::select(CASES.to_vec()),
        gap in prop::sample::select(vec!["  ", ", ", " - ", "\t", "\u{A0}", " \u{2026} "]),
    ) {
        prop_assert_eq!(verdict(&case.0.replace(' ', gap), false), case.1);
    }

    #[test]
    fn no_text_makes_it_panic(text: String, opted_out: bool) {
        let _ = verdict(&text, opted_out);
    }

    #[test]
    fn one_edit_apart_is_symmetric(a in "[ab]{0,5}", b in "[ab]{0,5}") {
        prop_assert_eq!(one_edit_apart(&a, &b), one_edit_apart(&b, &a));
    }
}
