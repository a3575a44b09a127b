//! What the webhooks hear: receipts and inbound messages, signed.

use std::time::Duration;

use provider_sim::{SignatureVariant, SinchAccount, TwinBehaviour};
use serde_json::json;

use crate::support::quick;
use crate::{APP, PERSON, PROJECT, SENDER, World, account, event, is_signed, message};

#[tokio::test]
async fn receipts_come_signed_in_order_with_every_field() {
    let world = World::start().await;
    let (_, answer) = world.send(PERSON, "sf-000042").await;
    world.twin.idle().await;
    let calls = world.hook.calls();
    let nonces: std::collections::HashSet<_> = calls
        .iter()
        .map(|call| call.headers["x-sinch-webhook-signature-nonce"].clone())
        .collect();
    assert_eq!((calls.len(), nonces.len()), (2, 2));
    assert!(
        calls
            .iter()
            .all(|call| call.target == "/status/sinch/ORG_1")
    );
    for (told, status) in world
        .events()
        .iter()
        .zip(["QUEUED_ON_CHANNEL", "DELIVERED"])
    {
        assert_eq!(
            (&told["app_id"], &told["project_id"]),
            (&json!(APP), &json!(PROJECT))
        );
        assert!(told["accepted_time"].is_string() && told["event_time"].is_string());
        assert_eq!(told["message_metadata"], "");
        let report = &told["message_delivery_report"];
        assert_eq!(
            (&report["status"], &report["message_id"]),
            (&json!(status), &answer["message_id"])
        );
        assert_eq!(
            (&report["metadata"], &report["processing_mode"]),
            (&json!("sf-000042"), &json!("DISPATCH"))
        );
        assert_eq!(
            (&report["conversation_id"], &report["contact_id"]),
            (&json!(""), &json!(""))
        );
        assert_eq!(report.get("reason"), None);
        let identity = report["channel_identity"]["identity"].as_str().unwrap();
        assert_eq!(identity.trim_start_matches('+'), &PERSON[1..]);
        assert_eq!(report["channel_identity"]["channel"], "SMS");
    }
    let report = world.twin.audit();
    assert_eq!(report.totals.callbacks.ok, 2);
    assert_eq!(report.entries[0].status.as_deref(), Some("DELIVERED"));
}

#[tokio::test]
async fn either_form_of_a_number_comes_back() {
    let world = World::start().await;
    for n in 0..30 {
        world.send(&format!("+331990000{n:02}"), "x").await;
    }
    world.twin.idle().await;
    let plus = |event: &serde_json::Value| {
        let identity = &event["message_delivery_report"]["channel_identity"]["identity"];
        identity.as_str().unwrap().starts_with('+')
    };
    let with = world.events().iter().filter(|event| plus(event)).count();
    assert!((2..30).contains(&with), "{with} of 60 with a plus");
}

#[tokio::test]
async fn bad_ends_have_a_reason_and_an_expired_message_was_never_sent() {
    let behaviour = TwinBehaviour {
        undelivered_rate: 1.0,
        ..quick()
    };
    let world = World::with(account(), behaviour).await;
    world.send(PERSON, "u-1").await;
    world.twin.idle().await;
    let reports = world.reports();
    assert_eq!(reports[0].0, "QUEUED_ON_CHANNEL");
    assert_eq!(reports[1].0, "FAILED");
    let reason = &world.events()[1]["message_delivery_report"]["reason"];
    assert_eq!(reason["code"].as_str(), reports[1].1.as_deref());
    assert_eq!(
        (&reason["sub_code"], &reason["channel_code"]),
        (&json!("UNSPECIFIED_SUB_CODE"), &json!(""))
    );
    assert!(!reason["description"].as_str().unwrap().is_empty());
    let failed = |b: &mut TwinBehaviour| (b.undelivered_rate, b.failed_rate) = (0.0, 1.0);
    world.twin.behaviour().change(failed).unwrap();
    world.send(PERSON, "f-1").await;
    world.twin.idle().await;
    assert_eq!(world.reports().len(), 3, "it was never on the channel");
}

#[tokio::test]
async fn receipts_are_doubled_reordered_and_lost_on_request() {
    let behaviour = TwinBehaviour {
        duplicate_receipt_rate: 1.0,
        reorder_rate: 1.0,
        ..quick()
    };
    let world = World::with(account(), behaviour).await;
    world.send(PERSON, "r-1").await;
    world.twin.idle().await;
    let statuses: Vec<_> = world
        .reports()
        .into_iter()
        .map(|(status, _)| status)
        .collect();
    let (sent, delivered) = ("QUEUED_ON_CHANNEL", "DELIVERED");
    assert_eq!(statuses, [delivered, delivered, sent, sent]);
    world
        .twin
        .behaviour()
        .change(|b| b.lose_receipt_rate = 1.0)
        .unwrap();
    world.send(PERSON, "r-2").await;
    world.twin.idle().await;
    assert_eq!(world.reports().len(), 4);
    assert_eq!(world.twin.audit().totals.statuses[delivered], 2);
}

