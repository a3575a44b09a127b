//! Twilio's words for the stages of a message, its error codes, and the parameters of a status callback.

use time::OffsetDateTime;
use time::macros::format_description;

use super::Details;
use super::signature::Parameters;
use crate::engine::{IdForm, Phase, Receipt};

/// Twilio's names for messages.
pub(crate) const IDS: IdForm = IdForm::Hex32("SM");

/// Twilio's word.
pub(crate) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Accepted => "accepted",
        Phase::Queued => "queued",
        Phase::Sent => "sent",
        Phase::Undelivered => "undelivered",
        // An expired message failed; an opted-out recipient is refused at submit, so that word is never used.
        Phase::Failed | Phase::Expired | Phase::Rejected => "failed",
        Phase::Delivered => "delivered",
    }
}

/// Handset unreachable, unknown, landline, filtered, no reason: what carriers really answer.
pub(crate) fn codes(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Undelivered => &["30003", "30005", "30006", "30007", "30008"],
        Phase::Failed | Phase::Rejected => &["30006", "30008", "30017", "30410"],
        Phase::Expired => &["30036"],
        Phase::Accepted | Phase::Queued | Phase::Sent | Phase::Delivered => &[],
    }
}

/// The parameters of a status callback, in the order of Twilio's own.
pub(crate) fn parameters(receipt: &Receipt<Details>, account_sid: &str) -> Parameters {
    let message = &receipt.message;
    let sid = IDS.write(message.number);
    let mut parameters = Parameters::with_capacity(10);
    let word = word(receipt.phase);
    // About half of the carriers say when they delivered. The documentation names no time zone; UTC is a guess.
    let chance = receipt.dice.roll("raw dlr", receipt.subject());
    if receipt.phase == Phase::Delivered && chance < 0.5 {
        let form = format_description!("[year repr:last_two][month][day][hour][minute]");
        if let Ok(date) = OffsetDateTime::from(receipt.at).format(&form) {
            parameters.push(("RawDlrDoneDate", date));
        }
    }
    if let Some(code) = receipt.code {
        parameters.push(("ErrorCode", code.to_owned()));
    }
    parameters.push(("SmsSid", sid.clone()));
    parameters.push(("SmsStatus", word.to_owned()));
    parameters.push(("MessageStatus", word.to_owned()));
    parameters.push(("To", format!("+{}", message.to)));
    if let Some(service) = &message.details.service {
        parameters.push(("MessagingServiceSid", service.clone()));
    }
    parameters.push(("MessageSid", sid));
    parameters.push(("AccountSid", account_sid.to_owned()));
    parameters.push(("From", message.sender.to_string()));
    parameters.push(("ApiVersion", "2010-04-01".to_owned()));
    parameters
}
