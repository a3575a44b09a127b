//! Access tokens: OAuth 2 client credentials. Source: `shared/providers/sinch.md`, section 2.1.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use message::{Connection, Secret};
use serde::Deserialize;

use super::unsendable;
use crate::{
    AccessToken, AccessTokens, SubmitClass, SubmitOutcome, Unsendable, basic, json,
    retry_after::retry_after,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Tokens;

/// Serves every region.
const AUTH: &str = "https://auth.sinch.com";

/// As documented, where an answer does not say.
const LIFETIME: Duration = Duration::from_secs(3600);
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

impl AccessTokens for Tokens {
    fn build_request(&self, connection: &Connection) -> Result<Request<Bytes>, Unsendable> {
        let base = match connection.field("auth_base_url") {
            "" => AUTH,
            base => base.trim_end_matches('/'),
        };
        let client_secret = connection
            .secret("client_secret")
            .ok_or_else(|| unsendable(connection, "it has no client secret"))?;
        let authorization =
            basic::authorization(connection.field("client_id"), client_secret.reveal())
                .ok_or_else(|| unsendable(connection, "its credentials do not make a header"))?;
        Request::post(format!("{base}/oauth2/token"))
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(Bytes::from_static(b"grant_type=client_credentials"))
            .map_err(|_| unsendable(connection, "its token URL is none"))
    }

    fn read_response(&self, response: &Response<Bytes>) -> Result<AccessToken, SubmitOutcome> {
        let status = response.status();
        if status.is_success() {
            return json::read::<Granted>(response.body())
                .and_then(Granted::token)
                .ok_or_else(|| SubmitOutcome::new(SubmitClass::Transient, "unreadable_answer"));
        }
        let class = match status {
            StatusCode::TOO_MANY_REQUESTS => SubmitClass::Throttled {
                retry_after: retry_after(response.headers()),
            },
            // Nothing was sent, so nothing is in doubt.
            StatusCode::REQUEST_TIMEOUT => SubmitClass::Transient,
            _ if status.as_u16() >= 500 => SubmitClass::Transient,
            _ => SubmitClass::AccountRefused,
        };
        let code = json::read::<Denied>(response.body())
            .and_then(|denied| denied.error)
            .filter(|code| is_error_code(code))
            .unwrap_or_else(|| format!("http_{}", status.as_u16()));
        Err(SubmitOutcome::new(class, code))
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default, deserialize_with = "json::integer")]
    expires_in: Option<i64>,
}

impl Granted {
    /// Nothing if the token does not fit into a header.
    fn token(self) -> Option<AccessToken> {
        let visible = self.access_token.bytes().all(|b| b.is_ascii_graphic());
        let expires_in = match self
            .expires_in
            .and_then(|seconds| u64::try_from(seconds).ok())
        {
            None | Some(0) => LIFETIME,
            Some(seconds) => Duration::from_secs(seconds).min(LIFETIME_MAX),
        };
        (visible && !self.access_token.is_empty()).then(|| AccessToken {
            token: Secret::new(self.access_token),
            expires_in,
        })
    }
}

#[derive(Deserialize)]
struct Denied {
    #[serde(default, deserialize_with = "json::text")]
    error: Option<String>,
}

/// `invalid_client` and its like (RFC 6749, 5.2).
fn is_error_code(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
