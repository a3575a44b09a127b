//! Who signed a webhook. Source: `shared/providers/messagebird.md`, section 8.
//!
//! One key, two schemes and a variant. Where the newer scheme's header is, only that scheme counts,
//! so that nobody can choose the weaker one.

use bytes::Bytes;
use http::{HeaderMap, Request};
use message::{Connection, Timestamp};
use sha2::{Digest, Sha256};

use crate::{
    CallbackRefused,
    jwt::{Claims, Refused},
    signature::{Algorithm, is_base64_of, is_hex_sha256_of},
};

const JWT: &str = "MessageBird-Signature-JWT";
const SIGNATURE: &str = "MessageBird-Signature";
const TIMESTAMP: &str = "MessageBird-Request-Timestamp";

const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("HS256", Algorithm::HmacSha256),
    ("HS384", Algorithm::HmacSha384),
    ("HS512", Algorithm::HmacSha512),
];

/// How far the clocks of a token may differ.
const CLOCK_TOLERANCE_SECONDS: i64 = 5;
/// How far a token without an end may be away from its beginning.
const ENDLESS_SECONDS_MAX: i64 = 300;
/// How far ahead a stamp of the older scheme may be.
const AHEAD_SECONDS_MAX: i64 = 300;
/// How old it may be where the connection says nothing: repetitions may carry the first stamp.
const AGE_SECONDS_MAX: i64 = 86_400;

pub(super) fn verify(
    connection: &Connection,
    callback: &Request<Bytes>,
    public_urls: &[String],
    now: Timestamp,
) -> Result<(), CallbackRefused> {
    let headers = callback.headers();
    let jwt = only(headers, JWT)?;
    let signature = only(headers, SIGNATURE)?;
    let timestamp = only(headers, TIMESTAMP)?;
    let call = Call {
        connection,
        callback,
        public_urls,
        now_seconds: i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX),
    };
    match (jwt, signature, timestamp) {
        (Some(token), _, _) => call.verify_token(token),
        (None, Some(signature), Some(timestamp)) => call.verify_signature(signature, timestamp),
        (None, Some(_), None) => Err(CallbackRefused::Unsigned { header: TIMESTAMP }),
        (None, None, Some(_)) => Err(CallbackRefused::Unsigned { header: SIGNATURE }),
        (None, None, None) => Err(CallbackRefused::Unsigned { header: JWT }),
    }
}

/// The header, unless it is missing. One that is not text is there, and fits nothing.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, CallbackRefused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(CallbackRefused::UnknownScheme {
            why: "a signature header given twice",
        }),
        (value, None) => Ok(value.map(|value| value.to_str().unwrap_or_default())),
    }
}

struct Call<'c> {
    connection: &'c Connection,
    callback: &'c Request<Bytes>,
    public_urls: &'c [String],
    now_seconds: i64,
}

