//! Tables of callbacks, and what proxies do to them.

use base64::{Engine, engine::general_purpose::STANDARD};
use rsa::{
    Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey,
    pkcs8::{DecodePrivateKey, EncodePublicKey},
    sha2::{Digest, Sha256},
};

use super::*;
use crate::ReceiptStatus::{self, *};

fn said(body: &str) -> Result<Vec<Reading>, Malformed> {
    let callback = Request::post("/status")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .expect("a request");
    let read = |kind| MessageMedia.read_callback(Verified::already(&callback, None), kind);
    let readings = read(CallbackKind::Status);
    assert_eq!(
        readings,
        read(CallbackKind::Message),
        "both URLs get everything"
    );
    readings
}

fn reported(status: &str, error_code: &str) -> Vec<Reading> {
    said(&format!(
        r#"{{"delivery_report_id":"d","message_id":"m","source_number":"+61491570156","status":"{status}","error_code":"{error_code}"}}"#
    ))
    .expect("a report")
}

/// The page's table: code, the statuses that it comes with, what the message is then.
const CODES: &[(&[u16], &str, ReceiptStatus)] = &[
    (&[101, 102, 151], "enroute", Accepted),
    (&[151], "held", Accepted),
    (&[200, 210, 211, 212, 213], "submitted", Sent),
    (&[220, 221], "delivered", Delivered),
    (
        &[301, 302, 303, 304, 305, 402, 403, 410, 411, 412],
        "rejected",
        Rejected,
    ),
    (&[320, 401], "expired", Expired),
    (&[330, 331, 332, 333], "failed", Failed),
    (
        &[400, 402, 403, 405, 410, 411, 412, 413, 414],
        "failed",
        Undelivered,
    ),
];

#[test]
fn every_code_of_the_page_means_its_state() {
    for (codes, word, state) in CODES {
        for code in *codes {
            let readings = reported(word, &code.to_string());
            let Some(Reading::Receipt(receipt)) = readings.first() else {
                panic!("{code} {word} is no receipt: {readings:?}");
            };
            assert_eq!(receipt.status, *state, "{code} {word}");
            assert_eq!(receipt.error_code, code.to_string());
            assert_eq!(receipt.account_fault, *code == 301, "{code}");
            let opted_out = matches!(readings.get(1), Some(Reading::OptOut(_)));
            assert_eq!(opted_out, *code == 302, "{code}");
        }
    }
}

#[test]
fn every_status_word_of_the_page_is_known_in_every_case() {
    for (word, state) in [
        ("undefined", Accepted),
        ("queued", Accepted),
        ("processing", Accepted),
        ("processed", Accepted),
        ("scheduled", Accepted),
        ("held", Accepted),
        ("enroute", Accepted),
        ("submitted", Sent),
        ("delivered", Delivered),
        ("read", Read),
        ("expired", Expired),
        ("rejected", Rejected),
        ("cancelled", Failed),
        ("failed", Failed),
        ("undeliverable", Undelivered),
    ] {
        let capitalised = word[..1].to_uppercase() + &word[1..];
        for word in [word, &word.to_uppercase(), &capitalised] {
            let readings = reported(word, "");
            let [Reading::Receipt(receipt)] = readings.as_slice() else {
                panic!("{word} is no receipt: {readings:?}");
            };
            assert_eq!(receipt.status, state, "{word}");
        }
        let other = reported(&format!("{word}_"), "");
        assert!(matches!(other.as_slice(), [Reading::Unrecognised { .. }]));
    }
}

#[test]
fn the_keys_that_are_there_tell_what_a_callback_is() {
    let kind_of = |body: &str| match said(body).as_deref() {
        Ok([Reading::Receipt(_)]) => "report",
        Ok([Reading::Inbound(_)]) => "reply",
        Ok([Reading::Inbound(_), Reading::OptOut(_)]) => "opt-out event",
        Ok(_) => "something else",
        Err(_) => "malformed",
    };
    let rest = r#""message_id":"m","source_number":"+61491570156""#;
    for (keys, kind) in [
        (r#""delivery_report_id":"d","status":"delivered""#, "report"),
        (r#""delivery_report_id":null,"status":"read""#, "report"),
        (r#""status":"delivered""#, "report"),
        (r#""reply_id":"r""#, "reply"),
        (r#""reply_id":"$replyId","status":"delivered""#, "reply"),
        (r#""notification_id":"n""#, "opt-out event"),
        (r#""notification_id":null"#, "opt-out event"),
        (r#""delivery_report_id":"d","content":"Hi""#, "malformed"),
        (r#""content":"Hi""#, "malformed"),
    ] {
        assert_eq!(kind_of(&format!("{{{keys},{rest}}}")), kind, "{keys}");
    }
}

#[test]
fn a_reply_without_an_id_is_left_without_one_for_its_reader_to_name() {
    let body = r#"{"reply_id":"$replyId","source_number":"+61491570156","content":"4"}"#;
    match said(body).as_deref() {
        Ok([Reading::Inbound(inbound)]) => assert_eq!(inbound.provider_message_id, ""),
        other => panic!("no reply: {other:?}"),
    }
}

/// The fixtures' own key: what the vendor would do.
fn sign(target: &str, date: &str, body: &str) -> (Connection, String) {
    let pem = include_str!("../../../fixtures/messagemedia/signing_key.pem");
    let code = pem
        .split("-----")
        .nth(2)
        .expect("what is between the lines");
    let code: String = code.split_whitespace().collect();
    let der = STANDARD.decode(code).expect("base64");
    let key = RsaPrivateKey::from_pkcs8_der(&der).expect("a key");
    let hash = Sha256::digest(format!("POST {target} HTTP/1.1{date}{body}"));
    let signature = key
        .sign(Pkcs1v15Sign::new::<Sha256>(), &hash)
        .expect("a signature");
    let public = RsaPublicKey::from(&key)
        .to_public_key_der()
        .expect("a public key");
    let mut connection = connection();
    connection.fields.insert(
        "webhook_public_key".to_owned(),
        STANDARD.encode(public.as_bytes()),
    );
    (connection, STANDARD.encode(signature))
}

#[test]
fn a_prefix_that_a_proxy_took_off_is_signed_with_the_path() {
    const DATE: &str = "Thu, 13 Nov 2025 12:44:51 GMT";
    let (connection, signature) = sign("/sms/status?x=%20", DATE, "{}");
    let verified = |target: &str, public_urls: &[&str]| {
        let callback = Request::post(target)
            .header("X-MessageMedia-Signature", &signature)
            .header("X-MessageMedia-Digest-Type", "SHA-256")
            .header("Date", DATE)
            .body(Bytes::from_static(b"{}"))
            .expect("a request");
        let urls: Vec<_> = public_urls.iter().map(|url| (*url).to_owned()).collect();
        let verified = MessageMedia.verify_callback(&connection, &callback, &urls, NOW);
        verified.is_ok()
    };
    let with_prefix = "https://example.org/sms";
    assert!(verified("/status?x=%20", &[PUBLIC_URL, with_prefix]));
    assert!(verified("/sms/status?x=%20", &[with_prefix]));
    assert!(verified("/sms/status?x=%20", &[PUBLIC_URL]));
    assert!(verified("/sms/status?x=%20", &[]));
    assert!(!verified("/status?x=%20", &[PUBLIC_URL]));
    assert!(!verified("/status?x=+", &[with_prefix]));
    assert!(!verified("/other/status?x=%20", &[with_prefix]));
}
