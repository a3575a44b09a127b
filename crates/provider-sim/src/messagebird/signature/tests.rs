//! The vectors of `shared/providers/messagebird.md`, section 8, made again by the twin's signer.

use http::{HeaderMap, Method};

use super::*;
use crate::messagebird::receipts::POLICY;

const KEY: &str = "mbSigningKeyForSpec0123456789abc";
const MESSAGE: &str = "https://sms.example.net/distribution-providers/v1/receive/distribution/message/twilio-sms/UR_spec01";
const A1_URL: &str = "https://sms.example.net/distribution-providers/v1/receive/distribution/status/twilio-sms/UR_spec01?id=1f0c7be2a4d94f6c8b0d6f2f0a9e1c33&recipient=31612340001&reference=msg-0001&status=delivered&statusDatetime=2025-10-09T08%3A53%3A18%2B00%3A00";
const A1: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJNZXNzYWdlQmlyZCIsIm5iZiI6MTc2MDAwMDAwMCwiZXhwIjoxNzYwMDAwMDYwLCJqdGkiOiI1YjBmMWMyZC0zZTRmLTRhNWItOGM2ZC03ZThmOWEwYjFjMmQiLCJ1cmxfaGFzaCI6ImYxYzg0OThkNzJlNzQ4YTE2YWIwMzIyOWQ5MTk5NDQyYWVhNWFkYmI3NDViMTA4YTgwY2Q0MmI1OGJhYzkzMWEifQ.3DiDH-W_KPKzeL0m4RFgfMZmOdXJZ4S8irUMv7UKguc";
const A2: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJNZXNzYWdlQmlyZCIsIm5iZiI6MTc2MDAwMDAwMCwiZXhwIjoxNzYwMDAwMDYwLCJqdGkiOiI1YjBmMWMyZC0zZTRmLTRhNWItOGM2ZC03ZThmOWEwYjFjMmQiLCJ1cmxfaGFzaCI6ImQ3NTk3ZTRjZmZlZjIxYTc3OTZjNzEzMjQ0YmY3YmU1YjA2NDY2ZTE0NDQyYTE0OTcxMTAxZjRmN2VkY2RiMGMiLCJwYXlsb2FkX2hhc2giOiIyMzY3MTlkOGUwZGRkYjdjYjkyNzg4YjY5OTE5M2NhNmVlODg4ZWM3ZGM2OTVkOTAwNWNjM2I5NWMzZTVlNzU0In0.aRBRNCdWilY-otPWKFMx2J-duA9wE3xz7rCPpvKI5ho";
const A3: &str = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJNZXNzYWdlQmlyZCIsIm5iZiI6MTc2MDAwMDAwMCwiZXhwIjoxNzYwMDAwMDYwLCJqdGkiOiI1YjBmMWMyZC0zZTRmLTRhNWItOGM2ZC03ZThmOWEwYjFjMmQiLCJ1cmxfaGFzaCI6ImQ3NTk3ZTRjZmZlZjIxYTc3OTZjNzEzMjQ0YmY3YmU1YjA2NDY2ZTE0NDQyYTE0OTcxMTAxZjRmN2VkY2RiMGMiLCJwYXlsb2FkX2hhc2giOiIyOTJlNDFhMWU1Y2M1YTk5NjM3YjVmNzU5MzZkYmZmYTZjZGM4YzJmNjZkMjk5NzdlODhkZjQ0NjcwMWFjODcwIn0.rtRQ11DJzJMKv2KYqHD6rd9p0lhg_dEgQvbqQPH3kaRQnvAgV5RorGDD9EHOY4SCcbSTpOFqnSKXH88wVn2rUw";
const JTI: &str = "5b0f1c2d-3e4f-4a5b-8c6d-7e8f9a0b1c2d";

