//! A person writes: the message, and what consent management makes of a keyword.
//!
//! Source: `shared/providers/sinch.md`, sections 7 and 10. The message itself is told under consent management too. The
//! twin knows the list of everything (`OPT_OUT_ALL`) alone, and blocks at once, where Sinch takes up to ten minutes.

use serde_json::json;

use super::accounts::{SinchAccount, SinchConsent};
use super::receipts::{ChannelIdentity, Envelope, Event, identity, milliseconds};
use super::signature::sign;
use super::{Details, KEYWORDS, Sinch, ulid};
use crate::behaviour::SignatureVariant;
use crate::chance::{Dice, Subject};
use crate::engine::phone::e164;
use crate::engine::{FromPerson, Keyword, KeywordEffect, Provider};
use crate::webhook::Callback;

/// The callbacks of one message: the message, the notification if it is a keyword under consent management, and before
/// both, if the account asks for it, an event that is not about its messages at all.
pub(crate) fn callbacks(
    account: &SinchAccount,
    message: &FromPerson<'_, Details>,
    signature: &SignatureVariant,
) -> Vec<Callback> {
    let secret = &account.webhook_secret;
    let mut callbacks = Vec::new();
    let Some(inbound) = &account.inbound_webhook else {
        return callbacks;
    };
    let mut call = |url: &str, event| {
        let envelope = Envelope {
            event,
            ..Envelope::of(account, message.at)
        };
        let mut body = envelope.json();
        if escapes(message) {
            body = ascii(&body);
        }
        callbacks.push(sign(signature, secret, url, "application/json", body));
    };
    if let Some(status) = account
        .status_webhook
        .as_deref()
        .filter(|_| account.foreign_events)
    {
        call(status, Event::Foreign(foreign_event(message)));
    }
    call(inbound, Event::Message(told(message)));
    match consent_keyword(account, message) {
        Some(Keyword::Stop) => {
            let notification = notification(message, "OPT_OUT_SUCCEEDED");
            call(inbound, Event::OptOutNotification(notification));
        }
        Some(Keyword::Start) => {
            let notification = notification(message, "OPT_IN_SUCCEEDED");
            call(inbound, Event::OptInNotification(notification));
        }
        Some(Keyword::Help) | None => {}
    }
    callbacks
}

/// Primary blocks everything and answers by itself; Secondary only tells.
pub(crate) fn keyword_effect(
    account: &SinchAccount,
    message: &FromPerson<'_, Details>,
) -> KeywordEffect {
    let acts = account.consent == Some(SinchConsent::Primary)
        && consent_keyword(account, message).is_some();
    KeywordEffect {
        told_apart: false,
        scope: acts.then(String::new),
        declared: acts,
    }
}

/// Consent management compares the whole text, blanks included; the engine's keywords forgive those, for the audit.
fn consent_keyword(account: &SinchAccount, message: &FromPerson<'_, Details>) -> Option<Keyword> {
    account.consent?;
    let exact = message.text.trim() == message.text;
    KEYWORDS
        .of(message.text)
        .filter(|&keyword| exact && keyword != Keyword::Help)
}

fn person(message: &FromPerson<'_, Details>) -> String {
    e164(message.from).map_or_else(|| message.from.to_owned(), identity)
}

fn told(message: &FromPerson<'_, Details>) -> serde_json::Value {
    json!({
        "id": Sinch::IDS.write(message.number),
        "direction": "TO_APP",
        "contact_message": {"text_message": {"text": message.text}},
        "channel_identity": ChannelIdentity::new(person(message)),
        "conversation_id": "",
        "contact_id": "",
        "metadata": r#"{"operator":"27205"}"#,
        "accept_time": milliseconds(message.at),
        "sender_id": message.to,
        "processing_mode": "DISPATCH",
        "injected": false,
    })
}

fn notification(message: &FromPerson<'_, Details>, status: &str) -> serde_json::Value {
    json!({
        "request_id": ulid(),
        "contact_id": "",
        "channel": "SMS",
        "identity": person(message),
        "status": status,
        "error_details": {"description": ""},
        "processing_mode": "DISPATCH",
    })
}

fn foreign_event(message: &FromPerson<'_, Details>) -> serde_json::Value {
    json!({
        "event_id": ulid(),
        "status": "DELIVERED",
        "channel_identity": ChannelIdentity::new(person(message)),
        "contact_id": "",
        "metadata": "",
        "processing_mode": "DISPATCH",
    })
}

/// Half of the texts are written with escapes, which mean the same and are other bytes to sign.
fn escapes(message: &FromPerson<'_, Details>) -> bool {
    let subject = Subject {
        recipient: e164(message.from).unwrap_or_default(),
        reference: message.text,
        turn: 0,
    };
    Dice(0).roll("escapes", subject) < 0.5
}

/// JSON in ASCII. Other characters stand in strings only, where an escape is as good.
fn ascii(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            plain.push(c);
        } else {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units);
            plain.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_json_means_the_same() {
        let json = r#"{"text":"Oui, très bien 👍 \"好\""}"#;
        let plain = ascii(json);
        assert!(plain.is_ascii() && plain.contains("\\ud83d\\udc4d"));
        let read =
            |text: &str| -> serde_json::Value { serde_json::from_str(text).expect("it is JSON") };
        assert_eq!(read(&plain), read(json));
    }
}
