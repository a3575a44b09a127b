//! The API of the signature keys: making one, enabling another one, and reading the one that is enabled.
//!
//! The page names `POST /v1/iam/signature_keys` and `PATCH …/enabled`; the body of the latter (`key_id`) and the reading of
//! the enabled key are the twin's careful guess. SHA-224 is refused, see the keys. Source:
//! `shared/providers/messagemedia.md`, section 8.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::authenticate;
use super::api::Twin;
use super::keys::{Key, MessageMediaDigest};
use super::refusal::{Refusal, answer};
use crate::locked;

/// More keys than anybody rotates through; each one costs memory and time.
const KEYS_MAX: usize = 100;

#[derive(Deserialize)]
struct NewKey {
    digest: MessageMediaDigest,
    cipher: String,
}

#[derive(Deserialize)]
struct Choice {
    key_id: String,
}

pub(crate) async fn create(State(twin): State<Twin>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(account) = authenticate(&twin.accounts, &headers) else {
        return Refusal::unauthenticated().answer();
    };
    let wanted = match serde_json::from_slice::<NewKey>(&body) {
        Ok(wanted) if wanted.cipher == "RSA" => wanted,
        _ => return Refusal::unreadable().answer(),
    };
    // Looking for two primes takes a while, and callbacks must not wait for it.
    let made = tokio::task::spawn_blocking(move || Key::generate(wanted.digest)).await;
    let Ok(Ok(key)) = made else {
        return super::api::trouble(account, crate::engine::Trouble::Error500);
    };
    let shown = show(&key);
    let mut rings = locked(&twin.provider.rings);
    match rings.get_mut(&account.number) {
        Some(ring) if ring.keys.len() < KEYS_MAX => {
            ring.keys.push(Arc::new(key));
            answer(StatusCode::CREATED, &shown)
        }
        _ => Refusal::not_enabled().answer(),
    }
}

pub(crate) async fn enabled(State(twin): State<Twin>, headers: HeaderMap) -> Response {
    let Some(account) = authenticate(&twin.accounts, &headers) else {
        return Refusal::unauthenticated().answer();
    };
    let rings = locked(&twin.provider.rings);
    match rings.get(&account.number) {
        Some(ring) => answer(StatusCode::OK, &show(&ring.enabled)),
        None => Refusal::not_found().answer(),
    }
}

pub(crate) async fn enable(State(twin): State<Twin>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(account) = authenticate(&twin.accounts, &headers) else {
        return Refusal::unauthenticated().answer();
    };
    let Ok(choice) = serde_json::from_slice::<Choice>(&body) else {
        return Refusal::unreadable().answer();
    };
    let mut rings = locked(&twin.provider.rings);
    let ring = rings.get_mut(&account.number);
    match ring.and_then(|ring| ring.enable(&choice.key_id)) {
        Some(key) => answer(StatusCode::OK, &show(&key)),
        None => Refusal::not_found().answer(),
    }
}

/// A key, but for what stays with MessageMedia.
fn show(key: &Key) -> Value {
    json!({
        "key_id": key.id,
        "public_key": key.public_base64(),
        "digest": key.digest.word(),
        "cipher": "RSA",
    })
}
