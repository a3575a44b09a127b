//! HTTP Basic, in both directions. Source: RFC 7617.

use base64::engine::DecodePaddingMode;
use base64::{
    Engine, alphabet,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
};
use http::{HeaderMap, HeaderValue, header};
use message::Connection;
use sha2::{Digest, Sha256};

use crate::{CallbackRefused, signature::is_equal};

/// The value of `Authorization`, which `Debug` does not print; nothing if the credentials do not
/// make one.
pub(crate) fn authorization(user: &str, password: &str) -> Option<HeaderValue> {
    let credentials = STANDARD.encode(format!("{user}:{password}"));
    sensitive(&format!("Basic {credentials}"))
}

/// A header's value that `Debug` does not print.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// How a provider pads its base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    Required,
    Optional,
}

/// Checks that a callback carries `user` and `password`, exactly once. Both are compared whatever
/// the first comparison finds, by their hashes, so that no length shows.
///
/// # Errors
/// [`CallbackRefused::Unsigned`] or [`CallbackRefused::BadSignature`].
pub(crate) fn verify(
    connection: &Connection,
    headers: &HeaderMap,
    padding: Padding,
    user: &str,
    password: &str,
) -> Result<(), CallbackRefused> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else {
        return Err(CallbackRefused::Unsigned {
            header: "Authorization",
        });
    };
    let forged = CallbackRefused::BadSignature {
        connection: connection.id.clone(),
    };
    let Some((given_user, given_password)) = credentials(given.as_bytes(), padding) else {
        return Err(forged);
    };
    let same = |given: &[u8], expected: &str| {
        is_equal(&Sha256::digest(given), &Sha256::digest(expected.as_bytes()))
    };
    let (user_fits, password_fits) = (same(&given_user, user), same(&given_password, password));
    let configured = !user.is_empty() && !password.is_empty();
    if user_fits & password_fits & configured {
        Ok(())
    } else {
        Err(forged)
    }
}

/// User and password: the bytes before and behind the first colon.
fn credentials(value: &[u8], padding: Padding) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, rest) = value.split_at_checked("Basic".len())?;
    let code = rest.strip_prefix(b" ")?.trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    let mode = match padding {
        Padding::Required => DecodePaddingMode::RequireCanonical,
        Padding::Optional => DecodePaddingMode::Indifferent,
    };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(mode);
    let mut user = GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(code)
        .ok()?;
    let colon = user.iter().position(|byte| *byte == b':')?;
    let password = user.split_off(colon + 1);
    user.pop();
    Some((user, password))
}
