//! What the recorded fixtures (`tests/fixtures.rs`) do not reach: whole tables and random bytes.

use std::collections::BTreeMap;

use message::{ConnectionId, Msisdn, OrganizationId, Secret};
use proptest::prelude::*;

use super::{
    codes::{Word, status_word},
    *,
};
use crate::{
    ReceiptStatus,
    RejectReason::{self, *},
};

const ACCOUNT_SID: &str = "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e";
const NOW: Timestamp = Timestamp::from_millis(1_763_037_898_000);

fn connection() -> Connection {
    Connection {
        id: ConnectionId::new("conn_1").expect("valid"),
        organization_id: OrganizationId::new("ORG_8mQ2").expect("valid"),
        provider: SLUG.to_owned(),
        name: "Surveys".to_owned(),
        sender: Sender::Number(Msisdn::parse("+13531234567").expect("valid")),
        fields: BTreeMap::from([("account_sid".to_owned(), ACCOUNT_SID.to_owned())]),
        secrets: BTreeMap::from([("auth_token".to_owned(), Secret::new("12345".to_owned()))]),
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

fn answered(status: u16, body: impl Into<Bytes>) -> SubmitOutcome {
    let response = Response::builder()
        .status(status)
        .body(body.into())
        .expect("a response");
    Twilio
        .read_response(&[mt("Hi")], SubmitMode::Single, &response)
        .outcomes
        .remove(0)
}

fn refused(status: u16, code: u32) -> SubmitOutcome {
    answered(
        status,
        format!(r#"{{"code":{code},"message":"","status":{status}}}"#),
    )
}

/// The page's table once more.
const REJECTED: &[(RejectReason, &[u32])] = &[
    (
        InvalidRecipient,
        &[21211, 21217, 21401, 21604, 21614, 21265, 21266],
    ),
    (OptedOut, &[21610]),
    (Blocked, &[21216, 21618, 30004, 30007, 30450]),
    (UnsupportedDestination, &[21408, 21612, 21214, 21608]),
    (
        BadSender,
        &[
            21212, 21601, 21603, 21606, 21607, 21616, 21657, 21659, 21660, 21701, 21702, 21703,
            21704, 21705, 21709, 30024, 30032, 30034, 30042,
        ],
    ),
    (TooLong, &[21605, 21617]),
    (
        Other,
        &[
            21602, 21619, 21624, 20001, 20422, 14101, 14102, 14103, 14104, 14105, 1001,
        ],
    ),
];
const ACCOUNT: &[u32] = &[
    63038, 60728, 20003, 20005, 20006, 20008, 20403, 20404, 10001, 10002, 90010, 21470, 21471,
    21472, 30002, 21609, 21502,
];
const THROTTLED: &[u32] = &[20429, 21611, 14107, 63017, 63018];

#[test]
fn every_code_of_the_page_means_its_class() {
    for (reason, codes) in REJECTED {
        for code in *codes {
            let expected = SubmitOutcome::new(SubmitClass::Rejected(*reason), code.to_string());
            assert_eq!(refused(400, *code), expected, "{code}");
        }
    }
    for code in ACCOUNT {
        let expected = SubmitOutcome::new(SubmitClass::AccountRefused, code.to_string());
        assert_eq!(refused(400, *code), expected, "{code}");
    }
    for code in THROTTLED {
        let throttled = SubmitClass::Throttled { retry_after: None };
        let expected = SubmitOutcome::new(throttled, code.to_string());
        assert_eq!(refused(400, *code), expected, "{code}");
    }
    for code in [20500, 20503] {
        assert_eq!(refused(400, code).class.as_str(), "in_doubt", "{code}");
    }
}

#[test]
fn what_may_have_been_taken_is_in_doubt_whatever_the_body_says() {
    let codes = REJECTED
        .iter()
        .flat_map(|(_, codes)| *codes)
        .chain(ACCOUNT)
        .chain(THROTTLED);
    for code in codes {
        for status in [408, 500, 502, 503, 504, 599] {
            let expected = SubmitOutcome::in_doubt(format!("http_{status}"));
            assert_eq!(refused(status, *code), expected, "{status} {code}");
        }
    }
}

#[test]
fn a_status_without_a_known_code_decides_by_itself() {
    for status in 300..500 {
        let expected = match status {
            408 => "in_doubt",
            429 => "throttled",
            401 | 403 | 404 => "account_refused",
            _ => "rejected",
        };
        assert_eq!(answered(status, "").class.as_str(), expected, "{status}");
        assert_eq!(
            refused(status, 99_999).class.as_str(),
            expected,
            "{status} with an unknown code"
        );
    }
}

#[test]
fn no_message_is_forgotten_in_an_answer() {
    let response = Response::builder()
        .status(429)
        .body(Bytes::new())
        .expect("a response");
    for messages in [&[][..], &[mt("a"), mt("b")]] {
        let answer = Twilio.read_response(messages, SubmitMode::Batch, &response);
        assert_eq!(answer.outcomes.len(), messages.len());
    }
}

#[test]
fn every_status_word_of_the_page_is_known() {
    for (word, state) in [
        ("accepted", ReceiptStatus::Accepted),
        ("scheduled", ReceiptStatus::Accepted),
        ("queued", ReceiptStatus::Accepted),
        ("sending", ReceiptStatus::Accepted),
        ("sent", ReceiptStatus::Sent),
        ("partially_delivered", ReceiptStatus::Sent),
        ("delivered", ReceiptStatus::Delivered),
        ("read", ReceiptStatus::Read),
        ("undelivered", ReceiptStatus::Undelivered),
        ("failed", ReceiptStatus::Failed),
        ("canceled", ReceiptStatus::Failed),
    ] {
        assert_eq!(status_word(word), Word::Status(state), "{word}");
        assert_eq!(status_word(&word.to_uppercase()), Word::Unknown);
        assert_eq!(status_word(&format!(" {word}")), Word::Unknown);
    }
    for word in ["receiving", "received"] {
        assert_eq!(status_word(word), Word::Inbound);
    }
}

fn fill(sender: &str, values: &[(&str, &str)]) -> Result<Sender, Vec<String>> {
    let mut all = BTreeMap::from([("account_sid", ACCOUNT_SID), ("auth_token", "12345")]);
    all.extend(values.iter().copied());
    let all = all
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    match Twilio.form().fill(sender, &all) {
        Ok(filled) => Ok(filled.sender),
        Err(faults) => Err(faults.into_iter().map(|fault| fault.field).collect()),
    }
}

#[test]
fn a_sender_is_read_in_the_order_of_the_page() {
    let service = "MG2f0c6b1a9d8e4f7382a5c4b3d2e1f009";
    let number = Sender::Number(Msisdn::parse("+13531234567").expect("valid"));
    for (text, sender) in [
        (service, Sender::Service(service.into())),
        ("13531234567", number.clone()),
        (" +13531234567 ", number),
        (
            "1234567",
            Sender::Number(Msisdn::parse("+1234567").expect("valid")),
        ),
        ("123456", Sender::ShortCode("123456".into())),
        ("012", Sender::ShortCode("012".into())),
        ("MG2f0c", Sender::Alphanumeric("MG2f0c".into())),
        ("Acme Survey", Sender::Alphanumeric("Acme Survey".into())),
        ("A", Sender::Alphanumeric("A".into())),
    ] {
        assert_eq!(fill(text, &[]), Ok(sender), "{text}");
    }
    for text in [
        "",
        "12",
        "0013531234567",
        "++13531234567",
        "+1353 123 4567",
        "1234567890123456",
        "Acme Surveys",
        "Acme-Survey",
        "Café",
        "0123456",
    ] {
        assert_eq!(fill(text, &[]), Err(vec!["sender".to_owned()]), "{text}");
    }
}

#[test]
fn every_fault_of_a_form_is_reported_at_once() {
    let faults = fill(
        "",
        &[
            ("account_sid", "SK5b1f0c7e9a2d4b36815ce0f4a7d9023e"),
            ("auth_token", "with a space"),
            ("base_url", "https://user@example.org/path"),
            ("color", "red"),
        ],
    );
    let faults = faults.expect_err("five faults");
    assert_eq!(
        faults,
        ["sender", "account_sid", "auth_token", "base_url", "color"]
    );
    for base_url in [
        "http://127.0.0.1:8080",
        "https://api.dublin.ie1.twilio.com/",
    ] {
        assert!(
            fill("72456", &[("base_url", base_url)]).is_ok(),
            "{base_url}"
        );
    }
    for base_url in [
        "api.twilio.com",
        "ftp://a",
        "https://a/?b",
        "https://a/#b",
        "https://",
    ] {
        assert!(
            fill("72456", &[("base_url", base_url)]).is_err(),
            "{base_url}"
        );
    }
}

#[test]
fn a_printed_request_does_not_show_the_credentials() {
    let request = Twilio
        .build_request(&connection(), &submission(&[mt("Hi")]))
        .expect("a request");
    let printed = format!("{request:?}");
    assert!(
        printed.contains("Sensitive") && !printed.contains("Basic"),
        "{printed}"
    );
}

#[test]
fn a_connection_without_token_or_with_a_broken_url_sends_nothing() {
    let mut without_token = connection();
    without_token.secrets.clear();
    let mut broken_url = connection();
    broken_url
        .fields
        .insert("base_url".to_owned(), "not a url".to_owned());
    for connection in [without_token, broken_url] {
        let built = Twilio.build_request(&connection, &submission(&[mt("Hi")]));
        assert!(
            matches!(built, Err(Unsendable::Connection { .. })),
            "{built:?}"
        );
    }
}

fn callback(target: &str, content_type: &str, body: Vec<u8>) -> Option<Request<Bytes>> {
    Request::post(target)
        .header("Content-Type", content_type)
        .header("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
        .body(body.into())
        .ok()
}

fn form_like() -> impl Strategy<Value = Vec<u8>> {
    let known = "(MessageSid|SmsSid|MessageStatus|SmsStatus|ErrorCode|To|From|Body|NumMedia)";
    let form = prop::string::string_regex(&format!("({known}=[a-z0-9%+]{{0,8}}&){{0,8}}"));
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        form.expect("a pattern").prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic(
        status in 100u16..1000,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = answered(status, body);
    }

    #[test]
    fn no_callback_makes_the_reader_panic_or_is_verified_by_chance(
        target in "/[a-z?=&%#]{0,20}",
        json: bool,
        body in form_like(),
        message: bool,
    ) {
        let content_type =
            if json { "application/json" } else { "application/x-www-form-urlencoded" };
        let kind = if message { CallbackKind::Message } else { CallbackKind::Status };
        let Some(callback) = callback(&target, content_type, body) else { return Ok(()) };
        let urls = ["https://sms.example.org".to_owned()];
        prop_assert!(Twilio.verify_callback(&connection(), &callback, &urls, NOW).is_err());
        let _ = Twilio.read_callback(Verified::already(&callback, None), kind);
    }

    #[test]
    fn a_text_arrives_in_the_request_as_it_is(text: String) {
        let request = Twilio
            .build_request(&connection(), &submission(&[mt(&text)]))
            .expect("a request");
        let body = form_urlencoded::parse(request.body())
            .find_map(|(name, value)| (name == "Body").then(|| value.into_owned()));
        prop_assert_eq!(body, Some(text));
    }
}
