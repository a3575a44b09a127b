//! Whatever comes over the wire.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// The members that the readers look at, with values of every type.
fn json_like() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "results",
        "messages",
        "messageId",
        "status",
        "groupId",
        "groupName",
        "id",
        "error",
        "to",
        "from",
        "text",
        "message",
        "contentType",
        "value",
        "url",
        "receivedAt",
        "smsCount",
        "violations",
        "property",
        "errorCode",
    ]);
    let texts = prop::sample::select(vec![
        "a",
        "b",
        "5",
        "23",
        "573",
        "REJECTED",
        "text/plain",
        "messages[1].x",
        "messages[",
        "2025-11-13T12:44:50.250+0000",
        "+46701740605",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..110i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(keys.clone(), inner, 0..8).prop_map(|members| {
                let own = members
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value));
                Value::Object(own.collect())
            }),
        ]
    })
}

/// Random bytes, JSON that nearly is one of Infobip's, and the same cut off.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let wrapped = (
        prop::sample::select(vec!["results", "messages", "violations"]),
        json_like(),
    );
    let wrapped = wrapped.prop_map(|(key, value)| json!({ key: [value] }).to_string());
    let plain = json_like().prop_map(|value| value.to_string());
    let text = prop_oneof![plain, wrapped].prop_map(String::into_bytes);
    let cut = (prop_oneof![text.clone()], 0.0..1.0f64).prop_map(|(mut bytes, part)| {
        bytes.truncate((bytes.len() as f64 * part) as usize);
        bytes
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), text, cut]
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic_or_forget_a_message(
        status in prop_oneof![Just(200u16), Just(400), 100u16..1000],
        body in body(),
        count in 0..4usize,
    ) {
        let messages: Vec<_> = ["a", "b", "c", "d"].map(|id| mt(id, "Hi")).into();
        let answer = answered(&messages[..count], status, body.clone());
        prop_assert_eq!(answer.outcomes.len(), count);
        let transient = answer.outcomes.iter().any(|one| one.class == SubmitClass::Transient);
        prop_assert!(answer.hint.is_none() || (count > 1 && transient));
    }

    #[test]
    fn no_answer_to_a_look_up_makes_the_reader_panic_or_forget_a_message(
        status in prop_oneof![Just(200u16), 100u16..1000],
        body in body(),
    ) {
        let sought = ["a", "b"].map(|reference| Sought {
            reference,
            provider_message_id: "",
            to: Msisdn::parse("+46701740605").expect("valid"),
        });
        let look_up = Infobip.status_look_up().expect("Infobip looks up");
        if let Ok(found) = look_up.read_response(&sought, &response(status, body)) {
            prop_assert_eq!(found.len(), 2);
        }
    }

    #[test]
    fn no_callback_makes_the_reader_panic_and_every_entry_is_read(body in body(), message: bool) {
        let kind = if message { CallbackKind::Message } else { CallbackKind::Status };
        let entries = serde_json::from_slice::<Value>(&body)
            .ok()
            .and_then(|body| Some(body.get("results")?.as_array()?.len()));
        let readings = callback::read(&body, kind).map(|readings| {
            readings.iter().filter(|one| !matches!(one, Reading::OptOut(_))).count()
        });
        prop_assert_eq!(readings.ok(), entries);
    }

    #[test]
    fn a_forged_callback_is_never_verified_by_chance(
        value in prop_oneof![
            prop::collection::vec(0x20u8..0x7F, 0..60),
            "[Bb]asic +[A-Za-z0-9+/]{0,40}={0,2}".prop_map(String::into_bytes),
        ],
    ) {
        let Ok(value) = http::HeaderValue::from_bytes(&value) else { return Ok(()) };
        let callback = Request::post("/").header("Authorization", value);
        let callback = callback.body(Bytes::new()).expect("a request");
        let connection = connection(&[]);
        let verified = Infobip.verify_callback(&connection, &callback, &[], NOW);
        prop_assert!(verified.is_err());
    }

    #[test]
    fn texts_arrive_in_the_request_as_they_are(
        texts in prop::collection::vec(any::<String>(), 1..5),
    ) {
        let messages: Vec<_> = texts.iter().map(|text| mt("a", text)).collect();
        let request = Infobip
            .build_request(&connection(&[]), &submission(&messages))
            .expect("a request");
        let body: Value = serde_json::from_slice(request.body()).expect("JSON");
        let arrived: Vec<_> = (0..texts.len())
            .map(|at| body["messages"][at]["content"]["text"].as_str().unwrap_or_default())
            .collect();
        prop_assert_eq!(arrived, texts);
    }

    #[test]
    fn a_text_that_is_short_in_bytes_never_has_too_many_segments(
        text in prop::collection::vec(prop_oneof![Just('['), Just('x'), any::<char>()], 0..1800),
    ) {
        let text: String = text.into_iter().collect();
        let too_long = segments::measure(&text).segments > SEGMENTS_MAX;
        let checked = Infobip.check_message(&connection(&[]), &mt("a", &text));
        prop_assert_eq!(checked.is_err(), too_long || text.chars().count() > TEXT_BYTES_MAX);
    }
}
