//! Compact JSON Web Tokens under a shared secret, as providers sign callbacks with them.
//! Source: RFC 7515, RFC 7519.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::signature::{Algorithm, hmac, is_equal};

/// A token's claims, its signature checked.
#[derive(Debug)]
pub(crate) struct Claims(Map<String, Value>);

/// Why a token is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not three parts, or not base64 or JSON.
    Shape,
    /// An algorithm that is not allowed, `none` above all.
    Algorithm,
    /// Another key made it.
    Signature,
}

impl Claims {
    /// The claims of `token`, if one of the `allowed` algorithms signed it under `key`. What the
    /// header says is compared with that list and never trusted beyond it.
    pub(crate) fn of(
        token: &str,
        key: &str,
        allowed: &[(&str, Algorithm)],
    ) -> Result<Self, Refused> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Shape)?;
        let (header, claims) = signed.split_once('.').ok_or(Refused::Shape)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Shape);
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| Refused::Shape)?;
        let (_, algorithm) = allowed
            .iter()
            .find(|(name, _)| *name == header.alg)
            .ok_or(Refused::Algorithm)?;
        let expected = hmac(*algorithm, key.as_bytes(), signed.as_bytes());
        if key.is_empty() || !is_equal(&decode(signature)?, &expected) {
            return Err(Refused::Signature);
        }
        serde_json::from_slice(&decode(claims)?)
            .map(Self)
            .map_err(|_| Refused::Shape)
    }

    /// A claim that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A claim that is a time in seconds since 1970; whole seconds are precise enough.
    pub(crate) fn seconds(&self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        value.as_i64().or_else(|| value.as_f64().map(|f| f as i64))
    }

    /// Whether there is such a claim at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
