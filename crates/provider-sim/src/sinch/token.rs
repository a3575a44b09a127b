//! The token endpoint `/oauth2/token`, and what is known of a token that comes back.
//!
//! A token is a JWT that the twin signs with a key of its own, so nothing is remembered for it, and a token of another
//! twin, or of this one before its restart, is unknown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;

use super::Sinch;
use super::accounts::{Account, SinchAccount};
use super::errors::{answer, is_of_kind};
use super::ulid;
use crate::engine::{Engine, auth};
use crate::locked;
use crate::rate::Bucket;

/// Requests that the endpoint takes at once from a key, and in a second. Source: section 2.1.
const BURST: u32 = 30;
const PER_SECOND: u32 = 10;

/// Makes and reads tokens.
pub(crate) struct Tokens {
    key: [u8; 32],
    /// One per key that somebody has asked a token for; unknown keys have none.
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize, Serialize)]
struct Claims {
    iss: String,
    sub: String,
    jti: String,
    iat: u64,
    exp: u64,
    /// When it is over in truth, in milliseconds since 1970.
    ends: u128,
}

/// Why a token lets nobody in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BadToken {
    /// It was good once.
    Over,
    /// The twin never made it.
    Unknown,
}

impl BadToken {
    /// The `WWW-Authenticate` that says so. A client renews its token by the word "expired" alone.
    pub fn challenge(self) -> &'static str {
        match self {
            Self::Over => {
                r#"Bearer error="invalid_token", error_description="Jwt is expired", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1""#
            }
            Self::Unknown => {
                r#"Bearer error="invalid_token", error_description="Jwt signature is invalid", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1""#
            }
        }
    }
}

impl Tokens {
    pub fn new() -> Self {
        Self {
            key: std::array::from_fn(|_| fastrand::u8(..)),
            buckets: Mutex::default(),
        }
    }

    fn issue(&self, account: &SinchAccount, now: SystemTime) -> String {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let life = account.token_life;
        let claims = Claims {
            iss: "https://auth.sinch.com/".to_owned(),
            sub: account.client_id.clone(),
            jti: ulid(),
            iat: now.as_secs(),
            exp: (now + life).as_secs(),
            ends: (now + account.token_ends_after.unwrap_or(life)).as_millis(),
        };
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = serde_json::to_string(&claims).unwrap_or_default();
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.mac(&signed).map(|mac| mac.finalize().into_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.unwrap_or_default());
        format!("{signed}.{signature}")
    }

    /// The key that the token was made for.
    pub fn client_of(&self, token: &str, now: SystemTime) -> Result<String, BadToken> {
        let claims = self.claims(token).ok_or(BadToken::Unknown)?;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if now.as_millis() < claims.ends {
            Ok(claims.sub)
        } else {
            Err(BadToken::Over)
        }
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(signed)?.verify_slice(&signature).ok()?;
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    fn mac(&self, signed: &str) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        Some(mac.chain_update(signed))
    }

    fn admits(&self, client_id: &str, now: Instant) -> bool {
        let mut buckets = locked(&self.buckets);
        let bucket = buckets
            .entry(client_id.to_owned())
            .or_insert_with(|| Bucket::new(PER_SECOND, BURST, now));
        bucket.take(1, now)
    }
}

/// `POST /oauth2/token`.
pub(crate) async fn token(
    State(twin): State<Arc<Engine<Sinch>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let account = match account_of(&twin, &headers, &body) {
        Ok(account) => &account.settings,
        Err(refusal) => return refused(refusal),
    };
    let token = twin.provider.tokens.issue(account, SystemTime::now());
    tokio::time::sleep(twin.stage.behaviour.get().latency).await;
    let body = json!({
        "access_token": token,
        "expires_in": account.token_life.as_secs(),
        "scope": "",
        "token_type": "bearer",
    });
    answer(StatusCode::OK, body.to_string())
}

/// Status, error and description of a refusal.
type Refused = (StatusCode, &'static str, &'static str);

