//! Signed callbacks: HMAC over body, nonce and timestamp.
//!
//! Source: `shared/providers/sinch.md`, section 8. A callback that is repeated because nobody took it keeps its nonce and
//! its timestamp; whether Sinch signs again is unconfirmed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use sha2::{Sha256, Sha512};

use super::ulid;
use crate::behaviour::SignatureVariant;
use crate::webhook::{Callback, RetryPolicy};

/// Old enough that nobody may take it for fresh.
const STALE: Duration = Duration::from_secs(3_600);
/// Signs what a stranger sends.
const FORGERS_SECRET: &str = "not-the-secret";

/// `stale`: signed rightly, an hour ago. `hmac_sha512`: with another digest, and the header says so.
pub(crate) const VARIANTS: &[&str] = &["stale", "hmac_sha512"];

/// Sinch's sister APIs begin with 5 s and double up to 22 h 45 min; its own schedule is not published.
const POLICY: RetryPolicy = RetryPolicy {
    retries: 8,
    on_connect: true,
    on_timeout: true,
    on_429: true,
    on_4xx: false,
    on_5xx: true,
    attempt_timeout: Duration::from_secs(10),
    total_timeout: Duration::from_secs(81_920),
    doubling: true,
    wants_a_body: false,
};

/// A signed callback. `kind` is its content type, `secret` the one of its webhook; without it there are no headers.
pub(crate) fn sign(
    variant: &SignatureVariant,
    secret: &str,
    url: &str,
    kind: &'static str,
    body: String,
) -> Callback {
    let now = SystemTime::now();
    let (secret, at, digest) = match variant {
        SignatureVariant::AccountSecret => (Some(secret), now, Digest::Sha256),
        SignatureVariant::Forged => (Some(FORGERS_SECRET), now, Digest::Sha256),
        SignatureVariant::Missing => (None, now, Digest::Sha256),
        SignatureVariant::Variant(word) if word == "stale" => {
            (Some(secret), now - STALE, Digest::Sha256)
        }
        SignatureVariant::Variant(_) => (Some(secret), now, Digest::Sha512),
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
        let timestamp = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (nonce, timestamp) = (ulid(), timestamp.to_string());
        let signature = digest.sign(secret, &body, &nonce, &timestamp);
        for (name, value) in [
            ("x-sinch-webhook-signature", signature.as_str()),
            ("x-sinch-webhook-signature-algorithm", digest.name()),
            ("x-sinch-webhook-signature-nonce", &nonce),
            ("x-sinch-webhook-signature-timestamp", &timestamp),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
    Callback {
        method: Method::POST,
        url: url.to_owned(),
        headers,
        body,
        retry_headers: HeaderMap::new(),
        policy: POLICY,
    }
}

#[derive(Clone, Copy)]
enum Digest {
    Sha256,
    Sha512,
}

impl Digest {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "HmacSHA256",
            Self::Sha512 => "HmacSHA512",
        }
    }

    /// The key is the text of the secret, whatever it looks like.
    fn sign(self, secret: &str, body: &str, nonce: &str, timestamp: &str) -> String {
        let signed = format!("{body}.{nonce}.{timestamp}");
        let (key, signed) = (secret.as_bytes(), signed.as_bytes());
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(key, signed),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, signed),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], signed: &[u8]) -> String {
    // HMAC takes keys of every length, so that there is no error to tell.
    M::new_from_slice(key)
        .map(|mac| STANDARD.encode(mac.chain_update(signed).finalize().into_bytes()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY_A: &str = r#"{"app_id":"","accepted_time":"2021-10-18T17:49:13.813615Z","project_id":"e2df3a34-a71b-4448-9db5-a8d2baad28e4","contact_create_notification":{"contact":{"id":"01FJA8B466Y0R2GNXD78MD9SM1","channel_identities":[{"channel":"SMS","identity":"48123456789","app_id":""}],"display_name":"New Test Contact","email":"new.contact@email.com","external_id":"","metadata":"","language":"EN_US"}},"message_metadata":""}"#;
    const BODY_B: &str = r#"{"app_id":"01JB2Q7V9W3X5Y6Z7A8B9C0D1E","accepted_time":"2025-03-04T09:15:02.118Z","event_time":"2025-03-04T09:15:02.001Z","project_id":"5b1c6f0e-92a4-4d0a-8d8e-3a8f0d6f7c11","message_delivery_report":{"message_id":"01JNG6M4T0Q8W2R5Y7Z9B1C3D5","conversation_id":"","status":"DELIVERED","channel_identity":{"channel":"SMS","identity":"353851234567","app_id":""},"contact_id":"","metadata":"sf-000042","processing_mode":"DISPATCH"}}"#;
    const BODY_C: &str = r#"{"message":{"id":"01JNG7AA00BB11CC22DD33EE44","direction":"TO_APP","contact_message":{"text_message":{"text":"Où? 好的 👍"}},"channel_identity":{"channel":"SMS","identity":"+353851234567","app_id":""},"sender_id":"35312345678"}}"#;

    #[test]
    fn the_signatures_are_those_of_the_official_sdks() {
        for (secret, body, nonce, timestamp, wanted) in [
            (
                "foo_secret1234",
                BODY_A,
                "01FJA8B4A7BM43YGWSG9GBV067",
                "1634579353",
                "6bpJoRmFoXVjfJIVglMoJzYXxnoxRujzR4k2GOXewOE=",
            ),
            (
                "s3cr3t-tok3n-Zx81",
                BODY_B,
                "01JNG6N0A1B2C3D4E5F6G7H8J9",
                "1741079702",
                "1fl+Yv/PAj1HRbhWtIwAAHjLIHsrQkBvt1DnIzlEhcE=",
            ),
            (
                "s3cr3t-tok3n-Zx81",
                BODY_C,
                "n-7",
                "1741079800",
                "TpIxTPP5yGcR+r+suZf3rasPhvnnxEyq5J2s1+/AD/w=",
            ),
            (
                "пароль-ß-42",
                "",
                "emptybody-nonce",
                "1741080000",
                "2nMwEwD5yW0uMxiCk8zc+Gg5Gk4NwMwYdboTX/cJPdI=",
            ),
            (
                "c2VjcmV0LWtleS0xMjM0NTY3OA==",
                r#"{"a":1}"#,
                "N1",
                "1741080100",
                "BTv4SW/+grobZG6fu5PSXuS+AFGH277VBLiXPtYjFrQ=",
            ),
        ] {
            let signature = Digest::Sha256.sign(secret, body, nonce, timestamp);
            assert_eq!(signature, wanted, "{nonce}");
        }
    }

    #[test]
    fn every_way_to_get_it_wrong_has_another_signature() {
        let sha256 = |key: &[u8], body: &str, nonce: &str, timestamp: &str| {
            mac::<Hmac<Sha256>>(key, format!("{body}.{nonce}.{timestamp}").as_bytes())
        };
        let (b, b_nonce, b_time) = (
            "s3cr3t-tok3n-Zx81",
            "01JNG6N0A1B2C3D4E5F6G7H8J9",
            "1741079702",
        );
        let b = b.as_bytes();
        assert_eq!(
            sha256(b, BODY_B, b_time, b_nonce),
            "emtNxP8rHZjQ8admMK354/5W8vTNKCa9oHy58N/eDXk=",
            "nonce and timestamp swapped"
        );
        let right = STANDARD
            .decode(sha256(b, BODY_B, b_nonce, b_time))
            .expect("base64");
        let hex: String = right.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "d5f97e62ffcf023d4745b856b48c000078cb207b2b42406fb750e723394485c1"
        );
        let spaced = spaced(BODY_B);
        assert_eq!(
            sha256(b, &spaced, b_nonce, b_time),
            "h/so772+Ru9GZ7cI7vwdjbKGoks4qWxoG3m3vDTaj5U=",
            "serialised again, with spaces"
        );
        let (e, e_body) = ("c2VjcmV0LWtleS0xMjM0NTY3OA==", r#"{"a":1}"#);
        let decoded = STANDARD.decode(e).expect("it looks like base64");
        assert_eq!(
            sha256(&decoded, e_body, "N1", "1741080100"),
            "ctVLmA1eKZtAFv3q7fNYMut0CsIvLJ8HLn3i5+YwhTs=",
            "the secret decoded"
        );
        assert_eq!(
            Digest::Sha512.sign(e, e_body, "N1", "1741080100"),
            "3BTwETOTCibkObSQT8v1U79iCiGcI5YsBmf5pDufvjv6dBlTryAhrKdtEy/AMWwI/2Br3x2sImLTb0JQ8XclyA=="
        );
        assert_eq!(
            sha256(e.as_bytes(), "{\"a\":1}\n", "N1", "1741080100"),
            "Z6Jkaf8t/X9osRIdgCQUN7oYAw2kXt2B8oUQgkVoEpg=",
            "a newline behind the body"
        );
    }

    /// With a space behind each comma and colon outside of strings.
    fn spaced(json: &str) -> String {
        let (mut out, mut quoted) = (String::new(), false);
        for c in json.chars() {
            quoted ^= c == '"';
            out.push(c);
            if !quoted && matches!(c, ',' | ':') {
                out.push(' ');
            }
        }
        out
    }

    #[test]
    fn variants_differ_in_what_they_say() {
        let signed = |variant: &SignatureVariant, secret| {
            sign(
                variant,
                secret,
                "http://h.example/",
                "application/json",
                "{}".into(),
            )
            .headers
        };
        let name = |suffix: &str| format!("x-sinch-webhook-signature{suffix}");
        let right = signed(&SignatureVariant::AccountSecret, "s");
        assert_eq!(right[name("-algorithm")], "HmacSHA256");
        for without in [
            signed(&SignatureVariant::Missing, "s"),
            signed(&SignatureVariant::AccountSecret, ""),
        ] {
            assert_eq!(without.len(), 1, "only the content type");
        }
        let other = signed(&SignatureVariant::variant("hmac_sha512"), "s");
        assert_eq!(other[name("-algorithm")], "HmacSHA512");
        let seconds = |headers: &HeaderMap| -> Option<u64> {
            headers[name("-timestamp")].to_str().ok()?.parse().ok()
        };
        let stale = signed(&SignatureVariant::variant("stale"), "s");
        assert!(seconds(&right) >= seconds(&stale).map(|old| old + 3_600));
    }
}
