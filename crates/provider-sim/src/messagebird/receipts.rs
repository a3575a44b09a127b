//! MessageBird's words for the stages of a message, its error codes, and the parameters of a status report.
//!
//! Source: `shared/providers/messagebird.md`, section 6.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};

use super::Details;
use super::accounts::MessageBirdReports;
use super::coding;
use super::resource::{id_of, rfc3339};
use crate::engine::{Phase, Receipt};
use crate::webhook::{Callback, RetryPolicy};

/// About ten tries (unconfirmed), whatever goes wrong. MessageBird's last for hours; each carries what the first one did,
/// its signature and time stamp included.
pub(crate) const POLICY: RetryPolicy = RetryPolicy {
    retries: 9,
    on_connect: true,
    on_timeout: true,
    on_429: true,
    on_4xx: true,
    on_5xx: true,
    attempt_timeout: Duration::from_secs(10),
    total_timeout: Duration::from_secs(300),
    doubling: false,
    wants_a_body: false,
};

/// Parameters of a callback, in the order in which they are sent.
pub(crate) type Parameters = Vec<(&'static str, String)>;

/// MessageBird's word. The answer to a send says `sent` already; the first report then says that the carrier has it.
pub(crate) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Accepted | Phase::Queued => "sent",
        Phase::Sent => "buffered",
        Phase::Undelivered | Phase::Failed | Phase::Rejected => "delivery_failed",
        Phase::Delivered => "delivered",
        Phase::Expired => "expired",
    }
}

/// Codes for bad ends by chance: numbers that do not exist or cannot be reached, trouble in a network, limits of a
/// campaign. 103 and 104 have causes of their own, and what 102 means is unconfirmed. A message that expires has no code.
pub(crate) fn codes(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Undelivered => &["1", "1", "5", "9", "12", "8", "27", "27", "31", "34"],
        Phase::Failed => &["105", "106", "107"],
        Phase::Accepted
        | Phase::Queued
        | Phase::Sent
        | Phase::Delivered
        | Phase::Expired
        | Phase::Rejected => &[],
    }
}

/// The sentence of a report, where it has one.
pub(crate) fn reason(phase: Phase, code: Option<&str>) -> Option<&'static str> {
    match (phase, code) {
        (Phase::Accepted | Phase::Queued, _) | (_, Some("103")) => None,
        (Phase::Sent, _) => Some("pending DLR"),
        (Phase::Delivered, _) => Some("successfully delivered"),
        (Phase::Expired, _) => Some("expired"),
        (_, Some("1" | "2" | "3" | "5" | "9" | "10" | "11" | "12")) => Some("unknown subscriber"),
        (_, Some("8" | "26" | "27" | "31")) => Some("unavailable subscriber"),
        (_, Some("34")) => Some("received network error"),
        _ => Some("generic delivery failure"),
    }
}

/// The parameters of a status report.
pub(crate) fn parameters(receipt: &Receipt<Details>) -> Parameters {
    let message = &receipt.message;
    let details = &message.details;
    let cents_and_a_half = u32::from(message.segments) * 75;
    let mut parameters = vec![
        ("id", id_of(message)),
        ("mccmnc", network(message.to).to_owned()),
        ("ported", "0".to_owned()),
        ("messageLength", length(&message.text, details.coding)),
        ("messagePartCount", message.segments.to_string()),
        ("datacoding", details.coding.word().to_owned()),
        (
            "price[amount]",
            format!(
                "{}.{:03}",
                cents_and_a_half / 1_000,
                cents_and_a_half % 1_000
            ),
        ),
        ("price[currency]", "EUR".to_owned()),
        ("recipient", message.to.to_string()),
        ("reference", message.reference.to_string()),
        ("status", word(receipt.phase).to_owned()),
    ];
    // The table of codes has "no error"; the documented reports without an error lack the parameter. Some have it here.
    let zero = receipt.phase == Phase::Delivered
        && receipt.dice.roll("status error code", receipt.subject()) < 0.3;
    if let Some(code) = receipt.code.or(zero.then_some("0")) {
        parameters.push(("statusErrorCode", code.to_owned()));
    }
    if let Some(reason) = reason(receipt.phase, receipt.code) {
        parameters.push(("statusReason", reason.to_owned()));
    }
    // A report that comes late or twice still tells when it happened.
    let at = match receipt.phase {
        Phase::Sent => message.sent.unwrap_or(message.updated),
        _ => message.updated,
    };
    parameters.push(("statusDatetime", rfc3339(at)));
    parameters
}

