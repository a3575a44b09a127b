//! Random bytes, and bytes that are nearly what Vonage sends.

use proptest::prelude::*;

use super::*;

/// Pieces of JSON that the readers know, in any order and of any shape.
fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "messages",
        "status",
        "message-id",
        "error-text",
        "error-code",
        "message_uuid",
        "type",
        "title",
        "error",
        "sms",
        "channel",
        "records",
        "message_id",
        "error_code",
        "text",
        "msisdn",
        "to",
        "from",
        "messageId",
        "sig",
        "timestamp",
        "api-key",
        "concat",
        "concat-part",
        "concat-total",
        "concat-ref",
        "message_type",
        "num_messages",
        "message-timestamp",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[a-z0-9#\\[\\] ]{0,12}".prop_map(Into::into),
        prop::sample::select(vec![
            "0",
            "1",
            "9",
            "sms",
            "text",
            "delivered",
            "rejected",
            "true",
            "255",
            "please wait [ 5 ]",
            "2025-11-13 12:45:09",
            "a#1360",
        ])
        .prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            prop::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    });
    value.prop_map(|value| value.to_string().into_bytes())
}

fn form_like() -> impl Strategy<Value = Vec<u8>> {
    let known = "(messageId|status|err-code|msisdn|to|text|type|sig|timestamp|api-key|concat)";
    let form = prop::string::string_regex(&format!("({known}=[a-z0-9%+]{{0,8}}&){{0,8}}"));
    form.expect("a pattern").prop_map(String::into_bytes)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        form_like(),
        json_like(),
    ]
}

fn callback(body: Vec<u8>, how: u8, header: Option<&str>) -> Option<Request<Bytes>> {
    let request = match how % 3 {
        0 => {
            let target = format!("/?{}", String::from_utf8(body).ok()?);
            return Request::get(target).body(Bytes::new()).ok();
        }
        1 => Request::post("/").header("Content-Type", "application/x-www-form-urlencoded"),
        _ => Request::post("/").header("Content-Type", "application/json"),
    };
    let request = match header {
        Some(token) => request.header("Authorization", token),
        None => request,
    };
    request.body(body.into()).ok()
}

fn says_nothing(callback: &Request<Bytes>) -> bool {
    let reading = Vonage.read_callback(Verified::already(callback, None), CallbackKind::Status);
    reading == Ok(vec![Reading::Ignored])
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic(status in 100u16..1000, body in bytes(), several in 0usize..4) {
        let messages = vec![mt("Hi"); several];
        let response = response(status, body);
        let answer = Vonage.read_response(&messages, SubmitMode::Batch, &response);
        prop_assert_eq!(answer.outcomes.len(), several);
        for outcome in answer.outcomes {
            let named = outcome.class == SubmitClass::Accepted;
            prop_assert!(!named || !outcome.provider_message_id.is_empty());
            prop_assert!(named || !outcome.code.is_empty());
        }
    }

    #[test]
    fn parts_of_any_mix_are_never_accepted_unless_all_are(
        parts in prop::collection::vec((0i64..12, any::<bool>()), 1..6),
    ) {
        let entries: Vec<_> = parts.iter().enumerate().map(|(at, (status, id))| {
            let status = (status / 3 * 3).to_string();
            let id = if *id { format!("id-{at}") } else { String::new() };
            serde_json::json!({"status": status, "message-id": id})
        }).collect();
        let outcome = answered(200, serde_json::json!({"messages": entries}).to_string());
        let taken = parts.iter().filter(|(status, _)| *status < 3).count();
        let expected = if taken == 0 {
            outcome.class != SubmitClass::Accepted && outcome.provider_message_id.is_empty()
        } else if taken < parts.len() {
            outcome.class == SubmitClass::InDoubt { partial: true }
        } else if parts.iter().all(|(_, id)| *id) {
            let ids = if taken > 1 { taken } else { 0 };
            outcome.class == SubmitClass::Accepted && outcome.part_ids.len() == ids
        } else {
            outcome.class == SubmitClass::DOUBT
        };
        prop_assert!(expected, "{:?}", outcome);
    }

    #[test]
    fn no_look_up_makes_the_reader_panic(status in 100u16..1000, body in bytes()) {
        let to = Msisdn::parse("+46701740605").expect("valid");
        let one = |id| Sought { reference: "r", provider_message_id: id, to };
        let sought = [one("0"), one("")];
        let look_up = Vonage.status_look_up().expect("there is one");
        if let Ok(found) = look_up.read_response(&sought, &response(status, body)) {
            prop_assert_eq!(found.len(), sought.len());
        }
    }

    #[test]
    fn no_callback_makes_the_reader_panic_or_is_verified_by_chance(
        body in bytes(),
        how: u8,
        message: bool,
        token in prop::option::of("(Bearer |Basic )?[a-zA-Z0-9_.-]{0,40}"),
    ) {
        let kind = if message { CallbackKind::Message } else { CallbackKind::Status };
        let Some(callback) = callback(body, how, token.as_deref()) else { return Ok(()) };
        let connection = connection(&[]);
        let verified = Vonage.verify_callback(&connection, &callback, &[], NOW);
        prop_assert!(verified.is_err() || says_nothing(&callback), "{:?}", verified);
        let _ = Vonage.read_callback(Verified::already(&callback, None), kind);
    }

    #[test]
    fn a_text_arrives_in_the_request_as_it_is(text: String) {
        let sms = built(&connection(&[]), &text, "https://example.org").expect("a request");
        let sent = form_urlencoded::parse(sms.body())
            .find_map(|(name, value)| (name == "text").then(|| value.into_owned()));
        prop_assert_eq!(sent.as_deref(), Some(text.as_str()));
        let messages = connection(&[("api", "messages")]);
        let messages = built(&messages, &text, "https://example.org").expect("a request");
        let body: serde_json::Value = serde_json::from_slice(messages.body()).expect("JSON");
        prop_assert_eq!(body["text"].as_str(), Some(text.as_str()));
    }

    #[test]
    fn a_form_reads_as_browsers_read_it_where_it_is_one(pairs in prop::collection::btree_map(
        "[a-z-]{1,6}",
        any::<String>(),
        0..6,
    )) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let callback = callback(body.into_bytes(), 1, None).expect("a request");
        let Ok(fields::Webhook::Sms(fields)) = fields::Webhook::of(&callback) else {
            return Err(TestCaseError::fail("a form is one"));
        };
        for (name, value) in &pairs {
            prop_assert_eq!(fields.get(name), Some(value.as_str()));
        }
    }
}
