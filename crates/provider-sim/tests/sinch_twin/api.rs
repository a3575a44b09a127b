//! Sending one message: what is taken, what is refused at once, what fails later; and looking up.

use std::num::NonZeroU16;

use provider_sim::{FaultRates, SinchAccount};
use serde_json::{Value, json};

use crate::support::{client, quick, read};
use crate::{APP, PERSON, SENDER, World, account, message};

#[tokio::test]
async fn an_accepted_message_is_answered_with_its_id_and_booked_under_its_metadata() {
    let world = World::start().await;
    let (status, body) = world.send(PERSON, "sf-000042").await;
    assert_eq!(status, 200);
    assert_eq!(body["message_id"].as_str().unwrap().len(), 26);
    let accepted = body["accepted_time"].as_str().unwrap();
    assert!(
        accepted.len() == 24 && accepted.ends_with('Z'),
        "{accepted}"
    );
    let odd = r#"{"ref":"sf-000043"}"#;
    assert_eq!(world.send("33199000002", odd).await.0, 200);
    let entries = world.twin.audit().entries;
    let named: Vec<_> = entries
        .iter()
        .map(|e| (e.recipient.as_str(), e.reference.as_str()))
        .collect();
    assert_eq!(named, [(PERSON, "sf-000042"), ("+33199000002", odd)]);
    assert_eq!(entries[0].account, APP);
}

#[tokio::test]
async fn each_bad_request_is_refused_with_the_documented_form() {
    let world = World::start().await;
    let identity = "/recipient/identified_by/channel_identities/0/identity";
    for (pointer, value, names) in [
        ("/app_id", json!(null), "app_id"),
        (identity, json!("nobody"), "identity"),
        ("/message/text_message/text", json!(""), "text"),
        (
            "/channel_properties/SMS_SENDER",
            json!("+442079460001"),
            "SMS_SENDER",
        ),
        ("/ttl", json!("2s"), "ttl"),
        (
            "/message_metadata",
            json!("x".repeat(1_025)),
            "message_metadata",
        ),
    ] {
        let mut body = message(PERSON, "b-1");
        *body.pointer_mut(pointer).unwrap() = value;
        let (status, body) = world.post("messages:send", &body).await;
        let error = &body["error"];
        assert_eq!((status, &error["code"]), (400, &json!(400)));
        assert_eq!(error["status"], "INVALID_ARGUMENT");
        assert!(
            error["message"].as_str().unwrap().contains(names),
            "{error}"
        );
        assert!(error["details"].is_array());
    }
    let totals = world.twin.audit().totals;
    assert_eq!(
        (totals.requests, totals.refused["INVALID_ARGUMENT"]),
        (6, 6)
    );
}

#[tokio::test]
async fn method_path_content_type_and_size_are_checked() {
    let world = World::start().await;
    let good = message(PERSON, "m-1").to_string();
    let status = async |request: reqwest::RequestBuilder| {
        let (status, body) = read(request.bearer_auth(&world.token).send().await.unwrap()).await;
        assert_eq!(body["error"]["code"], status, "{body}");
        status
    };
    let url = world.url("messages:send");
    let post = |kind: &str, body: &str| {
        client()
            .post(&url)
            .header("content-type", kind)
            .body(body.to_owned())
    };
    assert_eq!(status(post("text/plain", &good)).await, 415);
    assert_eq!(status(client().post(&url).body(good.clone())).await, 415);
    assert_eq!(status(post("application/json", "{")).await, 400);
    assert_eq!(status(post("application/json", "[]")).await, 400);
    let large = format!("{{\"x\":\"{}\"}}", "a".repeat(1024 * 1024));
    assert_eq!(status(post("application/json", &large)).await, 413);
    assert_eq!(status(client().get(&url)).await, 405);
    assert_eq!(status(client().put(world.url("messages"))).await, 405);
    assert_eq!(
        status(client().post(world.url("messages:sent")).body("")).await,
        404
    );
    let charset = post("application/json; charset=utf-8", &good).bearer_auth(&world.token);
    assert_eq!(charset.send().await.unwrap().status(), 200);
    let totals = world.twin.audit().totals;
    assert_eq!((totals.requests, totals.accepted), (6, 1));
}

