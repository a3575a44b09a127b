//! Twilio's numbers and words. Source: `shared/providers/twilio.md`, sections 4 and 6.

use crate::{ReceiptStatus, RejectReason};

/// What a refused submission means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Rejected(RejectReason),
    AccountRefused,
    Throttled,
    InDoubt,
}

/// By the code in the body; nothing for codes that the page does not have, which the HTTP status
/// decides then.
pub(super) fn submit_code(code: u32) -> Option<Meaning> {
    use Meaning::{AccountRefused, InDoubt, Rejected, Throttled};
    use RejectReason::{
        BadSender, Blocked, InvalidRecipient, OptedOut, Other, TooLong, UnsupportedDestination,
    };
    Some(match code {
        20_500 | 20_503 => InDoubt,
        20_429 => Throttled,
        21_611 => Throttled, // This sender's queue is full: ten hours' worth.
        14_107 => Throttled, // More than 30 messages in 30 s between the same two numbers.
        63_017 | 63_018 => Throttled,
        63_038 | 60_728 => AccountRefused, // The day's or the hour's messages are used up.
        20_003 | 20_005 | 20_006 | 20_008 | 20_403 | 20_404 | 10_001 | 10_002 | 90_010 | 21_470
        | 21_471 | 21_472 | 30_002 => AccountRefused,
        21_609 | 21_502 => AccountRefused, // Our callback URL is refused.
        21_211 | 21_217 | 21_401 | 21_604 | 21_614 | 21_265 | 21_266 => Rejected(InvalidRecipient),
        21_610 => Rejected(OptedOut),
        21_216 | 21_618 | 30_004 | 30_007 | 30_450 => Rejected(Blocked),
        21_408 | 21_612 | 21_214 | 21_608 => Rejected(UnsupportedDestination),
        21_212 | 21_601 | 21_603 | 21_606 | 21_607 | 21_616 | 21_657 | 21_659 | 21_660 | 21_701
        | 21_702 | 21_703 | 21_704 | 21_705 | 21_709 | 30_024 | 30_032 | 30_034 | 30_042 => {
            Rejected(BadSender)
        }
        21_605 | 21_617 => Rejected(TooLong),
        21_602 | 21_619 | 21_624 | 20_001 | 20_422 | 14_101..=14_105 => Rejected(Other),
        _ => return None,
    })
}

/// By the HTTP status, where no known code came with it. 408 and 5xx never come here.
pub(super) fn submit_status(status: u16) -> Meaning {
    match status {
        429 => Meaning::Throttled,
        401 | 403 | 404 => Meaning::AccountRefused,
        // Redirects are not followed with credentials in hand.
        300..=499 => Meaning::Rejected(RejectReason::Other),
        _ => Meaning::InDoubt,
    }
}

/// What a callback's status word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Status(ReceiptStatus),
    /// A word about inbound messages.
    Inbound,
    Unknown,
}

/// Case counts, as the page says: Twilio writes lower case only.
pub(super) fn status_word(word: &str) -> Word {
    Word::Status(match word {
        "accepted" | "scheduled" | "queued" | "sending" => ReceiptStatus::Accepted,
        // What `partially_delivered` means for SMS is not documented; it is no end, at least.
        "sent" | "partially_delivered" => ReceiptStatus::Sent,
        "delivered" => ReceiptStatus::Delivered,
        "read" => ReceiptStatus::Read,
        "undelivered" => ReceiptStatus::Undelivered,
        "failed" | "canceled" => ReceiptStatus::Failed,
        "receiving" | "received" => return Word::Inbound,
        _ => return Word::Unknown,
    })
}

/// With `failed`: the validity was over before Twilio could send.
pub(super) const VALIDITY_EXPIRED: &str = "30036";

/// The recipient had texted STOP to this sender or service.
pub(super) const OPTED_OUT: &str = "21610";
