//! MessageMedia's words and codes for the stages of a message, and its delivery reports.
//!
//! Source: `shared/providers/messagemedia.md`, sections 4 and 6.

use std::time::SystemTime;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::Details;
use super::accounts::MessageMediaAccount;
use super::books::Report;
use super::resource::metadata;
use crate::engine::{Phase, Receipt, View};

/// Codes for ends that the twin decides: usage threshold, blacklist, sender not registered, the same text again.
pub(crate) const USAGE_REACHED: &str = "301";
pub(crate) const DESTINATION_BLOCKED: &str = "302";
pub(crate) const SOURCE_BLOCKED: &str = "303";
pub(crate) const DUPLICATE: &str = "305";

/// MessageMedia's word. A message that waits is processed already: `queued` is only what the answer says.
pub(crate) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Accepted => "queued",
        Phase::Queued => "enroute",
        Phase::Sent => "submitted",
        // Which of the two it was, the code tells.
        Phase::Undelivered | Phase::Failed => "failed",
        Phase::Delivered => "delivered",
        Phase::Expired => "expired",
        Phase::Rejected => "rejected",
    }
}

/// The status of a message in look-ups.
pub(crate) fn status(message: &View<Details>) -> &'static str {
    match (&message.details.scheduled, message.phase) {
        (Some(_), Phase::Accepted) => "scheduled",
        (_, phase) => word(phase),
    }
}

/// A realistic selection of bad ends. Codes that are mostly told as `rejected` are left to what the twin decides.
pub(crate) fn codes(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Undelivered => &["400", "402", "405", "410", "411", "412", "413", "414"],
        Phase::Failed => &["330", "331", "332", "333"],
        Phase::Expired => &["320", "401"],
        Phase::Rejected => &["304"],
        Phase::Accepted | Phase::Queued | Phase::Sent | Phase::Delivered => &[],
    }
}

/// The code of a report: that of the end, or one that says how far the message has come.
pub(crate) fn code(receipt: &Receipt<Details>) -> &'static str {
    let on_the_way: &[&str] = match receipt.phase {
        Phase::Accepted | Phase::Queued => &["101", "102"],
        Phase::Sent => &["200", "210", "211"],
        _ => &["220", "221"],
    };
    let picked = receipt
        .dice
        .pick("way code", receipt.subject(), on_the_way)
        .copied();
    receipt.code.or(picked).unwrap_or_default()
}

/// A report without its code, as polling shows it. Addresses are inverted: it comes from the phone.
pub(crate) fn report(
    account: &MessageMediaAccount,
    message: &View<Details>,
    report: &Report,
) -> Value {
    let at = timestamp(report.at);
    let mut json = json!({
        "delivery_report_id": report.id,
        "message_id": report.message_id,
        "source_number": format!("+{}", message.to),
        "status": word(report.phase),
        "date_received": at,
        "submitted_date": at,
        "delay": 0,
        "original_text": &*message.text,
        "metadata": metadata(message),
        "vendor_account_id": vendor_account(account),
    });
    if let Some(url) = &message.details.callback_url {
        json["callback_url"] = json!(url);
    }
    if account.tells_billing_units {
        json["billing_units"] = json!(message.segments);
    }
    json
}

/// The body of a callback.
pub(crate) fn pushed(account: &MessageMediaAccount, receipt: &Receipt<Details>) -> Value {
    let of = Report::of(receipt);
    let mut json = report(account, &receipt.message, &of);
    json["error_code"] = json!(of.code);
    json
}

pub(crate) fn vendor_account(account: &MessageMediaAccount) -> Value {
    json!({ "vendor_id": "MessageMedia", "account_id": account.account_id() })
}

/// ISO 8601 in UTC with milliseconds.
pub(crate) fn timestamp(at: SystemTime) -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from(at).format(&form).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_has_milliseconds_and_a_z() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_772_442_929_007);
        assert_eq!(timestamp(at), "2026-03-02T09:15:29.007Z");
    }
}