const B1: &str = "id=1f0c7be2a4d94f6c8b0d6f2f0a9e1c33&recipient=31612340001&reference=msg-0001&status=delivered&statusDatetime=2025-10-09T08%3A53%3A18%2B00%3A00&mccmnc=20408&ported=0";
const B2: &str = "status=delivery_failed&statusErrorCode=1&statusReason=unknown+subscriber&reference=msg-0002&recipient=31612340002&price%5Bcurrency%5D=EUR&price%5Bamount%5D=0.075&id=2a7d0c9f5b3e4d1a9c8e7f6a5b4c3d2e&statusDatetime=2025-10-09T08%3A55%3A00%2B00%3A00";
const B3: &str = "id=3c5e7a9b1d2f4a6c8e0b2d4f6a8c0e1f&originator=31612340003&recipient=3197001234567&body=Ja+graag+%E2%82%AC5&createdDatetime=2025-10-09T08%3A56%3A40%2B00%3A00";
const B4: &str =
    r#"{"id":"4d6f8a0c2e4a4b6d8f0a2c4e6a8b0d1f","originator":"31612340004","body":"STOP"}"#;

fn token(algorithm: Algorithm, key: &str, url: &str, body: &str) -> String {
    let claims = claims(
        1_760_000_000,
        Some(1_760_000_060),
        JTI,
        url,
        body.as_bytes(),
    );
    jwt(algorithm, key, &claims)
}

fn stamped(key: &str, stamp: &str, query: &str, body: &str) -> String {
    stamp_signature(key, stamp, &sorted_query(query), body.as_bytes())
}

#[test]
fn the_tokens_of_the_page_are_reproduced() {
    assert_eq!(token(Algorithm::Hs256, KEY, A1_URL, ""), A1);
    assert_eq!(token(Algorithm::Hs256, KEY, MESSAGE, B3), A2);
    assert_eq!(token(Algorithm::Hs512, KEY, MESSAGE, B4), A3);
}

#[test]
fn the_older_signatures_of_the_page_are_reproduced() {
    for (stamp, query, body, wanted) in [
        (
            "1760000000",
            B1,
            "",
            "HR0Wpg6+4tfTdZwdwBA3BxbQk+dHaQ+Ad5VjSHrU86A=",
        ),
        (
            "1760000100",
            B2,
            "",
            "OCxSo+SBpU5y7OMdZn8qTWwsMbr2Uhn+zrU22zeZrOo=",
        ),
        (
            "1760000200",
            "",
            B3,
            "3XaDU4e0+I8dXzgx/5Cy/3FXcl6cco/spliA35xL11k=",
        ),
        (
            "1760000300",
            "",
            B4,
            "E5zX4mycnyaK4Zn2QYNRXlrDD6uI1XTcCLfLTXdROas=",
        ),
    ] {
        assert_eq!(stamped(KEY, stamp, query, body), wanted, "{stamp}");
    }
    assert_eq!(
        sorted_query(B2),
        "id=2a7d0c9f5b3e4d1a9c8e7f6a5b4c3d2e&price%5Bamount%5D=0.075&price%5Bcurrency%5D=EUR&recipient=31612340002&reference=msg-0002&status=delivery_failed&statusDatetime=2025-10-09T08%3A55%3A00%2B00%3A00&statusErrorCode=1&statusReason=unknown+subscriber"
    );
    assert_eq!(sorted_segments(B2), sorted_query(B2));
}

#[test]
fn the_newer_platforms_signature_of_the_page_is_reproduced() {
    assert_eq!(
        stamp_signature(KEY, "1760000300", MESSAGE, B4.as_bytes()),
        "n0zfFZDXBl0fbLtGvQA0/YsWVG+nR8fj5DuPhI+31XA="
    );
}