impl Call<'_> {
    fn key(&self) -> Result<&str, CallbackRefused> {
        let key = self.connection.secret("signing_key");
        key.map(|key| key.reveal()).ok_or_else(|| self.forged())
    }

    fn forged(&self) -> CallbackRefused {
        CallbackRefused::BadSignature {
            connection: self.connection.id.clone(),
        }
    }

    /// The URL as it was called: one of ours and the request target, byte for byte. What the
    /// request says about its host is the caller's choice and never used.
    fn full_urls(&self) -> impl Iterator<Item = String> {
        let target = self.callback.uri().path_and_query();
        let target = target.map_or("/", |target| target.as_str());
        let bases = self.public_urls.iter();
        bases.map(move |base| format!("{}{target}", base.trim_end_matches('/')))
    }

    // === A: a JSON Web Token ===

    fn verify_token(&self, token: &str) -> Result<(), CallbackRefused> {
        let claims =
            Claims::of(token, self.key()?, ALGORITHMS).map_err(|refused| match refused {
                Refused::Algorithm => CallbackRefused::UnknownScheme {
                    why: "algorithm of the token",
                },
                Refused::Shape | Refused::Signature => self.forged(),
            })?;
        let of_messagebird = claims.text("iss") == Some("MessageBird");
        let url_hash = claims.text("url_hash").unwrap_or_default();
        let of_this_url = self
            .full_urls()
            .any(|url| is_hex_sha256_of(url_hash, url.as_bytes()));
        let body = self.callback.body();
        let of_this_body = match claims.text("payload_hash") {
            // A claim that is no text is there, and fits nothing.
            None => body.is_empty() && !claims.has("payload_hash"),
            Some(hash) => !body.is_empty() && is_hex_sha256_of(hash, body),
        };
        if !(of_messagebird && of_this_url && of_this_body) {
            return Err(self.forged());
        }
        if self.is_in_time(&claims) {
            Ok(())
        } else {
            Err(CallbackRefused::OutOfTime)
        }
    }

    fn is_in_time(&self, claims: &Claims) -> bool {
        let now = self.now_seconds;
        let Some(not_before) = claims.seconds("nbf") else {
            return false;
        };
        let has_begun = not_before <= now.saturating_add(CLOCK_TOLERANCE_SECONDS);
        let is_not_over = match claims.seconds("exp") {
            Some(expires) => expires.saturating_add(CLOCK_TOLERANCE_SECONDS) >= now,
            // Two official libraries refuse such a token, two accept it for ever.
            None if !claims.has("exp") => {
                now.saturating_sub(not_before).saturating_abs() <= ENDLESS_SECONDS_MAX
            }
            None => false,
        };
        has_begun && is_not_over
    }

    // === B: time stamp, query and body; and C, the same of the newer platform with the URL ===

    fn verify_signature(&self, signature: &str, timestamp: &str) -> Result<(), CallbackRefused> {
        let key = self.key()?;
        let body_digest = Sha256::digest(self.callback.body());
        let signs = |middle: String| {
            let head = format!("{timestamp}\n{middle}\n");
            let signed = [head.as_bytes(), &body_digest].concat();
            is_base64_of(signature, Algorithm::HmacSha256, key, &signed)
        };
        let query = self.callback.uri().query().unwrap_or_default();
        let accepts_bird = self.connection.field("accept_bird_signatures") == "true";
        let genuine = sorted_queries(query).into_iter().any(signs)
            || (accepts_bird && self.full_urls().any(signs));
        if !genuine {
            return Err(self.forged());
        }
        let age_max = self.connection.field("callback_max_age_s").parse();
        let window = -AHEAD_SECONDS_MAX..=age_max.unwrap_or(AGE_SECONDS_MAX);
        let signed_at = timestamp.parse().map_err(|_| CallbackRefused::OutOfTime)?;
        if window.contains(&self.now_seconds.saturating_sub(signed_at)) {
            Ok(())
        } else {
            Err(CallbackRefused::OutOfTime)
        }
    }
}

/// The query as it may have been signed. The official libraries disagree: those in Go and Python
/// decode, sort and encode anew with `+` for a blank, Java's sorts what there is, JavaScript's
/// writes `%20`.
fn sorted_queries(query: &str) -> [String; 3] {
    let mut decoded: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    decoded.sort_by(|(one, _), (other, _)| one.cmp(other)); // Stable: repeated names keep their order.
    let encoded = |blank: &str| {
        let mut text = String::with_capacity(query.len() + 16);
        for (name, value) in &decoded {
            if !text.is_empty() {
                text.push('&');
            }
            encode(name, blank, &mut text);
            text.push('=');
            encode(value, blank, &mut text);
        }
        text
    };
    let mut raw: Vec<_> = query.split('&').collect();
    raw.sort_unstable();
    [encoded("+"), raw.join("&"), encoded("%20")]
}

/// As Go and Python encode: `~` stays and `*` does not, the other way round than in the standard of
/// URLs, which is why its encoder is not used.
fn encode(text: &str, blank: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b' ' => into.push_str(blank),
            b'-' | b'_' | b'.' | b'~' => into.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => into.push(byte.into()),
            _ => {
                into.push('%');
                into.push(HEX[usize::from(byte >> 4)].into());
                into.push(HEX[usize::from(byte & 15)].into());
            }
        }
    }
}
