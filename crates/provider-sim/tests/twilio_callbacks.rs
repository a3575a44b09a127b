//! The Twilio twin calls back: receipts, inbound messages, opt-outs, and what its audit says of them.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod support;

use std::time::Duration;

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use provider_sim::{AuditReport, SignatureVariant, TwinBehaviour};
use serde_json::{Value, json};
use support::*;

fn signature_of(hook: &Hook, call: &Call) -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(call.body.as_bytes())
        .into_owned()
        .collect();
    pairs.sort();
    let text = pairs
        .iter()
        .fold(format!("{}{}", hook.url, call.target), |text, (n, v)| {
            text + n + v
        });
    let mac = Hmac::<sha1::Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap();
    base64::engine::general_purpose::STANDARD.encode(mac.chain_update(text).finalize().into_bytes())
}

#[tokio::test]
async fn receipts_come_signed_in_order_and_carry_the_reference() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let (_, message) = send(&twin, &hook, PERSON, "r-1").await;
    twin.idle().await;
    assert_eq!(hook.statuses(), ["sent", "delivered"]);
    for call in hook.calls() {
        assert_eq!(call.target, "/status/twilio-sms/ORG_1?m=r-1");
        assert_eq!(
            call.parameter("MessageSid").as_deref(),
            message["sid"].as_str()
        );
        assert_eq!(call.parameter("SmsStatus"), call.parameter("MessageStatus"));
        assert_eq!(call.parameter("To").as_deref(), Some(PERSON));
        assert_eq!(
            call.headers["x-twilio-signature"],
            signature_of(&hook, &call)
        );
        assert!(!call.headers.contains_key("i-twilio-idempotency-token"));
    }
    let report = twin.audit();
    assert_eq!(report.totals.callbacks.ok, 2);
    assert_eq!(report.entries[0].status.as_deref(), Some("delivered"));
}

#[tokio::test]
async fn receipts_are_doubled_reordered_and_lost_on_request_and_the_status_ends_right() {
    let hook = Hook::start().await;
    let behaviour = TwinBehaviour {
        duplicate_receipt_rate: 1.0,
        reorder_rate: 1.0,
        ..quick()
    };
    let twin = twin(account(&hook), behaviour).await;
    send(&twin, &hook, PERSON, "r-1").await;
    twin.idle().await;
    assert_eq!(hook.statuses(), ["delivered", "delivered", "sent", "sent"]);
    twin.behaviour()
        .change(|b| b.lose_receipt_rate = 1.0)
        .unwrap();
    send(&twin, &hook, PERSON, "r-2").await;
    twin.idle().await;
    assert_eq!(hook.calls().len(), 4);
    let totals = twin.audit().totals;
    assert_eq!((totals.callbacks.duplicated, totals.callbacks.lost), (2, 2));
    assert_eq!(totals.statuses.get("delivered"), Some(&2));
}

#[tokio::test]
async fn an_error_answer_is_not_retried_unless_the_fragment_asks_for_it() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    hook.answers.lock().unwrap().extend([500, 200]);
    send(&twin, &hook, PERSON, "r-1").await;
    twin.idle().await;
    assert_eq!(hook.statuses(), ["sent", "delivered"]);
    assert_eq!(twin.audit().totals.callbacks.failed.get("500"), Some(&1));

    hook.answers.lock().unwrap().extend([503, 503, 200]);
    let callback = hook.status_url("r-2#rc=4&rp=all");
    let pairs = [
        ("To", PERSON),
        ("From", SENDER),
        ("Body", "x"),
        ("StatusCallback", &callback),
    ];
    post(&twin, &pairs).await.unwrap();
    twin.idle().await;
    let calls: Vec<Call> = hook.calls().into_iter().skip(2).collect();
    let sent: Vec<&Call> = calls
        .iter()
        .filter(|call| call.parameter("MessageStatus").as_deref() == Some("sent"))
        .collect();
    assert_eq!(
        sent[0].target, "/status/twilio-sms/ORG_1?m=r-2",
        "the fragment is not sent"
    );
    assert!(!sent[0].headers.contains_key("i-twilio-idempotency-token"));
    let retries: Vec<&Call> = calls
        .iter()
        .filter(|call| call.headers.contains_key("i-twilio-idempotency-token"))
        .collect();
    assert_eq!(retries.len(), 2);
    assert!(
        retries
            .iter()
            .all(|call| call.headers["x-twilio-signature"] == signature_of(&hook, call))
    );
    let totals = twin.audit().totals;
    assert_eq!((totals.callbacks.retries, totals.callbacks.ok), (2, 3));
}

#[tokio::test]
async fn a_webhook_that_is_not_there_is_tried_twice_and_counted() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let callback = format!("http://{gone}/x?m=r-1");
    let pairs = [
        ("To", PERSON),
        ("From", SENDER),
        ("Body", "x"),
        ("StatusCallback", &callback),
    ];
    post(&twin, &pairs).await.unwrap();
    twin.idle().await;
    let callbacks = twin.audit().totals.callbacks;
    assert_eq!(
        (callbacks.retries, callbacks.failed.get("connect")),
        (2, Some(&2))
    );
}

