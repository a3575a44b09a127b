//! The signatures of callbacks: `MessageBird-Signature-JWT`, and the older `MessageBird-Signature` with its time stamp.
//!
//! Source: `shared/providers/messagebird.md`, section 8, whose vectors the tests reproduce.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use http::header::HeaderName;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::accounts::{MessageBirdAccount, MessageBirdSignatures};
use crate::behaviour::SignatureVariant;
use crate::webhook::Callback;

const JWT: HeaderName = HeaderName::from_static("messagebird-signature-jwt");
const SIGNATURE: HeaderName = HeaderName::from_static("messagebird-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("messagebird-request-timestamp");

/// MessageBird's tokens live so long.
const TOKEN_SECONDS: u64 = 60;
/// The newer platform repeats so long and keeps the time stamp of the first attempt.
const LATE_SECONDS: u64 = 8 * 3_600;

/// MessageBird's own ways to sign besides the account's, and ways to sign badly.
pub(crate) const VARIANTS: &[&str] = &[
    HS384,
    HS512,
    WITHOUT_EXP,
    EXPIRED,
    ALG_NONE,
    STAMPED,
    STAMPED_RAW,
    STAMPED_PERCENT,
    LATE,
    DOWNGRADE,
    BIRD,
];
/// A token with HMAC-SHA384.
const HS384: &str = "hs384";
/// A token with HMAC-SHA512.
const HS512: &str = "hs512";
/// A token that does not say until when it is good.
const WITHOUT_EXP: &str = "without_exp";
/// A token of ten minutes ago.
const EXPIRED: &str = "expired";
/// A token that claims to need no signature.
const ALG_NONE: &str = "alg_none";
/// The older signature, whatever the account has.
const STAMPED: &str = "timestamp";
/// The same over the query's raw segments, sorted.
const STAMPED_RAW: &str = "timestamp_raw";
/// The same with `%20` for a blank.
const STAMPED_PERCENT: &str = "timestamp_percent";
/// The older signature, stamped eight hours ago: what a late repeat looks like.
const LATE: &str = "late_timestamp";
/// A good older signature beside a token with a wrong one, which alone counts.
const DOWNGRADE: &str = "downgrade";
/// The newer platform's signature, over the URL, in the older one's headers.
const BIRD: &str = "bird";

/// Signs a callback as the account and the variant say.
pub(crate) fn sign(
    variant: &SignatureVariant,
    account: &MessageBirdAccount,
    mut callback: Callback,
) -> Callback {
    let key = account.signing_key.as_str();
    let now = unix_seconds();
    let word = match variant {
        SignatureVariant::AccountSecret | SignatureVariant::Forged => match account.signatures {
            MessageBirdSignatures::Jwt => "",
            MessageBirdSignatures::Timestamp => STAMPED,
        },
        SignatureVariant::Missing => return callback,
        SignatureVariant::Variant(word) => word.as_str(),
    };
    let wrong = format!("not {key}");
    let key = match variant {
        SignatureVariant::Forged => &wrong,
        _ => key,
    };
    let (url, body) = (callback.url.as_str(), callback.body.as_bytes());
    let token = |algorithm, from: u64, until| {
        let claims = claims(from, until, &uuid(), url, body);
        vec![(JWT, jwt(algorithm, key, &claims))]
    };
    let stamped = |at: u64, signed: &str| {
        let stamp = at.to_string();
        let signature = stamp_signature(key, &stamp, signed, body);
        vec![(SIGNATURE, signature), (TIMESTAMP, stamp)]
    };
    let sorted = || sorted_query(query_of(url));
    let headers = match word {
        HS384 => token(Algorithm::Hs384, now, Some(now + TOKEN_SECONDS)),
        HS512 => token(Algorithm::Hs512, now, Some(now + TOKEN_SECONDS)),
        WITHOUT_EXP => token(Algorithm::Hs256, now, None),
        EXPIRED => token(Algorithm::Hs256, now - 600, Some(now - 600 + TOKEN_SECONDS)),
        ALG_NONE => token(Algorithm::None, now, Some(now + TOKEN_SECONDS)),
        STAMPED => stamped(now, &sorted()),
        STAMPED_RAW => stamped(now, &sorted_segments(query_of(url))),
        STAMPED_PERCENT => stamped(now, &sorted().replace('+', "%20")),
        LATE => stamped(now - LATE_SECONDS, &sorted()),
        DOWNGRADE => {
            let claims = claims(now, Some(now + TOKEN_SECONDS), &uuid(), url, body);
            let mut headers = stamped(now, &sorted());
            headers.push((JWT, jwt(Algorithm::Hs256, &wrong, &claims)));
            headers
        }
        BIRD => stamped(now, url),
        _ => token(Algorithm::Hs256, now, Some(now + TOKEN_SECONDS)),
    };
    for (name, value) in headers {
        // Digits and base64 are always valid header values.
        if let Ok(value) = HeaderValue::from_str(&value) {
            callback.headers.insert(name, value);
        }
    }
    callback
}

/// How a token is signed.
#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    None,
}

