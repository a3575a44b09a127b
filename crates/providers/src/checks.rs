//! What the forms of several providers check alike.

use message::{Msisdn, Sender};
use url::Url;

/// `Err` with what is expected.
pub(crate) type Checked = Result<(), &'static str>;

pub(crate) fn expect(met: bool, expected: &'static str) -> Checked {
    met.then_some(()).ok_or(expected)
}

/// Keys and tokens have some ten characters; those that customers choose may be longer.
const CREDENTIAL_BYTES_MAX: usize = 256;

/// A key or token without white space.
pub(crate) fn credential(text: &str) -> Checked {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    expect(
        text.len() <= CREDENTIAL_BYTES_MAX && text.chars().all(plain),
        "no spaces or control characters, at most 256 bytes",
    )
}

/// A user name of HTTP Basic, which ends at the first colon.
pub(crate) fn basic_user(text: &str) -> Checked {
    expect(
        text.len() <= CREDENTIAL_BYTES_MAX
            && !text.contains(':')
            && !text.chars().any(char::is_control),
        "no colon or control characters, at most 256 bytes",
    )
}

/// A password: anything that has no control characters.
pub(crate) fn password(text: &str) -> Checked {
    expect(
        text.len() <= CREDENTIAL_BYTES_MAX && !text.chars().any(char::is_control),
        "no control characters, at most 256 bytes",
    )
}

/// Scheme and host, perhaps a port. Which hosts a customer may name is the operator's policy and
/// not checked here.
pub(crate) fn origin(text: &str) -> Checked {
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
        "scheme and host only, like https://api.example.com",
    )
}

/// A number with country code, with or without its plus.
pub(crate) fn number(text: &str) -> Option<Sender> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    Msisdn::parse_digits(digits).ok().map(Sender::Number)
}

/// A short code of so many digits.
pub(crate) fn short_code(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<Sender> {
    let fits = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| Sender::ShortCode(text.into()))
}

/// A name of up to 11 letters, digits and characters of `more`, with a letter among them.
pub(crate) fn alphanumeric(text: &str, more: &str) -> Option<Sender> {
    let fits = (1..=11).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        && text.bytes().any(|b| b.is_ascii_alphabetic());
    fits.then(|| Sender::Alphanumeric(text.into()))
}

/// A writer or addressee as providers write them in callbacks: 7 to 15 digits are a number without
/// its plus; fewer are a short code, and anything else a sender that can not be answered.
pub(crate) fn with_plus(number: &str) -> String {
    match Msisdn::parse_digits(number) {
        Ok(number) => number.e164(),
        Err(_) => number.to_owned(),
    }
}
