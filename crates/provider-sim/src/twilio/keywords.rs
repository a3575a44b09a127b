//! Words that Twilio acts on by itself, and what people in the twin's world write.
//!
//! Source: Twilio's "Default keyword handling": the whole message is the word, in any case.

use crate::behaviour::{Replies, ReplyScript, TwinBehaviour};
use crate::chance::{Dice, Subject};

/// What a message asks of the provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Keyword {
    Stop,
    Start,
    Help,
}

impl Keyword {
    const STOP: [&'static str; 8] = [
        "STOP",
        "STOPALL",
        "UNSUBSCRIBE",
        "CANCEL",
        "END",
        "QUIT",
        "REVOKE",
        "OPTOUT",
    ];
    const START: [&'static str; 3] = ["START", "YES", "UNSTOP"];
    const HELP: [&'static str; 2] = ["HELP", "INFO"];

    /// The keyword that `body` is.
    pub fn of(body: &str) -> Option<Self> {
        let is_one_of = |words: &[&str]| {
            words
                .iter()
                .any(|word| word.eq_ignore_ascii_case(body.trim()))
        };
        if is_one_of(&Self::STOP) {
            Some(Self::Stop)
        } else if is_one_of(&Self::START) {
            Some(Self::Start)
        } else if is_one_of(&Self::HELP) {
            Some(Self::Help)
        } else {
            None
        }
    }

    /// Twilio's word in `OptOutType`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Start => "START",
            Self::Help => "HELP",
        }
    }
}

// Most people write the plain word; a few find another one.
const STOP_WORDS: &[&str] = &[
    "STOP",
    "Stop",
    "stop",
    "STOP",
    "Stop ",
    "UNSUBSCRIBE",
    "Cancel",
    "quit",
    "End",
    "STOPALL",
    "Revoke",
    "optout",
];
const START_WORDS: &[&str] = &["START", "Start", "UNSTOP"];
const HELP_WORDS: &[&str] = &["HELP", "Help", "INFO"];
const TEXTS: &[&str] = &[
    "Thanks, I have filled it in.",
    "Who is this?",
    "Please stop by tomorrow", // contains the word, and is none
    "Ça va ? 100% & ok = oui\n👍 ",
    "Können Sie mich später anrufen?",
    "+1",
];

/// What, if anything, the person writes back to a message. `given` counts the replies of each kind so far.
pub(crate) fn reply<'b>(
    behaviour: &'b TwinBehaviour,
    subject: Subject<'_>,
    given: &mut [u64; 4],
) -> Option<&'b str> {
    let dice = Dice(behaviour.seed);
    let ReplyScript {
        delay: _,
        stop,
        start,
        help,
        text,
    } = &behaviour.replies;
    let kinds: [(&str, &Replies, &'static [&'static str]); 4] = [
        ("stop", stop, STOP_WORDS),
        ("start", start, START_WORDS),
        ("help", help, HELP_WORDS),
        ("text", text, TEXTS),
    ];
    for ((name, replies, words), given) in kinds.into_iter().zip(given) {
        let share = match replies.count {
            Some(count) if *given >= count => continue,
            Some(_) if replies.fraction == 0.0 => 1.0,
            _ => replies.fraction,
        };
        if dice.roll(name, subject) >= share {
            continue;
        }
        *given += 1;
        return if replies.words.is_empty() {
            dice.pick("words", subject, words).copied()
        } else {
            dice.pick("words", subject, &replies.words)
                .map(String::as_str)
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_message_is_a_keyword_in_any_case() {
        assert_eq!(Keyword::of("STOP"), Some(Keyword::Stop));
        assert_eq!(Keyword::of(" unsubscribe\n"), Some(Keyword::Stop));
        assert_eq!(Keyword::of("Yes"), Some(Keyword::Start));
        assert_eq!(Keyword::of("info"), Some(Keyword::Help));
        assert_eq!(Keyword::of("please stop"), None);
        assert_eq!(Keyword::of(""), None);
    }

    #[test]
    fn the_scripts_own_words_are_of_their_kind() {
        assert!(
            STOP_WORDS
                .iter()
                .all(|word| Keyword::of(word) == Some(Keyword::Stop))
        );
        assert!(
            START_WORDS
                .iter()
                .all(|word| Keyword::of(word) == Some(Keyword::Start))
        );
        assert!(
            HELP_WORDS
                .iter()
                .all(|word| Keyword::of(word) == Some(Keyword::Help))
        );
        assert!(TEXTS.iter().all(|word| Keyword::of(word).is_none()));
    }

    fn replies(behaviour: &TwinBehaviour, people: u64) -> usize {
        let mut given = [0; 4];
        (0..people)
            .filter(|n| {
                let subject = Subject {
                    recipient: 33_639_980_000 + n,
                    reference: "a-1",
                    turn: 0,
                };
                reply(behaviour, subject, &mut given)
                    .is_some_and(|text| Keyword::of(text) == Some(Keyword::Stop))
            })
            .count()
    }

    #[test]
    fn a_count_is_met_exactly_and_a_fraction_about() {
        let mut behaviour = TwinBehaviour::default();
        assert_eq!(replies(&behaviour, 1_000), 0);
        behaviour.replies.stop.count = Some(37);
        assert_eq!(replies(&behaviour, 1_000), 37);
        behaviour.replies.stop.fraction = 0.1;
        assert_eq!(replies(&behaviour, 1_000), 37);
        behaviour.replies.stop.count = None;
        assert!((70..130).contains(&replies(&behaviour, 1_000)));
    }
}
