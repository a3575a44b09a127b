//! Sinch's statuses and reasons. Source: `shared/providers/sinch.md`, sections 4 and 6.

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

/// By the HTTP status, and with 400 by what the message names. A 401 whose token is merely over
/// never comes here, neither does a 2xx.
pub(super) fn submit_meaning(status: u16, message: &str) -> Meaning {
    use RejectReason::{Other, TooLong};
    match status {
        400 => bad_request(message),
        401..=404 => Meaning::AccountRefused, // 404 is also an app of the other region.
        405..=407 | 415 => Meaning::AccountRefused, // Our fault, and so that of every message.
        408 => Meaning::InDoubt,
        413 => Meaning::Rejected(TooLong),
        429 => Meaning::Throttled,
        501 | 503 => Meaning::Transient,
        409..=499 => Meaning::Rejected(Other),
        // Not on the page. A redirect is not followed with a token in hand, and would meet every
        // message.
        300..=399 => Meaning::AccountRefused,
        // The vendor says "retry", but nothing says that the message was not taken.
        _ => Meaning::InDoubt,
    }
}

/// The texts are not documented: words are looked for in the page's order, whatever their case.
fn bad_request(message: &str) -> Meaning {
    const WORDS: &[(&[&str], Meaning)] = &[
        (
            &["sms_sender", "sender", "originator"],
            Meaning::Rejected(RejectReason::BadSender),
        ),
        (
            &["identity", "recipient", "phone", "msisdn"],
            Meaning::Rejected(RejectReason::InvalidRecipient),
        ),
        (
            &["app_id", "project", "channel configuration", "credential"],
            Meaning::AccountRefused,
        ),
    ];
    let message = message.to_ascii_lowercase();
    let named = |words: &[&str]| words.iter().any(|word| message.contains(word));
    WORDS
        .iter()
        .find(|(words, _)| named(words))
        .map_or(Meaning::Rejected(RejectReason::Other), |(_, meaning)| {
            *meaning
        })
}

/// What a receipt's status word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Status(ReceiptStatus),
    /// Not yet, for a reason.
    SwitchingChannel,
    /// For a reason, which decides.
    Failed,
    Unknown,
}

pub(super) fn status_word(word: &str) -> Word {
    Word::Status(match word {
        "QUEUED_ON_CHANNEL" => ReceiptStatus::Sent,
        "DELIVERED" => ReceiptStatus::Delivered,
        "READ" => ReceiptStatus::Read,
        "QUEUED" => ReceiptStatus::Accepted,
        "SWITCHING_CHANNEL" => return Word::SwitchingChannel,
        "FAILED" => return Word::Failed,
        _ => return Word::Unknown,
    })
}

/// What the reason of a failure means, and whether the account is at fault.
pub(super) fn failure(code: &str, sub_code: &str) -> (ReceiptStatus, bool) {
    if sub_code == "INACTIVE_SENDER" {
        return (ReceiptStatus::Failed, true);
    }
    let status = match code {
        "CHANNEL_BAD_CONFIGURATION"
        | "CHANNEL_CONFIGURATION_MISSING"
        | "NO_PERMISSION"
        | "UNKNOWN_APP"
        | "INACTIVE_CREDENTIAL" => return (ReceiptStatus::Failed, true),
        "RECIPIENT_NOT_REACHABLE" => ReceiptStatus::Undelivered,
        // With the last no receipt came from the carrier: whether it arrived is unknown.
        "DELIVERY_TIMED_OUT" | "MESSAGE_EXPIRED" | "DELIVERY_REPORT_TIME_OUT" => {
            ReceiptStatus::Expired
        }
        "RECIPIENT_INVALID_CHANNEL_IDENTITY"
        | "NO_CHANNEL_IDENTITY_FOR_CONTACT"
        | "CONTACT_NOT_FOUND"
        | OPTED_OUT
        | "DELIVERY_REJECTED_DUE_TO_POLICY"
        | "CHANNEL_REJECT"
        | "BAD_REQUEST"
        | "UNSUPPORTED_OPERATION"
        | "MESSAGE_SPLIT_REQUIRED"
        | "OUTSIDE_ALLOWED_SENDING_WINDOW" => ReceiptStatus::Rejected,
        _ if code.starts_with("MEDIA_") || code.starts_with("TEMPLATE_") => ReceiptStatus::Rejected,
        // `RATE_LIMITED`, the provider's own faults, and what the page does not list.
        _ => ReceiptStatus::Failed,
    };
    (status, false)
}

/// With `FAILED`: the recipient does not want messages of this app.
pub(super) const OPTED_OUT: &str = "RECIPIENT_NOT_OPTED_IN";
