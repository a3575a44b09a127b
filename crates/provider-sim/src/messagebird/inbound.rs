//! A person writes: what the customer's flow posts, and what MessageBird does about a STOP.
//!
//! Source: `shared/providers/messagebird.md`, sections 7 and 10. What is repeated is unconfirmed; the twin repeats like
//! status reports. The author of a flow chooses its keys: the twin's flow sends every one that is documented, and two of
//! them twice.

use time::OffsetDateTime;
use time::macros::format_description;

use super::Details;
use super::accounts::MessageBirdInbound;
use super::receipts::{self, Parameters};
use super::resource::{IDS, rfc3339};
use super::signature::uuid;
use crate::engine::{FromPerson, KeywordEffect};
use crate::webhook::Callback;

const FLOW: &str = "6e1b2c3d-4f5a-4b6c-8d7e-9f0a1b2c3d4e";
const REVISION: &str = "0a9b8c7d-6e5f-4a3b-9c2d-1e0f9a8b7c6d";

/// Blocks and frees the number that was written to, for people of the United States and Canada only: elsewhere nothing
/// is blocked, and the customer has to see to it.
pub(crate) fn keyword_effect(message: &FromPerson<'_, Details>) -> KeywordEffect {
    let handled = message.from.starts_with("+1");
    KeywordEffect {
        told_apart: false,
        scope: handled.then(|| message.to.to_owned()),
        declared: false,
    }
}

/// What calls the webhook, not signed yet.
pub(crate) fn callback(
    url: &str,
    way: MessageBirdInbound,
    message: &FromPerson<'_, Details>,
) -> Callback {
    let id = IDS.write(message.number);
    match way {
        MessageBirdInbound::FlowJson => receipts::with_json(url, &flow(&id, message)),
        MessageBirdInbound::FlowForm => receipts::with_form(url, &form(&id, message)),
        MessageBirdInbound::Forwarding => receipts::with_query(url, &forwarding(&id, message)),
        MessageBirdInbound::ShortCode => receipts::with_form(url, &short_code(&id, message)),
    }
}

fn flow(id: &str, message: &FromPerson<'_, Details>) -> Parameters {
    let (from, to, text) = parties(message);
    let seconds = unix_seconds(message);
    let time = rfc3339(seconds).replace("+00:00", "Z");
    let own = str::to_owned;
    vec![
        ("id", own(id)),
        ("message_id", own(id)),
        ("originator", own(from)),
        ("sender", own(from)),
        ("recipient", own(to)),
        ("receiver", own(to)),
        ("body", own(text)),
        ("payload", own(text)),
        ("incomingMessage", own(text)),
        ("message", own(text)),
        ("createdDatetime", time.clone()),
        ("receivedSMSDateTime", time),
        ("date", seconds.to_string()),
        ("date_utc", seconds.to_string()),
        ("reference", String::new()),
        ("flowId", own(FLOW)),
        ("flowRevisionId", own(REVISION)),
        ("invocationId", uuid()),
        ("messageBirdRequestId", uuid()),
        ("originator", own(from)),
        ("body", own(text)),
    ]
}

fn form(id: &str, message: &FromPerson<'_, Details>) -> Parameters {
    let (from, to, text) = parties(message);
    let seconds = unix_seconds(message);
    let own = str::to_owned;
    vec![
        ("receiver", own(to)),
        ("body", own(text)),
        ("date", seconds.to_string()),
        ("date_utc", seconds.to_string()),
        ("reference", own("1")),
        ("id", own(id)),
        ("message_id", own(id)),
        ("recipient", own(to)),
        ("originator", own(from)),
        ("body", own(text)),
        ("originator", own(from)),
        ("createdDatetime", rfc3339(seconds)),
    ]
}

fn forwarding(id: &str, message: &FromPerson<'_, Details>) -> Parameters {
    let (from, to, text) = parties(message);
    vec![
        ("id", id.to_owned()),
        ("recipient", to.to_owned()),
        ("originator", from.to_owned()),
        ("body", text.to_owned()),
        ("createdDatetime", rfc3339(unix_seconds(message))),
    ]
}

fn short_code(id: &str, message: &FromPerson<'_, Details>) -> Parameters {
    let (from, to, text) = parties(message);
    let keyword = text.split_whitespace().next().unwrap_or_default();
    let form = format_description!("[year][month][day][hour][minute][second]");
    let received = OffsetDateTime::from(message.at).format(&form);
    vec![
        ("mid", id.to_owned()),
        ("shortcode", to.to_owned()),
        ("keyword", keyword.to_uppercase()),
        ("originator", from.to_owned()),
        ("operator", "20408".to_owned()),
        ("message", text.to_owned()),
        ("receive_datetime", received.unwrap_or_default()),
    ]
}

/// Numbers travel without plus.
fn parties<'m>(message: &'m FromPerson<'_, Details>) -> (&'m str, &'m str, &'m str) {
    let plain = |number: &'m str| number.strip_prefix('+').unwrap_or(number);
    (plain(message.from), plain(message.to), message.text)
}

fn unix_seconds(message: &FromPerson<'_, Details>) -> u32 {
    u32::try_from(OffsetDateTime::from(message.at).unix_timestamp()).unwrap_or_default()
}
