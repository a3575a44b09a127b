//! The fields of a Vonage connection. Source: `shared/providers/vonage.md`, sections 1, 2, 9 and 13.

use message::{Msisdn, Sender};

use crate::{
    Field, Form,
    checks::{Checked, alphanumeric, credential, expect, origin, password, short_code},
};

pub(super) static FORM: Form = Form {
    provider_name: "Vonage",
    fields: &[
        Field {
            key: "account_sid",
            label: "Account SID",
            secret: false,
            required: true,
            as_typed: false,
            hint: "your Vonage account ID: the API key, 8 letters and digits",
            check: account_sid,
        },
        Field {
            key: "auth_token",
            label: "Auth token",
            secret: true,
            required: true,
            as_typed: false,
            hint: "the API secret of that account, mostly 6 to 32 characters",
            check: credential,
        },
        Field {
            key: "signature_secret",
            label: "Signature secret",
            secret: true,
            required: true,
            as_typed: false,
            hint: "from the API settings; Vonage's support has to switch on signed webhooks",
            check: password,
        },
        optional(
            "signature_method",
            "Signature method",
            "`auto` if left out, or `md5hash`, `md5`, `sha1`, `sha256`, `sha512`",
            signature_method,
        ),
        optional(
            "webhook_max_age_s",
            "Greatest age of a webhook in seconds",
            "259500 if left out, 72 hours and five minutes: a repetition may not be signed anew",
            max_age,
        ),
        optional(
            "entity_id",
            "DLT entity ID",
            "only for India: the principal entity's ID",
            credential,
        ),
        optional(
            "content_id",
            "DLT content ID",
            "only for India: the template's ID",
            credential,
        ),
        optional(
            "api",
            "API",
            "`sms` if left out, or `messages` to send over the Messages API",
            api,
        ),
        optional(
            "reports_api",
            "Status look-ups",
            "`off` if left out, or `on`: Vonage charges for each record of its Reports API",
            switch,
        ),
        optional(
            "base_url",
            "SMS API base URL",
            "only for tests: https://rest.nexmo.com if left out",
            origin,
        ),
        optional(
            "messages_base_url",
            "Messages API base URL",
            "only for another region and for tests, e.g. https://api-eu.nexmo.com",
            origin,
        ),
        optional(
            "reports_base_url",
            "Reports API base URL",
            "only for tests: https://api.nexmo.com if left out",
            origin,
        ),
    ],
    hosts: &["base_url", "messages_base_url", "reports_base_url"],
    sender_hint: SENDER_HINT,
    read_sender,
};

const fn optional(
    key: &'static str,
    label: &'static str,
    hint: &'static str,
    check: fn(&str) -> Checked,
) -> Field {
    Field {
        key,
        label,
        secret: false,
        required: false,
        as_typed: false,
        hint,
        check,
    }
}

const SENDER_HINT: &str = "a phone number with country code, without `+` or `00` (`13531234567`), a \
    short code of 3 to 6 digits, or a sender ID of 1 to 11 letters and digits with at least one letter";

/// A plus is refused and not taken off: the page asks for the number as it goes out.
fn read_sender(text: &str) -> Result<Sender, &'static str> {
    Msisdn::parse_digits(text)
        .ok()
        .map(Sender::Number)
        .or_else(|| short_code(text, 3..=6))
        .or_else(|| alphanumeric(text, ""))
        .ok_or(SENDER_HINT)
}

fn account_sid(text: &str) -> Checked {
    let plain = text.len() == 8 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    expect(plain, "8 letters and digits")
}

fn signature_method(text: &str) -> Checked {
    let known = ["auto", "md5hash", "md5", "sha1", "sha256", "sha512"];
    expect(
        known.contains(&text),
        "`auto`, `md5hash`, `md5`, `sha1`, `sha256` or `sha512`",
    )
}

fn api(text: &str) -> Checked {
    expect(matches!(text, "sms" | "messages"), "`sms` or `messages`")
}

fn switch(text: &str) -> Checked {
    expect(matches!(text, "on" | "off"), "`on` or `off`")
}

/// A minute is the least that a request with a repetition takes; what was signed a week ago has been
/// forgotten everywhere.
fn max_age(text: &str) -> Checked {
    let decimal = text.bytes().all(|b| b.is_ascii_digit());
    let fits = text
        .parse()
        .is_ok_and(|age: u32| (60..=604_800).contains(&age));
    expect(decimal && fits, "a number of seconds from 60 to 604800")
}
