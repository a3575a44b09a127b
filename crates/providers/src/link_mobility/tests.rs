//! What the recorded fixtures (`tests/fixtures.rs`) do not reach: whole tables, limits and random
//! bytes.

use std::{collections::BTreeMap, time::Duration};

use message::{ConnectionId, Msisdn, OrganizationId, Secret, Sender};
use serde_json::json;

use super::{request::BODY_BYTES_MAX, *};
use crate::{
    Hint, ReceiptStatus,
    RejectReason::{self, *},
    Submission, SubmitClass, SubmitOutcome,
};

mod forms;
mod random;

const NOW: Timestamp = Timestamp::from_millis(1_763_037_898_000);
const AUTHORIZATION: &str = "Basic YWNtZV9zbXM6UGE1NXcwcmQh";

fn connection() -> Connection {
    let fields = [
        ("username", "acme_sms"),
        ("platform_id", "COMMON_API"),
        ("platform_partner_id", "40517"),
        ("endpoint_host", "wsx.sp247.net"),
        ("gate_id", "QmT4xZ1r"),
    ];
    let fields = fields.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let password = Secret::new("Pa55w0rd!".to_owned());
    Connection {
        id: ConnectionId::new("conn_1").expect("valid"),
        organization_id: OrganizationId::new("ORG_8mQ2").expect("valid"),
        provider: SLUG.to_owned(),
        name: "Surveys".to_owned(),
        sender: Sender::Number(Msisdn::parse("+442079460042").expect("valid")),
        fields: BTreeMap::from(fields),
        secrets: BTreeMap::from([("password".to_owned(), password)]),
        segments_per_second: 100.0,
        created_at: NOW,
        deleted_at: None,
    }
}

fn mt<'a>(reference: &'a str, text: &'a str) -> MtMessage<'a> {
    MtMessage {
        reference,
        to: Msisdn::parse("+46701740605").expect("valid"),
        text,
        validity: Duration::from_secs(3600),
    }
}