#[tokio::test]
async fn stop_blocks_the_sender_is_forwarded_and_counted_and_start_lifts_it() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    send(&twin, &hook, PERSON, "o-1").await;
    twin.idle().await;
    assert_eq!(
        twin.send_inbound(PERSON, SENDER, "Stop").await.unwrap(),
        200
    );
    let inbound = hook.calls().pop().unwrap();
    assert_eq!(inbound.target, "/message/twilio-sms/ORG_1");
    assert_eq!(inbound.parameter("Body").as_deref(), Some("Stop"));
    assert_eq!(inbound.parameter("SmsStatus").as_deref(), Some("received"));
    assert_eq!(inbound.parameter("FromCity").as_deref(), Some(""));
    assert_eq!(inbound.parameter("OptOutType"), None);
    assert_eq!(
        inbound.headers["x-twilio-signature"],
        signature_of(&hook, &inbound)
    );

    let (status, body) = send(&twin, &hook, PERSON, "o-2").await;
    assert_eq!((status, body["code"].as_u64()), (400, Some(21610)));
    let report = twin.audit();
    assert_eq!(report.stops.len(), 1);
    assert_eq!(
        (
            report.stops[0].requests_after,
            report.totals.requests_after_stop
        ),
        (1, 1)
    );

    twin.send_inbound(PERSON, SENDER, "unstop").await.unwrap();
    assert_eq!(send(&twin, &hook, PERSON, "o-3").await.0, 201);
    let report = twin.audit();
    assert!(report.stops[0].lifted);
    assert_eq!(report.totals.requests_after_stop, 1);
    assert_eq!(
        report.totals.inbound.keywords,
        [("START".into(), 1), ("STOP".into(), 1)].into()
    );
}

#[tokio::test]
async fn a_stop_that_the_webhook_refused_is_not_held_against_the_fleet() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    hook.answers.lock().unwrap().push_back(503);
    assert_eq!(
        twin.send_inbound(PERSON, SENDER, "STOP").await.unwrap(),
        503
    );
    send(&twin, &hook, PERSON, "o-1").await;
    let report = twin.audit();
    assert!(report.stops.is_empty());
    assert_eq!(report.totals.inbound.posts.failed.get("503"), Some(&1));
}

#[tokio::test]
async fn with_advanced_opt_out_the_service_says_so_and_is_blocked_as_a_whole() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.senders = vec![SERVICE.into(), SENDER.into(), "+12025550102".into()];
    account.advanced_opt_out = true;
    let twin = twin(account, quick()).await;
    let by_service = [
        ("To", PERSON),
        ("MessagingServiceSid", SERVICE),
        ("Body", "x"),
    ];
    assert_eq!(post(&twin, &by_service).await.unwrap().status(), 201);
    twin.send_inbound(PERSON, SERVICE, "QUIT").await.unwrap();
    let inbound = hook.calls().pop().unwrap();
    assert_eq!(inbound.parameter("OptOutType").as_deref(), Some("STOP"));
    assert_eq!(
        inbound.parameter("MessagingServiceSid").as_deref(),
        Some(SERVICE)
    );
    for sender in [SENDER, "+12025550102"] {
        let (_, body) = read(
            post(&twin, &[("To", PERSON), ("From", sender), ("Body", "x")])
                .await
                .unwrap(),
        )
        .await;
        assert_eq!(body["code"], 21610, "{sender} is in the service's pool");
    }
    assert_eq!(
        read(post(&twin, &by_service).await.unwrap()).await.1["code"],
        21610
    );
    assert_eq!(twin.audit().totals.inbound.answered_by_provider, 1);
}

#[tokio::test]
async fn scripted_people_reply_after_delivery_exactly_as_often_as_asked() {
    let hook = Hook::start().await;
    let mut behaviour = quick();
    behaviour.replies.stop.count = Some(3);
    behaviour.replies.text.count = Some(2);
    let twin = twin(account(&hook), behaviour).await;
    for n in 0..10 {
        send(&twin, &hook, &format!("+3363998000{n}"), &format!("p-{n}")).await;
    }
    twin.idle().await;
    let report = twin.audit();
    assert_eq!(report.stops.len(), 3);
    assert_eq!(report.totals.inbound.posts.ok, 5);
    let sids: std::collections::HashSet<_> = hook
        .calls()
        .iter()
        .filter(|c| c.parameter("Body").is_some())
        .map(|c| c.parameter("MessageSid"))
        .collect();
    assert_eq!(sids.len(), 5);
}