/// A status report on its way to `url`, not signed yet.
pub(crate) fn callback(url: &str, way: MessageBirdReports, parameters: &Parameters) -> Callback {
    match way {
        MessageBirdReports::Query => with_query(url, parameters),
        MessageBirdReports::Form => with_form(url, parameters),
        MessageBirdReports::Json => with_json(url, parameters),
    }
}

/// GET, with the parameters behind whatever query the configured URL has.
pub(crate) fn with_query(url: &str, parameters: &Parameters) -> Callback {
    let joint = if url.contains('?') { '&' } else { '?' };
    Callback {
        method: Method::GET,
        url: format!("{url}{joint}{}", encoded(parameters)),
        headers: HeaderMap::new(),
        body: String::new(),
        retry_headers: HeaderMap::new(),
        policy: POLICY,
    }
}

pub(crate) fn with_form(url: &str, parameters: &Parameters) -> Callback {
    let kind = "application/x-www-form-urlencoded";
    with_body(url, kind, encoded(parameters))
}

/// A flat object of strings, written out because a parameter may be there twice.
pub(crate) fn with_json(url: &str, parameters: &Parameters) -> Callback {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)))
        .collect();
    with_body(url, "application/json", format!("{{{}}}", pairs.join(",")))
}

fn with_body(url: &str, kind: &'static str, body: String) -> Callback {
    Callback {
        method: Method::POST,
        url: url.to_owned(),
        headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]),
        body,
        retry_headers: HeaderMap::new(),
        policy: POLICY,
    }
}

fn encoded(parameters: &Parameters) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

fn length(text: &str, coding: coding::Coding) -> String {
    coding::shown(text, coding).chars().count().to_string()
}

/// A network of the country, as mobile country and network code.
fn network(person: u64) -> &'static str {
    let number = person.to_string();
    let networks = [
        ("1", "310260"),
        ("358", "24405"),
        ("33", "20801"),
        ("44", "23415"),
        ("46", "24001"),
        ("49", "26201"),
        ("61", "50501"),
    ];
    let country = networks
        .iter()
        .find(|(prefix, _)| number.starts_with(prefix));
    country.map_or("20408", |(_, network)| network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_reason_but_the_opt_out() {
        for code in codes(Phase::Undelivered).iter().chain(codes(Phase::Failed)) {
            assert!(reason(Phase::Undelivered, Some(code)).is_some(), "{code}");
        }
        assert_eq!(reason(Phase::Rejected, Some("103")), None);
        assert_eq!(
            reason(Phase::Undelivered, Some("1")),
            Some("unknown subscriber")
        );
    }

    #[test]
    fn the_query_goes_behind_the_one_that_the_url_has() {
        let parameters = vec![
            ("price[amount]", "0.075".to_owned()),
            ("a", "x +".to_owned()),
        ];
        let plain = with_query("https://h.example/x", &parameters);
        assert_eq!(
            plain.url,
            "https://h.example/x?price%5Bamount%5D=0.075&a=x+%2B"
        );
        let more = with_query("https://h.example/x?o=1", &parameters);
        assert!(more.url.starts_with("https://h.example/x?o=1&price"));
        let json = with_json("https://h.example/x", &parameters);
        assert_eq!(json.body, r#"{"price[amount]":"0.075","a":"x +"}"#);
    }
}
