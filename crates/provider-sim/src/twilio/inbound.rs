//! A person writes: what Twilio tells the customer, and what it does about a keyword.

use super::Details;
use super::accounts::TwilioAccount;
use super::receipts::IDS;
use super::signature::Parameters;
use crate::engine::{FromPerson, KeywordEffect};
use crate::segments;
use crate::webhook::Answer;

/// The service that the number belongs to, if the conversation or the settings say so.
fn service<'a>(
    account: &'a TwilioAccount,
    message: &'a FromPerson<'_, Details>,
) -> Option<&'a str> {
    let answered = message.answers.as_ref();
    answered
        .and_then(|answered| answered.details.service.as_deref())
        .or_else(|| account.service_of(message.to))
}

/// A STOP blocks the service as a whole, or else the one number. Only Advanced Opt-Out, which services have, says so.
pub(crate) fn keyword_effect(
    account: &TwilioAccount,
    message: &FromPerson<'_, Details>,
) -> KeywordEffect {
    let service = service(account, message);
    KeywordEffect {
        told_apart: false,
        scope: Some(service.unwrap_or(message.to).to_owned()),
        declared: account.advanced_opt_out && service.is_some(),
    }
}

/// The parameters of an inbound request, in the order of Twilio's own.
pub(crate) fn parameters(account: &TwilioAccount, message: &FromPerson<'_, Details>) -> Parameters {
    let text = |value: &str| value.to_owned();
    let sid = IDS.write(message.number);
    let mut parameters = vec![
        ("ToCountry", String::new()),
        ("ToState", String::new()),
        ("SmsMessageSid", sid.clone()),
        ("NumMedia", text("0")),
        ("ToCity", String::new()),
        ("FromZip", String::new()),
        ("SmsSid", sid.clone()),
        ("FromState", String::new()),
        ("SmsStatus", text("received")),
        ("FromCity", String::new()),
        ("Body", text(message.text)),
        ("FromCountry", String::new()),
        ("To", text(message.to)),
    ];
    if let Some(service) = service(account, message) {
        parameters.push(("MessagingServiceSid", text(service)));
    }
    if let Some(keyword) = message.keyword.filter(|_| message.declared) {
        parameters.push(("OptOutType", text(keyword.word())));
    }
    parameters.extend([
        ("ToZip", String::new()),
        ("NumSegments", segments::count(message.text).to_string()),
        ("MessageSid", sid),
        ("AccountSid", text(&account.account_sid)),
        ("From", text(message.from)),
        ("ApiVersion", text("2010-04-01")),
    ]);
    parameters
}

/// Twilio takes XML or nothing; anything else is error 12300 in the customer's console.
pub(crate) fn is_twiml(answer: &Answer) -> bool {
    answer.body.is_empty()
        || answer
            .content_type
            .as_deref()
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| matches!(kind.trim(), "text/xml" | "application/xml"))
}
