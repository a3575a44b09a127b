//! What people write: the bodies that the gate posts, and what a STOP does not do.

use serde_json::{Value, json};

use super::*;
use support::quick;

#[tokio::test]
async fn a_reply_to_a_short_number_has_every_field_of_the_page() {
    let hook = Hook::start().await;
    let mut owner = account(&hook);
    owner.senders = vec!["2333".into()];
    owner.keywords = vec!["STOPP".into()];
    let twin = twin(owner.clone(), quick()).await;
    let more = json!({"source": "2333", "sourceTON": "SHORTNUMBER"});
    send(&twin, &message(PERSON, "n-1", more)).await;
    twin.idle().await;
    twin.send_inbound(PERSON, "2333", "stopp takk")
        .await
        .unwrap();
    let call = hook.calls().pop().unwrap();
    assert_eq!(call.target, "/message/link-mobility/ORG_1");
    assert_eq!(call.headers[AUTHORIZATION], BASIC);
    let mut body = json_of(&call);
    assert!(body["messageId"].as_str().unwrap().contains('='));
    assert_eq!(
        body["customParameters"]["serviceCentreTimeStamp"]
            .as_str()
            .unwrap()
            .len(),
        14
    );
    for name in [
        "messageId",
        "timestamp",
        "operatorTimestamp",
        "customParameters",
    ] {
        body.as_object_mut().unwrap().remove(name).unwrap();
    }
    let wanted = json!({
        "destination": "NO-2333", "subNumber": null, "source": PERSON,
        "content": {"type": "SMS", "userData": "stopp takk", "encoding": "TEXT"},
        "operator": "no.telenor", "operatorMessageId": "1", "gateCustomParameters": {},
        "route": {"type": "KEYWORD_ROUTE", "id": "kw1", "refId": "survey replies", "gateIds": ["BVldZyQt"],
            "platformId": "COMMON_API", "platformPartnerId": "30978", "platformServiceType": "",
            "platformServiceId": "", "customParameters": {}, "number": "NO-2333", "keyword": "STOPP",
            "keywordType": "FIRST_WORD", "active": true, "start": "2025-01-01T00:00:00Z",
            "end": "2099-01-01T00:00:00Z", "shared": false, "description": "Replies"},
    });
    assert_eq!(body, wanted);

    twin.send_inbound(PERSON, "2333", "Hva er dette?")
        .await
        .unwrap();
    let route = json_of(&hook.calls().pop().unwrap())["route"].clone();
    assert_eq!(
        (&route["keywordType"], &route["keyword"]),
        (&json!("DEFAULT"), &Value::Null)
    );
    twin.stop().await;

    owner.subnumber = Some(1_234_567_890_123);
    let twin = super::twin(owner, quick()).await;
    twin.send_inbound(PERSON, "2333", "Hei").await.unwrap();
    let body = json_of(&hook.calls().pop().unwrap());
    assert_eq!(body["subNumber"], 1_234_567_890_123_u64);
    assert_eq!(body["route"]["type"], "SUBNUMBER_ROUTE");
    assert_eq!(body["route"]["startRange"], "1234567890123");
}

#[tokio::test]
async fn a_stop_is_forwarded_like_any_text_and_blocks_nothing() {
    let hook = Hook::start().await;
    let mut one_url = account(&hook);
    one_url.message_url = one_url.status_url.clone();
    let twin = twin(one_url, quick()).await;
    send(&twin, &message(PERSON, "s-1", json!({}))).await;
    twin.idle().await;
    twin.send_inbound(PERSON, SENDER, "STOP").await.unwrap();
    let call = hook.calls().pop().unwrap();
    assert_eq!(
        call.target, "/status/link-mobility/ORG_1",
        "one URL serves both"
    );
    let body = json_of(&call);
    assert_eq!(
        (&body["destination"], &body["content"]["userData"]),
        (&json!(SENDER), &json!("STOP"))
    );
    assert_eq!(body["route"], Value::Null, "a long number needs no route");
    let (_, answer) = send(&twin, &message(PERSON, "s-2", json!({}))).await;
    assert_eq!(answer["resultCode"], 1005);
    let report = twin.audit();
    assert_eq!(report.stops.len(), 1);
    assert_eq!(report.totals.requests_after_stop, 1);
    assert_eq!(report.totals.inbound.answered_by_provider, 0);
}

#[tokio::test]
async fn scripted_people_answer_numbers_and_never_names() {
    let hook = Hook::start().await;
    let talkative = {
        let mut behaviour = quick();
        behaviour.replies.text.fraction = 1.0;
        behaviour
    };
    let twin = twin(account(&hook), talkative).await;
    let sources = [
        ("2333", "SHORTNUMBER"),
        (SENDER, "MSISDN"),
        ("Survey", "ALPHANUMERIC"),
    ];
    for (n, (source, ton)) in sources.into_iter().enumerate() {
        let more = json!({"source": source, "sourceTON": ton});
        send(
            &twin,
            &message(&format!("+4670174060{n}"), &format!("w-{n}"), more),
        )
        .await;
    }
    twin.idle().await;
    let bodies = hook.calls().into_iter().map(|call| json_of(&call));
    let mut to: Vec<Value> = bodies
        .filter(|body| body["content"].is_object())
        .map(|body| body["destination"].clone())
        .collect();
    to.sort_by_key(Value::to_string);
    assert_eq!(to, [json!(SENDER), json!("SE-2333")]);
    let error = twin.send_inbound(PERSON, "Survey", "Hei").await;
    assert!(error.unwrap_err().to_string().contains("one-way"));
}
