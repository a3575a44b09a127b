//! What the recorded fixtures (`tests/fixtures.rs`) do not reach: whole tables and random bytes.

use std::collections::BTreeMap;

use http::Method;
use message::{ConnectionId, Msisdn, OrganizationId, Secret};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    Found, Receipt, ReceiptStatus,
    RejectReason::{self, *},
    Sought, SubmitClass, SubmitOutcome,
    signature::{Algorithm, hmac},
};

mod answers;
mod callbacks;
mod random;

const KEY: &str = "q7Wc2Zt9LmX4vB8nK1pR6sD3fG5hJ0yA";
const NOW: Timestamp = Timestamp::from_millis(1_763_037_898_000);
const STATUS: &str = "/distribution-providers/v1/receive/distribution/status/twilio-sms/ORG_8mQ2";

fn connection() -> Connection {
    let secrets = [
        ("access_key", "kP3vT8mZ1qW6xN9rB4sD7fG2h"),
        ("signing_key", KEY),
    ];
    Connection {
        id: ConnectionId::new("conn_1").expect("valid"),
        organization_id: OrganizationId::new("ORG_8mQ2").expect("valid"),
        provider: SLUG.to_owned(),
        name: "Surveys".to_owned(),
        sender: Sender::Number(Msisdn::parse("+3197001234567").expect("valid")),
        fields: BTreeMap::new(),
        secrets: BTreeMap::from(
            secrets.map(|(key, value)| (key.to_owned(), Secret::new(value.to_owned()))),
        ),
        segments_per_second: 10.0,
        created_at: NOW,
        deleted_at: None,
    }
}

fn mt(text: &str) -> MtMessage<'_> {
    MtMessage {
        reference: "3w5e11264sgsf-2s",
        to: Msisdn::parse("+46701740605").expect("valid"),
        text,
        validity: std::time::Duration::from_secs(3600),
    }
}

fn submission<'a>(messages: &'a [MtMessage<'a>]) -> Submission<'a> {
    Submission {
        messages,
        mode: SubmitMode::Single,
        public_url: "https://sms.example.org",
        access_token: None,
        now: NOW,
    }
}

fn response(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .body(body.into())
        .expect("a response")
}

fn answered(status: u16, body: impl Into<Bytes>) -> SubmitOutcome {
    MessageBird
        .read_response(&[mt("Hi")], SubmitMode::Single, &response(status, body))
        .outcomes
        .remove(0)
}

fn refused(status: u16, code: i64, parameter: &str) -> SubmitOutcome {
    let error = json!({"code": code, "description": "", "parameter": parameter});
    answered(status, json!({"errors": [error]}).to_string())
}

/// Reasons of failures that come within an answer or a receipt, by `statusErrorCode`.
const FAILURES: &[(RejectReason, &[u16])] = &[
    (OptedOut, &[103]),
    (BadSender, &[104]),
    (Blocked, &[105, 106, 107]),
    (InvalidRecipient, &[1, 2, 3, 5, 9, 10, 11, 12]),
    (Other, &[4, 6, 7, 8, 26, 27, 31, 34, 102, 999]),
];

fn signed_under(key: &str, query: &str) -> Request<Bytes> {
    let timestamp = (NOW.as_millis() / 1000).to_string();
    let mut signed = format!("{timestamp}\n{query}\n").into_bytes();
    signed.extend(sha256(b""));
    let signature = hmac(Algorithm::HmacSha256, key.as_bytes(), &signed);
    let signature = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, signature);
    Request::get(format!("{STATUS}?{query}"))
        .header("MessageBird-Signature", signature)
        .header("MessageBird-Request-Timestamp", timestamp)
        .body(Bytes::new())
        .expect("a request")
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).to_vec()
}

fn verifies(connection: &Connection, callback: &Request<Bytes>) -> bool {
    let urls = ["https://sms.example.org".to_owned()];
    MessageBird
        .verify_callback(connection, callback, &urls, NOW)
        .is_ok()
}

fn fill(sender: &str, values: &[(&str, &str)]) -> Result<Sender, Vec<String>> {
    let mut all = BTreeMap::from([("access_key", "live_key"), ("signing_key", KEY)]);
    all.extend(values.iter().copied());
    let all = all
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    match MessageBird.form().fill(sender, &all) {
        Ok(filled) => Ok(filled.sender),
        Err(faults) => Err(faults.into_iter().map(|fault| fault.field).collect()),
    }
}

#[test]
fn a_sender_is_a_number_a_short_code_or_a_name() {
    let number = |text: &str| Sender::Number(Msisdn::parse(text).expect("valid"));
    for (text, sender) in [
        ("35312345678", number("+35312345678")),
        (" +35312345678 ", number("+35312345678")),
        ("1234567", number("+1234567")),
        ("123456", Sender::ShortCode("123456".into())),
        ("012", Sender::ShortCode("012".into())),
        ("ACME SURVEY", Sender::Alphanumeric("ACME SURVEY".into())),
        ("1a", Sender::Alphanumeric("1a".into())),
    ] {
        assert_eq!(fill(text, &[]), Ok(sender), "{text}");
    }
    for text in [
        "",
        "12",
        "0035312345678",
        "+0035312345678",
        "0123456",
        "1234567890123456",
        "ACME SURVEYS",
        "Acme-Survey",
        "Café",
        "12 34",
    ] {
        assert_eq!(fill(text, &[]), Err(vec!["sender".to_owned()]), "{text}");
    }
}

#[test]
fn every_fault_of_a_form_is_reported_at_once() {
    let faults = fill(
        "",
        &[
            ("access_key", "with a space"),
            ("signing_key", "clé"),
            ("base_url", "https://rest.example.org/path"),
            ("callback_max_age_s", "604801"),
            ("accept_bird_signatures", "yes"),
            ("color", "red"),
        ],
    );
    let expected = [
        "sender",
        "access_key",
        "signing_key",
        "base_url",
        "callback_max_age_s",
        "accept_bird_signatures",
        "color",
    ];
    assert_eq!(faults.expect_err("seven faults"), expected);
    for seconds in ["60", "86400", "604800"] {
        assert!(fill("72456", &[("callback_max_age_s", seconds)]).is_ok());
    }
    for seconds in ["59", "-1", "1d", "1e3", "99999999999999999999"] {
        assert!(fill("72456", &[("callback_max_age_s", seconds)]).is_err());
    }
    assert!(fill("72456", &[("signing_key", "with spaces & ~")]).is_ok());
}

#[test]
fn a_printed_request_does_not_show_the_access_key() {
    let request = MessageBird
        .build_request(&connection(), &submission(&[mt("Hi")]))
        .expect("a request");
    let printed = format!("{request:?}");
    assert!(
        printed.contains("Sensitive") && !printed.contains("kP3vT8"),
        "{printed}"
    );
}

#[test]
fn a_connection_without_key_or_with_a_broken_url_sends_nothing() {
    let mut without_key = connection();
    without_key.secrets.clear();
    let mut broken_url = connection();
    broken_url
        .fields
        .insert("base_url".to_owned(), "not a url".to_owned());
    for connection in [without_key, broken_url] {
        let built = MessageBird.build_request(&connection, &submission(&[mt("Hi")]));
        assert!(
            matches!(built, Err(Unsendable::Connection { .. })),
            "{built:?}"
        );
    }
}
