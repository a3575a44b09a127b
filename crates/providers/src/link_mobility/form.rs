//! The fields of a LINK Mobility connection. Source: `shared/providers/link-mobility.md`, section 1.

use message::{Msisdn, Sender};

use crate::{
    Field, Form,
    checks::{Checked, basic_user, expect, origin, password, short_code},
};

pub(super) static FORM: Form = Form {
    provider_name: "LINK Mobility",
    fields: &[
        Field {
            key: "username",
            label: "Username",
            secret: false,
            required: true,
            as_typed: false,
            hint: "the account's user name; LINK Support sets the gate to call us with it too",
            check: basic_user,
        },
        Field {
            key: "password",
            label: "Password",
            secret: true,
            required: true,
            as_typed: false,
            hint: "the account's password; LINK Support sets the gate to call us with it too",
            check: password,
        },
        Field {
            key: "platform_id",
            label: "Platform ID (from LINK)",
            secret: false,
            required: true,
            as_typed: false,
            hint: "from LINK, e.g. COMMON_API",
            check: platform_id,
        },
        Field {
            key: "platform_partner_id",
            label: "Platform partner ID (from LINK)",
            secret: false,
            required: true,
            as_typed: false,
            hint: "from LINK, mostly digits",
            check: platform_id,
        },
        Field {
            key: "endpoint_host",
            label: "Endpoint host (from LINK)",
            secret: false,
            required: true,
            as_typed: false,
            hint: "from LINK, e.g. wsx.sp247.net or n-eu.linkmobility.io",
            check: endpoint_host,
        },
        Field {
            key: "gate_id",
            label: "Gate ID (from LINK)",
            secret: false,
            required: true,
            as_typed: false,
            hint: "from LINK, mostly 8 characters: the gate through which receipts and replies come",
            check: gate_id,
        },
        Field {
            key: "strip_non_bmp",
            label: "Leave out emoji",
            secret: false,
            required: false,
            as_typed: false,
            hint: "`yes`: emoji and other characters that LINK does not carry are left out of texts; \
                else such texts are refused",
            check: yes_or_no,
        },
        Field {
            key: "base_url",
            label: "API base URL",
            secret: false,
            required: false,
            as_typed: false,
            hint: "only for tests: instead of the endpoint host, e.g. http://127.0.0.1:8080",
            check: origin,
        },
    ],
    hosts: &["endpoint_host", "base_url"],
    sender_hint: SENDER_HINT,
    read_sender,
};

const SENDER_HINT: &str = "a phone number with plus and country code (`+35312345678`), or a sender \
    ID of 2 to 11 letters, digits, spaces and `-`, `.`, `&` that does not begin with a digit";

/// A plus makes a number and nothing else does: digits alone are a short number.
fn read_sender(text: &str) -> Result<Sender, &'static str> {
    if let Ok(number) = Msisdn::parse(text) {
        return Ok(Sender::Number(number));
    }
    if text.len() > 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err("add + and country code");
    }
    short_code(text, 3..=8)
        .or_else(|| sender_id(text))
        .ok_or(SENDER_HINT)
}

/// LINK takes other GSM characters too, but not every operator does.
fn sender_id(text: &str) -> Option<Sender> {
    let fits = (2..=11).contains(&text.len())
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || " -.&".contains(c));
    fits.then(|| Sender::Alphanumeric(text.into()))
}

fn platform_id(text: &str) -> Checked {
    expect(
        is_id(text, "_.-"),
        "1 to 64 letters, digits, `_`, `.` and `-`",
    )
}

fn gate_id(text: &str) -> Checked {
    expect(is_id(text, "_-"), "1 to 64 letters, digits, `_` and `-`")
}

fn is_id(text: &str, more: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

/// Under which LINK's known hosts are. Credentials go nowhere else.
const DOMAINS: &[&str] = &[".sp247.net", ".linkmobility.io"];

fn endpoint_host(text: &str) -> Checked {
    let host = host(text).to_ascii_lowercase();
    let is_links = DOMAINS
        .iter()
        .filter_map(|domain| host.strip_suffix(domain))
        .any(|name| name.split('.').all(is_label));
    expect(
        is_links,
        "a host name under sp247.net or linkmobility.io, without port",
    )
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The bare host of what may have been pasted as a URL: without scheme and path.
pub(super) fn host(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(scheme, rest)| {
        let known = ["https", "http"].map(|known| scheme.eq_ignore_ascii_case(known));
        if known.contains(&true) { rest } else { text }
    });
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    &rest[..end]
}

/// Whether a field is switched on.
pub(super) fn is_yes(text: &str) -> bool {
    matches!(text, "yes" | "true")
}

fn yes_or_no(text: &str) -> Checked {
    expect(
        is_yes(text) || matches!(text, "no" | "false"),
        "`yes` or `no`",
    )
}
