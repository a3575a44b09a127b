//! Messages that are taken: one, many under one id, failed at once, with a test key, twice, by a request that goes wrong.

use std::num::NonZeroU32;
use std::time::Duration;

use provider_sim::{FaultRates, MessageBirdAccount, TwinBehaviour};
use serde_json::{Value, json};

use crate::bench::*;

#[tokio::test]
async fn a_message_is_answered_with_its_object_and_the_recipient_as_a_number() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let mut sent = message("r-1");
    sent["body"] = "Geef €5 korting ✅".into();
    let (status, object) = post(&twin, &sent).await;
    assert_eq!(status, 201);
    let id = object["id"].as_str().unwrap();
    assert!(
        id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    assert!(object["href"].as_str().unwrap().ends_with(id));
    assert_eq!(object["reference"], "r-1");
    assert_eq!(object["datacoding"], "unicode");
    assert_eq!(object["originator"], SENDER);
    let recipients = &object["recipients"];
    assert_eq!(recipients["totalCount"], 1);
    assert_eq!(recipients["totalSentCount"], 1);
    assert_eq!(
        recipients["items"][0]["recipient"],
        json!(31_612_340_009_u64)
    );
    assert_eq!(recipients["items"][0]["status"], "sent");
    assert_eq!(recipients["items"][0]["messagePartCount"], 1);
    let report = twin.audit();
    assert_eq!(
        (report.totals.accepted, report.totals.http_requests),
        (1, 1)
    );
    assert_eq!(report.entries[0].reference, "r-1");
    assert_eq!(report.entries[0].recipient, format!("+{PERSON}"));
    assert_eq!(report.entries[0].account, "bird");
}

#[tokio::test]
async fn many_recipients_share_one_id_and_wrong_or_repeated_ones_are_left_out() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let mut sent = message("group-1");
    sent["recipients"] = json!([PERSON, "31612340010", "no number", PERSON, "31612340011"]);
    let (status, object) = post(&twin, &sent).await;
    assert_eq!(status, 201);
    let listed = |object: &Value| -> Vec<u64> {
        let items = object["recipients"]["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["recipient"].as_u64().unwrap())
            .collect()
    };
    let people = [31_612_340_009, 31_612_340_010, 31_612_340_011];
    assert_eq!(listed(&object), people);
    let id = object["id"].as_str().unwrap();
    twin.idle().await;
    let calls = hook.calls();
    assert_eq!(calls.len(), 6);
    assert!(
        calls
            .iter()
            .all(|call| call.get("id").as_deref() == Some(id))
    );
    let (status, read) = get(&twin, &format!("/messages/{id}")).await;
    assert_eq!((status, listed(&read)), (200, people.to_vec()));
    assert_eq!(read["recipients"]["totalDeliveredCount"], 3);
    let report = twin.audit();
    assert_eq!(report.entries.len(), 3);
    assert!(
        report
            .entries
            .iter()
            .all(|entry| entry.reference == "group-1")
    );
    let totals = report.totals;
    assert_eq!((totals.http_requests, totals.requests), (1, 5));
    assert_eq!((totals.accepted, totals.repeated), (3, 1));
    assert_eq!(totals.refused, [("9".into(), 1)].into());
}

#[tokio::test]
async fn a_person_who_opted_out_fails_in_the_answer_or_in_the_report() {
    for fails_at_once in [true, false] {
        let hook = Hook::start().await;
        let mut account = account(&hook);
        account.fails_at_once = fails_at_once;
        let twin = twin(account, quick()).await;
        let from = format!("+{AMERICAN}");
        assert_eq!(twin.send_inbound(&from, SENDER, "STOP").await.unwrap(), 200);
        let mut sent = message_to(AMERICAN, "o-1");
        let (status, object) = post(&twin, &sent).await;
        let item = &object["recipients"]["items"][0];
        assert_eq!(status, 201);
        assert!(object["id"].is_string());
        let totals = twin.audit().totals;
        assert_eq!(totals.requests_after_stop, 1);
        if fails_at_once {
            assert_eq!(item["status"], "delivery_failed");
            assert_eq!(item["statusErrorCode"], 103);
            assert_eq!(object["recipients"]["totalDeliveryFailedCount"], 1);
            assert_eq!(totals.refused, [("103".into(), 1)].into());
            sent["recipients"] = json!([PERSON, AMERICAN]);
            let (_, both) = post(&twin, &sent).await;
            let id = both["id"].as_str().unwrap();
            let (_, read) = get(&twin, &format!("/messages/{id}")).await;
            for object in [both.clone(), read] {
                let items = &object["recipients"]["items"];
                assert_eq!(items[0]["statusErrorCode"], Value::Null);
                assert_eq!(items[1]["statusErrorCode"], 103);
            }
        } else {
            assert_eq!(item["status"], "sent");
            twin.idle().await;
            let report = hook.calls().pop().unwrap();
            assert_eq!(report.get("status").as_deref(), Some("delivery_failed"));
            assert_eq!(report.get("statusErrorCode").as_deref(), Some("103"));
            assert_eq!(report.get("statusReason"), None);
            let entry = &twin.audit().entries[0];
            assert_eq!(entry.error_code.as_deref(), Some("103"));
        }
    }
}

