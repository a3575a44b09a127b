//! What the recorded fixtures (`tests/fixtures.rs`) do not reach: whole tables and random bytes.

use std::{collections::BTreeMap, time::Duration};

use message::{ConnectionId, Msisdn, OrganizationId, Secret};

use super::*;
use crate::{
    Hint,
    RejectReason::{self, *},
    SubmitClass, SubmitOutcome,
};

mod callbacks;
mod forms;
mod random;

/// The key of the page's test vectors.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvKZRsQHWJaauaEvhB7RG
/utwCTcTrBx6vrdxUvm31T041HAiFVPaQYjc29VjcmA0tnbALj4oVyvczXgYZGDx
8DRdz0VI77rpdWtIkxvky4KHQG5xjbZESLMDhX9juGkKRjXhJkFsf0ZxxJeGq/Wl
UXhmiLwxjgMoOe0r6bYjPE5eyp3UTLGrLTRE0KXKWnAlyENjabKyhPCChQq7VA9c
X4mizIUqUJMHZ2CxGHDT6GZEZERMVzGCO4rT3zrdSJM2un/RP6MemrEXAvxTK421
NTiD5atvCbJDbxIAAM+m3jQY+cwdXTifVlq0wYvNTdymYbA006s3QMm24wAm1Tp0
IwIDAQAB
-----END PUBLIC KEY-----
";
const NOW: Timestamp = Timestamp::from_millis(1_763_037_898_000);
const PUBLIC_URL: &str = "https://sms.example.org";

fn connection() -> Connection {
    let field = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    Connection {
        id: ConnectionId::new("conn_1").expect("valid"),
        organization_id: OrganizationId::new("ORG_8mQ2").expect("valid"),
        provider: SLUG.to_owned(),
        name: "Surveys".to_owned(),
        sender: Sender::Number(Msisdn::parse("+61491570110").expect("valid")),
        fields: BTreeMap::from([
            field("username", "key-A1"),
            field("webhook_public_key", KEY),
        ]),
        secrets: BTreeMap::from([("password".to_owned(), Secret::new("s3cret".to_owned()))]),
        segments_per_second: 10.0,
        created_at: NOW,
        deleted_at: None,
    }
}

fn mt<'a>(reference: &'a str, to: &str, text: &'a str) -> MtMessage<'a> {
    MtMessage {
        reference,
        to: Msisdn::parse(to).expect("valid"),
        text,
        validity: Duration::from_secs(3600),
    }
}

fn built(
    connection: &Connection,
    messages: &[MtMessage<'_>],
) -> Result<Request<Bytes>, Unsendable> {
    MessageMedia.build_request(
        connection,
        &Submission {
            messages,
            mode: SubmitMode::of(messages.len()),
            public_url: PUBLIC_URL,
            access_token: None,
            now: NOW,
        },
    )
}

fn answered(messages: &[MtMessage<'_>], status: u16, body: impl Into<Bytes>) -> Answer {
    let response = Response::builder()
        .status(status)
        .body(body.into())
        .expect("a response");
    MessageMedia.read_response(messages, SubmitMode::of(messages.len()), &response)
}

/// What `status` without a word means for one message and for the first of two.
fn of_one_and_of_two(status: u16) -> (SubmitClass, SubmitClass, Option<Hint>) {
    let two = [mt("a", "+61491570156", "Hi"), mt("b", "+61491570157", "Hi")];
    let alone = answered(&two[..1], status, "").outcomes.remove(0);
    let mut answer = answered(&two, status, "");
    assert_eq!(answer.outcomes[0], answer.outcomes[1], "{status}");
    let first = answer.outcomes.remove(0);
    if !(200..300).contains(&status) {
        assert_eq!(first.code, format!("http_{status}"));
        assert_eq!(alone.code, format!("http_{status}"));
    }
    (alone.class, first.class, answer.hint)
}

#[test]
fn every_status_of_the_page_means_its_class() {
    let throttled = SubmitClass::Throttled { retry_after: None };
    for status in 100..600 {
        let account = (
            SubmitClass::AccountRefused,
            SubmitClass::AccountRefused,
            None,
        );
        let split = |reason| {
            let alone = SubmitClass::Rejected(reason);
            (alone, SubmitClass::Transient, Some(Hint::Split))
        };
        let expected = match status {
            401 | 402 | 403 | 404 | 415 => account,
            413 => split(TooLong),
            429 => (throttled, throttled, None),
            400..=499 => split(Other),
            503 => (SubmitClass::Transient, SubmitClass::Transient, None),
            // An empty 2xx, every other 5xx, and what the page does not have at all.
            _ => (SubmitClass::DOUBT, SubmitClass::DOUBT, None),
        };
        assert_eq!(of_one_and_of_two(status), expected, "{status}");
    }
}

/// The page's table of fields; nothing means that a single message's fault is the connection's.
const FIELDS: &[(&str, Option<RejectReason>, RejectReason)] = &[
    (
        "destination_number",
        Some(InvalidRecipient),
        InvalidRecipient,
    ),
    ("content", Some(Other), Other),
    ("source_number", None, BadSender),
    ("source_number_type", None, BadSender),
    ("callback_url", None, Other),
    ("metadata", Some(Other), Other),
    ("scheduled", Some(Other), Other),
    ("message_expiry_timestamp", Some(Other), Other),
    ("format", Some(Other), Other),
    ("media", Some(Other), Other),
    ("subject", Some(Other), Other),
];

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        name + &word[..1].to_uppercase() + &word[1..]
    })
}

