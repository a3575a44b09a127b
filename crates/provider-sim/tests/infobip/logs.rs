//! The logs and the preview.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::support::quick;

async fn get(twin: &RunningTwin, query: &str) -> (u16, Value) {
    let request = client()
        .get(format!("{}/sms/3/logs{query}", twin.base_url()))
        .header("authorization", format!("App {KEY}"))
        .header("accept", "application/json");
    read(request.send().await.unwrap()).await
}

fn names(body: &Value) -> Vec<&str> {
    let results = body["results"].as_array().unwrap();
    results
        .iter()
        .map(|result| result["messageId"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_logs_show_what_became_of_a_message_and_consume_nothing() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let (_, answer) = send(&twin, &[message(PERSON, "m-1", "Grüß dich")]).await;
    let (status, before) = get(&twin, "?messageId=m-1").await;
    assert_eq!(status, 200);
    assert_eq!(before["results"][0]["status"]["name"], "PENDING_ACCEPTED");
    assert_eq!(before["results"][0].get("doneAt"), None);
    twin.idle().await;
    for _ in 0..2 {
        let (_, after) = get(&twin, "?messageId=m-1").await;
        let log = &after["results"][0];
        assert_eq!(log["status"]["name"], "DELIVERED_TO_HANDSET");
        assert_eq!(
            (&log["destination"], &log["sender"]),
            (&json!(PERSON), &json!(SENDER))
        );
        assert_eq!(
            (&log["bulkId"], &log["messageCount"]),
            (&answer["bulkId"], &json!(1))
        );
        assert_eq!(log["content"]["text"], "Grüß dich");
        assert_eq!(log["error"]["name"], "NO_ERROR");
        let report = &results(&hook, "/status")[0];
        assert_eq!(
            (&log["doneAt"], &log["sentAt"]),
            (&report["doneAt"], &report["sentAt"])
        );
    }
}

#[tokio::test]
async fn the_logs_are_found_by_many_names_and_filtered() {
    let hook = Hook::start().await;
    let slow = TwinBehaviour {
        receipt_delay: Duration::from_secs(600),
        ..quick()
    };
    let twin = twin(account(&hook), slow).await;
    let bulk = json!({"schedule": {"bulkId": "b-1"}});
    let body = json!({"messages": [message(PERSON, "m-1", "x"), message("4915112345678", "m-2", "x")], "options": bulk});
    request(&twin, "/sms/3/messages", &body)
        .send()
        .await
        .unwrap();
    let nameless =
        json!({"sender": "QUALTRICS", "destinations": [{"to": PERSON}], "content": {"text": "x"}});
    let (_, answer) = send(&twin, &[nameless]).await;
    let own = answer["messages"][0]["messageId"].as_str().unwrap();
    for (query, wanted) in [
        (String::new(), vec![own, "m-2", "m-1"]),
        (format!("?messageId=m-1,unknown,{own}"), vec!["m-1", own]),
        ("?messageId=m-2&messageId=m-1".into(), vec!["m-2", "m-1"]),
        ("?bulkId=b-1".into(), vec!["m-2", "m-1"]),
        (format!("?destination={PERSON}"), vec![own, "m-1"]),
        ("?sender=QUALTRICS".into(), vec![own]),
        ("?generalStatus=PENDING&limit=1".into(), vec![own]),
        ("?generalStatus=DELIVERED".into(), vec![]),
        (
            "?sentSince=2020-01-01T00:00:00.000%2B0000".into(),
            vec![own, "m-2", "m-1"],
        ),
        ("?sentUntil=2020-01-01T00:00:00.000%2B0000".into(), vec![]),
    ] {
        let (status, body) = get(&twin, &query).await;
        assert_eq!((status, names(&body)), (200, wanted), "{query}");
    }
    let (_, first) = get(&twin, "?useCursor=true&limit=2").await;
    assert_eq!(
        (names(&first), &first["cursor"]["limit"]),
        (vec![own, "m-2"], &json!(2))
    );
    let next = first["cursor"]["nextCursor"].as_str().unwrap();
    let (_, second) = get(&twin, &format!("?useCursor=true&limit=2&cursor={next}")).await;
    assert_eq!(
        (names(&second), &second["cursor"]["nextCursor"]),
        (vec!["m-1"], &Value::Null)
    );
}

#[tokio::test]
async fn a_look_up_has_limits_and_rules() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let long = format!("?messageId={}", "m".repeat(2_049));
    for query in [
        "?limit=1001",
        "?limit=0",
        "?generalStatus=LOST",
        "?sentSince=yesterday",
        "?cursor=x",
        &long,
    ] {
        let (status, body) = get(&twin, query).await;
        assert_eq!(
            (status, &body["errorCode"]),
            (400, &json!("E400")),
            "{query}"
        );
    }
    let stranger = client().get(format!("{}/sms/3/logs", twin.base_url()));
    assert_eq!(stranger.send().await.unwrap().status(), 401);
    let mut status = 200;
    for _ in 0..115 {
        status = get(&twin, "").await.0;
    }
    assert_eq!(
        status, 429,
        "120 in a minute, six of which were refused before"
    );
    let (_, body) = get(&twin, "").await;
    assert_eq!(body["errorCode"], "E429");
}

#[tokio::test]
async fn a_preview_tests_the_key_without_sending() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let path = "/sms/1/preview";
    let text = json!({"text": "Grüß dich"});
    let (status, body) = read(request(&twin, path, &text).send().await.unwrap()).await;
    assert_eq!((status, &body["originalText"]), (200, &json!("Grüß dich")));
    assert_eq!(body["previews"][0]["messageCount"], 1);
    let (status, _) = read(request(&twin, path, &json!({})).send().await.unwrap()).await;
    assert_eq!(status, 400);
    let stranger = client()
        .post(format!("{}{path}", twin.base_url()))
        .body("{}");
    assert_eq!(stranger.send().await.unwrap().status(), 401);
    assert_eq!(twin.audit().totals.http_requests, 0);
}
