//! The rules of each field of a message. A rule answers with what is wrong, in MessageMedia's words where they are known.
//!
//! Source: `shared/providers/messagemedia.md`, sections 1 to 3.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::UtcOffset;
use time::format_description::well_known::Rfc3339;

use crate::engine::phone;

const TOO_SHORT_OR_LONG: &str =
    "International address must be between 8 and 15 characters excluding the first '+'";
const INVALID_CHARACTERS: &str = "International address contains invalid characters.";
const LOCAL: &str = "International address must start with '+'";
const INVALID_URL: &str = "Invalid callback url";

/// What is wrong with a field; empty if nothing is.
type Reasons = Vec<&'static str>;

fn unless(good: bool, reason: &'static str) -> Reasons {
    if good { Vec::new() } else { vec![reason] }
}

/// Digits of a recipient, for the audit.
pub(crate) fn recipient(text: &str) -> Option<u64> {
    phone::e164(text).or_else(|| phone::digits(text))
}

/// Characters are counted as JSON schemas count them, not in UTF-16 units.
pub(crate) fn content(text: Option<&str>) -> Reasons {
    let length = text.unwrap_or_default().chars().count();
    unless(
        (1..=5_000).contains(&length),
        "size must be between 1 and 5000",
    )
}

/// Local formats are not promised to work; here they do not, and neither do numbers without plus.
pub(crate) fn destination(text: Option<&str>) -> Reasons {
    let Some(text) = text else {
        return vec!["must not be null"];
    };
    international(text)
}

fn international(text: &str) -> Reasons {
    let digits = text.strip_prefix('+');
    let rest = digits.unwrap_or(text);
    let mut reasons = Vec::new();
    if !(8..=15).contains(&rest.chars().count()) {
        reasons.push(TOO_SHORT_OR_LONG);
    }
    if !rest.bytes().all(|byte| byte.is_ascii_digit()) || rest.starts_with('0') {
        reasons.push(INVALID_CHARACTERS);
    }
    if digits.is_none() {
        reasons.push(LOCAL);
    }
    reasons
}

/// The type decides the form; without one the value does, as MessageMedia guesses then.
pub(crate) fn source(source: Option<&str>, kind: Option<&str>) -> Reasons {
    let Some(source) = source else {
        return Vec::new();
    };
    match kind {
        Some("INTERNATIONAL") => international(source),
        Some("SHORTCODE") => unless(is_short_code(source), "Invalid short code"),
        Some("ALPHANUMERIC") => unless(is_alphanumeric(source), "Invalid alphanumeric address"),
        Some(_) => Vec::new(),
        None if source.starts_with('+') => international(source),
        None => unless(
            is_short_code(source) || is_alphanumeric(source),
            "Invalid source address",
        ),
    }
}

pub(crate) fn source_type(source: Option<&str>, kind: Option<&str>) -> Reasons {
    let Some(kind) = kind else {
        return Vec::new();
    };
    let mut reasons = unless(
        matches!(kind, "INTERNATIONAL" | "SHORTCODE" | "ALPHANUMERIC"),
        "must be one of INTERNATIONAL, ALPHANUMERIC, SHORTCODE",
    );
    if source.is_none() {
        reasons.push("only valid together with source_number");
    }
    reasons
}

fn is_short_code(text: &str) -> bool {
    (3..=7).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_alphanumeric(text: &str) -> bool {
    (1..=11).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// HTTP or HTTPS, a valid DNS name (which an IPv4 address looks like), no blanks and control characters behind it.
pub(crate) fn callback_url(url: Option<&str>) -> Reasons {
    unless(url.is_none_or(is_callback_url), INVALID_URL)
}

fn is_callback_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let known = ["http", "https"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(scheme));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().is_ok()),
        None => (authority, true),
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    known
        && port
        && host.len() <= 253
        && host.split('.').all(is_label)
        && !tail
            .chars()
            .any(|char| char.is_whitespace() || char.is_control())
}

pub(crate) fn metadata(metadata: Option<&Map<String, Value>>) -> Reasons {
    let Some(metadata) = metadata else {
        return Vec::new();
    };
    let mut reasons = unless(
        metadata.len() <= 10,
        "must not have more than 10 key value pairs",
    );
    if metadata.keys().any(|key| key.chars().count() > 100) {
        reasons.push("keys must not be longer than 100 characters");
    }
    let is_string = |value: &Value| value.as_str().is_some();
    if !metadata.values().all(is_string) {
        reasons.push("values must be strings");
    }
    let long = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| text.chars().count() > 256)
    };
    if metadata.values().any(long) {
        reasons.push("values must not be longer than 256 characters");
    }
    reasons
}

