//! A person writes: one webhook for each part of a long text in the SMS API, one for all of it in the Messages API.
//!
//! Source: `shared/providers/vonage.md`, sections 7, 10 and 13.

use serde_json::{Value, json};

use super::accounts::{VonageAccount, VonageApi};
use super::parts::{self, Encoding};
use super::webhooks::{Parameters, iso_timestamp, message_timestamp};
use super::{Details, ids};
use crate::engine::{FromPerson, Keywords};

/// Opt-Out Assist knows these; other accounts have to know them themselves, so the script's people write the plain ones.
pub(crate) const KEYWORDS: Keywords = Keywords {
    stop: &["STOP", "END", "QUIT", "CANCEL", "UNSUBSCRIBE"],
    start: &["START", "JOIN", "UNSTOP"],
    help: &["HELP"],
    ..Keywords::PLAIN
};

/// The parameters of each part, in the order of the page's examples.
pub(crate) fn parameters(
    account: &VonageAccount,
    message: &FromPerson<'_, Details>,
) -> Vec<Parameters> {
    let encoding = Encoding::of(message.text);
    let parts = parts::cut(message.text, encoding);
    let form = ids::form(account, VonageApi::Sms);
    let count = parts.len();
    let part = |(index, text): (usize, String)| {
        let number = u8::try_from(index).unwrap_or(u8::MAX);
        let mut parameters = vec![
            ("msisdn", number_of(message.from).to_owned()),
            ("to", number_of(message.to).to_owned()),
            ("messageId", form.write(message.number.part(number))),
        ];
        if count > 1 {
            // One byte on the air, so it repeats after 256 messages.
            let reference = message.number.index % 256;
            parameters.extend([
                ("concat", "true".to_owned()),
                ("concat-ref", reference.to_string()),
                ("concat-total", count.to_string()),
                ("concat-part", (index + 1).to_string()),
            ]);
        }
        parameters.extend([
            ("keyword", keyword(&text)),
            ("text", text),
            ("type", encoding.word().to_owned()),
            ("api-key", account.api_key.clone()),
            ("message-timestamp", message_timestamp(message.at)),
        ]);
        parameters
    };
    parts.into_iter().enumerate().map(part).collect()
}

/// The whole message.
pub(crate) fn object(account: &VonageAccount, message: &FromPerson<'_, Details>) -> Value {
    let parts = parts::cut(message.text, Encoding::of(message.text)).len();
    json!({
        "message_uuid": ids::form(account, VonageApi::Messages).write(message.number),
        "to": number_of(message.to),
        "from": number_of(message.from),
        "timestamp": iso_timestamp(message.at),
        "channel": "sms",
        "message_type": "text",
        "text": message.text,
        "usage": { "currency": "EUR", "price": "0.0057" },
        "sms": {
            "num_messages": parts.to_string(),
            "count_total": parts.to_string(),
            "keyword": keyword(message.text),
        },
    })
}

/// Vonage writes numbers without plus; a sender without a number stays as it is.
fn number_of(address: &str) -> &str {
    address.strip_prefix('+').unwrap_or(address)
}

/// The first word.
fn keyword(text: &str) -> String {
    let first = text.split_whitespace().next();
    first.unwrap_or_default().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyword_is_the_first_word_in_upper_case() {
        assert_eq!(keyword("Où & quand"), "OÙ");
        assert_eq!(keyword("y for an upgrade "), "Y");
        assert_eq!(keyword(" "), "");
        assert!(KEYWORDS.are_consistent());
    }
}
