//! What the twin takes, and how it limits and fails.

use std::num::NonZeroU32;
use std::time::Duration;

use provider_sim::{CountedIn, FaultRates, LinkMobilityAccount};
use serde_json::{Value, json};

use super::*;
use support::quick;

fn codes(answers: &Value) -> Vec<u64> {
    let answers = answers.as_array().unwrap().iter();
    answers
        .map(|answer| answer["resultCode"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_message_is_queued_under_an_id_that_is_awkward_in_a_url() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let counted = json!({"customParameters": {"replySmsCount": "true"}});
    let (status, answer) = send(&twin, &message(PERSON, "sf-000042", counted)).await;
    assert_eq!(status, 200);
    let id = answer["messageId"].as_str().unwrap();
    assert!(["+", "/", "="].iter().all(|c| id.contains(c)), "{id}");
    let wanted =
        json!({"messageId": id, "resultCode": 1005, "description": "Queued", "smsCount": 1});
    assert_eq!(answer, wanted);
    let report = twin.audit();
    assert_eq!(report.entries[0].reference, "sf-000042");
    assert_eq!(report.entries[0].recipient, PERSON);
    assert_eq!(report.entries[0].account, USER);
}

#[tokio::test]
async fn a_thousand_messages_are_one_request_and_are_answered_one_by_one() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let entries: Vec<Value> = (0..1_000)
        .map(|n| {
            entry(
                &format!("+4741560{n:03}"),
                &format!("b-{n}"),
                &format!("Hei {n}"),
            )
        })
        .collect();
    let (status, answers) = send_batch(&twin, &batch(entries.clone(), json!({}))).await;
    assert_eq!((status, answers.as_array().unwrap().len()), (200, 1_000));
    let first = &answers[0];
    let id = &first["messageId"];
    let wanted = json!({"messageId": id, "refId": "b-0", "resultCode": 1005, "message": "Queued"});
    assert_eq!(first, &wanted);
    let totals = twin.audit_summary().totals;
    assert_eq!((totals.http_requests, totals.accepted), (1, 1_000));

    let mut one_more = entries;
    one_more.push(entry(PERSON, "b-1000", "Hei"));
    for entries in [one_more, Vec::new()] {
        let (status, refused) = send_batch(&twin, &batch(entries, json!({}))).await;
        assert_eq!((status, &refused["status"]), (400, &json!(400)));
    }
    let totals = twin.audit_summary().totals;
    assert_eq!(totals.refused, [("400".into(), 1_002)].into());
}

#[tokio::test]
async fn a_repeated_reference_is_sent_again() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let twice = vec![entry(PERSON, "d-1", "Hei"), entry(PERSON, "d-1", "Hei")];
    let (_, answers) = send_batch(&twin, &batch(twice, json!({}))).await;
    assert_ne!(answers[0]["messageId"], answers[1]["messageId"]);
    send(&twin, &message(PERSON, "d-1", json!({}))).await;
    let report = twin.audit();
    assert_eq!(
        (report.totals.accepted, report.totals.accepted_references),
        (3, 1)
    );
    assert_eq!(report.doubled[0].reference, "d-1");
    twin.idle().await;
    assert_eq!(reports(&hook).len(), 6);
}

#[tokio::test]
async fn an_ignored_response_is_204_and_so_is_one_that_nobody_asked_for() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    for more in [
        json!({"ignoreResponse": true}),
        json!({"ignoreResponse": null}),
    ] {
        let answer = send(&twin, &message(PERSON, "i-1", more.clone())).await;
        assert_eq!(answer, (204, json!("")));
        let body = batch(vec![entry(PERSON, "i-2", "Hei")], more);
        assert_eq!(send_batch(&twin, &body).await.0, 204);
    }
    twin.idle().await;
    assert_eq!(twin.audit().totals.statuses.get("delivered"), Some(&4));
    let mut references: Vec<Value> = hook
        .calls()
        .iter()
        .map(|call| json_of(call)["refId"].clone())
        .collect();
    references.dedup();
    assert!(references.contains(&json!("i-1")) && references.contains(&json!("i-2")));
}

#[tokio::test]
async fn answers_may_come_in_another_order_and_are_told_apart_by_their_reference() {
    let hook = Hook::start().await;
    let backwards = LinkMobilityAccount {
        answers_backwards: true,
        ..account(&hook)
    };
    let twin = twin(backwards, quick()).await;
    let entries = vec![
        entry(PERSON, "o-1", "Hei"),
        entry("4741560098", "o-2", "Hei"),
    ];
    let (_, answers) = send_batch(&twin, &batch(entries, json!({}))).await;
    let wanted =
        json!({"messageId": null, "refId": "o-2", "resultCode": 2106, "message": "Number error"});
    assert_eq!(answers[0], wanted);
    assert_eq!(
        (&answers[1]["refId"], &answers[1]["resultCode"]),
        (&json!("o-1"), &json!(1005))
    );
}

