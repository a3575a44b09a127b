//! The tables. Spelled as [`super::normal`] leaves a text: lower case, no accents, no punctuation.

/// The words of one language, or of all.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Whole messages that opt out.
    pub(super) opt_out: &'static [&'static str],
    /// Those that also count alone on the first line: words nobody begins a letter with.
    pub(super) opt_out_before_signature: &'static [&'static str],
    /// Whole messages that ask for help.
    pub(super) help: &'static [&'static str],
    /// Whole messages that opt in.
    pub(super) opt_in: &'static [&'static str],
    /// Whole messages that opt in if the writer is opted out, else they are answers.
    pub(super) opt_in_again: &'static [&'static str],
}

/// Words that mean this in every country. `no` is not among them: in a survey it is an answer.
///
/// Source: `shared/providers/opt-out.md`, section 1: the FCC's seven words, the defaults of Twilio,
/// Telnyx, AWS and Braze, the Canadian mandatory words, and spellings without another meaning.
pub(super) static UNIVERSAL: Vocabulary = Vocabulary {
    opt_out: &[
        "stop",
        "stopall",
        "stop all",
        "unsubscribe",
        "unsub",
        "cancel",
        "end",
        "quit",
        "revoke",
        "optout",
        "opt out",
        "remove",
        "stopp",
        "arret",
        "arrete",
        "arrett",
    ],
    opt_out_before_signature: &[
        "stop",
        "stopall",
        "stop all",
        "unsubscribe",
        "optout",
        "opt out",
        "arret",
        "stopp",
    ],
    help: &["help", "info", "aide"],
    opt_in: &[
        "start",
        "unstop",
        "subscribe",
        "resubscribe",
        "optin",
        "opt in",
    ],
    opt_in_again: &["yes"],
};

/// What is said around a keyword. Source: the same page, section 3, rule 2.
pub(super) static FILLERS: &[&str] = &[
    "please",
    "pls",
    "plz",
    "kindly",
    "right now",
    "now",
    "just",
    "immediately",
    "asap",
    "ok",
    "okay",
    "hi",
    "hello",
    "hey",
    "thank you",
    "thanks",
    "thx",
    "ty",
    "svp",
    "stp",
    "merci",
    "s'il vous plait",
    "s'il te plait",
    "bitte",
    "danke",
    "por favor",
    "gracias",
    "obrigado",
    "obrigada",
    "per favore",
    "grazie",
    "alsjeblieft",
    "bedankt",
    "tack",
    "tak",
    "takk",
];
