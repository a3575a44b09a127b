//! Words that a provider knows, and what people in the twin's world write.

use crate::behaviour::{Replies, ReplyScript, TwinBehaviour};
use crate::chance::{Dice, Subject};

/// What a message asks of the sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Keyword {
    Stop,
    Start,
    Help,
}

impl Keyword {
    /// The word in the audit.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Start => "START",
            Self::Help => "HELP",
        }
    }
}

/// A provider's keywords: the whole message is the word, in any case. The audit counts people by them even where the
/// provider itself does nothing, because the fleet has to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keywords {
    pub stop: &'static [&'static str],
    pub start: &'static [&'static str],
    pub help: &'static [&'static str],
    /// What the script's people write to opt out, if the script names no words; each is one of `stop` in some spelling.
    pub written_stop: &'static [&'static str],
    pub written_start: &'static [&'static str],
    pub written_help: &'static [&'static str],
}

const TEXTS: &[&str] = &[
    "Thanks, I have filled it in.",
    "Who is this?",
    "Please stop by tomorrow", // contains the word, and is none
    "Ça va ? 100% & ok = oui\n👍 ",
    "Können Sie mich später anrufen?",
    "+1",
];

impl Keywords {
    /// For providers that leave keywords to their customers: the plain words that everybody has to know.
    pub const PLAIN: Self = Self {
        stop: &["STOP", "UNSUBSCRIBE"],
        start: &["START", "UNSTOP"],
        help: &["HELP"],
        written_stop: &["STOP", "Stop", "stop", "Stop ", "STOP", "Unsubscribe"],
        written_start: &["START", "Start", "UNSTOP"],
        written_help: &["HELP", "Help"],
    };

    /// The keyword that `text` is.
    pub fn of(&self, text: &str) -> Option<Keyword> {
        let is_one_of = |words: &[&str]| {
            words
                .iter()
                .any(|word| word.eq_ignore_ascii_case(text.trim()))
        };
        if is_one_of(self.stop) {
            Some(Keyword::Stop)
        } else if is_one_of(self.start) {
            Some(Keyword::Start)
        } else if is_one_of(self.help) {
            Some(Keyword::Help)
        } else {
            None
        }
    }

    /// What, if anything, the person writes back to a message. `given` counts the replies of each kind so far.
    pub(super) fn reply<'b>(
        &self,
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
            ("stop", stop, self.written_stop),
            ("start", start, self.written_start),
            ("help", help, self.written_help),
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

    /// Whether every written word is of its kind, and no other text is a keyword.
    #[cfg(test)]
    pub fn are_consistent(&self) -> bool {
        let all = |words: &[&str], kind| words.iter().all(|word| self.of(word) == kind);
        all(self.written_stop, Some(Keyword::Stop))
            && all(self.written_start, Some(Keyword::Start))
            && all(self.written_help, Some(Keyword::Help))
            && all(TEXTS, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_message_is_a_keyword_in_any_case() {
        assert_eq!(Keywords::PLAIN.of(" stop\n"), Some(Keyword::Stop));
        assert_eq!(Keywords::PLAIN.of("please stop"), None);
        assert_eq!(Keywords::PLAIN.of(""), None);
        assert!(Keywords::PLAIN.are_consistent());
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
                Keywords::PLAIN
                    .reply(behaviour, subject, &mut given)
                    .is_some_and(|text| Keywords::PLAIN.of(text) == Some(Keyword::Stop))
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
