//! No bytes make a reader panic, and none are verified by chance.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{super::keys, *};
use crate::Sought;

const REFERENCES: [&str; 3] = ["3w5e11264sgsf-2s", "3w5e11264sgsf-2t", "3w5e11264sgsf-2u"];

fn messages(count: usize) -> Vec<MtMessage<'static>> {
    REFERENCES[..count]
        .iter()
        .map(|reference| mt(reference, "+6510000000", "Hi"))
        .collect()
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[$a-z+0-9]{0,6}".prop_map(Value::from),
        prop::sample::select(&REFERENCES).prop_map(Value::from),
        prop::sample::select(&REFERENCES).prop_map(|reference| json!({ "ref": reference })),
        Just(json!([1, {}])),
        Just(json!("+6510000000")),
    ]
}

/// Objects with some of `names` and values of every kind.
fn near_object(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let members = prop::collection::vec((prop::sample::select(names), any_value()), 0..8);
    members.prop_map(|members| {
        let members = members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Value::Object(members.collect())
    })
}

fn near_answer() -> impl Strategy<Value = Vec<u8>> {
    let entries = near_object(&["message_id", "metadata", "destination_number", "status"]);
    let list = prop::collection::vec(prop_oneof![entries, any_value()], 0..5);
    let fields = "/messages/[0-9]{0,21}/?(callbackUrl|source_number|content|x)?:?";
    let details = prop::collection::vec(prop_oneof![fields, "[ -~]{0,20}"], 0..5);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        list.prop_map(|list| json!({ "messages": list }).to_string().into_bytes()),
        details.prop_map(|details| json!({ "details": details }).to_string().into_bytes()),
        any_value().prop_map(|value| json!({ "details": value, "messages": value })
            .to_string()
            .into_bytes()),
        near_object(&["message_id", "status"]).prop_map(|message| message.to_string().into_bytes()),
    ]
}

fn near_callback() -> impl Strategy<Value = Vec<u8>> {
    let object = near_object(&[
        "delivery_report_id",
        "reply_id",
        "notification_id",
        "status",
        "error_code",
        "message_id",
        "metadata",
        "source_number",
        "destination_number",
        "content",
        "date_received",
        "attachments",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        object.prop_map(|object| object.to_string().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic_and_no_message_is_forgotten(
        status in prop_oneof![100u16..1000, Just(202), Just(400)],
        body in near_answer(),
        count in 0usize..=3,
    ) {
        let answer = answered(&messages(count), status, body);
        prop_assert_eq!(answer.outcomes.len(), count);
    }

    #[test]
    fn no_answer_to_a_look_up_makes_the_reader_panic(status in 100u16..1000, body in near_answer()) {
        let sought = Sought {
            reference: REFERENCES[0],
            provider_message_id: "8d5e1f22-3b7a-4c90-a1d4-6e0f9b8c7a53",
            to: messages(1)[0].to,
        };
        let response = Response::builder().status(status).body(body.into()).expect("a response");
        if let Ok(found) = look_up::LookUp.read_response(&[sought], &response) {
            prop_assert_eq!(found.len(), 1);
        }
    }

    #[test]
    fn no_callback_makes_the_reader_panic_or_is_verified_by_chance(
        target in "/[a-z?=&%#]{0,20}",
        signature in "[A-Za-z0-9+/=]{0,344}",
        digest in "(SHA-?(1|224|256|512)|[ -~]{0,8})",
        date in "([A-Z][a-z]{2}, [0-9]{1,2} Nov 2025 [0-9:]{8} GMT|[ -~]{0,30})",
        body in near_callback(),
    ) {
        let callback = Request::post(&target)
            .header("X-Messagemedia-Signature", signature)
            .header("X-Messagemedia-Digest-Type", digest)
            .header("Date", date)
            .body(Bytes::from(body));
        let Ok(callback) = callback else { return Ok(()) };
        let urls = [PUBLIC_URL.to_owned()];
        prop_assert!(MessageMedia.verify_callback(&connection(), &callback, &urls, NOW).is_err());
        let _ = MessageMedia.read_callback(Verified::already(&callback, None), CallbackKind::Status);
    }

    #[test]
    fn no_text_makes_the_reader_of_keys_panic(text in ".{0,200}", at in 0..KEY.len(), byte in "[ -~]") {
        let _ = keys::read(&text);
        let mut near = KEY.to_owned();
        near.replace_range(at..=at, &byte);
        let _ = keys::read(&near);
    }

    #[test]
    fn a_text_arrives_in_the_request_as_it_is(text: String) {
        let request = built(&connection(), &[mt("a", "+61491570156", &text)]).expect("a request");
        let body: Value = serde_json::from_slice(request.body()).expect("JSON");
        prop_assert_eq!(body["messages"][0]["content"].as_str(), Some(text.as_str()));
    }
}
