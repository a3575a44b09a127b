//! What people write: the ways to the webhook, the keywords, the repeats.

use http::Method;
use provider_sim::{MessageBirdInbound, MessageBirdSignatures};
use serde_json::Value;

use crate::bench::*;

const TEXT: &str = "Ja, graag 100% & \"zo\" ✅\n";

async fn written(way: MessageBirdInbound, signatures: MessageBirdSignatures) -> Call {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    (account.inbound, account.signatures) = (way, signatures);
    let twin = twin(account, quick()).await;
    let from = format!("+{PERSON}");
    assert_eq!(twin.send_inbound(&from, SENDER, TEXT).await.unwrap(), 200);
    let mut calls = hook.calls();
    assert_eq!(calls.len(), 1);
    calls.remove(0)
}

#[tokio::test]
async fn a_flow_posts_json_with_every_documented_key_some_of_them_twice() {
    let call = written(MessageBirdInbound::FlowJson, MessageBirdSignatures::Jwt).await;
    assert_eq!(call.method, Method::POST);
    assert!(call.url.ends_with("/message/twilio-sms/UR_1"));
    assert_eq!(call.header("content-type"), "application/json");
    assert!(call.claims()["payload_hash"].is_string());
    let object: Value = serde_json::from_str(&call.body).unwrap();
    for name in ["originator", "sender"] {
        assert_eq!(object[name], PERSON, "{name}");
    }
    for name in ["recipient", "receiver"] {
        assert_eq!(object[name], SENDER, "{name}");
    }
    for name in ["body", "payload", "incomingMessage", "message"] {
        assert_eq!(object[name], TEXT, "{name}");
    }
    assert_eq!(object["id"], object["message_id"]);
    assert_eq!(object["reference"], "");
    assert!(object["createdDatetime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(object["createdDatetime"], object["receivedSMSDateTime"]);
    assert!(object["date_utc"].as_str().unwrap().parse::<u64>().is_ok());
    for name in [
        "flowId",
        "flowRevisionId",
        "invocationId",
        "messageBirdRequestId",
    ] {
        assert_eq!(object[name].as_str().unwrap().len(), 36, "{name}");
    }
    assert_eq!(call.body.matches("\"body\":").count(), 2);
    assert_eq!(call.body.matches("\"originator\":").count(), 2);
}

#[tokio::test]
async fn a_flow_posts_a_form_if_the_account_has_that() {
    for signatures in [MessageBirdSignatures::Jwt, MessageBirdSignatures::Timestamp] {
        let call = written(MessageBirdInbound::FlowForm, signatures).await;
        assert_eq!(call.method, Method::POST);
        assert_eq!(
            call.header("content-type"),
            "application/x-www-form-urlencoded"
        );
        match signatures {
            MessageBirdSignatures::Jwt => assert!(call.claims()["jti"].is_string()),
            MessageBirdSignatures::Timestamp => assert!(call.has_good_stamp()),
        }
        assert_eq!(call.get("originator").as_deref(), Some(PERSON));
        assert_eq!(call.get("recipient"), call.get("receiver"));
        assert_eq!(call.get("body").as_deref(), Some(TEXT));
        assert_eq!(call.get("reference").as_deref(), Some("1"));
        assert_eq!(call.get("id"), call.get("message_id"));
        assert!(call.get("createdDatetime").unwrap().ends_with("+00:00"));
        let twice = call
            .pairs()
            .iter()
            .filter(|(name, _)| name == "body")
            .count();
        assert_eq!(twice, 2);
    }
}

#[tokio::test]
async fn numbers_and_short_codes_can_be_forwarded_without_a_flow() {
    let call = written(MessageBirdInbound::Forwarding, MessageBirdSignatures::Jwt).await;
    assert_eq!((&call.method, call.body.as_str()), (&Method::GET, ""));
    assert_eq!(call.get("body").as_deref(), Some(TEXT));
    assert_eq!(call.get("recipient").as_deref(), Some(SENDER));
    call.claims();
    let call = written(MessageBirdInbound::ShortCode, MessageBirdSignatures::Jwt).await;
    assert_eq!(call.method, Method::POST);
    assert_eq!(call.get("shortcode").as_deref(), Some(SENDER));
    assert_eq!(call.get("message").as_deref(), Some(TEXT));
    assert_eq!(call.get("keyword").as_deref(), Some("JA,"));
    let date = call.get("receive_datetime").unwrap();
    assert!(
        date.len() == 14 && date.bytes().all(|b| b.is_ascii_digit()),
        "{date}"
    );
    assert_eq!(call.get("mid").unwrap().len(), 32);
}

#[tokio::test]
async fn a_stop_blocks_the_number_for_americans_only_and_a_start_frees_it() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.fails_at_once = true;
    let twin = twin(account, quick()).await;
    for person in [PERSON, AMERICAN] {
        let from = format!("+{person}");
        let status = async |reference: &str| {
            let (_, object) = post(&twin, &message_to(person, reference)).await;
            object["recipients"]["items"][0]["status"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            twin.send_inbound(&from, SENDER, "Stop ").await.unwrap(),
            200
        );
        let inbound = hook.calls().pop().unwrap();
        assert_eq!(inbound.get("body").as_deref(), Some("Stop "));
        let blocked = if person == AMERICAN {
            "delivery_failed"
        } else {
            "sent"
        };
        assert_eq!(status("s-1").await, blocked);
        let mut other = message_to(person, "s-2");
        other["originator"] = "3197001234568".into();
        assert_eq!(
            post(&twin, &other).await.1["recipients"]["items"][0]["status"],
            "sent"
        );
        twin.send_inbound(&from, SENDER, "START").await.unwrap();
        assert_eq!(status("s-3").await, "sent");
    }
    let report = twin.audit();
    assert_eq!(report.stops.len(), 2);
    assert_eq!(report.totals.requests_after_stop, 4);
    assert_eq!(report.totals.inbound.answered_by_provider, 0);
}

#[tokio::test]
async fn an_inbound_message_is_repeated_until_it_is_taken_and_nobody_writes_to_a_name() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    hook.answers.lock().unwrap().extend([500, 503]);
    let from = format!("+{PERSON}");
    assert_eq!(
        twin.send_inbound(&from, SENDER, "Hallo").await.unwrap(),
        200
    );
    let calls = hook.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call| call.body == calls[0].body));
    assert!(twin.send_inbound(&from, "Survey", "Hallo").await.is_err());
}

#[tokio::test]
async fn scripted_people_answer_what_was_delivered() {
    let hook = Hook::start().await;
    let mut behaviour = quick();
    behaviour.replies.stop.count = Some(2);
    let twin = twin(account(&hook), behaviour).await;
    for n in 0..5 {
        post(&twin, &message_to(&format!("3161234000{n}"), "r-1")).await;
    }
    twin.idle().await;
    let calls = hook.calls();
    let stops = calls.iter().filter(|call| call.get("flowId").is_some());
    assert_eq!(stops.count(), 2);
    assert_eq!(twin.audit().stops.len(), 2);
}
