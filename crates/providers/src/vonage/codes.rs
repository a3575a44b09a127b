//! Vonage's numbers and words. Source: `shared/providers/vonage.md`, sections 4, 6 and 13.

use std::time::Duration;

use crate::{ReceiptStatus, RejectReason};

/// What a refused submission means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Rejected(RejectReason),
    AccountRefused,
    Throttled,
    Transient,
    InDoubt,
}

/// The SMS API's `status` of a part that was not taken.
pub(super) fn part_status(status: i64, error_text: &str) -> Meaning {
    use Meaning::{AccountRefused, Rejected, Throttled, Transient};
    use RejectReason::{
        BadSender, Blocked, InvalidRecipient, Other, TooLong, UnsupportedDestination,
    };
    match status {
        1 | 10 => Throttled, // Requests, or connections.
        3 if names_parameter(error_text, "to") => Rejected(InvalidRecipient),
        3 if names_parameter(error_text, "from") => Rejected(BadSender),
        4 | 8 | 9 | 11 | 14 | 32 => AccountRefused,
        23 => AccountRefused, // Our callback URL is refused.
        5 | 13 => Transient,
        6 | 33 => Rejected(InvalidRecipient),
        7 => Rejected(Blocked),
        12 => Rejected(TooLong),
        15 => Rejected(BadSender),
        29 => Rejected(UnsupportedDestination), // A trial account's list of numbers.
        _ => Rejected(Other),
    }
}

/// By the HTTP status; those of success never come here.
pub(super) fn http_status(status: u16) -> Meaning {
    match status {
        429 => Meaning::Throttled,
        408 => Meaning::InDoubt,
        401..=403 => Meaning::AccountRefused,
        // Redirects are not followed with credentials in hand.
        300..=499 => Meaning::Rejected(RejectReason::Other),
        _ => Meaning::InDoubt,
    }
}

/// The Messages API's code beside a 422.
pub(super) fn messages_refusal(code: &str) -> RejectReason {
    match code {
        "1120" => RejectReason::BadSender,
        "1170" | "1040" => RejectReason::InvalidRecipient,
        "1050" => RejectReason::Blocked,
        MESSAGES_OPTED_OUT => RejectReason::OptedOut,
        "1090" => RejectReason::TooLong,
        "1160" => RejectReason::UnsupportedDestination,
        _ => RejectReason::Other,
    }
}

/// Whether a refusal is about the parameter `name`, in either of the wordings that section 4 has as
/// patterns: `\bto param`, and `param\w*:?\s*to\b`. The texts themselves are unconfirmed.
fn names_parameter(error_text: &str, name: &str) -> bool {
    const PARAMETER: &str = "param";
    let text = error_text.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(PARAMETER).any(|(at, _)| {
        let named_before = text[..at]
            .strip_suffix(' ')
            .and_then(|before| before.strip_suffix(name))
            .is_some_and(|before| !before.ends_with(is_word));
        let tail = &text[at + PARAMETER.len()..];
        let behind = tail.trim_start_matches(is_word);
        let named_within = tail[..tail.len() - behind.len()].ends_with(name);
        let behind = behind.strip_prefix(':').unwrap_or(behind).trim_start();
        let named_behind = behind
            .strip_prefix(name)
            .is_some_and(|behind| !behind.starts_with(is_word));
        named_before || named_within || named_behind
    })
}

/// The milliseconds in `Throughput Rate Exceeded - please wait [ 250 ] and retry`.
pub(super) fn wait_in(error_text: &str) -> Option<Duration> {
    let (_, behind) = error_text.split_once("please wait [")?;
    let (millis, _) = behind.split_once(']')?;
    let millis = millis.trim();
    let plain = millis.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| millis.parse().ok().map(Duration::from_millis))?
}

/// The SMS API's status word; nothing for one that the page does not have.
pub(super) fn sms_word(word: &str) -> Option<ReceiptStatus> {
    Some(match word.to_lowercase().as_str() {
        "accepted" | "buffered" => ReceiptStatus::Sent, // By the carrier.
        "delivered" => ReceiptStatus::Delivered,
        "expired" => ReceiptStatus::Expired,
        "failed" | "deleted" => ReceiptStatus::Failed,
        "rejected" => ReceiptStatus::Rejected,
        "unknown" | "undelivered" | "undeliverable" => ReceiptStatus::Undelivered,
        _ => return None,
    })
}

/// The Messages API's status word with the error code beside it; nothing for one that the page does
/// not have.
pub(super) fn messages_word(word: &str, code: &str) -> Option<ReceiptStatus> {
    Some(match word.to_lowercase().as_str() {
        "submitted" => ReceiptStatus::Sent,
        "delivered" => ReceiptStatus::Delivered,
        "rejected" if code == MESSAGES_TTL_OVER => ReceiptStatus::Expired,
        "rejected" => ReceiptStatus::Rejected,
        "undeliverable" => ReceiptStatus::Failed,
        "read" => ReceiptStatus::Read,
        _ => return None,
    })
}

/// No error.
pub(super) const NO_ERROR: &str = "0";

/// With `failed` or `rejected` in the SMS API's receipts: an illegal number, because the person had
/// texted STOP.
pub(super) const SMS_OPTED_OUT: &str = "9";

/// The same in the Messages API.
pub(super) const MESSAGES_OPTED_OUT: &str = "1240";

/// With `rejected` in the Messages API.
const MESSAGES_TTL_OVER: &str = "1360";