#[tokio::test]
async fn stage_two_lets_a_message_pass_and_fails_it_in_its_receipt() {
    let account = SinchAccount {
        senders: vec![SENDER.into(), "Survey".into()],
        ..account()
    };
    let world = World::with(account, quick()).await;
    let with = |to: &str, properties: Value, text: &str| {
        let mut body = message(to, &format!("{to}{properties}"));
        body["channel_properties"] = properties;
        body["message"]["text_message"]["text"] = json!(text);
        body
    };
    let own = || json!({"SMS_SENDER": SENDER});
    let parts = json!({"SMS_SENDER": SENDER, "SMS_MAX_NUMBER_OF_MESSAGE_PARTS": "1"});
    let long = "a".repeat(2_001);
    for (body, code) in [
        (with("+3538", own(), "x"), Some("BAD_REQUEST")),
        (with("0033199000001", own(), "x"), Some("BAD_REQUEST")),
        (
            with(PERSON, json!({"SMS_SENDER": "442079460999"}), "x"),
            Some("CHANNEL_BAD_CONFIGURATION"),
        ),
        (
            with("+12025550101", json!({"SMS_SENDER": "Survey"}), "x"),
            Some("CHANNEL_REJECT"),
        ),
        (with(PERSON, json!({"SMS_SENDER": "Survey"}), "x"), None),
        (
            with(PERSON, parts.clone(), &"a".repeat(161)),
            Some("MESSAGE_SPLIT_REQUIRED"),
        ),
        (with(PERSON, parts, &"a".repeat(160)), None),
        (with(PERSON, own(), &long), Some("MESSAGE_SPLIT_REQUIRED")),
        (with(PERSON, json!({}), "x"), None),
    ] {
        world.hook.calls.lock().unwrap().clear();
        let (status, answer) = world.post("messages:send", &body).await;
        assert_eq!(status, 200, "{answer}");
        world.twin.idle().await;
        let (last, reason) = world.reports().pop().unwrap();
        let wanted = if code.is_some() {
            "FAILED"
        } else {
            "DELIVERED"
        };
        assert_eq!((last.as_str(), reason.as_deref()), (wanted, code));
        let report = &world.events().pop().unwrap()["message_delivery_report"];
        let inactive = code == Some("CHANNEL_BAD_CONFIGURATION");
        assert_eq!(report["reason"]["sub_code"] == "INACTIVE_SENDER", inactive);
        if code == Some("BAD_REQUEST") {
            let given = &body["recipient"]["identified_by"]["channel_identities"][0]["identity"];
            assert_eq!(&report["channel_identity"]["identity"], given);
        }
    }
    assert_eq!(world.twin.audit().totals.statuses["FAILED"], 6);
}

#[tokio::test]
async fn a_reference_that_comes_twice_is_sent_twice_and_the_audit_says_so() {
    let world = World::start().await;
    let first = world.send(PERSON, "d-1").await.1;
    let second = world.send(PERSON, "d-1").await.1;
    assert_ne!(
        first["message_id"], second["message_id"],
        "there is no idempotency"
    );
    let report = world.twin.audit();
    assert_eq!(
        (report.totals.accepted, report.totals.accepted_references),
        (2, 1)
    );
    assert_eq!(report.doubled[0].reference, "d-1");
}

#[tokio::test]
async fn faults_are_answered_in_the_providers_form_and_do_what_they_say() {
    let world = World::start().await;
    let none = FaultRates::default;
    for (faults, status, word, taken) in [
        (
            FaultRates {
                http_500: 1.0,
                ..none()
            },
            500,
            "INTERNAL",
            0,
        ),
        (
            FaultRates {
                http_500_but_taken: 1.0,
                ..none()
            },
            500,
            "INTERNAL",
            1,
        ),
        (
            FaultRates {
                transient_503: 1.0,
                ..none()
            },
            503,
            "UNAVAILABLE",
            1,
        ),
        (
            FaultRates {
                throttle_429: 1.0,
                ..none()
            },
            429,
            "RESOURCE_EXHAUSTED",
            1,
        ),
    ] {
        world
            .twin
            .behaviour()
            .change(|b| b.fault_rates = faults)
            .unwrap();
        let (answered, body) = world.send(PERSON, word).await;
        assert_eq!((answered, &body["error"]["status"]), (status, &json!(word)));
        assert_eq!(world.twin.audit().totals.accepted, taken);
    }
    let faults = FaultRates {
        reset: 1.0,
        taken_share: 0.0,
        ..none()
    };
    world
        .twin
        .behaviour()
        .change(|b| b.fault_rates = faults)
        .unwrap();
    let request = client()
        .post(world.url("messages:send"))
        .bearer_auth(&world.token);
    let request = request.header("content-type", "application/json");
    assert!(
        request
            .body(message(PERSON, "r").to_string())
            .send()
            .await
            .is_err()
    );
    let totals = world.twin.audit().totals;
    assert_eq!(
        (
            totals.ambiguous_taken,
            totals.ambiguous_not_taken,
            totals.throttled
        ),
        (1, 3, 1)
    );
}

#[tokio::test]
async fn messages_are_found_only_where_the_app_keeps_them() {
    let world = World::start().await;
    let id = world.send(PERSON, "l-1").await.1["message_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let dispatched = format!("messages/{id}?messages_source=DISPATCH_SOURCE");
    assert_eq!(world.get(&dispatched).await.0, 404, "retention is 0 days");

    let account = SinchAccount {
        retention_days: NonZeroU16::new(7),
        ..account()
    };
    let world = World::with(account, quick()).await;
    let id = world.send(PERSON, "l-1").await.1["message_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (status, found) = world
        .get(&format!("messages/{id}?messages_source=DISPATCH_SOURCE"))
        .await;
    assert_eq!(
        (status, &found["id"], &found["message_status"]),
        (200, &json!(id), &Value::Null)
    );
    assert_eq!(
        (&found["metadata"], &found["direction"]),
        (&json!("l-1"), &json!("TO_CONTACT"))
    );
    assert_eq!(
        world.get(&format!("messages/{id}")).await.0,
        404,
        "the other source has none"
    );
    for n in 0..3 {
        world.send("+33199000002", &format!("l-{n}")).await;
    }
    let list = "messages?messages_source=DISPATCH_SOURCE&channel_identity=33199000002&page_size=2";
    let (_, page) = world.get(list).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 2);
    let next = format!(
        "{list}&page_token={}",
        page["next_page_token"].as_str().unwrap()
    );
    let (_, page) = world.get(&next).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
    assert_eq!(page["next_page_token"], "");
}
