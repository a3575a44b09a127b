//! Who signed a webhook. Source: `shared/providers/sinch.md`, section 8.

use bytes::Bytes;
use http::{HeaderMap, Request};
use message::{Connection, Timestamp};

use crate::{
    CallbackRefused,
    signature::{Algorithm, is_base64_of},
};

const SIGNATURE: &str = "x-sinch-webhook-signature";
const ALGORITHM: &str = "x-sinch-webhook-signature-algorithm";
const NONCE: &str = "x-sinch-webhook-signature-nonce";
const TIMESTAMP: &str = "x-sinch-webhook-signature-timestamp";

/// Sinch says "sufficiently small"; the page says this much.
const AGE_SECONDS_MAX: u64 = 300;

/// The nonce that was signed.
pub(super) fn verify<'r>(
    connection: &Connection,
    callback: &'r Request<Bytes>,
    now: Timestamp,
) -> Result<&'r str, CallbackRefused> {
    let signature = once(callback.headers(), SIGNATURE)?;
    let algorithm = once(callback.headers(), ALGORITHM)?;
    let nonce = once(callback.headers(), NONCE)?;
    let timestamp = once(callback.headers(), TIMESTAMP)?;
    if algorithm != "HmacSHA256" {
        return Err(CallbackRefused::UnknownScheme {
            why: "signature algorithm",
        });
    }
    let forged = || CallbackRefused::BadSignature {
        connection: connection.id.clone(),
    };
    let signed_at = seconds(timestamp).ok_or_else(forged)?;
    let secret = connection
        .secret("webhook_secret")
        .filter(|secret| !secret.reveal().is_empty())
        .ok_or_else(forged)?;
    let signed = [callback.body(), nonce.as_bytes(), timestamp.as_bytes()].join(&b'.');
    let genuine = is_base64_of(signature, Algorithm::HmacSha256, secret.reveal(), &signed);
    if !genuine || !(1..=128).contains(&nonce.chars().count()) {
        return Err(forged());
    }
    let age_seconds_max = connection
        .field("callback_age_seconds_max")
        .parse()
        .unwrap_or(AGE_SECONDS_MAX);
    if (now.as_millis() / 1000).abs_diff(signed_at) > age_seconds_max {
        return Err(CallbackRefused::OutOfTime);
    }
    Ok(nonce)
}

/// The value of a header that is there once and is text.
fn once<'h>(headers: &'h HeaderMap, header: &'static str) -> Result<&'h str, CallbackRefused> {
    let mut values = headers.get_all(header).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => std::str::from_utf8(value.as_bytes()).ok(),
        _ => None,
    }
    .ok_or(CallbackRefused::Unsigned { header })
}

/// Digits only: `parse` alone would take a plus.
fn seconds(text: &str) -> Option<u64> {
    let plain = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}