#[test]
fn every_field_of_the_page_means_its_reason_in_both_spellings() {
    let two = [mt("a", "+61491570156", "Hi"), mt("b", "+61491570157", "Hi")];
    for (field, alone, among_others) in FIELDS {
        for name in [(*field).to_owned(), camel_case(field)] {
            let details =
                |index| format!(r#"{{"details":["/messages/{index}/{name}: Bad, worse."]}}"#);
            let code = format!("invalid_{field}");
            let class = alone.map_or(SubmitClass::AccountRefused, SubmitClass::Rejected);
            let answer = answered(&two[..1], 400, details(0));
            let expected = Answer::all(1, SubmitOutcome::new(class, code.clone()));
            assert_eq!(answer, expected, "{name}");

            let answer = answered(&two, 400, details(1));
            let rejected = SubmitClass::Rejected(*among_others);
            let expected = Answer {
                outcomes: vec![
                    SubmitOutcome::new(SubmitClass::Transient, "http_400"),
                    SubmitOutcome::new(rejected, code),
                ],
                hint: Some(Hint::Resubmit),
            };
            assert_eq!(answer, expected, "{name}");
        }
    }
}

#[test]
fn a_message_is_refused_where_the_vendor_would_refuse_the_whole_request() {
    let check = |to, text| {
        let checked = MessageMedia.check_message(&connection(), &mt("a", to, text));
        checked.map_err(|refusal| (refusal.reason, refusal.code))
    };
    let (longest, too_long) = ("😀".repeat(5000), "😀".repeat(5001));
    assert_eq!(check("+12345678", "Hi"), Ok(()));
    assert_eq!(check("+123456789012345", &longest), Ok(()));
    let short = Err((InvalidRecipient, "number_too_short"));
    assert_eq!(check("+1234567", "Hi"), short);
    assert_eq!(check("+12345678", ""), Err((Other, "empty_text")));
    assert_eq!(
        check("+12345678", &too_long),
        Err((TooLong, "text_too_long"))
    );
}

#[test]
fn a_printed_request_does_not_show_the_credentials() {
    let request = built(&connection(), &[mt("a", "+61491570156", "Hi")]).expect("a request");
    let printed = format!("{request:?}");
    assert!(
        printed.contains("Sensitive") && !printed.contains("Basic"),
        "{printed}"
    );
}

#[test]
fn a_connection_without_password_or_with_a_broken_url_sends_nothing() {
    let mut without_password = connection();
    without_password.secrets.clear();
    let mut broken_url = connection();
    broken_url
        .fields
        .insert("base_url".to_owned(), "not a url".to_owned());
    let mut pool = connection();
    pool.sender = Sender::Service("pool".into());
    for connection in [without_password, broken_url, pool] {
        let built = built(&connection, &[mt("a", "+61491570156", "Hi")]);
        assert!(
            matches!(built, Err(Unsendable::Connection { .. })),
            "{built:?}"
        );
    }
}
