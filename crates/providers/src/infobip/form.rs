//! The fields of an Infobip connection. Source: `shared/providers/infobip.md`, section 1.

use message::{Msisdn, Sender};

use super::{MESSAGES_MAX, request::VALIDITY_MINUTES_MAX};
use crate::{
    Field, Form,
    checks::{self, Checked, alphanumeric, credential, expect, origin, short_code},
};

pub(super) static FORM: Form = Form {
    provider_name: "Infobip",
    fields: &[
        Field {
            key: "api_key",
            label: "Public API key",
            secret: true,
            required: true,
            as_typed: false,
            hint: "an API key of the Infobip account with the scope `sms:message:send`",
            check: credential,
        },
        Field {
            key: "base_url",
            label: "Base URL provided by Infobip",
            secret: false,
            required: true,
            as_typed: false,
            hint: BASE_URL,
            check: |text| expect(host(text).is_some(), BASE_URL),
        },
        Field {
            key: "webhook_username",
            label: "Webhook username",
            secret: false,
            required: true,
            as_typed: false,
            hint: "the user name that Infobip Support was given for both webhook URLs: letters, \
                digits and `.`, `_`, `-`",
            check: webhook_username,
        },
        Field {
            key: "webhook_password",
            label: "Webhook password",
            secret: true,
            required: true,
            // Any characters are allowed, so white space is.
            as_typed: true,
            hint: "the password that Infobip Support was given for both webhook URLs",
            check: checks::password,
        },
        Field {
            key: "max_messages_per_request",
            label: "Messages per request",
            hint: "1 to 500; 100 if left out",
            check: |text| whole_number(text, MESSAGES_MAX as u64, "1 to 500"),
            ..OPTIONAL
        },
        Field {
            key: "validity_minutes",
            label: "Validity in minutes",
            hint: "1 to 2880: no message stays valid for longer",
            check: |text| whole_number(text, VALIDITY_MINUTES_MAX, "1 to 2880"),
            ..OPTIONAL
        },
        Field {
            key: "transliteration",
            label: "Transliteration",
            hint: "only if Infobip is to replace characters: `NON_UNICODE`, `ALL` or an alphabet",
            check: |text| {
                expect(
                    TRANSLITERATIONS.contains(&text),
                    "one of Infobip's alphabets",
                )
            },
            ..OPTIONAL
        },
        Field {
            key: "entity_id",
            label: "Entity ID",
            hint: "only for accounts that are split by entities",
            ..OPTIONAL
        },
        Field {
            key: "application_id",
            label: "Application ID",
            hint: "only for accounts that are split by applications",
            ..OPTIONAL
        },
        Field {
            key: "india_dlt_principal_entity_id",
            label: "India DLT principal entity ID",
            hint: "only for India, together with the content template ID",
            ..OPTIONAL
        },
        Field {
            key: "india_dlt_content_template_id",
            label: "India DLT content template ID",
            hint: "only for India, together with the principal entity ID",
            ..OPTIONAL
        },
        Field {
            key: "india_dlt_telemarketer_id",
            label: "India DLT telemarketer ID",
            hint: "only for India",
            ..OPTIONAL
        },
        Field {
            key: "status_url_in_requests",
            label: "Status URL in requests",
            hint: "`true` only if Infobip Support set no status URL on the account; its callbacks \
                must carry the webhook username and password all the same",
            check: |text| expect(matches!(text, "true" | "false"), "`true` or `false`"),
            ..OPTIONAL
        },
        Field {
            key: "test_base_url",
            label: "Base URL for tests",
            hint: "only for tests: scheme and host that take Infobip's place",
            check: origin,
            ..OPTIONAL
        },
    ],
    hosts: &["base_url", "test_base_url"],
    sender_hint: SENDER_HINT,
    read_sender,
};

/// What the fields that few connections fill in have in common.
const OPTIONAL: Field = Field {
    key: "",
    label: "",
    secret: false,
    required: false,
    as_typed: false,
    hint: "",
    check: credential,
};

const BASE_URL: &str =
    "the account's own host without `https://`, such as `xk3n9q.api.infobip.com`";

const SENDER_HINT: &str = "a phone number with country code and without plus (`13531234567`), a \
    short numeric sender of 3 to 6 digits, or a sender ID of 3 to 11 letters, digits and ` ._&-` \
    with at least one letter, beginning and ending with a letter or digit";

const TRANSLITERATIONS: [&str; 12] = [
    "NONE",
    "TURKISH",
    "GREEK",
    "CYRILLIC",
    "SERBIAN_CYRILLIC",
    "BULGARIAN_CYRILLIC",
    "CENTRAL_EUROPEAN",
    "BALTIC",
    "PORTUGUESE",
    "COLOMBIAN",
    "NON_UNICODE",
    "ALL",
];

/// The host that a base URL names, if it is one of Infobip's. People paste it with its scheme, in
/// capitals, or with a path behind it.
pub(super) fn host(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let host = rest.unwrap_or(&text).split('/').next()?;
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let account = host.strip_suffix(".infobip.com")?;
    account.split('.').all(is_label).then(|| host.to_owned())
}

/// A plus in old data is taken off, however the sender goes on.
fn read_sender(text: &str) -> Result<Sender, &'static str> {
    let text = text.strip_prefix('+').unwrap_or(text);
    number(text)
        .or_else(|| short_code(text, 3..=6))
        .or_else(|| name(text))
        .filter(|_| !text.starts_with("00"))
        .ok_or(SENDER_HINT)
}

/// Infobip's numbers have up to 16 digits. E.164 ends at 15, so the longest are kept as they are
/// written, which is also how replies to them name them.
fn number(text: &str) -> Option<Sender> {
    let longest = || short_code(text, 16..=16).filter(|_| !text.starts_with('0'));
    let number = Msisdn::parse_digits(text).map(Sender::Number);
    number.ok().or_else(longest)
}

fn name(text: &str) -> Option<Sender> {
    let outside = |c: char| c.is_ascii_alphanumeric();
    let fits = text.len() >= 3 && text.starts_with(outside) && text.ends_with(outside);
    alphanumeric(text, " ._&-").filter(|_| fits)
}

fn webhook_username(text: &str) -> Checked {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    expect(
        text.bytes().all(plain) && text.len() <= 256,
        "letters, digits and `.`, `_`, `-`, at most 256",
    )
}

fn whole_number(text: &str, max: u64, expected: &'static str) -> Checked {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse::<u64>();
    expect(
        digits && number.is_ok_and(|number| (1..=max).contains(&number)),
        expected,
    )
}
