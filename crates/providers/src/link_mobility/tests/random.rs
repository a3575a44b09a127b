//! Random bytes, near misses and texts.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn stripping() -> Connection {
    let mut connection = connection();
    let (key, value) = ("strip_non_bmp".to_owned(), "yes".to_owned());
    connection.fields.insert(key, value);
    connection
}

/// Objects with the members that readers look for, and anything in them.
fn near_miss() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0i64..6000).prop_map(Value::from),
        "[a-zA-Z0-9$+/=-]{0,6}".prop_map(Value::from),
        "(r0|r1|[0-9]{1,4}|i\\$[0-9]{1,4}|NO-2333|\\+46701740605)".prop_map(Value::from),
        Just(json!({"userData": "Hi", "type": 7})),
        Just(json!([[], {}])),
    ];
    let member =
        "(refId|id|messageId|resultCode|status|segments|source|destination|content|timestamp)";
    let object = prop::collection::btree_map(member, value, 0..8)
        .prop_map(|members| Value::Object(members.into_iter().collect()));
    prop_oneof![
        object.clone(),
        prop::collection::vec(object, 0..4).prop_map(Value::from),
    ]
}

fn bytes_like(json: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<u8>> {
    let cut = (json, any::<prop::sample::Index>(), any::<bool>());
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        cut.prop_map(|(json, at, whole)| {
            let mut bytes = json.to_string().into_bytes();
            if !whole {
                bytes.truncate(at.index(bytes.len()));
            }
            bytes
        }),
    ]
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic_or_forget_a_message(
        messages in 0usize..4,
        batch: bool,
        status in prop_oneof![Just(200), 100u16..1000],
        body in bytes_like(near_miss()),
    ) {
        let mode = if batch { SubmitMode::Batch } else { SubmitMode::Single };
        answered(messages, mode, status, body);
    }

    #[test]
    fn no_callback_makes_the_reader_panic_or_is_verified_by_chance(
        authorization in "(Basic )?[A-Za-z0-9+/=]{0,30}",
        body in bytes_like(near_miss()),
    ) {
        let Some(callback) = callback(authorization.as_bytes(), body) else { return Ok(()) };
        prop_assert!(LinkMobility.verify_callback(&connection(), &callback, &[], NOW).is_err());
        for kind in [CallbackKind::Status, CallbackKind::Message] {
            let _ = LinkMobility.read_callback(Verified::already(&callback, None), kind);
        }
    }

    #[test]
    fn a_text_arrives_in_the_request_as_it_is_or_without_what_is_to_be_left_out(text: String) {
        let sent = |connection: &Connection, mode| {
            let request = build(connection, &[mt("r", &text)], mode).expect("a request");
            let body: Value = serde_json::from_slice(request.body()).expect("JSON");
            let message = body.get("sendRequestMessages").map_or(&body, |all| &all[0]);
            message["userData"].as_str().map(str::to_owned)
        };
        let (whole, without) = (connection(), stripping());
        let stripped: String = text.chars().filter(|c| c.len_utf8() < 4).collect();
        for mode in [SubmitMode::Single, SubmitMode::Batch] {
            prop_assert_eq!(sent(&whole, mode), Some(text.clone()));
            prop_assert_eq!(sent(&without, mode), Some(stripped.clone()));
        }
    }

    #[test]
    fn answers_come_to_their_messages_in_whatever_order(
        order in Just((0..20).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let entry = |n: &usize| json!({"refId": format!("r{n}"), "messageId": format!("id{n}"), "resultCode": 1005});
        let body: Vec<Value> = order.iter().map(entry).collect();
        let answer = answered(20, SubmitMode::Batch, 200, Value::from(body).to_string());
        for (n, outcome) in answer.outcomes.iter().enumerate() {
            prop_assert_eq!(outcome, &SubmitOutcome::accepted(format!("id{n}")));
        }
    }
}