#[tokio::test]
async fn what_an_unregistered_originator_sends_fails_with_104() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.unregistered_senders = vec!["Survey".into()];
    let twin = twin(account, quick()).await;
    let mut sent = message("r-1");
    sent["originator"] = "Survey".into();
    assert_eq!(post(&twin, &sent).await.0, 201);
    twin.idle().await;
    assert_eq!(hook.statuses(), ["delivery_failed"]);
    let report = hook.calls().pop().unwrap();
    assert_eq!(report.get("statusErrorCode").as_deref(), Some("104"));
}

#[tokio::test]
async fn with_a_test_key_nothing_is_sent_reported_or_found() {
    let hook = Hook::start().await;
    let key = "test_our-own-key-0000000001";
    let account = MessageBirdAccount {
        access_key: key.into(),
        balance: Some(0.0),
        ..account(&hook)
    };
    let twin = twin(account, quick()).await;
    let http = client();
    let with_key = |request: reqwest::RequestBuilder| {
        request.header("authorization", format!("AccessKey {key}"))
    };
    let url = format!("{}/messages", twin.base_url());
    let request = with_key(http.post(&url)).header("content-type", "application/json");
    let (status, object) = read(
        request
            .body(message("r-1").to_string())
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (status, &object["recipients"]["items"][0]["status"]),
        (201, &"sent".into())
    );
    let own = format!("{url}/{}", object["id"].as_str().unwrap());
    let (status, answer) = read(with_key(http.get(own)).send().await.unwrap()).await;
    assert_eq!((status, &answer["errors"][0]["code"]), (404, &20.into()));
    let (_, list) = read(with_key(http.get(&url)).send().await.unwrap()).await;
    assert_eq!(list["totalCount"], 0);
    twin.idle().await;
    assert!(hook.calls().is_empty());
}

#[tokio::test]
async fn the_same_reference_twice_is_sent_twice_and_the_audit_says_so() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let (_, first) = post(&twin, &message("r-1")).await;
    let (_, second) = post(&twin, &message("r-1")).await;
    assert_ne!(first["id"], second["id"]);
    let report = twin.audit();
    assert_eq!(
        (report.totals.accepted, report.totals.accepted_references),
        (2, 1)
    );
    assert_eq!(report.doubled[0].reference, "r-1");
}

#[tokio::test]
async fn over_the_limits_the_answer_is_429_with_or_without_a_wait() {
    let hook = Hook::start().await;
    for wait in [None, Some(Duration::from_millis(1_500))] {
        let mut account = account(&hook);
        account.limits.per_second = NonZeroU32::new(5);
        account.limits.retry_after = wait;
        let twin = twin(account, quick()).await;
        let mut throttled = 0;
        for n in 0..10 {
            let response = try_post(&twin, &message(&format!("r-{n}"))).await.unwrap();
            if response.status() == 429 {
                throttled += 1;
                let header = response.headers().get("retry-after").cloned();
                assert_eq!(header, wait.map(|_| "2".parse().unwrap()));
                assert!(read(response).await.1["errors"].is_array());
            }
        }
        assert!((1..=5).contains(&throttled), "{throttled} of 10 at 5/s");
        let totals = twin.audit().totals;
        assert_eq!(
            (totals.throttled, totals.accepted),
            (throttled, 10 - throttled)
        );
    }
}

#[tokio::test]
async fn a_request_goes_wrong_as_the_behaviour_asks() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let fault = |rates: FaultRates| {
        let edit = |behaviour: &mut TwinBehaviour| behaviour.fault_rates = rates;
        twin.behaviour().change(edit).unwrap();
    };
    let none = FaultRates::default();
    fault(FaultRates {
        http_500: 1.0,
        ..none.clone()
    });
    let (status, answer) = post(&twin, &message("f-1")).await;
    assert_eq!((status, &answer["errors"][0]["code"]), (500, &99.into()));
    fault(FaultRates {
        http_500_but_taken: 1.0,
        ..none.clone()
    });
    assert_eq!(post(&twin, &message("f-2")).await.0, 500);
    fault(FaultRates {
        transient_503: 1.0,
        ..none.clone()
    });
    let (status, answer) = post(&twin, &message("f-3")).await;
    assert!(status == 503 && answer.as_str().unwrap().starts_with("<html>"));
    fault(FaultRates {
        throttle_429: 1.0,
        ..none.clone()
    });
    assert_eq!(post(&twin, &message("f-4")).await.0, 429);
    fault(FaultRates {
        reset: 1.0,
        taken_share: 1.0,
        ..none
    });
    assert!(try_post(&twin, &message("f-5")).await.is_err());
    let totals = twin.audit().totals;
    assert_eq!((totals.requests, totals.accepted), (5, 2));
    assert_eq!((totals.ambiguous_taken, totals.ambiguous_not_taken), (2, 2));
    assert_eq!(totals.throttled, 1);
}
