//! What is taken, recognised, limited, disturbed.

use std::num::NonZeroU32;
use std::time::Duration;

use provider_sim::{AccountLimits, CountedIn, FaultRates};
use serde_json::{Value, json};

use super::*;
use crate::support::quick;

#[tokio::test]
async fn each_message_of_a_request_is_answered_under_its_own_name() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let body = json!({
        "messages": [
            message(PERSON, "m-1", "Hi Aoife"),
            message("4915112345678", "m-2", &"ж".repeat(71)),
            {"sender": SENDER, "destinations": [{"to": PERSON}], "content": {"text": "no name"}},
        ],
        "options": {"includeSmsCountInResponse": true, "schedule": {"bulkId": "bulk-1"}},
    });
    let sent = request(&twin, "/sms/3/messages", &body).send().await;
    let (status, answer) = read(sent.unwrap()).await;
    assert_eq!((status, &answer["bulkId"]), (200, &json!("bulk-1")));
    let first = json!({
        "messageId": "m-1", "destination": PERSON, "details": {"messageCount": 1},
        "status": {"groupId": 1, "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED",
                   "description": "Message sent to next instance"},
    });
    assert_eq!(answer["messages"][0], first);
    assert_eq!(answer["messages"][1]["details"]["messageCount"], 2);
    let named = answer["messages"][2]["messageId"].as_str().unwrap();
    assert_eq!(named.len(), 36, "{named}");
    let report = twin.audit();
    let references: Vec<_> = report
        .entries
        .iter()
        .map(|e| e.reference.as_str())
        .collect();
    assert_eq!(references, ["m-1", "m-2", ""]);
    assert_eq!(report.entries[0].recipient, format!("+{PERSON}"));
    assert_eq!(
        (report.totals.http_requests, report.totals.accepted),
        (1, 3)
    );
    assert_eq!(report.totals.accepted_segments, 4);
}

#[tokio::test]
async fn an_answer_has_no_counts_unless_they_are_asked_for_and_a_bulk_id_of_its_own() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let (_, first) = send(&twin, &[message(PERSON, "m-1", "x")]).await;
    let (_, second) = send(&twin, &[message(PERSON, "m-2", "x")]).await;
    assert_eq!(first["messages"][0].get("details"), None);
    assert_ne!(first["bulkId"], second["bulkId"]);
    assert_eq!(first["bulkId"].as_str().unwrap().len(), 19);
}

#[tokio::test]
async fn a_known_message_id_is_refused_with_23_and_not_sent_again() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let (_, answer) = send(
        &twin,
        &[message(PERSON, "m-1", "x"), message(PERSON, "m-1", "y")],
    )
    .await;
    assert_eq!(ids(&answer), [26, 23], "within one request too");
    let (status, answer) = send(
        &twin,
        &[
            message("4915112345678", "m-1", "z"),
            message(PERSON, "m-2", "x"),
        ],
    )
    .await;
    assert_eq!((status, ids(&answer)), (200, vec![23, 26]));
    let duplicate = &answer["messages"][0];
    assert_eq!(duplicate["status"]["name"], "REJECTED_DUPLICATE_MESSAGE_ID");
    assert_eq!(
        (&duplicate["messageId"], &duplicate["status"]["groupId"]),
        (&json!("m-1"), &json!(5))
    );
    twin.idle().await;
    assert_eq!(
        results(&hook, "/status").len(),
        2,
        "one report for each message that was sent"
    );
    let report = twin.audit();
    assert_eq!((report.totals.accepted, report.totals.repeated), (2, 2));
    assert!(report.doubled.is_empty() && report.totals.refused.is_empty());
}

#[tokio::test]
async fn a_message_id_can_be_forgotten_and_a_refused_one_is_not_used_up() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.message_id_memory = Some(Duration::ZERO);
    let forgetful = twin(settings, quick()).await;
    send(&forgetful, &[message(PERSON, "m-1", "x")]).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let (_, answer) = send(&forgetful, &[message(PERSON, "m-1", "x")]).await;
    assert_eq!(ids(&answer), [26]);
    assert_eq!(forgetful.audit().doubled.len(), 1);
    let (_, answer) = send(&forgetful, &[message("0861112233", "m-2", "x")]).await;
    assert_eq!(ids(&answer), [8]);
    let (_, answer) = send(&forgetful, &[message(PERSON, "m-2", "x")]).await;
    assert_eq!(ids(&answer), [26]);
}

