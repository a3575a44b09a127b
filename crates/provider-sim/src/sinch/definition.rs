//! What `messages:send` and a batch have in common: the message, its sender, its options; and both stages of validation.
//!
//! Stage one answers 400 at once. Stage two, the rules of the channel, is only seen in a `FAILED` receipt.
//! Source: `shared/providers/sinch.md`, sections 1.1, 2.2 and 6. Where the page knows of no rule but a reason code for its
//! breach, the twin takes the message and reports that code.

use std::time::Duration;

use serde_json::Value;

use super::accounts::Account;
use super::errors::Refusal;
use super::fields::{self, Object};
use super::template;
use crate::engine::phone::digits;

const METADATA_CHARACTERS_MAX: usize = 1_024;
const PROPERTY_CHARACTERS_MAX: usize = 1_024;
const CORRELATION_CHARACTERS_MAX: usize = 128;
/// The SMS REST API takes no more; that this one does is unconfirmed.
const TEXT_CHARACTERS_MAX: usize = 2_000;
const TTL_SECONDS_MIN: u64 = 3;

/// Stage two said no: the number is none, the sender is not the account's, and so on.
pub(crate) const BAD_REQUEST: &str = "BAD_REQUEST";

/// A well-formed message definition. In a batch its strings may still have placeholders.
#[derive(Debug)]
pub(crate) struct Definition {
    pub text: String,
    pub sender: Option<String>,
    pub parts_max: Option<u32>,
    pub ttl: Option<Duration>,
    pub correlation_id: String,
    pub callback_url: Option<String>,
}

/// A recipient's number as it was given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub digits: u64,
    /// Digits that are no phone number, which stage one lets pass.
    pub odd: Option<String>,
}

impl Definition {
    /// Checks what does not depend on the recipient. `templated`: placeholders are filled later.
    pub fn check(root: &Object, templated: bool) -> Result<Self, Refusal> {
        if fields::text(root, "app_id", 64)?.is_none_or(str::is_empty) {
            return Err(Refusal::invalid("app_id is required"));
        }
        let message = fields::object(root, "message")?;
        let text_message = message.map(|message| fields::object(message, "text_message"));
        let text = match text_message.transpose()?.flatten() {
            Some(text_message) => fields::text(text_message, "text", usize::MAX)?,
            None => None,
        };
        let text = text
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Refusal::invalid("message.text_message.text is required"))?;
        check_channels(root)?;
        let properties = fields::strings(root, "channel_properties", PROPERTY_CHARACTERS_MAX)?;
        let sender = properties
            .get("SMS_SENDER")
            .map(|&sender| sender.to_owned());
        if let Some(sender) = &sender {
            let filled_later = templated && template::has_placeholder(sender);
            if !filled_later && !is_sender(sender) {
                return Err(Refusal::invalid("channel_properties.SMS_SENDER is invalid"));
            }
        }
        let parts_max = match properties.get("SMS_MAX_NUMBER_OF_MESSAGE_PARTS") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                Refusal::invalid("SMS_MAX_NUMBER_OF_MESSAGE_PARTS is not a number")
            })?),
        };
        let ttl = fields::text(root, "ttl", 32)?.map(ttl).transpose()?;
        let correlation = fields::text(root, "correlation_id", CORRELATION_CHARACTERS_MAX)?;
        fields::one_of(root, "processing_strategy", &["DEFAULT", "DISPATCH_ONLY"])?;
        let contents = [
            "CONTENT_UNKNOWN",
            "CONTENT_MARKETING",
            "CONTENT_NOTIFICATION",
        ];
        fields::one_of(root, "message_content_type", &contents)?;
        fields::one_of(root, "queue", &["NORMAL_PRIORITY", "HIGH_PRIORITY"])?;
        Ok(Self {
            text: text.to_owned(),
            sender,
            parts_max,
            ttl,
            correlation_id: correlation.unwrap_or_default().to_owned(),
            callback_url: callback_url(root)?,
        })
    }
}

/// The `message_metadata` of a single message: a text, given back as it is.
pub(crate) fn metadata(root: &Object) -> Result<&str, Refusal> {
    let metadata = fields::text(root, "message_metadata", METADATA_CHARACTERS_MAX)?;
    Ok(metadata.unwrap_or_default())
}

