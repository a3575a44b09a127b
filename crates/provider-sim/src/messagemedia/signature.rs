//! Callbacks and how they are signed ("Enterprise webhooks").
//!
//! Signed are request line, `Date` and body, joined without anything between them; the request line is always that of
//! HTTP/1.1, with path and query as they are called. Source: `shared/providers/messagemedia.md`, section 8.
//!
//! Whether a retry has a new `Date` is not documented. Here it has not: a receiver must not reject by age.

use std::time::SystemTime;

use http::header::{CONTENT_TYPE, DATE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use time::OffsetDateTime;
use time::macros::format_description;

use super::keys::{self, Key};
use crate::behaviour::SignatureVariant;
use crate::webhook::{Callback, RetryPolicy};

const SIGNATURE: HeaderName = HeaderName::from_static("x-messagemedia-signature");
const DIGEST_TYPE: HeaderName = HeaderName::from_static("x-messagemedia-digest-type");
const CIPHER_TYPE: HeaderName = HeaderName::from_static("x-messagemedia-cipher-type");
const KEY_ID: HeaderName = HeaderName::from_static("x-messagemedia-key-id");

/// The digest is written with a dash (`SHA-256`), as the documents of 2026 show it.
const DASHED_DIGEST: &str = "dashed_digest";
pub(crate) const VARIANTS: &[&str] = &[DASHED_DIGEST];

/// A JSON body on its way to `url`; `None` if that is no URL.
pub(crate) fn callback(
    variant: &SignatureVariant,
    key: &Key,
    url: &str,
    body: String,
    policy: RetryPolicy,
    at: SystemTime,
) -> Option<Callback> {
    let date = imf_fixdate(at)?;
    let target = target(url)?;
    let text = signed_text(&target, &date, &body);
    let (signer, digest_type) = match variant {
        SignatureVariant::AccountSecret => (Some(key), key.digest.word()),
        SignatureVariant::Forged => (keys::strangers(), key.digest.word()),
        SignatureVariant::Missing => (None, ""),
        // The engine lets no other word through.
        SignatureVariant::Variant(_) => (Some(key), key.digest.dashed()),
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(DATE, HeaderValue::from_str(&date).ok()?);
    if let Some(signature) = signer.and_then(|signer| signer.sign(text.as_bytes())) {
        headers.insert(SIGNATURE, HeaderValue::from_str(&signature).ok()?);
        headers.insert(DIGEST_TYPE, HeaderValue::from_static(digest_type));
        headers.insert(CIPHER_TYPE, HeaderValue::from_static("RSA"));
        headers.insert(KEY_ID, HeaderValue::from_str(&key.id).ok()?);
    }
    Some(Callback {
        method: Method::POST,
        url: url.to_owned(),
        headers,
        body,
        retry_headers: HeaderMap::new(),
        policy,
    })
}

/// Path and query as the HTTP client will write them.
fn target(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let query = url.query().map(|query| format!("?{query}"));
    Some(format!("{}{}", url.path(), query.unwrap_or_default()))
}

fn signed_text(target: &str, date: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1{date}{body}")
}

fn imf_fixdate(at: SystemTime) -> Option<String> {
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    OffsetDateTime::from(at).format(&form).ok()
}

#[cfg(test)]
#[path = "vectors.rs"]
mod vectors;
