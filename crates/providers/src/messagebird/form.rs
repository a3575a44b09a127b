//! The fields of a MessageBird connection. Source: `shared/providers/messagebird.md`, section 1.

use message::Sender;

use crate::{
    Field, Form,
    checks::{Checked, alphanumeric, credential, expect, number, origin, short_code},
};

pub(super) static FORM: Form = Form {
    provider_name: "MessageBird",
    fields: &[
        Field {
            key: "access_key",
            label: "Access token",
            secret: true,
            required: true,
            as_typed: false,
            hint: "an access key of the MessageBird account; one that begins `test_` sends nothing",
            check: credential,
        },
        Field {
            key: "signing_key",
            label: "Signing key",
            secret: true,
            required: true,
            as_typed: false,
            hint: "the key that signs webhooks, from the developer settings of MessageBird's dashboard",
            check: signing_key,
        },
        Field {
            key: "base_url",
            label: "API base URL",
            secret: false,
            required: false,
            as_typed: false,
            hint: "only for tests, instead of https://rest.messagebird.com",
            check: origin,
        },
        Field {
            key: "callback_max_age_s",
            label: "Greatest age of a callback",
            secret: false,
            required: false,
            as_typed: false,
            hint: "seconds, 86400 if left out: repeated callbacks may carry their first signature",
            check: callback_max_age_s,
        },
        Field {
            key: "accept_bird_signatures",
            label: "Accept signatures of the newer Bird platform",
            secret: false,
            required: false,
            as_typed: false,
            hint: "`true` only if callbacks come from bird.com and are refused otherwise",
            check: flag,
        },
    ],
    hosts: &["base_url"],
    sender_hint: SENDER_HINT,
    read_sender,
};

const SENDER_HINT: &str = "a phone number with country code (`35312345678`), a short code of 3 to 6 \
    digits, or a sender ID of 1 to 11 letters, digits and spaces with at least one letter";

/// A phone number is never taken for a short code. The plus of older entries is dropped.
fn read_sender(text: &str) -> Result<Sender, &'static str> {
    number(text)
        .or_else(|| short_code(text, 3..=6))
        .or_else(|| alphanumeric(text, " "))
        .ok_or(SENDER_HINT)
}

/// Its bytes are the key as they are: hexadecimal or base64 digits are not decoded.
fn signing_key(text: &str) -> Checked {
    expect(
        text.len() <= 256 && text.bytes().all(|b| matches!(b, b' '..=b'~')),
        "printable ASCII characters, at most 256",
    )
}

/// What was seen is remembered for a week, so nothing older may still be proven.
fn callback_max_age_s(text: &str) -> Checked {
    let seconds = text.parse::<u64>().ok();
    expect(
        seconds.is_some_and(|seconds| (60..=604_800).contains(&seconds)),
        "seconds, 60 to 604800",
    )
}

fn flag(text: &str) -> Checked {
    expect(matches!(text, "true" | "false"), "`true` or `false`")
}