fn build(
    connection: &Connection,
    messages: &[MtMessage<'_>],
    mode: SubmitMode,
) -> Result<Request<Bytes>, Unsendable> {
    let submission = Submission {
        messages,
        mode,
        public_url: "https://sms.example.org",
        access_token: None,
        now: NOW,
    };
    LinkMobility.build_request(connection, &submission)
}

fn answered(
    messages: usize,
    mode: SubmitMode,
    status: u16,
    body: impl Into<Bytes>,
) -> crate::Answer {
    let references: Vec<String> = (0..messages).map(|n| format!("r{n}")).collect();
    let messages: Vec<_> = references.iter().map(|one| mt(one, "Hi")).collect();
    let response = Response::builder()
        .status(status)
        .body(body.into())
        .expect("a response");
    let answer = LinkMobility.read_response(&messages, mode, &response);
    assert_eq!(answer.outcomes.len(), messages.len());
    answer
}

fn class_of(status: u16, code: i64, messages: usize) -> (SubmitClass, Option<Hint>) {
    let body = json!({"status": code, "description": "", "translatedDescription": null});
    let mode = SubmitMode::of(messages);
    let answer = answered(messages, mode, status, body.to_string());
    let first = answer.outcomes[0].clone();
    assert!(answer.outcomes.iter().all(|outcome| *outcome == first));
    assert_eq!(first.code, code.to_string());
    (first.class, answer.hint)
}

const THROTTLED: SubmitClass = SubmitClass::Throttled { retry_after: None };
const SPLIT: (SubmitClass, Option<Hint>) = (SubmitClass::Transient, Some(Hint::Split));

/// The page's table of section 4.2 once more.
const SUBMIT_CODES: &[(SubmitClass, &[i64])] = &[
    (SubmitClass::Accepted, &[1005, 1000, 1001, 1011, 1013]),
    (THROTTLED, &[3]),
    (SubmitClass::Transient, &[1, 105, 6]),
    (SubmitClass::DOUBT, &[4, 5, 0, 106_000]),
    (
        SubmitClass::AccountRefused,
        &[
            104, 4000, 106_100, 106_101, 106_102, 106_200, 106_201, 106_300, 106_301,
        ],
    ),
    (rejected(BadSender), &[2000, 2001, 2002, 2003]),
    (rejected(InvalidRecipient), &[2100, 2101, 2102, 2104, 2106]),
    (rejected(UnsupportedDestination), &[2, 2103]),
    (rejected(Blocked), &[2105, 2107, 2205]),
    (
        rejected(Other),
        &[
            2200, 2201, 2202, 2203, 2204, 2206, 2207, 3000, 3001, 3002, 4001, 4002, 4003, 4004,
            4005, 4006, 4007,
        ],
    ),
    (
        SubmitClass::DOUBT,
        &[
            -1, 7, 103, 106, 1002, 1003, 1004, 1006, 1008, 1012, 2004, 2108, 2208, 3003, 4008,
            106_103, 106_202, 106_302,
        ],
    ),
];

const fn rejected(reason: RejectReason) -> SubmitClass {
    SubmitClass::Rejected(reason)
}

#[test]
fn every_result_code_of_the_page_means_its_class_and_keeps_the_id() {
    for (class, codes) in SUBMIT_CODES {
        for code in *codes {
            let shown = match class {
                SubmitClass::Accepted => String::new(),
                _ => code.to_string(),
            };
            let expected = SubmitOutcome::new(*class, shown).with_id("Kx7/+=");
            for code in [json!(code), json!(code.to_string())] {
                let entry = json!({"messageId": "Kx7/+=", "resultCode": code, "refId": "r0"});
                let single = answered(1, SubmitMode::Single, 200, entry.to_string());
                assert_eq!(single.outcomes[0], expected, "{code}");
                let batch = answered(1, SubmitMode::Batch, 200, json!([entry]).to_string());
                assert_eq!(batch.outcomes[0], expected, "{code}");
                assert_eq!((single.hint, batch.hint), (None, None));
            }
        }
    }
}

#[test]
fn every_http_status_of_the_page_means_its_class() {
    let alone = |class| (class, None);
    for messages in [1, 2] {
        let (refused, too_long) = match messages {
            1 => (alone(rejected(Other)), alone(rejected(TooLong))),
            _ => (SPLIT, SPLIT),
        };
        for status in 201..600 {
            let expected = match status {
                201..=299 => continue,
                400 => refused,
                401 | 403 | 404 | 405 | 415 => alone(SubmitClass::AccountRefused),
                413 => too_long,
                429 => alone(THROTTLED),
                503 => alone(SubmitClass::Transient),
                _ => alone(SubmitClass::DOUBT),
            };
            assert_eq!(class_of(status, 106_001, messages), expected, "{status}");
            let unknown_error = class_of(status, 106_000, messages);
            assert_eq!(unknown_error, alone(SubmitClass::DOUBT), "{status}");
        }
        for code in [
            106_100, 106_101, 106_102, 106_200, 106_201, 106_300, 106_301,
        ] {
            let account = alone(SubmitClass::AccountRefused);
            assert_eq!(class_of(400, code, messages), account, "{code}");
        }
        assert_eq!(class_of(400, 106_202, messages), alone(rejected(Other)));
        for code in [2106, 400, 106_400] {
            assert_eq!(class_of(400, code, messages), refused, "{code}");
        }
    }
}

#[test]
fn a_refused_batch_of_one_is_not_split_any_further() {
    for (status, reason) in [(400, Other), (413, TooLong)] {
        let answer = answered(1, SubmitMode::Batch, status, "");
        let expected = SubmitOutcome::new(rejected(reason), format!("http_{status}"));
        assert_eq!((answer.outcomes, answer.hint), (vec![expected], None));
    }
}

/// The page's table of section 6.2 once more; nothing where the page wants no report.
fn receipt_table(code: i64) -> Option<ReceiptStatus> {
    use ReceiptStatus::*;
    let table: &[(ReceiptStatus, &[i64])] = &[
        (Delivered, &[1001, 1007]),
        (Sent, &[1000, 1011, 1013]),
        (Accepted, &[1005, 1008, 1012]),
        (Expired, &[1002, 1010]),
        (Undelivered, &[1004, 1006, 1009, 2104, 2105, 2107]),
        (Failed, &[1003, 0, 1, 2, 3, 5, 6, 104, 105, 4]),
        (Rejected, &[2000, 2001, 2002, 2003, 2100, 2101, 2102, 2106]),
        (Rejected, &[2103, 2205, 2200, 2201, 2202, 2203, 2204, 2206]),
        (Rejected, &[2207, 3000, 3001, 3002, 4000, 4001, 4002, 4003]),
        (Rejected, &[4004, 4005, 4006, 4007]),
    ];
    let listed = table.iter().find(|(_, codes)| codes.contains(&code));
    let neighbour = (2000..5000).contains(&code).then_some(Failed);
    listed.map(|(status, _)| *status).or(neighbour)
}

#[test]
fn every_result_code_of_a_report_means_its_status() {
    for code in (-10..6000).chain([106_000, i64::MAX]) {
        let body = json!({"refId": "r", "id": "i$1", "resultCode": code, "segments": 3});
        let read = callback::read(body.to_string().as_bytes()).expect("readable");
        let Some(status) = receipt_table(code) else {
            let status = code.to_string();
            assert_eq!(read, [Reading::Unrecognised { status }]);
            continue;
        };
        let passing = ["accepted", "sent", "delivered"].contains(&status.as_str());
        let receipt = crate::Receipt {
            reference: Some("r".to_owned()),
            provider_message_id: Some("i".to_owned()),
            status,
            error_code: if passing {
                String::new()
            } else {
                code.to_string()
            },
            part: Some(1),
            parts: Some(3),
            account_fault: false,
            about_repetition: false,
        };
        assert_eq!(read, [Reading::Receipt(receipt)], "{code}");
    }
}

#[test]
fn a_text_of_254_segments_is_taken_and_one_more_character_is_not() {
    for (character, most) in [("a", 254 * 153), ("[", 254 * 76), ("日", 254 * 67)] {
        let text = character.repeat(most);
        let longer = text.clone() + character;
        let check = |text| LinkMobility.check_message(&connection(), &mt("r", text));
        assert_eq!(check(&text), Ok(()), "{character}");
        let too_long = LocalRefusal {
            reason: TooLong,
            code: "too_long",
        };
        assert_eq!(check(&longer), Err(too_long), "{character}");
    }
}

#[test]
fn a_batch_has_a_thousand_messages_and_no_more() {
    let max = LinkMobility.messages_per_request(&connection());
    let batch = |given| {
        build(
            &connection(),
            &vec![mt("r", "Hi"); given],
            SubmitMode::Batch,
        )
    };
    assert_eq!(max, 1000);
    assert!(batch(max).is_ok());
    for given in [0, max + 1] {
        let refused = Unsendable::Count { given, max };
        assert_eq!(batch(given).err(), Some(refused));
    }
}

#[test]
fn a_batch_is_never_longer_than_a_mebibyte() {
    let text = "日".repeat(67 * 10);
    let batch = |given| {
        build(
            &connection(),
            &vec![mt("r", &text); given],
            SubmitMode::Batch,
        )
    };
    assert!(batch(250).is_ok_and(|request| request.body().len() < BODY_BYTES_MAX * 6 / 10));
    let refused = batch(1000).err();
    let Some(Unsendable::Count { given: 1000, max }) = refused else {
        panic!("{refused:?}");
    };
    let body = batch(max).expect("so many fit").into_body();
    assert!(body.len() <= BODY_BYTES_MAX && body.len() > BODY_BYTES_MAX * 9 / 10);
}

#[test]
fn a_printed_request_does_not_show_the_credentials() {
    let request = build(&connection(), &[mt("r", "Hi")], SubmitMode::Single).expect("a request");
    let printed = format!("{request:?}");
    assert!(
        printed.contains("Sensitive") && !printed.contains("Basic"),
        "{printed}"
    );
}

fn callback(authorization: &[u8], body: Vec<u8>) -> Option<Request<Bytes>> {
    Request::post("/distribution-providers/v1/receive/distribution/status/link-mobility/ORG_8mQ2")
        .header("Content-Type", "application/json")
        .header("Authorization", authorization)
        .body(body.into())
        .ok()
}

#[test]
fn no_other_last_byte_of_the_credentials_verifies() {
    let genuine = callback(AUTHORIZATION.as_bytes(), Vec::new()).expect("a request");
    let verifies = |callback: &Request<Bytes>| {
        LinkMobility
            .verify_callback(&connection(), callback, &[], NOW)
            .is_ok()
    };
    assert!(verifies(&genuine));
    let start = &AUTHORIZATION.as_bytes()[..AUTHORIZATION.len() - 1];
    for last in (b' '..=b'~').filter(|last| *last != b'h') {
        let forged = callback(&[start, &[last]].concat(), Vec::new()).expect("a request");
        assert!(!verifies(&forged), "{}", char::from(last));
    }
}