#[test]
fn whatever_the_page_says_must_be_rejected_gives_another_signature() {
    let swapped = A1_URL.replace(
        "recipient=31612340001&reference=msg-0001",
        "reference=msg-0001&recipient=31612340001",
    );
    let longer = format!("{B3} ");
    for (url, body, right) in [
        (swapped.as_str(), "", A1),
        (A1_URL.replace("https", "http").as_str(), "", A1),
        (A1_URL.replace(".net/", ".net:443/").as_str(), "", A1),
        (A1_URL, "x", A1),
        (MESSAGE, "", A2),
        (MESSAGE, longer.as_str(), A2),
    ] {
        assert_ne!(token(Algorithm::Hs256, KEY, url, body), right, "{url}");
    }
    let wrong = KEY.replace("mb", "Mb");
    assert_ne!(token(Algorithm::Hs256, &wrong, A1_URL, ""), A1);
    let b1 = stamped(KEY, "1760000000", B1, "");
    let other = B1.replace("msg-0001", "msg-0002");
    assert_ne!(stamped(KEY, "1760000001", B1, ""), b1);
    assert_ne!(stamped(KEY, "1760000000", &other, ""), b1);
    assert_ne!(stamped(&wrong, "1760000000", B1, ""), b1);
    let b3 = stamped(KEY, "1760000200", "", B3);
    assert_ne!(stamped(KEY, "1760000200", "x=1", B3), b3);
}

fn signed(variant: SignatureVariant, signatures: MessageBirdSignatures) -> Callback {
    let mut account = MessageBirdAccount::new("one", "live", KEY);
    account.signatures = signatures;
    let callback = Callback {
        method: Method::GET,
        url: "https://h.example/x?b=1+2&a=3".into(),
        headers: HeaderMap::new(),
        body: String::new(),
        retry_headers: HeaderMap::new(),
        policy: POLICY,
    };
    sign(&variant, &account, callback)
}

#[test]
fn a_signed_callback_carries_what_its_variant_promises() {
    let names = |callback: &Callback| {
        [JWT, SIGNATURE, TIMESTAMP].map(|name| callback.headers.contains_key(name))
    };
    let (jwt, stamp) = ([true, false, false], [false, true, true]);
    let (new, old) = (MessageBirdSignatures::Jwt, MessageBirdSignatures::Timestamp);
    use SignatureVariant::{AccountSecret, Forged, Missing};
    assert_eq!(names(&signed(AccountSecret, new)), jwt);
    assert_eq!(names(&signed(AccountSecret, old)), stamp);
    assert_eq!(names(&signed(Forged, new)), jwt);
    assert_eq!(names(&signed(Forged, old)), stamp);
    assert_eq!(names(&signed(Missing, new)), [false; 3]);
    for word in VARIANTS {
        let callback = signed(SignatureVariant::variant(word), new);
        let wanted = match *word {
            HS384 | HS512 | WITHOUT_EXP | EXPIRED | ALG_NONE => jwt,
            DOWNGRADE => [true; 3],
            _ => stamp,
        };
        assert_eq!(names(&callback), wanted, "{word}");
        assert_eq!(callback.url, "https://h.example/x?b=1+2&a=3");
    }
    let unsigned = signed(SignatureVariant::variant(ALG_NONE), new);
    assert!(unsigned.headers[JWT].as_bytes().ends_with(b"."));
}

#[test]
fn the_older_signature_covers_the_query_in_each_of_its_forms() {
    let now = unix_seconds();
    for (word, signed_query) in [
        (STAMPED, "a=3&b=1+2"),
        (STAMPED_RAW, "a=3&b=1+2"),
        (STAMPED_PERCENT, "a=3&b=1%202"),
        (LATE, "a=3&b=1+2"),
        (BIRD, "https://h.example/x?b=1+2&a=3"),
    ] {
        let callback = signed(
            SignatureVariant::variant(word),
            MessageBirdSignatures::default(),
        );
        let stamp = callback.headers[TIMESTAMP].to_str().expect("digits");
        let wanted = stamp_signature(KEY, stamp, signed_query, b"");
        assert_eq!(callback.headers[SIGNATURE], wanted.as_str(), "{word}");
        let age = now.abs_diff(stamp.parse().expect("seconds"));
        assert_eq!(age > 100, word == LATE, "{word} is {age} s old");
    }
}