#[tokio::test]
async fn the_older_version_speaks_its_own_forms() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let body = json!({"bulkId": "b-2", "includeSmsCountInResponse": true, "messages": [
        {"from": SENDER, "text": "x", "destinations": [{"to": PERSON, "messageId": "m-1"}, {"to": "+1"}]}]});
    let path = "/sms/2/text/advanced";
    let (status, answer) = read(request(&twin, path, &body).send().await.unwrap()).await;
    assert_eq!((status, ids(&answer)), (200, vec![26, 52]));
    let entry = &answer["messages"][0];
    assert_eq!(
        (&entry["to"], &entry["smsCount"]),
        (&json!(PERSON), &json!(1))
    );
    assert!(entry.get("destination").is_none() && answer["bulkId"] == "b-2");
    let bad = json!({"messages": [{"from": SENDER, "text": "x"}]});
    let (status, answer) = read(request(&twin, path, &bad).send().await.unwrap()).await;
    let exception = &answer["requestError"]["serviceException"];
    assert_eq!(
        (status, &exception["messageId"]),
        (400, &json!("BAD_REQUEST"))
    );
    assert!(exception["validationErrors"]["messages[0].destinations"].is_array());
    let stranger = request(&twin, path, &body).header("authorization", "App other");
    let (status, answer) = read(stranger.send().await.unwrap()).await;
    let word = &answer["requestError"]["serviceException"]["messageId"];
    assert_eq!((status, word), (401, &json!("UNAUTHORIZED")));
}

#[tokio::test]
async fn who_does_not_ask_for_json_is_answered_in_xml_and_still_sends() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let body = json!({"messages": [message(PERSON, "m-1", "x")]});
    let answer = client()
        .post(format!("{}/sms/3/messages", twin.base_url()))
        .header("authorization", format!("App {KEY}"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["content-type"],
        "application/xml;charset=UTF-8"
    );
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("<messageId>m-1</messageId>")
    );
    assert_eq!(twin.audit().totals.accepted, 1);
}

#[tokio::test]
async fn over_the_limit_is_429_with_e429_and_the_wait_if_it_is_known() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.limits = AccountLimits {
        per_second: NonZeroU32::new(2),
        counted_in: CountedIn::Messages,
        retry_after: Some(Duration::from_millis(1_500)),
        ..AccountLimits::default()
    };
    let twin = twin(settings, quick()).await;
    send(
        &twin,
        &[message(PERSON, "m-1", "x"), message(PERSON, "m-2", "x")],
    )
    .await;
    let body = json!({"messages": [message(PERSON, "m-3", "x")]});
    let answer = request(&twin, "/sms/3/messages", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["retry-after"], "2");
    let (status, answer) = read(answer).await;
    assert_eq!((status, &answer["errorCode"]), (429, &json!("E429")));
    assert_eq!(twin.audit().totals.throttled, 1);
}

#[tokio::test]
async fn faults_are_worded_as_infobip_does_and_a_retry_of_what_was_taken_gets_23() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let fault = |rates: FaultRates| twin.behaviour().change(|b| b.fault_rates = rates).unwrap();
    let none = FaultRates::default;
    fault(FaultRates {
        http_500_but_taken: 1.0,
        ..none()
    });
    let two = [
        message(PERSON, "m-1", "x"),
        message("4915112345678", "m-2", "x"),
    ];
    let (status, answer) = send(&twin, &two).await;
    assert_eq!((status, &answer["errorCode"]), (500, &json!("E500")));
    fault(FaultRates {
        http_500: 1.0,
        ..none()
    });
    assert_eq!(send(&twin, &[message(PERSON, "m-3", "x")]).await.0, 500);
    fault(FaultRates {
        throttle_429: 1.0,
        ..none()
    });
    let (status, answer) = send(&twin, &[message(PERSON, "m-3", "x")]).await;
    assert_eq!((status, &answer["errorCode"]), (429, &json!("E429")));
    fault(FaultRates {
        transient_503: 1.0,
        ..none()
    });
    let (status, answer) = send(&twin, &[message(PERSON, "m-3", "x")]).await;
    assert_eq!(status, 503);
    assert!(matches!(answer, Value::String(html) if html.starts_with("<html>")));
    fault(FaultRates {
        reset: 1.0,
        taken_share: 1.0,
        ..none()
    });
    let body = json!({"messages": [message(PERSON, "m-4", "x")]});
    assert!(
        request(&twin, "/sms/3/messages", &body)
            .send()
            .await
            .is_err()
    );
    fault(none());
    let four = ["m-1", "m-2", "m-3", "m-4"].map(|id| message(PERSON, id, "x"));
    let (_, answer) = send(&twin, &four).await;
    assert_eq!(ids(&answer), [23, 23, 26, 23]);
    let totals = twin.audit().totals;
    assert_eq!((totals.accepted, totals.repeated), (4, 3));
    assert_eq!((totals.ambiguous_taken, totals.ambiguous_not_taken), (3, 2));
    assert!(twin.audit().doubled.is_empty());
}

#[tokio::test]
async fn a_reset_forgets_names_credit_and_logs() {
    let hook = Hook::start().await;
    let mut settings = account(&hook);
    settings.credits = Some(1);
    let twin = twin(settings, quick()).await;
    let (_, answer) = send(
        &twin,
        &[message(PERSON, "m-1", "x"), message(PERSON, "m-2", "x")],
    )
    .await;
    assert_eq!(ids(&answer), [26, 12]);
    twin.reset();
    let (_, answer) = send(&twin, &[message(PERSON, "m-1", "x")]).await;
    assert_eq!(ids(&answer), [26]);
}
