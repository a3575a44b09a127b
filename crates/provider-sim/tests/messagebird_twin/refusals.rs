//! Requests that are refused, each with its status, code and parameter.

use provider_sim::RunningTwin;
use serde_json::{Value, json};

use crate::bench::*;

/// Sends the usual message with some of its fields changed, null for absent; status, and code and parameter of each error.
async fn refusal(twin: &RunningTwin, change: Value) -> (u16, Vec<(u64, String)>) {
    let mut body = message("r-1");
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    let (status, answer) = post(twin, &body).await;
    let list = answer["errors"].as_array().cloned().unwrap_or_default();
    let entry = |error: &Value| {
        assert!(error["description"].is_string(), "{error}");
        let parameter = error["parameter"].as_str().unwrap_or_default();
        (error["code"].as_u64().unwrap(), parameter.to_owned())
    };
    (status, list.iter().map(entry).collect())
}

#[tokio::test]
async fn each_fault_of_a_message_has_its_code_and_parameter() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.senders = vec![SENDER.into(), "Survey".into(), "38100".into()];
    let twin = twin(account, quick()).await;
    let people: Vec<String> = (0..51).map(|n| format!("316123400{n:02}")).collect();
    for (change, wanted) in [
        (json!({"originator": null}), (9, "originator")),
        (json!({"originator": ""}), (9, "originator")),
        (
            json!({"originator": 31_612_340_001_u64}),
            (10, "originator"),
        ),
        (json!({"originator": "+3197001234567"}), (10, "originator")),
        (json!({"originator": "Much too long"}), (10, "originator")),
        (json!({"originator": "Survey!"}), (10, "originator")),
        (json!({"originator": "12"}), (10, "originator")),
        (json!({"originator": "31612340001"}), (10, "originator")),
        (json!({"recipients": null}), (9, "recipients")),
        (json!({"recipients": []}), (9, "recipients")),
        (json!({"recipients": ["+31612340009"]}), (9, "recipients")),
        (json!({"recipients": ["0031612340009"]}), (9, "recipients")),
        (
            json!({"recipients": [31_612_340_009_u64]}),
            (9, "recipients"),
        ),
        (json!({"recipients": {"to": PERSON}}), (10, "recipients")),
        (json!({"recipients": people}), (10, "recipients")),
        (json!({"body": null}), (9, "body")),
        (json!({"body": ""}), (9, "body")),
        (json!({"body": 5}), (10, "body")),
        (json!({"body": "a".repeat(1_378)}), (10, "body")),
        (json!({"body": "ж".repeat(604)}), (10, "body")),
        (json!({"datacoding": "utf8"}), (10, "datacoding")),
        (json!({"type": "binary"}), (10, "type")),
        (json!({"validity": "1h"}), (10, "validity")),
        (json!({"validity": 0}), (10, "validity")),
        (json!({"reference": 7}), (10, "reference")),
        (json!({"reportUrl": "not a url"}), (10, "reportUrl")),
        (
            json!({"scheduledDatetime": "2030-01-01T00:00:00+00:00"}),
            (10, "scheduledDatetime"),
        ),
    ] {
        let (status, errors) = refusal(&twin, change.clone()).await;
        let wanted = vec![(wanted.0, wanted.1.to_owned())];
        assert_eq!((status, errors), (422, wanted), "{change:.60}");
    }
    assert_eq!(twin.audit().totals.accepted, 0);
    for good in [
        json!({"originator": "Survey"}),
        json!({"originator": "38100"}),
        json!({"body": "a".repeat(1_377)}),
        json!({"body": "ж".repeat(603)}),
        json!({"body": "ж".repeat(1_377), "datacoding": "plain"}),
        json!({"recipients": &people[..50]}),
        json!({"recipients": "31612340009,31612340010"}),
        json!({"type": "flash", "validity": 3_600, "reference": null}),
        json!({"somethingElse": 1}),
    ] {
        assert_eq!(refusal(&twin, good.clone()).await.0, 201, "{good:.60}");
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_named_at_once() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let change = json!({"originator": "?", "recipients": [], "body": null});
    let (status, errors) = refusal(&twin, change).await;
    let named: Vec<&str> = errors.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(
        (status, named),
        (422, vec!["originator", "recipients", "body"])
    );
    assert_eq!(twin.audit().totals.refused, [("10".into(), 1)].into());
}

#[tokio::test]
async fn a_wrong_key_or_an_unreadable_body_is_refused_and_booked_once() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let url = format!("{}/messages", twin.base_url());
    let json = "application/json";
    for (authorization, kind, body, wanted) in [
        ("", json, "{}", (401, 2)),
        ("AccessKey wrong", json, "{}", (401, 2)),
        (&format!("Bearer {KEY}"), json, "{}", (401, 2)),
        (KEY, json, "{}", (401, 2)),
        (&format!("AccessKey {KEY}"), json, "", (400, 21)),
        (&format!("AccessKey {KEY}"), json, "[]", (400, 21)),
        (&format!("AccessKey {KEY}"), json, r#"{"body":"#, (400, 21)),
        (&format!("AccessKey {KEY}"), "text/plain", "{}", (400, 21)),
        (
            &format!("AccessKey {KEY}"),
            "application/json; charset=UTF-8",
            "{}",
            (422, 9),
        ),
    ] {
        let request = client()
            .post(&url)
            .header("authorization", authorization)
            .header("content-type", kind)
            .body(body);
        let (status, answer) = read(request.send().await.unwrap()).await;
        let code = answer["errors"][0]["code"].as_u64().unwrap();
        assert_eq!((status, code), wanted, "{kind} {body}");
    }
    let totals = twin.audit().totals;
    assert_eq!((totals.requests, totals.accepted), (9, 0));
    let refused = [("2", 4), ("21", 4), ("9", 1)].map(|(code, n)| (code.to_owned(), n));
    assert_eq!(totals.refused, refused.into());
}

#[tokio::test]
async fn without_balance_nothing_is_taken() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.balance = Some(0.0);
    let twin = twin(account, quick()).await;
    assert_eq!(
        refusal(&twin, json!({})).await,
        (402, vec![(25, String::new())])
    );
    let (_, balance) = get(&twin, "/balance").await;
    assert_eq!(
        balance,
        json!({"payment": "prepaid", "type": "euros", "amount": 0.0})
    );
}

#[tokio::test]
async fn other_paths_and_methods_are_not_there() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let (status, answer) = get(&twin, "/messages/batches/x").await;
    assert_eq!((status, &answer["errors"][0]["code"]), (404, &98.into()));
    let unknown = "/messages/00000000000000000000000000000000";
    for path in [unknown, "/messages/x"] {
        let (status, answer) = get(&twin, path).await;
        assert_eq!((status, &answer["errors"][0]["code"]), (404, &20.into()));
    }
    let url = format!("{}/messages", twin.base_url());
    let response = client().put(url).send().await.unwrap();
    assert_eq!(response.status(), 405);
    for path in ["/messages", "/balance", unknown] {
        let url = format!("{}{path}", twin.base_url());
        let (status, answer) = read(client().get(url).send().await.unwrap()).await;
        assert_eq!((status, &answer["errors"][0]["code"]), (401, &2.into()));
    }
}
