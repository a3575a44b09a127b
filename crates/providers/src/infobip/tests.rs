//! What the recorded fixtures (`tests/fixtures.rs`) do not reach: whole tables and random bytes.

use std::{collections::BTreeMap, time::Duration};

use message::{ConnectionId, Msisdn, OrganizationId, Secret, Sender};
use serde_json::json;

use super::*;
use crate::{
    Found, Hint, ReceiptStatus, RejectReason::*, Sought, Submission, SubmitClass,
    SubmitClass::Rejected, SubmitOutcome,
};

mod connections;
mod properties;

const NOW: Timestamp = Timestamp::from_millis(1_763_037_898_000);

fn connection(fields: &[(&str, &str)]) -> Connection {
    let mut all = BTreeMap::from([
        ("base_url", "xk3n9q.api.infobip.com"),
        ("webhook_username", "acme-hooks"),
    ]);
    all.extend(fields.iter().copied());
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let secret = |(key, value): (&str, &str)| (key.to_owned(), Secret::new(value.to_owned()));
    Connection {
        id: ConnectionId::new("conn_1").expect("valid"),
        organization_id: OrganizationId::new("ORG_8mQ2").expect("valid"),
        provider: SLUG.to_owned(),
        name: "Surveys".to_owned(),
        sender: Sender::Number(Msisdn::parse("+13531234567").expect("valid")),
        fields: all.into_iter().map(own).collect(),
        secrets: [("api_key", "f0c3b7d1"), ("webhook_password", "Wn4-rT8q")]
            .map(secret)
            .into(),
        segments_per_second: 10.0,
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

fn submission<'a>(messages: &'a [MtMessage<'a>]) -> Submission<'a> {
    Submission {
        messages,
        mode: SubmitMode::Batch,
        public_url: "https://sms.example.org",
        access_token: None,
        now: NOW,
    }
}

fn response(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    let response = Response::builder().status(status).body(body.into());
    response.expect("a response")
}

fn answered(messages: &[MtMessage<'_>], status: u16, body: impl Into<Bytes>) -> Answer {
    Infobip.read_response(messages, SubmitMode::Batch, &response(status, body))
}

fn class_of(status: serde_json::Value) -> SubmitClass {
    let body = json!({ "messages": [{ "messageId": "a", "status": status }] });
    let answer = answered(&[mt("a", "Hi")], 200, body.to_string());
    answer.outcomes[0].class
}

/// Status, its group and its class at send time: the page's table once more.
const AT_SEND_TIME: &[(i64, i64, SubmitClass)] = &[
    (26, 1, SubmitClass::Accepted),
    (3, 1, SubmitClass::Accepted),
    (7, 1, SubmitClass::Accepted),
    (2, 3, SubmitClass::Accepted),
    (5, 3, SubmitClass::Accepted),
    (6, 5, Rejected(UnsupportedDestination)),
    (8, 5, Rejected(InvalidRecipient)),
    (10, 5, Rejected(Blocked)),
    (11, 5, Rejected(BadSender)),
    (12, 5, SubmitClass::AccountRefused),
    (13, 5, Rejected(BadSender)),
    (14, 5, Rejected(Blocked)),
    (17, 5, SubmitClass::AccountRefused),
    (18, 5, Rejected(UnsupportedDestination)),
    (19, 5, Rejected(UnsupportedDestination)),
    (20, 5, Rejected(Blocked)),
    (21, 5, SubmitClass::Transient),
    (23, 5, SubmitClass::Accepted),
    (24, 5, Rejected(Other)),
    (25, 5, Rejected(TooLong)),
    (51, 5, Rejected(InvalidRecipient)),
    (52, 5, Rejected(InvalidRecipient)),
    (87, 4, Rejected(Blocked)),
    (87, 5, Rejected(Blocked)),
    (100, 2, SubmitClass::Transient),
    (4, 2, Rejected(Other)),
    (9, 2, Rejected(Other)),
    (31, 2, Rejected(Other)),
    (15, 4, Rejected(Other)),
    (29, 4, Rejected(Other)),
    (999, 2, Rejected(Other)),
    (999, 4, Rejected(Other)),
    (999, 5, Rejected(Other)),
    (999, 0, SubmitClass::Accepted),
    (999, 1, SubmitClass::Accepted),
    (999, 3, SubmitClass::Accepted),
];

const GROUP_NAMES: [&str; 6] = [
    "ACCEPTED",
    "PENDING",
    "UNDELIVERABLE",
    "DELIVERED",
    "EXPIRED",
    "REJECTED",
];

#[test]
fn every_status_of_the_page_means_its_class_by_the_groups_number_or_name() {
    for (id, group, class) in AT_SEND_TIME {
        let name = GROUP_NAMES[usize::try_from(*group).expect("a group")];
        for status in [
            json!({ "groupId": group, "id": id }),
            json!({ "groupId": group.to_string(), "groupName": "LIMBO", "id": id.to_string() }),
            json!({ "groupName": name, "id": id }),
            json!({ "groupId": null, "groupName": name.to_lowercase(), "id": id }),
            json!({ "groupId": 6, "groupName": name, "id": id }),
        ] {
            assert_eq!(class_of(status.clone()), *class, "{status}");
        }
        for status in [
            json!({ "id": id }),
            json!({ "groupId": 6, "id": id }),
            json!({ "groupId": -1, "groupName": "LIMBO", "id": id }),
        ] {
            assert_eq!(class_of(status.clone()), SubmitClass::DOUBT, "{status}");
        }
    }
}

/// Group, statuses and what a report of them says: the page's table once more.
const REPORTED: &[(i64, &[i64], ReceiptStatus)] = &[
    (0, &[0, 999], ReceiptStatus::Accepted),
    (1, &[26, 999], ReceiptStatus::Accepted),
    (1, &[3, 7], ReceiptStatus::Sent),
    (2, &[4, 9, 999], ReceiptStatus::Undelivered),
    (2, &[31, 100], ReceiptStatus::Failed),
    (3, &[2], ReceiptStatus::Sent),
    (3, &[5, 999], ReceiptStatus::Delivered),
    (4, &[15, 29, 22, 999], ReceiptStatus::Expired),
    (4, &[87], ReceiptStatus::Rejected),
    (
        5,
        &[
            6, 8, 10, 11, 12, 13, 14, 17, 18, 19, 20, 21, 24, 25, 51, 52, 87, 999,
        ],
        ReceiptStatus::Rejected,
    ),
    // A repetition was refused, and not the message.
    (5, &[23], ReceiptStatus::Rejected),
];

fn reported(status: &serde_json::Value) -> Option<ReceiptStatus> {
    let body = json!({ "results": [{ "messageId": "a", "status": status }] });
    let read = callback::read(body.to_string().as_bytes(), CallbackKind::Status);
    match read.expect("readable").remove(0) {
        Reading::Receipt(receipt) => Some(receipt.status),
        Reading::Unrecognised { .. } => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_status_of_a_report_is_known_by_its_groups_number_its_name_or_alone() {
    for (group, ids, expected) in REPORTED {
        let name = GROUP_NAMES[usize::try_from(*group).expect("a group")];
        for id in *ids {
            for status in [
                json!({ "groupId": group, "id": id }),
                json!({ "groupName": name.to_lowercase(), "id": id }),
                json!({ "groupId": 6, "groupName": name, "id": id }),
            ] {
                assert_eq!(reported(&status), Some(*expected), "{status}");
            }
            let alone = json!({ "id": id });
            let known = !matches!(id, 0 | 999);
            assert_eq!(reported(&alone), known.then_some(*expected), "{alone}");
            let limbo = json!({ "groupId": 6, "groupName": "LIMBO", "id": id });
            assert_eq!(reported(&limbo), None, "{limbo}");
        }
    }
}

#[test]
fn an_error_is_named_before_a_status_and_a_status_only_of_failures() {
    for (group, error, expected) in [
        (2, json!({ "id": 1 }), "1"),
        (2, json!({ "id": "1" }), "1"),
        (3, json!({ "id": 51 }), "51"),
        (2, json!({ "id": 0 }), "status-999"),
        (4, json!({ "id": "0" }), "status-999"),
        (5, json!({}), "status-999"),
        (5, json!(null), "status-999"),
        (5, json!("EC_UNKNOWN"), "status-999"),
        (0, json!({ "id": 0 }), ""),
        (1, json!(null), ""),
        (3, json!({}), ""),
    ] {
        let entry = json!({ "messageId": "a", "status": { "groupId": group, "id": 999 },
            "error": error });
        let body = json!({ "results": [entry] }).to_string();
        let read = callback::read(body.as_bytes(), CallbackKind::Status).expect("readable");
        let Reading::Receipt(receipt) = &read[0] else {
            panic!("{read:?}")
        };
        assert_eq!(receipt.error_code, expected, "{body}");
    }
}

#[test]
fn every_http_status_has_a_class_for_one_message_and_for_many() {
    let (one, many) = ([mt("a", "Hi")], [mt("a", "Hi"), mt("b", "Hi")]);
    for status in (100..200).chain(300..1000) {
        let (expected, hint) = match status {
            401..=405 | 300..=399 => (SubmitClass::AccountRefused, None),
            429 => (SubmitClass::Throttled { retry_after: None }, None),
            413 => (Rejected(TooLong), Some(Hint::Split)),
            408 => (SubmitClass::DOUBT, None),
            400..=499 => (Rejected(Other), Some(Hint::Split)),
            _ => (SubmitClass::DOUBT, None),
        };
        let code = format!("http_{status}");
        let alone = Answer::all(1, SubmitOutcome::new(expected, code.as_str()));
        assert_eq!(answered(&one, status, ""), alone, "{status}");
        let class = hint.map_or(expected, |_| SubmitClass::Transient);
        let together = Answer::all(2, SubmitOutcome::new(class, code));
        let together = Answer { hint, ..together };
        assert_eq!(answered(&many, status, ""), together, "{status}");
    }
    for status in [200, 201, 202, 204, 299] {
        let unreadable = SubmitOutcome::in_doubt("unreadable_answer");
        assert_eq!(
            answered(&many, status, ""),
            Answer::all(2, unreadable),
            "{status}"
        );
    }
}

#[test]
fn a_look_up_is_never_in_doubt_and_refuses_no_message() {
    let sought = [Sought {
        reference: "a",
        provider_message_id: "",
        to: Msisdn::parse("+46701740605").expect("valid"),
    }];
    let look_up = Infobip.status_look_up().expect("Infobip looks up");
    for status in (100..200).chain(300..1000) {
        let refused = look_up.read_response(&sought, &response(status, ""));
        let expected = match status {
            401..=405 | 300..=399 => SubmitClass::AccountRefused,
            429 => SubmitClass::Throttled { retry_after: None },
            _ => SubmitClass::Transient,
        };
        let expected = SubmitOutcome::new(expected, format!("http_{status}"));
        assert_eq!(refused, Err(expected), "{status}");
    }
    let found = look_up.read_response(&sought, &response(200, r#"{"results":[]}"#));
    assert_eq!(found, Ok(vec![Found::Unknown]));
}

#[test]
fn a_look_up_asks_for_1_to_40_messages_in_2048_characters() {
    let look_up = Infobip.status_look_up().expect("Infobip looks up");
    let reference = "r".repeat(36);
    let one = Sought {
        reference: &reference,
        provider_message_id: "",
        to: Msisdn::parse("+46701740605").expect("valid"),
    };
    let connection = connection(&[]);
    for count in [0, 41] {
        let built = look_up.build_request(&connection, &vec![one; count]);
        assert!(matches!(built, Err(Unsendable::Count { max: 40, .. })));
    }
    let built = look_up.build_request(&connection, &[one; 40]);
    let request = built.expect("a request");
    assert!(request.uri().query().expect("a query").len() <= 2048);
    let nameless = Sought {
        reference: "",
        ..one
    };
    assert!(
        look_up
            .build_request(&connection, &[one, nameless])
            .is_err()
    );
    let strange = Sought {
        reference: "a&b=c,d e",
        ..one
    };
    let request = look_up.build_request(&connection, &[strange]);
    let query = request.expect("a request").uri().query().map(str::to_owned);
    assert_eq!(
        query.as_deref(),
        Some("messageId=a%26b%3Dc%2Cd+e&limit=1000")
    );
}

#[test]
fn a_request_stays_below_a_mebibyte() {
    let long = "x".repeat(3000);
    let connection = connection(&[("max_messages_per_request", "500")]);
    let messages = vec![mt("a", &long); 500];
    let built = Infobip.build_request(&connection, &submission(&messages));
    let Err(Unsendable::Count { given: 500, max }) = built else {
        panic!("{built:?}")
    };
    let request = Infobip.build_request(&connection, &submission(&messages[..max]));
    let bytes = request.expect("a request").body().len();
    assert!((1_000_000..=1 << 20).contains(&bytes), "{bytes}");
}

#[test]
fn a_printed_request_does_not_show_the_key() {
    let messages = [mt("a", "Hi")];
    let request = Infobip.build_request(&connection(&[]), &submission(&messages));
    let printed = format!("{:?}", request.expect("a request"));
    assert!(
        printed.contains("Sensitive") && !printed.contains("f0c3b7d1"),
        "{printed}"
    );
}
