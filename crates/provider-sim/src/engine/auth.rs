//! The `Authorization` header, read and written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// What follows `scheme`, in any case, and blanks: a token, a key, a pair in base64.
pub(crate) fn credentials<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// User and password of HTTP Basic.
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let bytes = STANDARD.decode(credentials(headers, "Basic")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The header value of HTTP Basic, for callbacks that are authenticated with it.
pub(crate) fn basic_value(user: &str, password: &str) -> Option<HeaderValue> {
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_as_it_was_written_and_a_password_may_hold_colons() {
        let value = basic_value("AC1", "p:a:ß").expect("base64 is a header value");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        assert_eq!(basic(&headers), Some(("AC1".into(), "p:a:ß".into())));
        assert_eq!(credentials(&headers, "App"), None);
        assert_eq!(basic(&HeaderMap::new()), None);
    }
}