/// The one identity of a `recipient`.
pub(crate) fn recipient(of: &Object) -> Result<Identity, Refusal> {
    let recipient = fields::object(of, "recipient")?
        .ok_or_else(|| Refusal::invalid("recipient is required"))?;
    let identities = fields::object(recipient, "identified_by")?
        .and_then(|by| by.get("channel_identities")?.as_array());
    let Some([Value::Object(one)]) = identities.map(Vec::as_slice) else {
        return Err(Refusal::invalid(
            "recipient.identified_by.channel_identities must have one entry",
        ));
    };
    if fields::text(one, "channel", 32)? != Some("SMS") {
        return Err(Refusal::invalid(
            "recipient: the app has no such channel as channel_identities.channel says",
        ));
    }
    fields::text(one, "identity", 64)?
        .and_then(Identity::read)
        .ok_or_else(|| Refusal::invalid("recipient: identity is not a phone number"))
}

/// The identity of a `recipient`, read leniently.
pub(crate) fn recipient_if_any(of: &Value) -> Option<u64> {
    let identity = of
        .pointer("/recipient/identified_by/channel_identities/0/identity")?
        .as_str()?;
    Identity::read(identity).map(|identity| identity.digits)
}

impl Identity {
    /// Digits, with or without plus. Whether they are a phone number is stage two's business.
    pub fn read(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('+').unwrap_or(text);
        let number = bare
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(bare)?;
        Some(Self {
            digits: number.parse().ok()?,
            odd: digits(bare).is_none().then(|| text.to_owned()),
        })
    }
}

/// A number without plus, a short code, or a name.
pub(crate) fn is_sender(sender: &str) -> bool {
    let short_code =
        (3..=6).contains(&sender.len()) && sender.bytes().all(|byte| byte.is_ascii_digit());
    short_code || digits(sender).is_some() || is_name(sender)
}

/// An alphanumeric sender. Which characters it may have is unconfirmed; these are the page's.
pub(crate) fn is_name(sender: &str) -> bool {
    (1..=11).contains(&sender.len())
        && sender
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b" -_.&".contains(&byte))
        && sender.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Why stage two refuses the message, by the reason code of its receipt. `sender` is the one it would go out from.
pub(crate) fn objection(
    account: &Account,
    to: &Identity,
    sender: Option<&str>,
    text: &str,
    (segments, parts_max): (u32, Option<u32>),
) -> Option<&'static str> {
    let Some(sender) = sender else {
        // "No default originator", in the words of the older API.
        return Some("CHANNEL_CONFIGURATION_MISSING");
    };
    if to.odd.is_some() || !is_sender(sender) {
        Some(BAD_REQUEST)
    } else if !account.owns(sender) {
        Some("CHANNEL_BAD_CONFIGURATION")
    } else if is_name(sender) && is_north_american(to.digits) {
        Some("CHANNEL_REJECT")
    } else if text.chars().count() > TEXT_CHARACTERS_MAX
        || parts_max.is_some_and(|max| segments > max)
    {
        Some("MESSAGE_SPLIT_REQUIRED")
    } else {
        None
    }
}

/// Carriers of the USA and Canada do not take names for numbers.
fn is_north_american(number: u64) -> bool {
    (10_000_000_000..20_000_000_000).contains(&number)
}

fn check_channels(root: &Object) -> Result<(), Refusal> {
    match root.get("channel_priority_order") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(channels)) if channels.iter().all(|channel| channel == "SMS") => Ok(()),
        Some(_) => Err(Refusal::invalid(
            "channel_priority_order names a channel that the app does not have",
        )),
    }
}

fn ttl(text: &str) -> Result<Duration, Refusal> {
    let seconds = text
        .strip_suffix('s')
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    match seconds.and_then(|digits| digits.parse().ok()) {
        Some(seconds) if seconds >= TTL_SECONDS_MIN => Ok(Duration::from_secs(seconds)),
        _ => Err(Refusal::invalid(
            "ttl must be at least 3 whole seconds, as in \"3s\"",
        )),
    }
}

