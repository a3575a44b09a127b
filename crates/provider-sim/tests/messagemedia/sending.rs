//! Messages that are taken, looked up and cancelled.

use std::num::NonZeroU32;
use std::time::Duration;

use provider_sim::{AccountLimits, CountedIn};

use super::*;

#[tokio::test]
async fn a_request_is_answered_202_with_each_entry_echoed_and_completed() {
    let world = World::start(|_, _| {}).await;
    let sent = [
        world.message(PERSON, "r-1"),
        json!({"content": "x", "destination_number": "+61491570157"}),
    ];
    let (status, answer) = world.send(&sent).await;
    assert_eq!(status, 202);
    for (index, sent) in sent.iter().enumerate() {
        let mut echo = answer["messages"][index].clone();
        let echo = echo.as_object_mut().unwrap();
        let id = echo.remove("message_id").unwrap();
        assert_eq!(id.as_str().unwrap().len(), 36);
        assert_eq!(echo.remove("status").unwrap(), "queued");
        assert_eq!(*echo, *sent.as_object().unwrap());
    }
    let report = world.twin.audit();
    assert_eq!(
        (report.totals.http_requests, report.totals.accepted),
        (1, 2)
    );
    assert_eq!(report.entries[0].reference, "r-1");
    assert_eq!(report.entries[0].recipient, PERSON);
    assert_eq!(report.entries[1].reference, "");
}

#[tokio::test]
async fn a_hundred_messages_are_taken_at_once() {
    let world = World::start(|_, _| {}).await;
    let many: Vec<Value> = (0..100)
        .map(|n| world.message(PERSON, &format!("r-{n}")))
        .collect();
    let (status, answer) = world.send(&many).await;
    assert_eq!(status, 202);
    let echoes = answer["messages"].as_array().unwrap();
    let references = echoes.iter().map(|echo| echo["metadata"]["ref"].clone());
    let wanted: Vec<Value> = (0..100).map(|n| json!(format!("r-{n}"))).collect();
    assert_eq!(references.collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn nulls_are_absent_fields_and_response_fields_are_ignored() {
    let world = World::start(|_, _| {}).await;
    let mut message = world.message(PERSON, "r-1");
    message["scheduled"] = Value::Null;
    message["media"] = Value::Null;
    message["message_id"] = json!("mine");
    let (status, answer) = world.send(&[message]).await;
    assert_eq!(status, 202, "{answer}");
    assert_ne!(answer["messages"][0]["message_id"], "mine");
}

#[tokio::test]
async fn the_same_reference_twice_is_two_messages() {
    let world = World::start(|_, _| {}).await;
    let first = world.send_one(PERSON, "r-1").await;
    assert_ne!(first, world.send_one(PERSON, "r-1").await);
    let report = world.twin.audit();
    assert_eq!((report.totals.accepted, report.doubled.len()), (2, 1));
    assert_eq!(report.totals.accepted_references, 1);
}

#[tokio::test]
async fn a_message_is_looked_up_with_its_status() {
    let world = World::start(|_, _| {}).await;
    let mut message = world.message(PERSON, "r-1");
    message["metadata"]["survey"] = json!("s-9");
    let (_, answer) = world.send(std::slice::from_ref(&message)).await;
    let id = answer["messages"][0]["message_id"].as_str().unwrap();
    let path = format!("/v1/messages/{id}");
    world.twin.idle().await;
    let (status, found) = world.get(&path).await;
    assert_eq!((status, &found["status"]), (200, &json!("delivered")));
    for (field, value) in message.as_object().unwrap() {
        assert_eq!(&found[field], value, "{field}");
    }
    let unknown = "/v1/messages/00000000-0000-0000-0000-000000000000";
    assert_eq!(world.get(unknown).await.0, 404);
    world
        .twin
        .behaviour()
        .change(|b| b.receipt_delay = Duration::from_secs(3_600))
        .unwrap();
    let waiting = format!("/v1/messages/{}", world.send_one(PERSON, "r-2").await);
    assert_eq!(world.get(&waiting).await.1["status"], "queued");
    world.twin.reset();
    assert_eq!(world.get(&path).await.0, 404);
}

#[tokio::test]
async fn a_message_for_later_is_scheduled_until_it_is_cancelled() {
    let world = World::start(|_, _| {}).await;
    let mut message = world.message(PERSON, "r-1");
    message["scheduled"] = json!("2099-01-01T00:00:00.000Z");
    let (_, answer) = world.send(&[message]).await;
    let later = &answer["messages"][0];
    assert_eq!(later["status"], "scheduled");
    let path = format!("/v1/messages/{}", later["message_id"].as_str().unwrap());
    let put = async |path: &str, status: &str| {
        let body = json!({ "status": status });
        world.request(reqwest::Method::PUT, path, Some(&body)).await
    };
    assert_eq!(put(&path, "delivered").await.0, 400);
    let (status, cancelled) = put(&path, "cancelled").await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    assert_eq!(world.get(&path).await.1["status"], "cancelled");
    let sent = format!("/v1/messages/{}", world.send_one(PERSON, "r-2").await);
    assert_eq!(put(&sent, "cancelled").await.0, 400);
    world.twin.idle().await;
    assert_eq!(world.reports().len(), 3, "only the other one is sent");
}

#[tokio::test]
async fn over_the_limit_an_edge_proxy_answers_429() {
    let world = World::start(|account, _| {
        account.limits = AccountLimits {
            per_second: NonZeroU32::new(3),
            counted_in: CountedIn::Messages,
            retry_after: Some(Duration::from_millis(1_500)),
            ..AccountLimits::default()
        };
    })
    .await;
    let three = ["a", "b", "c"].map(|reference| world.message(PERSON, reference));
    assert_eq!(world.send(&three).await.0, 202);
    let request = client()
        .post(format!("{}/v1/messages", world.twin.base_url()))
        .basic_auth(USER, Some(SECRET))
        .header("content-type", "application/json");
    let body = json!({ "messages": three }).to_string();
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "2");
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert_eq!(world.twin.audit().totals.throttled, 3);
    assert_eq!(world.refused("400"), 0);
}

#[tokio::test]
async fn a_request_goes_wrong_as_a_whole() {
    let world = World::start(|_, _| {}).await;
    let two = ["a", "b"].map(|reference| world.message(PERSON, reference));
    let faults = world.twin.behaviour();
    faults
        .change(|b| b.fault_rates.transient_503 = 1.0)
        .unwrap();
    let (status, answer) = world.send(&two).await;
    assert_eq!(status, 503);
    assert!(answer["message"].as_str().is_some(), "{answer}");
    faults
        .change(|b| (b.fault_rates.transient_503, b.fault_rates.http_500) = (0.0, 1.0))
        .unwrap();
    assert_eq!(world.send(&two).await, (500, json!("")));
    faults
        .change(|b| (b.fault_rates.http_500, b.fault_rates.http_500_but_taken) = (0.0, 1.0))
        .unwrap();
    assert_eq!(world.send(&two).await.0, 500);
    let totals = world.twin.audit().totals;
    assert_eq!((totals.accepted, totals.ambiguous_taken), (2, 2));
    assert_eq!(totals.ambiguous_not_taken, 4);
}
