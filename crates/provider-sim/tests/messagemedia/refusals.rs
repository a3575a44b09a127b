//! Requests that are refused, as a whole each time.

use super::*;

const NOT_PARSED: &str =
    "Request failed to parse correctly. Please ensure input is valid and try again.";

#[tokio::test]
async fn one_invalid_entry_refuses_the_request_and_is_named_by_pointer() {
    let world = World::start(|_, _| {}).await;
    let mut messages: Vec<Value> = (0..5)
        .map(|n| world.message(PERSON, &format!("r-{n}")))
        .collect();
    messages[1]["destination_number"] = json!("+6149a");
    messages[4]["callback_url"] = json!("https://sms_x.example.org/status");
    let (status, answer) = world.send(&messages).await;
    let wanted = json!({
        "message": NOT_PARSED,
        "details": [
            "/messages/1/destination_number: International address must be between 8 and 15 characters \
             excluding the first '+', International address contains invalid characters.",
            "/messages/4/callbackUrl: Invalid callback url",
        ],
    });
    assert_eq!((status, answer), (400, wanted));
    world.twin.idle().await;
    assert!(world.told().is_empty());
    let totals = world.twin.audit().totals;
    assert_eq!((totals.requests, totals.accepted), (5, 0));
    assert_eq!(world.refused("400 destination_number"), 1);
    assert_eq!(world.refused("400 callbackUrl"), 1);
    assert_eq!(world.refused("400"), 3);
}

#[tokio::test]
async fn each_field_is_checked_and_named() {
    let world = World::start(|_, _| {}).await;
    let many: serde_json::Map<String, Value> =
        (0..11).map(|n| (format!("k{n}"), json!("v"))).collect();
    for (field, value, pointer) in [
        ("content", json!(""), "content"),
        ("content", Value::Null, "content"),
        ("content", json!("a".repeat(5_001)), "content"),
        ("destination_number", Value::Null, "destination_number"),
        (
            "destination_number",
            json!("61491570156"),
            "destination_number",
        ),
        (
            "destination_number",
            json!("0491570156"),
            "destination_number",
        ),
        ("source_number", json!("61491570110"), "source_number"),
        ("source_number", Value::Null, "sourceNumberType"),
        ("source_number_type", json!("ALPHANUMERIC"), "source_number"),
        ("source_number_type", json!("LOCAL"), "sourceNumberType"),
        (
            "callback_url",
            json!("ftp://sms.example.org/"),
            "callbackUrl",
        ),
        (
            "callback_url",
            json!("https://sms.example.org/a b"),
            "callbackUrl",
        ),
        ("metadata", Value::Object(many), "metadata"),
        ("metadata", json!({"ref": 7}), "metadata"),
        ("metadata", json!({"ref": "v".repeat(257)}), "metadata"),
        ("metadata", json!({"k".repeat(101): "v"}), "metadata"),
        ("format", json!("FAX"), "format"),
        (
            "message_expiry_timestamp",
            json!("tomorrow"),
            "messageExpiryTimestamp",
        ),
        ("scheduled", json!("2026-03-02"), "scheduled"),
    ] {
        let mut message = world.message(PERSON, "r-1");
        message[field] = value.clone();
        let (status, answer) = world.send(&[message]).await;
        assert_eq!(status, 400, "{field} {value}");
        let detail = answer["details"][0].as_str().unwrap();
        let wanted = format!("/messages/0/{pointer}: ");
        assert!(detail.starts_with(&wanted), "{field} {value}: {detail}");
        assert_eq!(answer["details"].as_array().unwrap().len(), 1, "{answer}");
    }
    assert_eq!(world.twin.audit().totals.accepted, 0);
}

#[tokio::test]
async fn no_message_and_a_hundred_and_one_are_refused() {
    let world = World::start(|_, _| {}).await;
    for count in [0, 101] {
        let messages = vec![world.message(PERSON, "r"); count];
        let (status, answer) = world.send(&messages).await;
        assert_eq!(status, 400);
        let detail = answer["details"][0].as_str().unwrap();
        assert!(detail.starts_with("/messages: "), "{detail}");
    }
    assert_eq!(world.refused("400"), 102);
}

