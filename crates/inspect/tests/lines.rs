//! Lines in, lines out.

use std::io::Cursor;

use inspect::{Options, run};
use serde_json::{Value, json};

fn lines(input: &[u8]) -> Vec<Value> {
    let mut output = Vec::new();
    run(Cursor::new(input), &mut output, Options::default()).expect("memory does not fail");
    let text = String::from_utf8(output).expect("JSON is text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect()
}

fn one(question: &Value) -> Value {
    let mut answers = lines(question.to_string().as_bytes());
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

#[test]
fn every_line_is_answered_in_order_and_a_bad_one_does_not_stop_the_next() {
    let input = b"{\"id\":\"a\",\"inspect\":\"segments\",\"text\":\"Hi\"}\n\nno json\n{\"id\":7}\n\
        {\"id\":\"d\",\"inspect\":\"colour\"}\n{\"id\":\"e\",\"inspect\":\"segments\"}\n\
        {\"id\":[1],\"inspect\":\"keyword\",\"text\":\"STOP\"}";
    let answers = lines(input);
    assert_eq!(answers.len(), 6);
    assert_eq!(
        answers[0],
        json!({ "id": "a", "encoding": "gsm7", "units": 2, "segments": 1 })
    );
    for (index, (id, word)) in [
        (Value::Null, "no JSON"),
        (json!(7), "`inspect`"),
        (json!("d"), "colour"),
        (json!("e"), "text"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = &answers[index + 1];
        assert_eq!(answer["id"], id);
        assert!(
            answer["error"]
                .as_str()
                .is_some_and(|why| why.contains(word)),
            "{answer}"
        );
    }
    assert_eq!(answers[5], json!({ "id": [1], "keyword": "opt_out" }));
}

#[test]
fn a_line_that_never_ends_is_refused_and_passed_over() {
    let mut input = vec![b'x'; 33 * 1024 * 1024];
    input.extend_from_slice(b"\n{\"id\":1,\"inspect\":\"segments\",\"text\":\"\"}\n");
    let answers = lines(&input);
    assert_eq!(answers.len(), 2);
    assert!(answers[0]["error"].is_string());
    assert_eq!(answers[1]["segments"], 1);
}

#[test]
fn a_line_of_invalid_utf8_is_an_error_with_no_id() {
    let answers = lines(b"{\"id\":\"\xff\"}\n");
    assert!(answers[0]["error"].is_string() && answers[0]["id"].is_null());
}

#[test]
fn texts_and_numbers_are_read_as_the_fleet_reads_them() {
    let segments = |text: &str| one(&json!({ "id": "e", "inspect": "segments", "text": text }));
    assert_eq!(
        segments(&"a".repeat(161)),
        json!({ "id": "e", "encoding": "gsm7", "units": 161, "segments": 2 })
    );
    assert_eq!(segments("👍")["encoding"], "ucs2");
    let number = |number: &str, region| {
        one(&json!({ "id": "f", "inspect": "number", "number": number, "region": region }))
    };
    assert_eq!(
        number("06 12 34 56 78", Some("FR")),
        json!({ "id": "f", "number": "+33612345678" })
    );
    let unknown = number("12", None);
    assert!(
        unknown["number"].is_null() && unknown["why"].is_string(),
        "{unknown}"
    );
    let keyword = |text: &str, out: bool| {
        one(
            &json!({ "id": "d", "inspect": "keyword", "text": text, "locale": "en", "opted_out": out }),
        )
    };
    assert_eq!(keyword("yes", true)["keyword"], "opt_in");
    assert_eq!(keyword("yes", false)["keyword"], "none");
}

fn twilio() -> Value {
    json!({
        "name": "Surveys", "sender": "13531234567",
        "account_sid": "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e", "auth_token": "3f1c8e2ab94d47d0a6e5c7b1928d4f60",
    })
}

#[test]
fn a_request_is_shown_without_its_secrets_unless_they_are_asked_for() {
    let question = json!({
        "id": "c", "inspect": "request", "provider": "twilio-sms", "connection": twilio(),
        "messages": [
            { "reference": "r-0", "to": "+46701740605", "text": "Hi" },
            { "reference": "r-1", "to": "070", "text": "Hi" },
            { "reference": "r-2", "to": "+61491570006", "text": "e\u{301}" },
        ],
        "public_url": "https://sms.example.net", "organization": "ORG_1", "validity_seconds": 3600,
    });
    let answer = one(&question);
    assert_eq!(
        answer["refused"],
        json!([{ "reference": "r-1", "reason": "invalid_recipient" }])
    );
    assert_eq!(answer["requests"][0]["covers"], json!(["r-0"]));
    assert_eq!(
        answer["requests"][0]["headers"]["authorization"],
        "[redacted]"
    );
    assert_eq!(answer["requests"][0]["method"], "POST");
    let body = answer["requests"][1]["body"].as_str().expect("a body");
    assert!(body.contains("Body=%C3%A9&"), "composed: {body}");
    assert!(!answer.to_string().contains("QUM1"), "{answer}");
    let shown = inspect::answer(
        question.to_string().as_bytes(),
        Options { show_secrets: true },
    );
    assert!(
        shown["requests"][0]["headers"]["authorization"]
            .as_str()
            .is_some_and(|basic| basic.starts_with("Basic "))
    );
}

#[test]
fn an_answer_is_read_for_every_message_in_the_words_of_the_pages() {
    let question = json!({
        "id": "b", "inspect": "response", "provider": "twilio-sms", "connection": twilio(),
        "messages": [{ "reference": "r-0", "to": "+46701740605", "text": "Hi" }],
        "response": { "status": 429, "headers": { "Retry-After": "7" }, "body": "" },
    });
    let outcome = json!({
        "reference": "r-0", "class": "throttled", "provider_message_id": null, "reason": null,
        "retry_after_seconds": 7, "code": "http_429", "part_ids": [],
    });
    assert_eq!(
        one(&question),
        json!({ "id": "b", "outcomes": [outcome], "hint": null })
    );
}

#[test]
fn a_callback_is_verified_by_the_url_that_was_called() {
    let question = |signature: &str, url: &str| {
        json!({
            "id": "a", "inspect": "callback", "provider": "twilio-sms", "kind": "status",
            "connection": { "auth_token": "12345", "colour": "red" },
            "request": {
                "method": "POST", "url": url,
                "headers": { "X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded" },
                "body": "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212",
            },
        })
    };
    // The vector that the vendor publishes.
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    let answer = one(&question("RSOYDt4T1cUTdK1PDd93/VVr8B8=", url));
    assert_eq!(
        (&answer["auth"], &answer["malformed"]),
        (&json!("ok"), &json!(true)),
        "{answer}"
    );
    assert_eq!(answer["unknown_fields"], json!(["colour"]));
    for (signature, url) in [
        ("RSOYDt4T1cUTdK1PDd93/VVr8B9=", url),
        (
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            "http://mycompany.com/myapp.php?foo=1&bar=2",
        ),
    ] {
        let answer = one(&question(signature, url));
        assert_eq!(answer["auth"], "rejected");
        assert!(
            answer["why"].is_string() && answer["receipts"] == json!([]),
            "{answer}"
        );
    }
    let mut get = question("RSOYDt4T1cUTdK1PDd93/VVr8B8=", url);
    get["request"]["method"] = "GET".into();
    assert_eq!(one(&get)["auth"], "rejected");
}

#[test]
fn bad_fields_are_named() {
    for (connection, word) in [
        (json!({ "sender": "x".repeat(40) }), "connection.sender"),
        (json!({ "account_sid": "AC1" }), "connection.account_sid"),
    ] {
        let question = json!({
            "id": 1, "inspect": "response", "provider": "twilio-sms", "connection": connection,
            "messages": [], "response": { "status": 200 },
        });
        let answer = one(&question);
        assert!(
            answer["error"]
                .as_str()
                .is_some_and(|why| why.contains(word)),
            "{answer}"
        );
    }
    let unknown = one(
        &json!({ "id": 1, "inspect": "callback", "provider": "acme", "kind": "status", "connection": {}, "request": { "method": "GET", "url": "/" } }),
    );
    assert!(
        unknown["error"]
            .as_str()
            .is_some_and(|why| why.contains("twilio-sms")),
        "{unknown}"
    );
}
