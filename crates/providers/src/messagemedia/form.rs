//! The fields of a MessageMedia connection. Source: `shared/providers/messagemedia.md`, section 1.

use message::Sender;

use super::keys;
use crate::{
    Field, Form,
    checks::{Checked, alphanumeric, basic_user, expect, number, origin, password, short_code},
};

pub(super) static FORM: Form = Form {
    provider_name: "MessageMedia",
    fields: &[
        Field {
            key: "username",
            label: "Username",
            secret: false,
            required: true,
            as_typed: false,
            hint: "your MessageMedia API key; it must be a Basic key, not an HMAC key",
            check: basic_user,
        },
        Field {
            key: "password",
            label: "Password",
            secret: true,
            required: true,
            as_typed: false,
            hint: "your MessageMedia API secret",
            check: password,
        },
        Field {
            key: "webhook_public_key",
            label: "Enterprise webhook – public key",
            secret: false,
            required: false,
            as_typed: false,
            hint: "the RSA public key of your signature key, PEM or base64; without it no delivery \
                receipts and replies are taken, and while keys are exchanged several PEM blocks are",
            check: public_keys,
        },
        Field {
            key: "base_url",
            label: "API base URL",
            secret: false,
            required: false,
            as_typed: false,
            hint: "only for another region than APAC and for tests, e.g. https://eu.app.api.sinch.com",
            check: origin,
        },
        Field {
            key: "max_callback_age",
            label: "Maximum age of callbacks in seconds",
            secret: false,
            required: false,
            as_typed: false,
            hint: "callbacks dated longer ago are refused; left out, none is, since repetitions may \
                keep their first date",
            check: seconds,
        },
    ],
    hosts: &["base_url"],
    sender_hint: SENDER_HINT,
    read_sender,
};

const SENDER_HINT: &str = "a phone number of 8 to 15 digits with country code (`35312345678`), a \
    short code of 3 to 7 digits, or a sender ID of 1 to 11 letters, digits and spaces with at least \
    one letter, which nobody can answer";

/// A phone number has 8 digits and more, so that it is never taken for a short code.
fn read_sender(text: &str) -> Result<Sender, &'static str> {
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '.' | '-' | '(' | ')'))
        .collect();
    let is_long = digits.trim_start_matches('+').len() >= 8;
    number(&digits)
        .filter(|_| is_long)
        .or_else(|| short_code(text, 3..=7))
        .or_else(|| alphanumeric(text, " "))
        .ok_or(SENDER_HINT)
}

fn public_keys(text: &str) -> Checked {
    keys::read(text).map(drop)
}

/// Up to thirty years, which is a limit and no advice.
fn seconds(text: &str) -> Checked {
    let plain = text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    let some = text.parse::<u64>().is_ok_and(|seconds| seconds > 0);
    expect(plain && some, "a whole number of seconds of up to 9 digits")
}
