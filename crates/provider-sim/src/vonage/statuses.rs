//! The answers of `/sms/json`: a 200 whose entries, one for each part, have a status of their own.
//!
//! Source: `shared/providers/vonage.md`, sections 2 and 4. The sentences that the page does not quote are the twin's; no
//! client may decide by them.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::check::Refusal;
use super::problems::with_json;
use crate::engine::OverLimit;

const BALANCE: &str = "15.53590000";
/// Of one part.
pub(crate) const PRICE: &str = "0.03330000";
/// The network of the page's example: the twin has no numbering plan.
pub(crate) const NETWORK: &str = "27201";

/// The entry of a part that was taken.
pub(crate) fn taken(to: u64, message_id: String, reference: &str) -> Value {
    let mut entry = json!({
        "to": to.to_string(),
        "message-id": message_id,
        "status": "0",
        "remaining-balance": BALANCE,
        "message-price": PRICE,
        "network": NETWORK,
    });
    if !reference.is_empty() {
        entry["client-ref"] = reference.into();
    }
    entry
}

/// The entry of a part or message that was not.
pub(crate) fn refused(refusal: Refusal) -> Value {
    json!({ "status": refusal.status.to_string(), "error-text": sentence(refusal) })
}

/// The whole answer.
pub(crate) fn answer(entries: Vec<Value>) -> Response {
    let body = json!({ "message-count": entries.len().to_string(), "messages": entries });
    with_json(StatusCode::OK, body.to_string())
}

/// The answer to a message that a limit of the account refuses.
pub(crate) fn over_limit(over: OverLimit) -> Response {
    let entry = match over.wait {
        Some(wait) => {
            let milliseconds = wait.as_millis() + 1; // not a moment too early
            let text =
                format!("Throughput Rate Exceeded - please wait [ {milliseconds} ] and retry");
            json!({ "status": "1", "error-text": text })
        }
        None => refused(Refusal::new(10)),
    };
    answer(vec![entry])
}

fn sentence(refusal: Refusal) -> String {
    let Refusal { status, about } = refusal;
    match status {
        1 => "Throttled".to_owned(),
        2 => format!("Missing {about} param"),
        3 => format!("Invalid {about} param"),
        4 => "Bad Credentials".to_owned(),
        5 => "Internal Error".to_owned(),
        6 => "Invalid Message: unknown number prefix".to_owned(),
        7 => "Number barred.".to_owned(),
        8 => "Partner Account Barred".to_owned(),
        9 => "Partner Quota Violation".to_owned(),
        10 => "Too Many Existing Binds".to_owned(),
        11 => "Account Not Enabled For HTTP".to_owned(),
        12 => "Message Too Long".to_owned(),
        14 => "Invalid Signature".to_owned(),
        15 => "Illegal Sender Address - rejected".to_owned(),
        22 => "Invalid Network Code".to_owned(),
        23 => "Invalid Callback Url".to_owned(),
        29 => "Non White-listed Destination".to_owned(),
        32 => "Signature And API Secret Disallowed".to_owned(),
        33 => "Number De-activated".to_owned(),
        other => format!("Error {other}"),
    }
}
