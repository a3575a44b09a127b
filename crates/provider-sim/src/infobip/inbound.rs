//! A person writes: the message in the format MO_JSON_2, the events of a blocklist subscription, and what a STOP blocks.
//!
//! Source: shared/providers/infobip.md, sections 7 and 10.

use serde_json::{Value, json};

use super::accounts::{Account, InfobipAccount, InfobipBlocked};
use super::notes::Note;
use super::{Details, receipts, times};
use crate::behaviour::SignatureVariant;
use crate::engine::{FromPerson, Keyword, KeywordEffect};
use crate::segments;
use crate::webhook::Callback;

/// The block that an action of the number makes; none if there is no such action. The provider answers nobody.
pub(crate) fn keyword_effect(
    account: &Account,
    message: &FromPerson<'_, Details>,
) -> KeywordEffect {
    let on_stop = &account.settings.on_stop;
    let scope = if on_stop.any_sender { "" } else { message.to };
    let blocks = on_stop.then != InfobipBlocked::NotAtAll;
    KeywordEffect {
        told_apart: false,
        scope: blocks.then(|| scope.to_owned()),
        declared: false,
    }
}

/// The callbacks of one message: itself, unless an action swallows it, and what it does to the blocklist.
pub(crate) fn callbacks(
    account: &InfobipAccount,
    message: &FromPerson<'_, Details>,
    note: Option<&Note>,
    signature: &SignatureVariant,
) -> Vec<Callback> {
    let stops = message.keyword == Some(Keyword::Stop);
    let mut callbacks = Vec::new();
    if let Some(url) = &account.inbound_webhook
        && !(stops && account.on_stop.swallow)
    {
        let entry = entry(account, message, note);
        let body = json!({"results": [entry], "messageCount": 1, "pendingMessageCount": 0});
        callbacks.push(receipts::post(account, url, Some(signature), &body));
    }
    let event = match message.keyword {
        Some(Keyword::Stop) => "BLOCK",
        Some(Keyword::Start) => "UNBLOCK",
        Some(Keyword::Help) | None => return callbacks,
    };
    if let Some(url) = &account.blocklist_webhook
        && account.on_stop.then != InfobipBlocked::NotAtAll
    {
        let body = json!({"results": [{
            "event": event,
            "receivedAt": times::write(message.at),
            "messageId": name(message),
            "content": {"sender": message.to, "destination": digits(message.from), "sourceType": "MO"},
        }]});
        callbacks.push(receipts::post(account, url, Some(signature), &body));
    }
    callbacks
}

/// The callback data of the message that this answers is given back, which Infobip does when it can relate the two.
fn entry(
    account: &InfobipAccount,
    message: &FromPerson<'_, Details>,
    note: Option<&Note>,
) -> Value {
    let mut entry = json!({
        "messageId": name(message),
        "from": digits(message.from),
        "to": message.to,
        "text": message.text,
        "cleanText": message.text,
        "receivedAt": times::write(message.at),
        "smsCount": segments::count(message.text),
        "price": {"pricePerMessage": 0, "currency": "EUR"},
    });
    if let Some((keyword, rest)) = split(&account.keywords, message.text) {
        entry["keyword"] = json!(keyword);
        entry["cleanText"] = json!(rest);
    }
    let note = note.cloned().unwrap_or_default();
    for (field, value) in [
        ("callbackData", note.callback_data),
        ("applicationId", note.application),
        ("entityId", note.entity),
        ("campaignReferenceId", note.campaign),
    ] {
        if let Some(value) = value {
            entry[field] = json!(value);
        }
    }
    entry
}

/// The keyword that begins the text, as the account spells it, and what follows.
fn split<'t>(keywords: &'t [String], text: &'t str) -> Option<(&'t str, &'t str)> {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (first, rest) = text.split_at(end);
    let keyword = keywords
        .iter()
        .find(|keyword| keyword.eq_ignore_ascii_case(first))?;
    Some((keyword, rest.trim_start()))
}

/// A number without plus; anything else as it is.
fn digits(from: &str) -> &str {
    from.strip_prefix('+').unwrap_or(from)
}

/// 18 digits, as Infobip's own.
fn name(message: &FromPerson<'_, Details>) -> String {
    let run = message.number.run & 0xff_ffff;
    let number = run << 32 | u64::from(message.number.index);
    (900_000_000_000_000_000 + number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_the_first_word_and_is_cut_out_of_the_clean_text() {
        let keywords = ["STOP".to_owned(), "JOIN".to_owned()];
        let split = |text| split(&keywords, text);
        assert_eq!(
            split("JOIN Danke für alles 🎉"),
            Some(("JOIN", "Danke für alles 🎉"))
        );
        assert_eq!(split(" stop\n"), Some(("STOP", "")));
        assert_eq!(split("Stopp"), None);
        assert_eq!(split(""), None);
    }
}
