//! Words that Twilio acts on by itself.
//!
//! Source: Twilio's "Default keyword handling": the whole message is the word, in any case.

use crate::engine::Keywords;

pub(crate) const KEYWORDS: Keywords = Keywords {
    stop: &[
        "STOP",
        "STOPALL",
        "UNSUBSCRIBE",
        "CANCEL",
        "END",
        "QUIT",
        "REVOKE",
        "OPTOUT",
    ],
    start: &["START", "YES", "UNSTOP"],
    help: &["HELP", "INFO"],
    // Most people write the plain word; a few find another one.
    written_stop: &[
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
    ],
    written_start: &["START", "Start", "UNSTOP"],
    written_help: &["HELP", "Help", "INFO"],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Keyword;

    #[test]
    fn only_a_whole_message_is_a_keyword_in_any_case() {
        assert_eq!(KEYWORDS.of("STOP"), Some(Keyword::Stop));
        assert_eq!(KEYWORDS.of(" unsubscribe\n"), Some(Keyword::Stop));
        assert_eq!(KEYWORDS.of("Yes"), Some(Keyword::Start));
        assert_eq!(KEYWORDS.of("info"), Some(Keyword::Help));
        assert_eq!(KEYWORDS.of("please stop"), None);
        assert_eq!(KEYWORDS.of(""), None);
    }

    #[test]
    fn the_scripts_own_words_are_of_their_kind() {
        assert!(KEYWORDS.are_consistent());
    }
}
