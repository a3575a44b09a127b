//! Counts what providers said when they did not accept, code by code: also codes that no page has,
//! which take the careful class and would otherwise pass unseen. Codes come from outside, so their
//! number is bounded here and not by the provider.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use prometheus::IntCounterVec;
use providers::{SubmitClass, SubmitOutcome};

/// Codes with a series of their own, over all providers; their tables have some 300.
const CODES_MAX: usize = 500;
const CODE_BYTES_MAX: usize = 40;
/// Where all others are counted.
const OTHER: &str = "other";

#[derive(Debug)]
pub(crate) struct Codes {
    counter: IntCounterVec,
    known: Mutex<HashSet<(&'static str, String)>>,
}

impl Codes {
    pub(crate) fn new(counter: IntCounterVec) -> Self {
        Self {
            counter,
            known: Mutex::default(),
        }
    }

    pub(crate) fn count(&self, provider: &'static str, outcome: &SubmitOutcome) {
        if outcome.class == SubmitClass::Accepted {
            return;
        }
        let labels = [
            provider,
            outcome.class.as_str(),
            self.label(provider, &outcome.code),
        ];
        self.counter.with_label_values(&labels).inc();
    }

    fn label<'c>(&self, provider: &'static str, code: &'c str) -> &'c str {
        let is_word = !code.is_empty()
            && code.len() <= CODE_BYTES_MAX
            && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_word {
            return OTHER;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (provider, code.to_owned());
        if known.contains(&name) {
            return code;
        }
        if known.len() >= CODES_MAX {
            return OTHER;
        }
        known.insert(name);
        code
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;

    use super::*;

    fn codes() -> Codes {
        let names = ["provider", "outcome", "code"];
        Codes::new(IntCounterVec::new(Opts::new("codes", "Codes."), &names).expect("good names"))
    }

    #[test]
    fn a_provider_that_makes_codes_up_does_not_make_series_without_end() {
        let codes = codes();
        for n in 0..2_000 {
            let outcome = SubmitOutcome::in_doubt(format!("E{n}"));
            codes.count("twilio-sms", &outcome);
        }
        let count = |code| {
            codes
                .counter
                .with_label_values(&["twilio-sms", "in_doubt", code])
                .get()
        };
        assert_eq!((count("E0"), count("E499"), count("E500")), (1, 1, 0));
        assert_eq!(count(OTHER), 1_500);
    }

    #[test]
    fn what_is_no_code_is_counted_without_its_text() {
        let codes = codes();
        for code in ["", "call +33 6 00", "<html>", &"x".repeat(41)] {
            codes.count("sinch", &SubmitOutcome::in_doubt(code));
        }
        codes.count("sinch", &SubmitOutcome::accepted("id"));
        let other = codes
            .counter
            .with_label_values(&["sinch", "in_doubt", OTHER]);
        assert_eq!(other.get(), 4);
    }
}