pub(crate) fn format(format: Option<&str>) -> Reasons {
    unless(
        format.is_none_or(|format| matches!(format, "SMS" | "MMS" | "TTS")),
        "must be one of SMS, MMS, TTS",
    )
}

pub(crate) fn time(text: Option<&str>) -> Reasons {
    unless(
        text.is_none_or(|text| utc(text).is_some()),
        "must be an ISO 8601 timestamp in UTC",
    )
}

/// The time that a timestamp names.
pub(crate) fn utc(text: &str) -> Option<SystemTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    (time.offset() == UtcOffset::UTC).then(|| time.into())
}

/// How long until a time; nothing if it is past.
pub(crate) fn until(time: SystemTime, now: SystemTime) -> Duration {
    time.duration_since(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_recipient_is_e164_with_plus() {
        for good in ["+61491570156", "+12345678", "+123456789012345"] {
            assert!(destination(Some(good)).is_empty(), "{good}");
        }
        assert_eq!(
            destination(Some("+6149a")),
            [TOO_SHORT_OR_LONG, INVALID_CHARACTERS]
        );
        assert_eq!(destination(Some("61491570156")), [LOCAL]);
        for bad in ["", "+", "0491570156", "+1234567", "+1234567890123456"] {
            assert!(!destination(Some(bad)).is_empty(), "{bad}");
        }
        assert!(!destination(None).is_empty());
    }

    #[test]
    fn a_sender_has_the_form_of_its_type() {
        let good = |text, kind| source(Some(text), kind).is_empty();
        assert!(good("+61491570110", Some("INTERNATIONAL")));
        assert!(!good("61491570110", Some("INTERNATIONAL")));
        assert!(good("12345", Some("SHORTCODE")) && !good("12345678", Some("SHORTCODE")));
        assert!(good("My Survey 1", Some("ALPHANUMERIC")));
        assert!(!good("My Survey 12", Some("ALPHANUMERIC")));
        assert!(!good("12345", Some("ALPHANUMERIC")));
        assert!(!good("Müller", Some("ALPHANUMERIC")));
        assert!(good("Survey", None) && good("12345", None) && good("+61491570110", None));
        assert!(!good("61491570110", None));
        assert_eq!(source_type(Some("x"), Some("LOCAL")).len(), 1);
        assert_eq!(source_type(None, Some("SHORTCODE")).len(), 1);
        assert!(source_type(None, None).is_empty());
    }

    #[test]
    fn a_callback_url_has_a_dns_name_and_no_blanks() {
        for good in [
            "https://sms.example.org/a?b=c%20d",
            "http://127.0.0.1:8099/x",
            "HTTP://localhost",
        ] {
            assert!(is_callback_url(good), "{good}");
        }
        for bad in [
            "",
            "sms.example.org/a",
            "ftp://sms.example.org",
            "https://sms_x.example.org/",
            "https://sms.example.org/a b",
            "https://sms.example.org/a\n",
            "https:///a",
            "https://sms..example.org/",
            "https://[::1]/",
            "https://sms.example.org:99999/",
        ] {
            assert!(!is_callback_url(bad), "{bad}");
        }
    }

    #[test]
    fn lengths_and_counts_are_refused_one_beyond_the_limit() {
        assert!(content(Some(&"😀".repeat(5_000))).is_empty());
        assert!(!content(Some(&"a".repeat(5_001))).is_empty());
        assert!(!content(Some("")).is_empty() && !content(None).is_empty());
        let of = |value: Value| metadata(value.as_object()).len();
        assert_eq!(of(json!({"k".repeat(100): "v".repeat(256)})), 0);
        assert_eq!(of(json!({"k".repeat(101): "v".repeat(257)})), 2);
        assert_eq!(of(json!({"a": 1})), 1);
        let many: Map<String, Value> = (0..11).map(|n| (n.to_string(), json!("v"))).collect();
        assert_eq!(metadata(Some(&many)).len(), 1);
    }

    #[test]
    fn a_time_is_iso_8601_in_utc() {
        assert!(utc("2026-03-02T09:15:29.007Z").is_some());
        for bad in ["2026-03-02T09:15:29+01:00", "2026-03-02", "1772445601"] {
            assert!(utc(bad).is_none(), "{bad}");
        }
    }
}
