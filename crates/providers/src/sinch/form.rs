//! The fields of a Sinch connection. Source: `shared/providers/sinch.md`, section 1.

use message::Sender;

use crate::{
    Field, Form,
    checks::{Checked, alphanumeric, expect, number, origin, password, short_code},
};

/// The value of `mode` that makes many messages one request.
pub(super) const BATCH: &str = "batch";

pub(super) static FORM: Form = Form {
    provider_name: "Sinch",
    fields: &[
        Field {
            key: "client_id",
            label: "OAuth client ID",
            secret: false,
            required: true,
            as_typed: false,
            hint: "the access key ID, from the Sinch dashboard: Settings, Access keys",
            check: client_id,
        },
        Field {
            key: "client_secret",
            label: "OAuth client secret",
            secret: true,
            required: true,
            as_typed: false,
            hint: "the secret of that access key, shown once when the key is made",
            check: password,
        },
        Field {
            key: "region",
            label: "Account data centre",
            secret: false,
            required: true,
            as_typed: false,
            hint: "`eu` or `us`: where the Conversation app was made",
            check: region,
        },
        Field {
            key: "project_id",
            label: "Account project ID",
            secret: false,
            required: true,
            as_typed: false,
            hint: "the project of the Conversation app, from the Sinch dashboard",
            check: id,
        },
        Field {
            key: "app_id",
            label: "Conversational app ID",
            secret: false,
            required: true,
            as_typed: false,
            hint: "the app whose SMS channel sends, from the Sinch dashboard: Conversation API, Apps",
            check: id,
        },
        Field {
            key: "webhook_secret",
            label: "Webhook secret token",
            secret: true,
            required: true,
            as_typed: true, // The key of the signatures is every byte of it.
            hint: "the secret token of both webhooks of the app, exactly as it was entered there",
            check: webhook_secret,
        },
        Field {
            key: "mode",
            label: "Send mode",
            secret: false,
            required: false,
            as_typed: false,
            hint: "`single` (if left out): one request a message; `batch`: the Conversation Batch API",
            check: send_mode,
        },
        Field {
            key: "callback_age_seconds_max",
            label: "Oldest callback",
            secret: false,
            required: false,
            as_typed: false,
            hint: "seconds since its signature that a callback is taken, 300 if left out",
            check: callback_age_seconds_max,
        },
        Field {
            key: "base_url",
            label: "API base URL",
            secret: false,
            required: false,
            as_typed: false,
            hint: "only for another region and for tests, e.g. https://br.conversation.api.sinch.com",
            check: origin,
        },
        Field {
            key: "batch_base_url",
            label: "Batch API base URL",
            secret: false,
            required: false,
            as_typed: false,
            hint: "the same of the Batch API, e.g. https://br.conversationbatch.api.sinch.com",
            check: origin,
        },
        Field {
            key: "auth_base_url",
            label: "Token base URL",
            secret: false,
            required: false,
            as_typed: false,
            hint: "only for tests: where access tokens come from instead of https://auth.sinch.com",
            check: origin,
        },
    ],
    hosts: &["base_url", "batch_base_url", "auth_base_url"],
    sender_hint: SENDER_HINT,
    read_sender,
};

const SENDER_HINT: &str = "a phone number with country code (`35312345678`), a short code of 3 to 6 \
    digits, or a sender ID of 1 to 11 letters, digits, spaces and `-_.&` with at least one letter";

/// A phone number is never taken for a short code.
fn read_sender(text: &str) -> Result<Sender, &'static str> {
    number(text)
        .or_else(|| short_code(text, 3..=6))
        .or_else(|| alphanumeric(text, " -_.&"))
        .ok_or(SENDER_HINT)
}

fn client_id(text: &str) -> Checked {
    expect(
        text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic() && b != b':'),
        "visible ASCII characters without a colon, at most 256",
    )
}

/// Kept as it was typed; requests have it in lower case.
fn region(text: &str) -> Checked {
    let known = ["eu", "us"]
        .iter()
        .any(|known| text.eq_ignore_ascii_case(known));
    expect(known, "`eu` or `us`")
}

fn id(text: &str) -> Checked {
    expect(
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
        "1 to 64 letters, digits and dashes",
    )
}

fn webhook_secret(text: &str) -> Checked {
    expect(text.len() <= 1024, "at most 1024 bytes")
}

fn send_mode(text: &str) -> Checked {
    expect(["single", BATCH].contains(&text), "`single` or `batch`")
}

fn callback_age_seconds_max(text: &str) -> Checked {
    let seconds = text.parse().ok();
    expect(
        seconds.is_some_and(|seconds: u32| (1..=86_400).contains(&seconds)),
        "whole seconds, 1 to 86400",
    )
}