#[tokio::test]
async fn what_is_not_the_json_of_a_request_is_refused_without_a_pointer() {
    let world = World::start(|_, _| {}).await;
    let mut misspelt = world.message(PERSON, "r-1");
    misspelt["sourceNumber"] = json!(SENDER);
    let mut number = world.message(PERSON, "r-1");
    number["content"] = json!(7);
    for body in [
        json!([]),
        json!({"message": []}),
        json!({"messages": [7]}),
        json!({ "messages": [misspelt] }),
        json!({ "messages": [number] }),
    ] {
        let (status, answer) = world.post("/v1/messages", &body).await;
        let wanted = json!(["Failed to parse message body."]);
        assert_eq!((status, &answer["details"]), (400, &wanted), "{body}");
    }
    assert_eq!(world.refused("400"), 5);
    assert_eq!(world.twin.audit().entries.len(), 1);
}

#[tokio::test]
async fn only_json_is_taken_and_only_where_it_belongs() {
    let world = World::start(|_, _| {}).await;
    let url = format!("{}/v1/messages", world.twin.base_url());
    let body = json!({ "messages": [world.message(PERSON, "r-1")] }).to_string();
    let post = |kind: &str, body: String| {
        let request = client().post(&url).basic_auth(USER, Some(SECRET));
        request.header("content-type", kind).body(body).send()
    };
    let charset = post("application/json; charset=utf-8", body.clone());
    assert_eq!(charset.await.unwrap().status(), 202);
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let (status, answer) = read(post(kind, body.clone()).await.unwrap()).await;
        assert_eq!(status, 415);
        assert!(answer["message"].as_str().is_some());
    }
    let huge = post("application/json", " ".repeat(9 * 1024 * 1024));
    assert_eq!(huge.await.unwrap().status(), 413);
    assert_eq!(world.post("/v2/messages", &json!({})).await.0, 404);
    assert_eq!(world.get("/v1/messages").await.0, 405);
    assert_eq!((world.refused("415"), world.refused("413")), (2, 1));
}

#[tokio::test]
async fn every_wrong_form_of_credentials_is_401_with_a_message() {
    let world = World::start(|_, _| {}).await;
    let body = json!({ "messages": [world.message(PERSON, "r-1")] }).to_string();
    let pair = |user: &str, secret: &str| {
        Some(format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{secret}"))
        ))
    };
    let wrong = [
        None,
        pair(USER, "secret"),
        pair(USER, ""),
        pair("key-2", SECRET),
        pair("KEY-1", SECRET),
        Some(format!("Bearer {SECRET}")),
        Some("Basic !!!".to_owned()),
        Some(
            r#"hmac username="key-1", algorithm="hmac-sha256", headers="Date", signature="eA==""#
                .to_owned(),
        ),
    ];
    for authorization in &wrong {
        for path in [
            "/v1/messages",
            "/v1/delivery_reports/confirmed",
            "/v1/iam/signature_keys",
        ] {
            let mut request = client()
                .post(format!("{}{path}", world.twin.base_url()))
                .header("content-type", "application/json")
                .body(body.clone());
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            let (status, answer) = read(request.send().await.unwrap()).await;
            assert_eq!(status, 401, "{authorization:?}");
            assert_eq!(answer["message"], "Invalid authentication credentials");
        }
    }
    assert_eq!(world.refused("401"), wrong.len() as u64);
}

#[tokio::test]
async fn another_channel_is_not_enabled() {
    let world = World::start(|_, _| {}).await;
    for format in ["MMS", "TTS"] {
        let mut message = world.message(PERSON, "r-1");
        message["format"] = json!(format);
        assert_eq!(world.send(&[message]).await.0, 403);
    }
    assert_eq!(world.refused("403"), 2);
}

#[tokio::test]
async fn with_old_tls_a_singaporean_recipient_refuses_the_request() {
    for (old_tls, wanted) in [(false, 202), (true, 422)] {
        let world = World::start(|account, _| account.old_tls = old_tls).await;
        let two = [PERSON, "+6531581234"].map(|to| world.message(to, "r"));
        assert_eq!(world.send(&two).await.0, wanted);
        let others = [world.message(PERSON, "r")];
        assert_eq!(world.send(&others).await.0, 202);
        assert_eq!(world.refused("422"), if old_tls { 2 } else { 0 });
    }
}