/// The claims of a token, in the order of MessageBird's. Without a body there is no `payload_hash`.
fn claims(from: u64, until: Option<u64>, id: &str, url: &str, body: &[u8]) -> String {
    let until = until.map_or_else(String::new, |until| format!(r#""exp":{until},"#));
    let url = hex(&Sha256::digest(url));
    let payload = match body {
        [] => String::new(),
        body => format!(r#","payload_hash":"{}""#, hex(&Sha256::digest(body))),
    };
    format!(
        r#"{{"iss":"MessageBird","nbf":{from},{until}"jti":"{id}","url_hash":"{url}"{payload}}}"#
    )
}

fn jwt(algorithm: Algorithm, key: &str, claims: &str) -> String {
    let name = match algorithm {
        Algorithm::Hs256 => "HS256",
        Algorithm::Hs384 => "HS384",
        Algorithm::Hs512 => "HS512",
        Algorithm::None => "none",
    };
    let header = format!(r#"{{"alg":"{name}","typ":"JWT"}}"#);
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let mac = mac(algorithm, key, &[signed.as_bytes()]);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// The older signature; the newer platform's, if the URL stands in place of the query.
fn stamp_signature(key: &str, stamp: &str, query: &str, body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let text = [
        stamp.as_bytes(),
        b"\n",
        query.as_bytes(),
        b"\n",
        digest.as_ref(),
    ];
    STANDARD.encode(mac(Algorithm::Hs256, key, &text))
}

fn mac(algorithm: Algorithm, key: &str, text: &[&[u8]]) -> Vec<u8> {
    let (key, text) = (key.as_bytes(), text.concat());
    // HMAC takes a key of any length; there is no failing case to report.
    match algorithm {
        Algorithm::Hs256 => Hmac::<Sha256>::new_from_slice(key)
            .map(|mac| mac.chain_update(&text).finalize().into_bytes().to_vec()),
        Algorithm::Hs384 => Hmac::<Sha384>::new_from_slice(key)
            .map(|mac| mac.chain_update(&text).finalize().into_bytes().to_vec()),
        Algorithm::Hs512 => Hmac::<Sha512>::new_from_slice(key)
            .map(|mac| mac.chain_update(&text).finalize().into_bytes().to_vec()),
        Algorithm::None => Ok(Vec::new()),
    }
    .unwrap_or_default()
}

/// The parameters decoded, sorted by name and encoded again.
fn sorted_query(query: &str) -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The parameters as they stand, sorted.
fn sorted_segments(query: &str) -> String {
    let mut segments: Vec<&str> = query.split('&').collect();
    segments.sort_unstable();
    segments.join("&")
}

fn query_of(url: &str) -> &str {
    url.split_once('?').map_or("", |(_, query)| query)
}

/// A UUID, as MessageBird names tokens and invocations.
pub(crate) fn uuid() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    let cut = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let (a, b, c, d, e) = (cut(0, 8), cut(8, 12), cut(13, 16), cut(17, 20), cut(20, 32));
    format!("{a}-{b}-4{c}-8{d}-{e}")
}

fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
