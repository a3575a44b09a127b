//! A person writes: the reply to a message's callback URL, the events of the account's webhook, the blacklist.
//!
//! Worth knowing before editing:
//! - The account's webhook gets every text, also one that went to a callback URL, under the same `reply_id`: its template
//!   has fields that only an answer can fill. Only an opt-out is another event, with an id of its own.
//! - Whether a STOP also comes as a reply is not documented. Here it does, unless the account says otherwise.
//! - The list of opt-out keywords is not published; see [`KEYWORDS`]. A START frees nobody: that takes a call of the API.
//!
//! Source: `shared/providers/messagemedia.md`, sections 6, 7 and 10.

use serde_json::{Value, json};

use super::accounts::MessageMediaAccount;
use super::receipts::{timestamp, vendor_account};
use super::resource::metadata;
use super::{Details, IDS};
use crate::engine::{FromPerson, Keyword, Keywords};

/// STOP-like words. The list is a guess; people write the plain ones.
pub(crate) const KEYWORDS: Keywords = Keywords {
    stop: &[
        "STOP",
        "STOPALL",
        "UNSUBSCRIBE",
        "CANCEL",
        "END",
        "QUIT",
        "OPTOUT",
    ],
    ..Keywords::PLAIN
};

/// The reply as `callback_url` and polling show it.
pub(crate) fn reply(account: &MessageMediaAccount, message: &FromPerson<'_, Details>) -> Value {
    let mut json = json!({
        "reply_id": IDS.write(message.number),
        "source_number": message.from,
        "date_received": timestamp(message.at),
        "content": message.text,
        "vendor_account_id": vendor_account(account),
        "metadata": {},
    });
    let answers = message.answers.as_ref();
    if answers.is_none_or(|answers| answers.details.names_sender) {
        json["destination_number"] = json!(message.to);
    }
    if let Some(answers) = answers {
        json["message_id"] = json!(IDS.write(answers.number));
        json["metadata"] = Value::Object(metadata(answers));
        if let Some(url) = &answers.details.callback_url {
            json["callback_url"] = json!(url);
        }
    }
    json
}

/// Where the reply goes, if there is a callback URL for it.
pub(crate) fn reply_url<'a>(
    account: &MessageMediaAccount,
    message: &'a FromPerson<'_, Details>,
) -> Option<&'a str> {
    let hidden = account.opt_outs_by_account_webhook_only && message.keyword == Some(Keyword::Stop);
    let answers = message.answers.as_ref().filter(|_| !hidden)?;
    answers.details.callback_url.as_deref()
}

/// The body of `RECEIVED_SMS` or `OPT_OUT_SMS`, as the template of section 6 renders: an unset variable by its name, a
/// quiet one (`$!`) by nothing.
pub(crate) fn event(account: &MessageMediaAccount, message: &FromPerson<'_, Details>) -> Value {
    let answers = message.answers.as_ref();
    let message_id = answers.map(|answers| IDS.write(answers.number));
    let mut json = json!({
        "account_id": account.account_id(),
        "destination_number": message.to,
        "source_number": message.from,
        "date_received": timestamp(message.at),
        "content": message.text,
    });
    if message.keyword == Some(Keyword::Stop) {
        // A number of its own, since the reply may have come as well.
        json["notification_id"] = json!(IDS.write(message.number.part(1)));
        json["message_id"] = json!(message_id.unwrap_or_default());
    } else {
        json["reply_id"] = json!(IDS.write(message.number));
        json["message_id"] = json!(message_id.as_deref().unwrap_or("$messageId"));
        let reference = answers.map_or("", |answers| &answers.reference);
        json["metadata"] = json!({ "ref": reference });
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_own_words_are_of_their_kind() {
        assert!(KEYWORDS.are_consistent());
        assert_eq!(KEYWORDS.of(" Optout\n"), Some(Keyword::Stop));
        assert_eq!(KEYWORDS.of("please stop"), None);
    }
}