/// Who asks; any account of the key, since a token is the key's.
fn account_of<'e>(
    twin: &'e Engine<Sinch>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<&'e Account, Refused> {
    let failed = (
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "Client authentication failed",
    );
    let (client_id, secret) = auth::basic(headers).ok_or(failed)?;
    let of_key = |account: &&Account| account.settings.client_id == client_id;
    if !twin.accounts.iter().any(|account| of_key(&account)) {
        return Err(failed);
    }
    // Wrong secrets cost as much as right ones.
    if !twin.provider.tokens.admits(&client_id, Instant::now()) {
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Err((status, "too_many_requests", "Rate limit exceeded"));
    }
    let account = (twin.accounts.iter())
        .filter(of_key)
        .find(|account| account.settings.client_secret == secret)
        .ok_or(failed)?;
    let bad = |error, description| Err((StatusCode::BAD_REQUEST, error, description));
    if !is_of_kind(headers, "application/x-www-form-urlencoded") {
        return bad("invalid_request", "The body is not a form");
    }
    let grant = form_urlencoded::parse(body).find(|(name, _)| name == "grant_type");
    match grant.as_ref().map(|(_, value)| value.as_ref()) {
        Some("client_credentials") => Ok(account),
        Some(_) => bad("unsupported_grant_type", "Only client_credentials is"),
        None => bad("invalid_request", "grant_type is missing"),
    }
}

/// The endpoint's errors have OAuth's form, not the API's; a 429 has no `Retry-After`.
fn refused((status, error, description): Refused) -> Response {
    let body = json!({"error": error, "error_description": description});
    let mut response = answer(status, body.to_string());
    if status == StatusCode::UNAUTHORIZED {
        let basic = HeaderValue::from_static("Basic realm=\"oauth2\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, basic);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_token_is_a_jwt_whose_exp_agrees_and_that_only_its_maker_knows() {
        let tokens = Tokens::new();
        let account = SinchAccount::new("p", "a", "key-1", "s");
        let now = UNIX_EPOCH + Duration::from_secs(1_741_079_702);
        let token = tokens.issue(&account, now);
        assert!(token.starts_with("eyJ") && token.split('.').count() == 3);
        let claims = tokens.claims(&token).expect("it is our own");
        assert_eq!((claims.exp, claims.iat), (1_741_083_302, 1_741_079_702));
        assert_eq!(tokens.client_of(&token, now), Ok("key-1".into()));
        for stranger in [&token[..token.len() - 1], "", "a.b.c", "eyJ"] {
            let known = tokens.client_of(stranger, now);
            assert_eq!(known, Err(BadToken::Unknown), "{stranger:.9}");
        }
        let other = Tokens::new().client_of(&token, now);
        assert_eq!(other, Err(BadToken::Unknown));
    }

    #[test]
    fn a_token_is_over_at_its_end_even_if_it_says_otherwise() {
        let tokens = Tokens::new();
        let mut account = SinchAccount::new("p", "a", "key-1", "s");
        let now = SystemTime::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let token = tokens.issue(&account, now);
        assert!(tokens.client_of(&token, after(3_599)).is_ok());
        let over = tokens.client_of(&token, after(3_600));
        assert_eq!(over, Err(BadToken::Over));
        account.token_ends_after = Some(Duration::from_secs(2));
        let token = tokens.issue(&account, now);
        assert_eq!(
            tokens.client_of(&token, after(3)),
            Err(BadToken::Over),
            "it says 3600 s"
        );
        assert!(BadToken::Over.challenge().contains("expired"));
        assert!(!BadToken::Unknown.challenge().contains("expired"));
    }

    #[test]
    fn a_key_gets_thirty_tokens_at_once_and_then_ten_a_second() {
        let tokens = Tokens::new();
        let now = Instant::now();
        let taken = |at| (0..100).filter(|_| tokens.admits("key-1", at)).count();
        assert_eq!(taken(now), 30);
        assert_eq!(taken(now + Duration::from_secs(1)), 10);
        assert!(tokens.admits("key-2", now));
    }
}
