//! A person writes: the body that the gate posts.
//!
//! Source: `shared/providers/link-mobility.md`, section 7. A long reply is one message. The text is passed on as it was
//! written, characters beyond the two-byte set included: what LINK makes of those is not documented.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::accounts::LinkMobilityAccount;
use super::content::{is_keyword_number, ton_of};
use super::request::Ton;
use super::{Details, IDS, world};
use crate::engine::phone::e164;
use crate::engine::{FromPerson, Keyword};

/// The destination of what a person writes: a long number as it is, a short number with the country in front.
pub(crate) fn receives_on(address: &str, person: u64) -> Option<String> {
    if is_keyword_number(address) {
        return Some(address.to_owned());
    }
    match ton_of(address)? {
        Ton::Msisdn => Some(address.to_owned()),
        Ton::ShortNumber => Some(format!("{}-{address}", world::country(person))),
        Ton::Alphanumeric => None,
    }
}

/// The body of a reply.
pub(crate) fn body(account: &LinkMobilityAccount, message: &FromPerson<'_, Details>) -> Value {
    let moment = OffsetDateTime::from(message.at);
    let at = world::rfc3339(moment);
    let person = e164(message.from);
    let operator = person.and_then(world::operator);
    // A reply of the script names the sender that it answers, which may be a bare short number.
    let destination = receives_on(message.to, person.unwrap_or_default());
    let destination = destination.as_deref().unwrap_or(message.to);
    let routed = is_keyword_number(destination);
    let operator_id = message.number.index.to_string();
    let mut body = json!({
        "destination": destination,
        "subNumber": account.subnumber.filter(|_| routed),
        "source": message.from,
        "content": { "type": "SMS", "userData": message.text, "encoding": "TEXT" },
        "operator": operator,
        "timestamp": at,
        "messageId": IDS.write(message.number),
        "operatorTimestamp": at,
        "operatorMessageId": operator_id,
        "gateCustomParameters": {},
        "customParameters": {
            "platformPartnerId": account.platform_partner_id,
            "platformId": account.platform_id,
            "suggestedOperator": operator,
            "moReferenceId": operator_id,
            "queued": world::local(moment),
            "serviceCentreTimeStamp": world::local_digits(moment),
        },
    });
    // A long number is the customer's alone, and needs no route.
    if routed {
        body["route"] = route(account, message, destination);
    }
    body
}

fn route(account: &LinkMobilityAccount, message: &FromPerson<'_, Details>, number: &str) -> Value {
    let mut route = json!({
        "id": "kw1",
        "refId": "survey replies",
        "gateIds": [account.gate_id],
        "platformId": account.platform_id,
        "platformPartnerId": account.platform_partner_id,
        "platformServiceType": "",
        "platformServiceId": "",
        "customParameters": {},
        "number": number,
    });
    if let Some(subnumber) = account.subnumber {
        route["type"] = "SUBNUMBER_ROUTE".into();
        route["startRange"] = subnumber.to_string().into();
        route["stopRange"] = subnumber.to_string().into();
        return route;
    }
    route["type"] = "KEYWORD_ROUTE".into();
    route["active"] = true.into();
    route["start"] = "2025-01-01T00:00:00Z".into();
    route["end"] = "2099-01-01T00:00:00Z".into();
    route["shared"] = false.into();
    let stops = message.keyword == Some(Keyword::Stop);
    route["description"] = if stops { "STOP service" } else { "Replies" }.into();
    let first = message.text.split_whitespace().next().unwrap_or_default();
    let keyword = (account.keywords.iter()).find(|keyword| keyword.eq_ignore_ascii_case(first));
    match keyword {
        Some(keyword) => {
            route["keyword"] = keyword.as_str().into();
            route["keywordType"] = "FIRST_WORD".into();
        }
        None => route["keywordType"] = "DEFAULT".into(),
    }
    route
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_to_numbers_and_not_to_names() {
        for (address, wanted) in [
            ("+35312345678", Some("+35312345678")),
            ("2333", Some("NO-2333")),
            ("SE-72456", Some("SE-72456")),
            ("Survey", None),
            ("ab-123", None),
        ] {
            let found = receives_on(address, 4_741_560_099);
            assert_eq!(found.as_deref(), wanted, "{address}");
        }
    }
}
