//! Whether two witnesses mean the same end: the twin's phase, and the state that the fleet made of
//! the provider's receipts.
//!
//! Delivered is delivered everywhere. How a message that was not delivered ended is told by each
//! provider in its own words and codes, which know fewer differences than the twin does, or others.
//! This table is made from section 6 of each of `shared/providers/*.md`, a second time and without
//! the fleet's own.

use message::MessageState;
use provider_sim::AuditEntry;

/// Whether `state` is the end, or the place on the way, that the provider has booked.
pub fn same_end(provider: &str, state: MessageState, entry: &AuditEntry) -> bool {
    use MessageState as S;
    let code = entry.error_code.as_deref().unwrap_or_default();
    match entry.phase.as_deref().unwrap_or_default() {
        "delivered" => state == S::Delivered,
        "expired" => state == S::Expired,
        "undelivered" => undelivered(provider, code).contains(&state),
        "failed" | "rejected" => not_sent(provider, code).contains(&state),
        // Receipts still under way: the ledger may be behind, never ahead.
        "sent" => matches!(state, S::Sent | S::Accepted | S::InDoubt | S::Sending),
        _ => matches!(state, S::Accepted | S::InDoubt | S::Sending),
    }
}

/// The carrier had it and could not deliver it.
fn undelivered(provider: &str, code: &str) -> &'static [MessageState] {
    use MessageState::{Expired, Failed, Rejected, Undelivered};
    match (provider, code) {
        // One word for both, except that "unknown" is a word of its own. Each part of a long
        // message has its own code, and the twin's books name one of them.
        ("vonage-sms", _) => &[Failed, Undelivered],
        // An unknown error and one of the provider's: not sent, says the status beside the code.
        ("infobip-sms", "255" | "500") => &[Failed],
        ("link-mobility", "1010") => &[Expired],
        ("sinch", "DELIVERY_TIMED_OUT" | "DELIVERY_REPORT_TIME_OUT") => &[Expired],
        ("sinch", "RECIPIENT_INVALID_CHANNEL_IDENTITY") => &[Rejected],
        _ => &[Undelivered],
    }
}

/// The provider took it and never passed it on.
fn not_sent(provider: &str, code: &str) -> &'static [MessageState] {
    use MessageState::{Failed, Rejected, Undelivered};
    match (provider, code) {
        ("twilio-sms", _) => &[Failed],
        ("infobip-sms" | "vonage-sms", _) => &[Rejected],
        ("messagebird", "103" | "104" | "105" | "106" | "107") => &[Rejected],
        ("messagebird", _) => &[Undelivered],
        ("messagemedia", "330" | "331" | "332" | "333") => &[Failed],
        ("link-mobility", code) if code.len() < 4 || code == "1003" => &[Failed],
        (
            "sinch",
            "CHANNEL_REJECT"
            | "DELIVERY_REJECTED_DUE_TO_POLICY"
            | "MESSAGE_SPLIT_REQUIRED"
            | "RECIPIENT_NOT_OPTED_IN",
        ) => &[Rejected],
        ("sinch", _) => &[Failed],
        _ => &[Rejected],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MessageState as S;
    use provider_sim::customers::PROVIDERS;

    fn at(provider: &str, state: S, phase: &str, code: &str) -> bool {
        let entry = AuditEntry {
            phase: Some(phase.to_owned()),
            error_code: Some(code.to_owned()),
            ..AuditEntry::default()
        };
        same_end(provider, state, &entry)
    }

    #[test]
    fn delivered_is_never_taken_for_anything_else_and_nothing_for_delivered() {
        for provider in PROVIDERS {
            assert!(at(provider, S::Delivered, "delivered", ""));
            for state in MessageState::ALL {
                let other = state != S::Delivered;
                assert!(!(other && at(provider, state, "delivered", "")), "{state}");
            }
            for phase in [
                "queued",
                "sent",
                "undelivered",
                "failed",
                "expired",
                "rejected",
            ] {
                for code in ["", "1", "6", "103", "2103", "330", "CHANNEL_REJECT"] {
                    assert!(
                        !at(provider, S::Delivered, phase, code),
                        "{provider} {phase}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_bad_end_is_called_what_the_providers_page_calls_it() {
        for (provider, phase, code, state) in [
            ("infobip-sms", "undelivered", "5", S::Undelivered),
            ("infobip-sms", "undelivered", "500", S::Failed),
            ("infobip-sms", "failed", "351", S::Rejected),
            ("link-mobility", "undelivered", "2104", S::Undelivered),
            ("link-mobility", "failed", "105", S::Failed),
            ("link-mobility", "failed", "2103", S::Rejected),
            ("messagebird", "undelivered", "27", S::Undelivered),
            ("messagebird", "failed", "105", S::Rejected),
            ("messagemedia", "undelivered", "402", S::Undelivered),
            ("messagemedia", "failed", "330", S::Failed),
            ("messagemedia", "rejected", "304", S::Rejected),
            ("sinch", "undelivered", "DELIVERY_TIMED_OUT", S::Expired),
            ("sinch", "failed", "INTERNAL_ERROR", S::Failed),
            ("sinch", "rejected", "RECIPIENT_NOT_OPTED_IN", S::Rejected),
            ("twilio-sms", "undelivered", "30003", S::Undelivered),
            ("twilio-sms", "failed", "30008", S::Failed),
            ("vonage-sms", "undelivered", "1", S::Undelivered),
            ("vonage-sms", "undelivered", "5", S::Failed),
            ("vonage-sms", "failed", "6", S::Rejected),
        ] {
            assert!(
                at(provider, state, phase, code),
                "{provider} {phase} {code}"
            );
            let same = |other: &S| at(provider, *other, phase, code);
            let ends = MessageState::ALL.iter().filter(|state| same(state)).count();
            let words = if (provider, phase) == ("vonage-sms", "undelivered") {
                2
            } else {
                1
            };
            assert_eq!(ends, words, "{provider} {phase} {code}");
        }
    }
}
