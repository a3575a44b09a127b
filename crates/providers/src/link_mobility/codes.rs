//! LINK's numbers. Source: `shared/providers/link-mobility.md`, sections 4 and 6.2.

use crate::{ReceiptStatus, RejectReason};

/// What an answer to a submission means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Accepted,
    Rejected(RejectReason),
    /// The request was refused as a whole: alone its message is rejected, one of several nobody
    /// knows.
    RequestRefused(RejectReason),
    AccountRefused,
    Throttled,
    Transient,
    InDoubt,
}

/// By the `resultCode` of one message inside a 200 (section 4.2).
pub(super) fn submit_code(code: i64) -> Meaning {
    use Meaning::{Accepted, AccountRefused, InDoubt, Rejected, Throttled, Transient};
    use RejectReason::{BadSender, Blocked, InvalidRecipient, Other, UnsupportedDestination};
    match code {
        1005 => Accepted,
        // Never seen in an answer, but they say that it was passed on.
        1000 | 1001 | 1011 | 1013 => Accepted,
        3 => Throttled,
        1 | 6 | 105 => Transient,
        // As a receipt 0 is "not delivered"; here it may be the outcome of anything.
        0 | 4 | 5 | UNKNOWN_ERROR => InDoubt,
        104 | 4000 | 106_100..=106_102 | 106_200 | 106_201 | 106_300 | 106_301 => AccountRefused,
        2000..=2003 => Rejected(BadSender),
        2100..=2102 | 2104 | 2106 => Rejected(InvalidRecipient),
        2 | 2103 => Rejected(UnsupportedDestination),
        2105 | 2107 | 2205 => Rejected(Blocked),
        2200..=2204 | 2206 | 2207 | 3000..=3002 | 4001..=4007 => Rejected(Other),
        _ => InDoubt,
    }
}

/// By the HTTP status of a refused request and the code in its body (section 4.1).
pub(super) fn submit_status(status: u16, code: Option<i64>) -> Meaning {
    use RejectReason::{Other, TooLong};
    match (status, code) {
        (_, Some(UNKNOWN_ERROR)) => Meaning::InDoubt,
        (400, Some(PREMIUM_CURRENCY)) => Meaning::Rejected(Other),
        (400, Some(106_100..=106_399)) => Meaning::AccountRefused,
        (400, _) => Meaning::RequestRefused(Other),
        (401 | 403, _) => Meaning::AccountRefused,
        (404 | 405 | 415, _) => Meaning::AccountRefused, // The wrong host or path.
        (413, _) => Meaning::RequestRefused(TooLong),
        (429, _) => Meaning::Throttled,
        (503, _) => Meaning::Transient,
        _ => Meaning::InDoubt,
    }
}

/// "Unknown error", whatever the status.
const UNKNOWN_ERROR: i64 = 106_000;

/// About a member that is never sent, and the only one of its kind that is not the account's fault.
const PREMIUM_CURRENCY: i64 = 106_202;

/// What a receipt's `resultCode` says; nothing for codes that say nothing (section 6.2).
pub(super) fn receipt_code(code: i64) -> Option<ReceiptStatus> {
    Some(match code {
        1001 | 1007 => ReceiptStatus::Delivered,
        1000 | 1011 | 1013 => ReceiptStatus::Sent,
        1005 | 1008 | 1012 => ReceiptStatus::Accepted,
        1002 | 1010 => ReceiptStatus::Expired,
        1004 | 1006 | 1009 => ReceiptStatus::Undelivered,
        1003 => ReceiptStatus::Failed,
        0..=6 | 104 | 105 => ReceiptStatus::Failed,
        2104 | 2105 | 2107 => ReceiptStatus::Undelivered,
        2000..=2003 | 2100..=2103 | 2106 | 2200..=2207 | 3000..=3002 | 4000..=4007 => {
            ReceiptStatus::Rejected
        }
        // Not listed, but all known neighbours are final failures.
        2000..=4999 => ReceiptStatus::Failed,
        _ => return None,
    })
}
