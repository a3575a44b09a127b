//! MessageBird's numbers and words. Source: `shared/providers/messagebird.md`, sections 2, 4 and 6.

use crate::{ReceiptStatus, RejectReason};

/// What a refused submission means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Rejected(RejectReason),
    /// The error's `parameter` says why.
    ByParameter,
    AccountRefused,
    InDoubt,
}

/// The access key is wrong.
pub(super) const NOT_ALLOWED: i64 = 2;
/// To a look-up it means that there is no such message; a submission names none.
pub(super) const NOT_FOUND: i64 = 20;
/// The balance is used up.
pub(super) const NO_BALANCE: i64 = 25;

/// By a code in the body; nothing for codes that the page does not have, which the HTTP status
/// decides then.
pub(super) fn submit_code(code: i64) -> Option<Meaning> {
    Some(match code {
        9 | 10 | 21 => Meaning::ByParameter,
        NOT_ALLOWED | NOT_FOUND | NO_BALANCE => Meaning::AccountRefused,
        98 => Meaning::AccountRefused, // There is no such API: the base URL is wrong.
        99 => Meaning::InDoubt,
        _ => return None,
    })
}

/// By the HTTP status, where no known code came with it. 2xx, 408, 429 and 5xx never come here.
pub(super) fn submit_status(status: u16) -> Meaning {
    match status {
        401..=405 => Meaning::AccountRefused,
        400..=499 => Meaning::Rejected(RejectReason::Other),
        _ => Meaning::InDoubt,
    }
}

/// Why a recipient of a message that was taken gets it all the same not, by `statusErrorCode`.
pub(super) fn failure_code(code: &str) -> RejectReason {
    match code {
        OPTED_OUT => RejectReason::OptedOut,
        "104" => RejectReason::BadSender,
        "105" | "106" | "107" => RejectReason::Blocked,
        "1" | "2" | "3" | "5" | "9" | "10" | "11" | "12" => RejectReason::InvalidRecipient,
        _ => RejectReason::Other,
    }
}

/// The recipient had texted STOP to this originator.
pub(super) const OPTED_OUT: &str = "103";

/// What a status word and its code report; nothing for words that the page does not have. Case
/// counts: only the names of parameters are matched without regard to it.
pub(super) fn status_word(word: &str, code: &str) -> Option<ReceiptStatus> {
    Some(match word {
        "scheduled" => ReceiptStatus::Accepted,
        "buffered" => ReceiptStatus::Sent, // Handed on, waiting for the handset.
        "sent" => ReceiptStatus::Sent,
        "delivered" => ReceiptStatus::Delivered,
        "expired" => ReceiptStatus::Expired,
        "delivery_failed" => match code {
            OPTED_OUT | "104" | "105" | "106" | "107" => ReceiptStatus::Rejected,
            _ => ReceiptStatus::Undelivered,
        },
        _ => return None,
    })
}