#[tokio::test]
async fn a_callback_is_repeated_after_429_and_5xx_with_the_same_nonce_and_not_after_4xx() {
    let world = World::start().await;
    let quick = Duration::from_millis(20);
    let pause = |b: &mut TwinBehaviour| b.callback_retry_pause = quick;
    world.twin.behaviour().change(pause).unwrap();
    world
        .hook
        .answers
        .lock()
        .unwrap()
        .extend([503, 429, 200, 400]);
    world.send(PERSON, "c-1").await;
    world.twin.idle().await;
    let calls = world.hook.calls();
    assert_eq!(calls.len(), 4);
    let nonce = |n: usize| &calls[n].headers["x-sinch-webhook-signature-nonce"];
    assert!(nonce(0) == nonce(1) && nonce(1) == nonce(2) && nonce(2) != nonce(3));
    let callbacks = world.twin.audit().totals.callbacks;
    assert_eq!(
        (callbacks.ok, callbacks.retries, callbacks.failed["400"]),
        (1, 2, 1)
    );
}

#[tokio::test]
async fn a_message_may_name_its_own_target_which_has_its_own_secret() {
    let account = SinchAccount {
        override_secret: "another".into(),
        ..account()
    };
    let world = World::with(account, quick()).await;
    let mut body = message(PERSON, "o-1");
    body["callback_url"] = json!(format!("{}/elsewhere", world.hook.url));
    body["correlation_id"] = json!("corr-1");
    world.post("messages:send", &body).await;
    world.twin.idle().await;
    let calls = world.hook.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.target == "/elsewhere" && !is_signed(call))
    );
    assert_eq!(event(&calls[0])["correlation_id"], "corr-1");
    assert!(calls[0].headers.contains_key("x-sinch-webhook-signature"));
}

#[tokio::test]
async fn a_persons_message_has_every_field_and_its_own_id() {
    let world = World::start().await;
    let text = "Oui, très bien 👍";
    let status = world
        .twin
        .send_inbound(PERSON, "+442079460001", text)
        .await
        .unwrap();
    world
        .twin
        .send_inbound("+33199000002", SENDER, text)
        .await
        .unwrap();
    assert_eq!(status, 200);
    let events = world.events();
    assert!(
        world
            .hook
            .calls()
            .iter()
            .all(|call| call.target == "/message/sinch/ORG_1")
    );
    let told = &events[0]["message"];
    assert_eq!(told["contact_message"]["text_message"]["text"], text);
    assert_eq!(
        (&told["direction"], &told["injected"]),
        (&json!("TO_APP"), &json!(false))
    );
    assert_eq!(
        (&told["sender_id"], &told["processing_mode"]),
        (&json!(SENDER), &json!("DISPATCH"))
    );
    assert_eq!(told["metadata"], r#"{"operator":"27205"}"#);
    assert!(told["accept_time"].is_string() && events[0]["event_time"].is_string());
    assert_ne!(told["id"], events[1]["message"]["id"]);
    let nobody = world.twin.send_inbound(PERSON, "Survey", "x").await;
    assert!(nobody.unwrap_err().to_string().contains("one-way"));
}

#[tokio::test]
async fn events_that_are_not_the_customers_come_only_if_asked_for() {
    let account = SinchAccount {
        foreign_events: true,
        ..account()
    };
    let world = World::with(account, quick()).await;
    world
        .twin
        .send_inbound(PERSON, SENDER, "hello")
        .await
        .unwrap();
    let events = world.events();
    assert!(events[0]["event_delivery_report"].is_object());
    assert!(events[1]["message"].is_object());
    assert_eq!(world.hook.calls()[0].target, "/status/sinch/ORG_1");
}

#[tokio::test]
async fn the_signature_can_be_forged_missing_stale_or_made_with_another_digest() {
    let world = World::start().await;
    for variant in [
        SignatureVariant::Forged,
        SignatureVariant::Missing,
        SignatureVariant::variant("stale"),
        SignatureVariant::variant("hmac_sha512"),
    ] {
        world
            .twin
            .behaviour()
            .change(|b| b.signature = variant.clone())
            .unwrap();
        world
            .twin
            .send_inbound(PERSON, SENDER, "hello")
            .await
            .unwrap();
        let call = world.hook.calls().pop().unwrap();
        let stale = variant == SignatureVariant::variant("stale");
        assert_eq!(
            is_signed(&call),
            stale,
            "{variant:?}: only its time is wrong"
        );
    }
    let unknown = SignatureVariant::variant("sha1");
    assert!(
        world
            .twin
            .behaviour()
            .change(|b| b.signature = unknown)
            .is_err()
    );
}
