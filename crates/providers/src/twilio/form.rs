//! The fields of a Twilio connection. Source: `shared/providers/twilio.md`, section 1.

use message::{Msisdn, Sender};
use url::Url;

use crate::{Field, Form};

pub(super) static FORM: Form = Form {
    provider_name: "Twilio",
    fields: &[
        Field {
            key: "account_sid",
            label: "Account SID",
            secret: false,
            required: true,
            hint: "`AC` and 32 hexadecimal digits, from the Twilio console; a subaccount's is best",
            check: account_sid,
        },
        Field {
            key: "auth_token",
            label: "Auth token",
            secret: true,
            required: true,
            hint: "the auth token of that account, from the Twilio console",
            check: credential,
        },
        Field {
            key: "auth_token_secondary",
            label: "Secondary auth token",
            secret: true,
            required: false,
            hint: "while tokens are rotated: the other one, with which callbacks may be signed too",
            check: credential,
        },
        Field {
            key: "webhook_shared_key",
            label: "Webhook shared key",
            secret: true,
            required: false,
            hint: "only if SharedKey signing is switched on in Twilio's webhook settings",
            check: credential,
        },
        Field {
            key: "base_url",
            label: "API base URL",
            secret: false,
            required: false,
            hint: "only for another region than US1 and for tests, e.g. https://api.dublin.ie1.twilio.com",
            check: base_url,
        },
    ],
    sender_hint: SENDER_HINT,
    read_sender,
};

const SENDER_HINT: &str = "a phone number with country code (`13531234567`), a short code of 3 to 6 \
    digits, a sender ID of 1 to 11 letters, digits and spaces with at least one letter, or a \
    Messaging Service SID (`MG` and 32 hexadecimal digits)";

/// In the page's order: a phone number is never taken for a short code.
fn read_sender(text: &str) -> Result<Sender, &'static str> {
    if is_sid(text, "MG") {
        return Ok(Sender::Service(text.into()));
    }
    if let Ok(number) = Msisdn::parse_digits(text.strip_prefix('+').unwrap_or(text)) {
        return Ok(Sender::Number(number));
    }
    if (3..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Sender::ShortCode(text.into()));
    }
    let alphanumeric = (1..=11).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ')
        && text.bytes().any(|b| b.is_ascii_alphabetic());
    if alphanumeric {
        return Ok(Sender::Alphanumeric(text.into()));
    }
    Err(SENDER_HINT)
}

fn account_sid(text: &str) -> Result<(), &'static str> {
    expect(is_sid(text, "AC"), "`AC` and 32 hexadecimal digits")
}

fn credential(text: &str) -> Result<(), &'static str> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    expect(
        text.len() <= CREDENTIAL_BYTES_MAX && text.chars().all(plain),
        "no spaces or control characters, at most 256 bytes",
    )
}

/// Which hosts a customer may name is the operator's policy and not checked here.
fn base_url(text: &str) -> Result<(), &'static str> {
    let origin_only = Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    expect(
        origin_only && text.is_ascii(),
        "scheme and host only, like https://api.twilio.com",
    )
}

/// Twilio's tokens have 32 characters; keys that customers choose may be longer.
const CREDENTIAL_BYTES_MAX: usize = 256;

fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn expect(met: bool, expected: &'static str) -> Result<(), &'static str> {
    met.then_some(()).ok_or(expected)
}
