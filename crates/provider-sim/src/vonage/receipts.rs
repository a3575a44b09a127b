//! Vonage's words for the stages of a message, its error codes, and the two forms of a receipt.
//!
//! Source: `shared/providers/vonage.md`, sections 6 and 13.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::accounts::{VonageAccount, VonageApi};
use super::statuses::{NETWORK, PRICE};
use super::webhooks::{Parameters, iso_timestamp, message_timestamp};
use super::{Details, OPTED_OUT, ids};
use crate::engine::{Phase, Receipt};

/// The share of carriers that say they buffered a message rather than that they accepted it.
const BUFFERED_SHARE: f64 = 0.2;
const UNKNOWN: &str = "1";
const EXPIRED: &str = "1360";

/// The SMS API's word. No receipt tells `submitted`.
pub(crate) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Accepted | Phase::Queued => "submitted",
        Phase::Sent => "accepted",
        Phase::Delivered => "delivered",
        Phase::Undelivered => "failed",
        // Refused by Vonage or a carrier before it was sent.
        Phase::Failed | Phase::Rejected => "rejected",
        Phase::Expired => "expired",
    }
}

/// What carriers and filters really say; 9, which means an opt-out, is never left to chance.
pub(crate) fn codes(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Undelivered => &[UNKNOWN, "2", "3", "4", "5", "7", "8", "12", "15"],
        Phase::Failed | Phase::Rejected => &["6", "10", "11", "14", "16", "51", "52", "99"],
        Phase::Accepted | Phase::Queued | Phase::Sent | Phase::Delivered | Phase::Expired => &[],
    }
}

/// What an `err-code` means, for the Reports API.
pub(crate) fn description(code: &str) -> &'static str {
    match code {
        "0" => "Delivered",
        UNKNOWN => "Unknown",
        "2" => "Absent Subscriber - Temporary",
        "3" => "Absent Subscriber - Permanent",
        "4" => "Call Barred by User",
        "5" => "Portability Error",
        "6" => "Anti-Spam Rejection",
        "7" => "Handset Busy",
        "8" => "Network Error",
        OPTED_OUT => "Illegal Number",
        "10" => "Illegal Message",
        "11" => "Unroutable",
        "12" => "Destination Unreachable",
        "14" => "Blocked by Carrier",
        "15" => "Prepaid Insufficient Funds",
        "16" => "Gateway Quota Exceeded",
        "51" => "Header Filter",
        "52" => "Content Filter",
        _ => "General Error",
    }
}

/// The parameters of a receipt, in the order of the page's examples. It speaks of one part.
pub(crate) fn parameters(account: &VonageAccount, receipt: &Receipt<Details>) -> Parameters {
    let message = &receipt.message;
    let form = ids::form(account, message.details.api);
    let price = match receipt.phase {
        Phase::Failed | Phase::Rejected => "0.00000000",
        _ => PRICE,
    };
    let scts = format_description!("[year repr:last_two][month][day][hour][minute]");
    let scts = OffsetDateTime::from(receipt.at).format(&scts);
    let mut parameters = vec![
        ("msisdn", message.to.to_string()),
        ("to", message.sender.to_string()),
        ("network-code", NETWORK.to_owned()),
        ("messageId", form.write(message.number.part(receipt.part))),
        ("price", price.to_owned()),
        ("status", status(receipt).to_owned()),
        ("scts", scts.unwrap_or_default()),
        ("err-code", receipt.code.unwrap_or("0").to_owned()),
        ("api-key", account.api_key.clone()),
    ];
    if !message.reference.is_empty() {
        parameters.push(("client-ref", message.reference.to_string()));
    }
    parameters.push(("message-timestamp", message_timestamp(receipt.at)));
    parameters
}

fn status(receipt: &Receipt<Details>) -> &'static str {
    let buffered = receipt.dice.roll("buffered", receipt.subject()) < BUFFERED_SHARE;
    match receipt.phase {
        Phase::Sent if buffered => "buffered",
        Phase::Undelivered if receipt.code == Some(UNKNOWN) => "unknown",
        phase => word(phase),
    }
}

/// A receipt of the Messages API. It speaks of all parts, unless the SMS API named each of them.
pub(crate) fn object(account: &VonageAccount, receipt: &Receipt<Details>) -> Value {
    let message = &receipt.message;
    let form = ids::form(account, message.details.api);
    let number = match message.details.api {
        VonageApi::Sms => message.number.part(receipt.part),
        VonageApi::Messages => message.number,
    };
    let status = match receipt.phase {
        Phase::Accepted | Phase::Queued | Phase::Sent => "submitted",
        Phase::Delivered => "delivered",
        Phase::Undelivered => "undeliverable",
        Phase::Failed | Phase::Rejected | Phase::Expired => "rejected",
    };
    let mut object = json!({
        "message_uuid": form.write(number),
        "to": message.to.to_string(),
        "from": &*message.sender,
        "timestamp": iso_timestamp(receipt.at),
        "status": status,
        "channel": "sms",
        "usage": { "currency": "EUR", "price": "0.0333" },
        "destination": { "network_code": NETWORK },
        "sms": { "count_total": message.segments.to_string() },
    });
    if !message.reference.is_empty() {
        object["client_ref"] = (&*message.reference).into();
    }
    if let Some(code) = messages_code(receipt.phase, receipt.code) {
        object["error"] = error(code, receipt);
    }
    object
}

/// The code stands in the title, as a number or as text, or in the type alone.
fn error(code: &str, receipt: &Receipt<Details>) -> Value {
    let titles = [
        code.parse::<u32>().unwrap_or_default().into(),
        code.into(),
        Value::from("The message was not delivered"),
    ];
    let title = receipt.dice.pick("title", receipt.subject(), &titles);
    json!({
        "type": format!("https://developer.vonage.com/api-errors/messages#{code}"),
        "title": title,
        "detail": "The message could not be delivered.",
        "instance": super::uuid(),
    })
}

/// The Messages API's code. The page names few of them; the others go under the unknown recipient's.
fn messages_code(phase: Phase, err_code: Option<&str>) -> Option<&'static str> {
    if phase == Phase::Expired {
        return Some(EXPIRED);
    }
    Some(match err_code? {
        OPTED_OUT => "1240",
        "3" | "12" => "1170",
        "4" | "14" => "1050",
        _ => "1040",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_opts_nobody_out_and_every_code_has_its_meaning() {
        for phase in [Phase::Undelivered, Phase::Failed, Phase::Rejected] {
            for code in codes(phase) {
                assert_ne!(*code, OPTED_OUT);
                assert!(
                    *code == "99" || description(code) != "General Error",
                    "{code}"
                );
                assert!(messages_code(phase, Some(code)).is_some_and(|code| code != "1240"));
            }
        }
    }

    #[test]
    fn an_expired_message_has_a_word_in_one_api_and_a_code_in_the_other() {
        assert_eq!(word(Phase::Expired), "expired");
        assert!(codes(Phase::Expired).is_empty());
        assert_eq!(messages_code(Phase::Expired, None), Some("1360"));
        assert_eq!(messages_code(Phase::Delivered, None), None);
        assert_eq!(
            messages_code(Phase::Rejected, Some(OPTED_OUT)),
            Some("1240")
        );
    }
}