fn callback_url(root: &Object) -> Result<Option<String>, Refusal> {
    let Some(url) = fields::text(root, "callback_url", 742)? else {
        return Ok(None);
    };
    let callable = reqwest::Url::parse(url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    callable
        .then(|| Some(url.to_owned()))
        .ok_or_else(|| Refusal::invalid("callback_url is not a URL"))
}

/// An object to read fields of, from any JSON.
pub(crate) fn root(json: Option<&Value>) -> Result<&Object, Refusal> {
    json.and_then(Value::as_object)
        .ok_or_else(|| Refusal::invalid("the request body is not a JSON object"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The refusal's sentence for a good request with one member replaced.
    fn refused(pointer: &str, value: Value) -> Option<String> {
        let mut request = json!({
            "app_id": "APP",
            "recipient": {"identified_by": {"channel_identities": [{"channel": "SMS", "identity": "+353851234567"}]}},
            "message": {"text_message": {"text": "Hi"}},
            "channel_priority_order": ["SMS"],
            "channel_properties": {"SMS_SENDER": "35312345678", "SMS_MAX_NUMBER_OF_MESSAGE_PARTS": "3"},
            "message_metadata": "m",
            "ttl": "60s",
            "correlation_id": "c",
            "processing_strategy": "DEFAULT",
            "message_content_type": "CONTENT_MARKETING",
            "queue": "HIGH_PRIORITY",
            "callback_url": "https://h.example/x",
        });
        *request.pointer_mut(pointer).expect("a member") = value;
        let root = root(Some(&request)).expect("an object");
        let checked = Definition::check(root, false)
            .and_then(|_| metadata(root))
            .and_then(|_| recipient(root));
        checked.err().map(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn each_fault_is_refused_by_the_name_of_its_field() {
        let identity = "/recipient/identified_by/channel_identities/0/identity";
        let sender = "/channel_properties/SMS_SENDER";
        let text = |length| json!("a".repeat(length));
        assert_eq!(refused("/app_id", json!("APP")), None);
        for (pointer, value, names) in [
            ("/app_id", json!(null), "app_id"),
            ("/app_id", json!(7), "app_id"),
            ("/recipient", json!(null), "recipient"),
            ("/recipient", json!({"contact_id": "01"}), "recipient"),
            (
                "/recipient/identified_by/channel_identities",
                json!([]),
                "channel_identities",
            ),
            (
                "/recipient/identified_by/channel_identities/0/channel",
                json!("RCS"),
                "channel",
            ),
            (identity, json!("+1 202 555 0101"), "identity"),
            (identity, json!(""), "identity"),
            (identity, json!(353), "identity"),
            (identity, json!("12345678901234567890123"), "identity"),
            ("/message/text_message/text", json!(""), "text"),
            ("/message", json!("Hi"), "message"),
            (
                "/channel_priority_order",
                json!(["SMS", "RCS"]),
                "channel_priority_order",
            ),
            (sender, json!("+35312345678"), "SMS_SENDER"),
            (sender, json!("Much too long"), "SMS_SENDER"),
            (sender, json!("Survey!"), "SMS_SENDER"),
            (sender, json!("12"), "SMS_SENDER"),
            (sender, json!("${s}"), "SMS_SENDER"),
            (
                "/channel_properties/SMS_MAX_NUMBER_OF_MESSAGE_PARTS",
                json!(3),
                "PARTS",
            ),
            (
                "/channel_properties",
                json!({"X": "a".repeat(1_025)}),
                "channel_properties.X",
            ),
            ("/message_metadata", text(1_025), "message_metadata"),
            ("/message_metadata", json!({"ref": "m"}), "message_metadata"),
            ("/ttl", json!("2s"), "ttl"),
            ("/ttl", json!("60"), "ttl"),
            ("/ttl", json!(60), "ttl"),
            ("/ttl", json!("1.5s"), "ttl"),
            ("/correlation_id", text(129), "correlation_id"),
            ("/processing_strategy", json!("FAST"), "processing_strategy"),
            ("/queue", json!("FAST"), "queue"),
            ("/callback_url", json!("not a url"), "callback_url"),
        ] {
            let said = refused(pointer, value.clone()).unwrap_or_default();
            assert!(said.contains(names), "{pointer} = {value:.40}: {said}");
        }
        for (pointer, value) in [
            (identity, json!("353851234567")),
            (identity, json!("+3538")),
            (identity, json!("00353851234567")),
            (sender, json!("38100")),
            (sender, json!("A&B Co.")),
            ("/ttl", json!("3s")),
            ("/message_metadata", text(1_024)),
            ("/message/text_message/text", text(5_000)),
        ] {
            assert_eq!(
                refused(pointer, value.clone()),
                None,
                "{pointer} = {value:.40}"
            );
        }
    }

    #[test]
    fn digits_that_are_no_number_keep_their_form() {
        let odd = |text| Identity::read(text).and_then(|identity| identity.odd);
        assert_eq!(odd("+353851234567"), None);
        assert_eq!(odd("+3538").as_deref(), Some("+3538"));
        assert_eq!(odd("00353851234567").as_deref(), Some("00353851234567"));
    }
}