#[tokio::test]
async fn messages_over_the_limit_get_result_code_3_and_the_others_are_sent() {
    let hook = Hook::start().await;
    let mut limited = account(&hook);
    limited.limits.per_second = NonZeroU32::new(1);
    limited.limits.burst = NonZeroU32::new(4);
    limited.limits.counted_in = CountedIn::Messages;
    let twin = twin(limited, quick()).await;
    let entries = (0..10).map(|n| entry(&format!("+474156000{n}"), &format!("t-{n}"), "Hei"));
    let (status, answers) = send_batch(&twin, &batch(entries.collect(), json!({}))).await;
    assert_eq!(status, 200);
    assert_eq!(codes(&answers), [1005, 1005, 1005, 1005, 3, 3, 3, 3, 3, 3]);
    assert_eq!(answers[9]["message"], "Maximum throttling exceeded");
    assert_eq!(answers[9]["messageId"], Value::Null);
    let (status, answer) = send(&twin, &message(PERSON, "t-10", json!({}))).await;
    assert_eq!((status, &answer["resultCode"]), (200, &json!(3)));
    let totals = twin.audit().totals;
    assert_eq!((totals.accepted, totals.throttled), (4, 7));

    twin.reset();
    let (_, answer) = send(&twin, &message(PERSON, "t-11", json!({}))).await;
    assert_eq!(
        answer["resultCode"], 1005,
        "after a reset the limit is fresh"
    );
}

#[tokio::test]
async fn too_many_requests_at_once_are_answered_429() {
    let hook = Hook::start().await;
    let mut limited = account(&hook);
    limited.limits.max_concurrent = NonZeroU32::new(2);
    limited.limits.retry_after = Some(Duration::from_secs(3));
    let mut slow = quick();
    slow.latency = Duration::from_millis(500);
    let twin = twin(limited, slow).await;
    let body = message(PERSON, "c-1", json!({}));
    let request = || post(&twin, "/sms/send", &body);
    let (a, b, c) = tokio::join!(request(), request(), request());
    let mut answers = [a, b, c];
    answers.sort_by_key(|answer| answer.status());
    assert_eq!(
        answers.each_ref().map(|a| a.status().as_u16()),
        [200, 200, 429]
    );
    assert_eq!(answers[2].headers()["retry-after"], "3");
    let totals = twin.audit().totals;
    assert_eq!((totals.accepted, totals.throttled), (2, 1));
}

#[tokio::test]
async fn faults_are_worded_as_the_page_reads_them() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let none = FaultRates::default;
    let faulty = async |fault_rates: FaultRates, reference: &str| {
        let change = twin.behaviour().change(|b| b.fault_rates = fault_rates);
        change.unwrap();
        send(&twin, &message(PERSON, reference, json!({}))).await
    };
    let rates = FaultRates {
        http_500: 1.0,
        ..none()
    };
    let unknown =
        json!({"status": 106_000, "description": "Unknown error", "translatedDescription": null});
    assert_eq!(faulty(rates, "f-1").await, (500, unknown.clone()));
    let rates = FaultRates {
        http_500_but_taken: 1.0,
        ..none()
    };
    assert_eq!(faulty(rates, "f-2").await, (500, unknown));
    let rates = FaultRates {
        transient_503: 1.0,
        ..none()
    };
    assert_eq!(faulty(rates, "f-3").await, (503, json!("")));
    let rates = FaultRates {
        throttle_429: 1.0,
        ..none()
    };
    let (status, body) = faulty(rates, "f-4").await;
    assert_eq!((status, &body["status"]), (429, &json!(3)));
    let report = twin.audit();
    let taken: Vec<u32> = report.entries.iter().map(|e| e.accepted).collect();
    assert_eq!(taken, [0, 1, 0, 0]);
    let totals = report.totals;
    assert_eq!(
        (
            totals.ambiguous_not_taken,
            totals.ambiguous_taken,
            totals.throttled
        ),
        (2, 1, 1)
    );
}

#[tokio::test]
async fn the_gate_tells_where_it_posts() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let look = async |path: &str, basic: &str| {
        let url = format!("{}/gate/partnergate/platform{path}", twin.base_url());
        let request = client().get(url).header(AUTHORIZATION, basic);
        read(request.send().await.unwrap()).await
    };
    let (status, gate) = look("/COMMON_API/partner/30978/id/BVldZyQt", BASIC).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&gate["type"], &gate["id"]),
        (&json!("PARTNER_GATE"), &json!("BVldZyQt"))
    );
    assert_eq!(gate["ttl"], 172_800_000);
    let wanted = json!({"url": format!("{}/status/link-mobility/ORG_1", hook.url),
        "contentType": "application/json", "username": USER, "password": PASSWORD, "customParameters": {}});
    assert_eq!(gate["destinations"][0], wanted);
    let (_, list) = look("/COMMON_API/partner/30978", BASIC).await;
    assert_eq!(list, json!([gate]));
    for (path, basic, wanted) in [
        ("/COMMON_API/partner/30978/id/BVldZyQT", BASIC, 404),
        ("/COMMON_API/partner/30979/id/BVldZyQt", BASIC, 404),
        ("/COOL/partner/30978", BASIC, 404),
        ("/COMMON_API/partner/30978", "Basic YWNtZV9zbXM=", 401),
    ] {
        let (status, body) = look(path, basic).await;
        assert_eq!(status, wanted, "{path}");
        assert!(body["status"].as_u64().unwrap() >= 103_000, "{body}");
    }
    twin.stop().await;

    let denied = LinkMobilityAccount {
        gate_api_denied: true,
        ..account(&hook)
    };
    let twin = super::twin(denied, quick()).await;
    let url = format!(
        "{}/gate/partnergate/platform/COMMON_API/partner/30978",
        twin.base_url()
    );
    let request = client().get(url).header(AUTHORIZATION, BASIC);
    assert_eq!(request.send().await.unwrap().status(), 403);
    assert_eq!(send(&twin, &message(PERSON, "h-1", json!({}))).await.0, 200);
}
