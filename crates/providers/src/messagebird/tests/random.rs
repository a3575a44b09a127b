//! Random bytes, and what is nearly right.

use super::*;

fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(46701740605|delivered|delivery_failed|103|25|body|originator|[a-z ]{0,6})"
            .prop_map(Value::from),
    ];
    let name = "(id|status|reference|recipients?|items|errors|code|parameter|description|body|\
        statusErrorCode|originator|mediaUrls|shortcode|message|createdDatetime|date_utc)";
    let tree = leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        tree.prop_map(|value| value.to_string().into_bytes()),
    ]
}

fn callback_like() -> impl Strategy<Value = Vec<u8>> {
    let name = "(id|status|recipient|originator|body|createdDatetime|receive_datetime|mediaUrls)";
    let form = prop::string::string_regex(&format!("({name}=[a-z0-9%+: -]{{0,12}}&){{0,8}}"));
    prop_oneof![
        json_like(),
        form.expect("a pattern").prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic_or_lose_a_message(
        status in 100u16..1000,
        body in json_like(),
        messages in 0usize..4,
    ) {
        let messages = vec![mt("Hi"); messages];
        let response = response(status, body);
        let answer = MessageBird.read_response(&messages, SubmitMode::Batch, &response);
        prop_assert_eq!(answer.outcomes.len(), messages.len());
    }

    #[test]
    fn no_answer_to_a_look_up_makes_the_reader_panic(
        status in prop_oneof![Just(200u16), Just(404), 100u16..1000],
        body in json_like(),
        by_id: bool,
    ) {
        let sought = Sought {
            reference: "3w5e11264sgsf-2s",
            provider_message_id: if by_id { "9f3a" } else { "" },
            to: mt("").to,
        };
        let look_up = MessageBird.status_look_up().expect("there is one");
        if let Ok(found) = look_up.read_response(&[sought], &response(status, body)) {
            prop_assert_eq!(found.len(), 1);
            prop_assert!((200..300).contains(&status) || found == [Found::Unknown]);
        }
    }

    #[test]
    fn no_callback_makes_the_reader_panic_or_is_verified_by_chance(
        target in "/[a-z?=&%#]{0,20}",
        get: bool,
        token in "([A-Za-z0-9_-]{0,20}\\.){0,3}[A-Za-z0-9_-]{0,20}",
        by_token: bool,
        body in callback_like(),
        message: bool,
    ) {
        let builder = Request::builder()
            .method(if get { Method::GET } else { Method::POST })
            .uri(&target);
        let builder = if by_token {
            builder.header("MessageBird-Signature-JWT", token)
        } else {
            builder
                .header("MessageBird-Signature", token)
                .header("MessageBird-Request-Timestamp", "1763037898")
        };
        let Ok(callback) = builder.body(Bytes::from(body)) else { return Ok(()) };
        prop_assert!(!verifies(&connection(), &callback));
        let kind = if message { CallbackKind::Message } else { CallbackKind::Status };
        let _ = MessageBird.read_callback(Verified::already(&callback, None), kind);
    }

    #[test]
    fn every_query_that_was_sorted_and_encoded_by_the_book_is_recognised(
        values in prop::collection::vec("[a-zA-Z0-9_.~-]{0,8}", 1..6),
    ) {
        let query: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(place, value)| format!("n{place}={value}"))
            .collect();
        let callback = signed_under(KEY, &query.join("&"));
        prop_assert!(verifies(&connection(), &callback));
        let mut stranger = connection();
        stranger.secrets.insert("signing_key".to_owned(), Secret::new("x".to_owned()));
        prop_assert!(!verifies(&stranger, &callback));
    }

    #[test]
    fn a_text_arrives_in_the_request_as_it_is(text: String) {
        let request = MessageBird
            .build_request(&connection(), &submission(&[mt(&text)]))
            .expect("a request");
        let body: Value = serde_json::from_slice(request.body()).expect("JSON");
        prop_assert_eq!(body["body"].as_str(), Some(text.as_str()));
        prop_assert_eq!(&body["recipients"], &json!(["46701740605"]));
        prop_assert_eq!(&body["datacoding"], &json!("auto"));
    }
}
