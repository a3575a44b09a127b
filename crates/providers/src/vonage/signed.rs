//! Who signed a webhook, in either format. Source: `shared/providers/vonage.md`, section 8.

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use md5::{Digest, Md5};
use message::{Connection, Timestamp};

use super::fields::{Blanks, Fields, Webhook};
use crate::{
    CallbackRefused,
    jwt::{Claims, Refused},
    signature::{Algorithm, hex, hmac, is_equal, is_hex_sha256_of},
};

/// How far the clocks may be apart.
const FUTURE_SECONDS_MAX: i64 = 300;

/// 72 hours, as long as Vonage repeats a receipt, and five minutes: whether a repetition is signed
/// anew is not documented.
const AGE_SECONDS_MAX: i64 = 259_500;

pub(super) fn verify(
    connection: &Connection,
    callback: &Request<Bytes>,
    now: Timestamp,
) -> Result<(), CallbackRefused> {
    match Webhook::of(callback).map_err(|why| CallbackRefused::UnknownScheme { why })? {
        // Somebody tries the URL. Nothing is said, so nothing has to be proven.
        Webhook::Sms(fields) if fields.is_empty() => Ok(()),
        Webhook::Sms(fields) => verify_parameters(connection, &fields, now),
        Webhook::Messages => verify_token(connection, callback, now),
    }
}

fn forged(connection: &Connection) -> CallbackRefused {
    CallbackRefused::BadSignature {
        connection: connection.id.clone(),
    }
}

/// The secret that both formats are signed with.
fn secret(connection: &Connection) -> Result<&str, CallbackRefused> {
    let secret = connection.secret("signature_secret");
    secret
        .map(|secret| secret.reveal())
        .ok_or_else(|| forged(connection))
}

fn check_time(
    connection: &Connection,
    signed_at: i64,
    now: Timestamp,
) -> Result<(), CallbackRefused> {
    let age_max = connection.field("webhook_max_age_s").parse();
    let age = seconds(now).saturating_sub(signed_at);
    if (-FUTURE_SECONDS_MAX..=age_max.unwrap_or(AGE_SECONDS_MAX)).contains(&age) {
        Ok(())
    } else {
        Err(CallbackRefused::OutOfTime)
    }
}

fn seconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis() / 1000).unwrap_or(i64::MAX)
}

// === The SMS API's parameter: section 8a, steps 3 to 10 ===

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// MD5 of the text with the secret behind it.
    Md5Hash,
    Hmac(Algorithm),
}

const MD5: Method = Method::Hmac(Algorithm::HmacMd5);
const SHA1: Method = Method::Hmac(Algorithm::HmacSha1);
const SHA256: Method = Method::Hmac(Algorithm::HmacSha256);
const SHA512: Method = Method::Hmac(Algorithm::HmacSha512);

fn verify_parameters(
    connection: &Connection,
    fields: &Fields,
    now: Timestamp,
) -> Result<(), CallbackRefused> {
    let missing = |header| CallbackRefused::Unsigned { header };
    let signature = fields
        .get("sig")
        .filter(|signature| !signature.is_empty())
        .ok_or_else(|| missing("sig"))?;
    let timestamp = fields
        .get("timestamp")
        .ok_or_else(|| missing("timestamp"))?;

    let secret = secret(connection)?;
    // Vonage's own libraries differ in both: upper and lower case, and blank values signed or not.
    let signature = signature.to_ascii_lowercase();
    let genuine = |blanks| {
        let text = fields.signed_text(blanks);
        let methods = methods(connection.field("signature_method"), signature.len());
        methods.iter().any(|method| {
            let expected = digest(*method, secret, &text);
            is_equal(signature.as_bytes(), expected.as_bytes())
        })
    };
    if !(genuine(Blanks::Signed) || fields.has_blanks() && genuine(Blanks::LeftOut)) {
        return Err(forged(connection));
    }

    let decimal = timestamp.bytes().all(|b| b.is_ascii_digit());
    let signed_at = timestamp.parse().ok().filter(|_| decimal);
    check_time(
        connection,
        signed_at.ok_or(CallbackRefused::OutOfTime)?,
        now,
    )?;
    match fields.get("api-key") {
        Some(key) if key != connection.field("account_sid") => Err(forged(connection)),
        _ => Ok(()),
    }
}

/// The configured method, else those whose digests have so many hexadecimal digits.
fn methods(configured: &str, digits: usize) -> &'static [Method] {
    match (configured, digits) {
        ("md5hash", _) => &[Method::Md5Hash],
        ("md5", _) => &[MD5],
        ("sha1", _) => &[SHA1],
        ("sha256", _) => &[SHA256],
        ("sha512", _) => &[SHA512],
        (_, 32) => &[Method::Md5Hash, MD5],
        (_, 40) => &[SHA1],
        (_, 64) => &[SHA256],
        (_, 128) => &[SHA512],
        _ => &[],
    }
}

fn digest(method: Method, secret: &str, text: &str) -> String {
    match method {
        Method::Md5Hash => hex(&Md5::new()
            .chain_update(text.as_bytes())
            .chain_update(secret.as_bytes())
            .finalize()),
        Method::Hmac(algorithm) => hex(&hmac(algorithm, secret.as_bytes(), text.as_bytes())),
    }
}

// === The Messages API's token: section 8b ===

const ALGORITHMS: &[(&str, Algorithm)] = &[("HS256", Algorithm::HmacSha256)];

fn verify_token(
    connection: &Connection,
    callback: &Request<Bytes>,
    now: Timestamp,
) -> Result<(), CallbackRefused> {
    let token = bearer(connection, callback.headers())?;
    let claims =
        Claims::of(token, secret(connection)?, ALGORITHMS).map_err(|refused| match refused {
            Refused::Algorithm => CallbackRefused::UnknownScheme {
                why: "JWT algorithm",
            },
            Refused::Shape | Refused::Signature => forged(connection),
        })?;
    let issued_by_vonage = claims.text("iss") == Some("Vonage");
    let same_account = claims.text("api_key") == Some(connection.field("account_sid"));
    let same_body = claims
        .text("payload_hash")
        .is_some_and(|hash| is_hex_sha256_of(hash, callback.body()));
    if !(issued_by_vonage && same_account && same_body) {
        return Err(forged(connection));
    }

    let issued_at = claims.seconds("iat").ok_or(CallbackRefused::OutOfTime)?;
    check_time(connection, issued_at, now)?;
    let now = seconds(now);
    let holds = |name, holds: &dyn Fn(i64) -> bool| {
        !claims.has(name) || claims.seconds(name).is_some_and(holds)
    };
    let not_over = holds("exp", &|end| now < end);
    let begun = holds("nbf", &|start| {
        start <= now.saturating_add(FUTURE_SECONDS_MAX)
    });
    if not_over && begun {
        Ok(())
    } else {
        Err(CallbackRefused::OutOfTime)
    }
}

/// The token of the one `Authorization`. Vonage sends the rare callback without one again, signed,
/// if it is answered as our own failure.
fn bearer<'r>(connection: &Connection, headers: &'r HeaderMap) -> Result<&'r str, CallbackRefused> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (given.next(), given.next());
    let first = first.ok_or(CallbackRefused::UnsignedYet {
        header: "Authorization",
    })?;
    first
        .to_str()
        .ok()
        .filter(|_| second.is_none())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| forged(connection))
}
