//! A webhook in the format of the account's API: parameters with `sig`, or a JSON object behind a JWT.
//!
//! Source: `shared/providers/vonage.md`, sections 6 to 8.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;

use super::accounts::{VonageAccount, VonageFormat};
use super::signature::{self, Claims};
use super::uuid;
use crate::behaviour::SignatureVariant;
use crate::webhook::{Callback, RetryPolicy};

/// Parameters of a webhook, in the order in which they are sent.
pub(crate) type Parameters = Vec<(&'static str, String)>;

/// Vonage's own ways to sign besides the default.
pub(crate) const VARIANTS: &[&str] = &[BLANKS_LEFT_OUT, UNSIGNED_AT_FIRST];
/// `sig` over the parameters that are not blank, as one of Vonage's SDKs computes it.
const BLANKS_LEFT_OUT: &str = "blanks_left_out";
/// A webhook of the Messages API comes without its token and is sent again, signed, after a 5xx, which rarely happens.
const UNSIGNED_AT_FIRST: &str = "unsigned_at_first";

/// Vonage repeats after a 429 or a 5xx with growing pauses, and after a time-out, for a day or three; a test cannot wait
/// so long. Its sources contradict each other about a 4xx; here that ends it.
const POLICY: RetryPolicy = RetryPolicy {
    retries: 6,
    on_connect: true,
    on_timeout: true,
    on_429: true,
    on_4xx: false,
    on_5xx: true,
    attempt_timeout: Duration::from_secs(15),
    total_timeout: Duration::from_secs(24 * 60 * 60),
    doubling: true,
    wants_a_body: false,
};

/// A webhook of the SMS API. A repeated one keeps its timestamp and its signature.
pub(crate) fn with_sig(
    account: &VonageAccount,
    url: &str,
    variant: &SignatureVariant,
    mut parameters: Parameters,
) -> Callback {
    if let Some(secret) = secret(account, variant) {
        let blanks = *variant != SignatureVariant::variant(BLANKS_LEFT_OUT);
        parameters.push(("timestamp", unix_seconds().to_string()));
        parameters.push(("nonce", uuid()));
        let signed = parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .filter(|(_, value)| blanks || !value.trim().is_empty());
        let sig = signature::sig(account.signature_method, &secret, signed);
        parameters.push(("sig", sig));
    }
    let form = || {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&parameters)
            .finish()
    };
    match account.webhook_format {
        VonageFormat::Get => {
            let joint = if url.contains('?') { '&' } else { '?' };
            let url = format!("{url}{joint}{}", form());
            callback(Method::GET, url, None, String::new())
        }
        VonageFormat::Post => {
            let kind = "application/x-www-form-urlencoded; charset=UTF-8";
            callback(Method::POST, url.to_owned(), Some(kind), form())
        }
        VonageFormat::PostJson => {
            let object: Map<String, Value> = parameters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            let body = Value::Object(object).to_string();
            callback(Method::POST, url.to_owned(), Some("application/json"), body)
        }
    }
}

/// A webhook of the Messages API.
pub(crate) fn with_token(
    account: &VonageAccount,
    url: &str,
    variant: &SignatureVariant,
    object: &Value,
) -> Callback {
    let body = object.to_string();
    let token = secret(account, variant).map(|secret| {
        let claims = Claims {
            iat: unix_seconds(),
            jti: &uuid(),
            iss: "Vonage",
            payload_hash: signature::payload_hash(&body),
            api_key: &account.api_key,
            application_id: account.application_id.as_deref(),
        };
        format!("Bearer {}", signature::token(&secret, &claims))
    });
    let kind = "application/json";
    let mut callback = callback(Method::POST, url.to_owned(), Some(kind), body);
    // A JWT is always a valid header value.
    if let Some(value) = token.and_then(|token| HeaderValue::from_str(&token).ok()) {
        let late = *variant == SignatureVariant::variant(UNSIGNED_AT_FIRST);
        let headers = if late {
            &mut callback.retry_headers
        } else {
            &mut callback.headers
        };
        headers.insert(AUTHORIZATION, value);
    }
    callback
}

/// What to sign with; `None` for webhooks without a signature.
fn secret(account: &VonageAccount, variant: &SignatureVariant) -> Option<String> {
    let secret = account.signature_secret.clone()?;
    match variant {
        SignatureVariant::AccountSecret | SignatureVariant::Variant(_) => Some(secret),
        SignatureVariant::Forged => Some(format!("not {secret}")),
        SignatureVariant::Missing => None,
    }
}

fn callback(method: Method, url: String, kind: Option<&'static str>, body: String) -> Callback {
    let kind = kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind)));
    Callback {
        method,
        url,
        headers: HeaderMap::from_iter(kind),
        body,
        retry_headers: HeaderMap::new(),
        policy: POLICY,
    }
}

/// `message-timestamp`: the start of the push.
pub(crate) fn message_timestamp(at: SystemTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    OffsetDateTime::from(at).format(&form).unwrap_or_default()
}

/// `timestamp` of the Messages API.
pub(crate) fn iso_timestamp(at: SystemTime) -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from(at).format(&form).unwrap_or_default()
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