#[tokio::test]
async fn the_signature_can_be_forged_missing_or_made_over_the_body() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    twin.behaviour()
        .change(|b| b.signature = SignatureVariant::Forged)
        .unwrap();
    twin.send_inbound(PERSON, SENDER, "hello").await.unwrap();
    twin.behaviour()
        .change(|b| b.signature = SignatureVariant::Missing)
        .unwrap();
    twin.send_inbound(PERSON, SENDER, "hello").await.unwrap();
    twin.behaviour()
        .change(|b| b.signature = SignatureVariant::variant("body_hash"))
        .unwrap();
    twin.send_inbound(PERSON, SENDER, "hello").await.unwrap();
    let calls = hook.calls();
    assert_ne!(
        calls[0].headers["x-twilio-signature"],
        signature_of(&hook, &calls[0])
    );
    assert!(!calls[1].headers.contains_key("x-twilio-signature"));
    assert!(calls[2].target.contains("?bodySHA256="));
    assert_eq!(
        serde_json::from_str::<Value>(&calls[2].body).unwrap()["Body"],
        "hello"
    );
}

#[tokio::test]
async fn another_process_reads_and_drives_the_twin_over_its_own_paths() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let base = twin.base_url();
    let drive = async |path: &str, body: Value| {
        let request = client()
            .post(format!("{base}{path}"))
            .header("content-type", "application/json");
        read(request.body(body.to_string()).send().await.unwrap()).await
    };
    let (status, behaviour) = drive(
        "/_twin/behaviour",
        json!({"receipt_delay": "30ms", "seed": 5}),
    )
    .await;
    assert_eq!((status, &behaviour["seed"]), (200, &json!(5)));
    let (status, problem) = drive("/_twin/behaviour", json!({"failed_rate": 7})).await;
    assert_eq!(status, 400);
    assert!(
        problem["error"].as_str().unwrap().contains("failed_rate"),
        "{problem}"
    );

    let http = client();
    for n in 0..1_201 {
        let n = n % 1_200; // the first one again at the end
        let callback = hook.status_url(&format!("h-{n}"));
        let to = format!("+33639{n:06}");
        let pairs = [
            ("To", to.as_str()),
            ("From", SENDER),
            ("Body", "x"),
            ("StatusCallback", callback.as_str()),
        ];
        let request = http.post(messages_url(&twin)).basic_auth(SID, Some(TOKEN));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(form(&pairs)).send().await.unwrap();
        assert_eq!(response.status(), 201);
    }
    let (_, inbound) = drive(
        "/_twin/inbound",
        json!({"from": PERSON, "to": SENDER, "body": "hi"}),
    )
    .await;
    assert_eq!(inbound["answered"], 200);
    let (_, idle) = get(&format!("{base}/_twin/idle?wait_seconds=10")).await;
    assert_eq!((&idle["due"], &idle["in_flight"]), (&json!(0), &json!(0)));

    let (_, whole) = get(&format!("{base}/_twin/audit")).await;
    let whole: AuditReport = serde_json::from_value(whole).unwrap();
    assert_eq!(whole, twin.audit());
    assert_eq!(whole.entries.len(), 1_200);
    let (_, summary) = get(&format!("{base}/_twin/audit?summary=1")).await;
    let summary: AuditReport = serde_json::from_value(summary).unwrap();
    assert!(summary.entries.is_empty());
    assert_eq!(
        (summary.totals.accepted, summary.totals.accepted_references),
        (1_201, 1_200)
    );
    assert_eq!(
        (summary.doubled.len(), summary.doubled[0].reference.as_str()),
        (1, "h-0")
    );
    assert_eq!(
        summary
            .per_second
            .iter()
            .map(|second| second.accepted)
            .sum::<u64>(),
        1_201
    );

    assert_eq!(drive("/_twin/reset", json!({})).await.0, 204);
    assert_eq!(twin.audit(), AuditReport::default());
}

#[tokio::test]
async fn an_inbound_message_that_cannot_be_delivered_is_an_error_that_says_why() {
    let hook = Hook::start().await;
    let mut account = account(&hook);
    account.senders = vec![SENDER.into(), "Survey".into()];
    account.inbound_webhook = None;
    let twin = twin(account, quick()).await;
    for (to, why) in [
        ("+12025550199", "no account"),
        ("Survey", "one-way"),
        (SENDER, "no inbound webhook"),
    ] {
        let error = twin.send_inbound(PERSON, to, "hi").await.expect_err(why);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn stopping_drops_what_is_due_and_does_not_wait_for_it() {
    let hook = Hook::start().await;
    let behaviour = TwinBehaviour {
        receipt_delay: Duration::from_secs(3_600),
        ..quick()
    };
    let twin = twin(account(&hook), behaviour).await;
    send(&twin, &hook, PERSON, "r-1").await;
    assert_eq!(twin.waiting().due, 2);
    tokio::time::timeout(Duration::from_secs(5), twin.stop())
        .await
        .expect("it stops at once");
}
