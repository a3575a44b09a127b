//! The fields of a Twilio connection. Source: `shared/providers/twilio.md`, section 1.

use message::Sender;

use crate::{
    Field, Form,
    checks::{Checked, alphanumeric, credential, expect, number, origin, short_code},
};

pub(super) static FORM: Form = Form {
    provider_name: "Twilio",
    fields: &[
        Field {
            key: "account_sid",
            label: "Account SID",
            secret: false,
            required: true,
            as_typed: false,
            hint: "`AC` and 32 hexadecimal digits, from the Twilio console; a subaccount's is best",
            check: account_sid,
        },
        Field {
            key: "auth_token",
            label: "Auth token",
            secret: true,
            required: true,
            as_typed: false,
            hint: "the auth token of that account, from the Twilio console",
            check: credential,
        },
        Field {
            key: "auth_token_secondary",
            label: "Secondary auth token",
            secret: true,
            required: false,
            as_typed: false,
            hint: "while tokens are rotated: the other one, with which callbacks may be signed too",
            check: credential,
        },
        Field {
            key: "webhook_shared_key",
            label: "Webhook shared key",
            secret: true,
            required: false,
            as_typed: false,
            hint: "only if SharedKey signing is switched on in Twilio's webhook settings",
            check: credential,
        },
        Field {
            key: "base_url",
            label: "API base URL",
            secret: false,
            required: false,
            as_typed: false,
            hint: "only for another region than US1 and for tests, e.g. https://api.dublin.ie1.twilio.com",
            check: origin,
        },
    ],
    hosts: &["base_url"],
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
    number(text)
        .or_else(|| short_code(text, 3..=6))
        .or_else(|| alphanumeric(text, " "))
        .ok_or(SENDER_HINT)
}

fn account_sid(text: &str) -> Checked {
    expect(is_sid(text, "AC"), "`AC` and 32 hexadecimal digits")
}

fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}
