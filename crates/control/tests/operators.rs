//! Connections, organisations, opt-outs and dead letters.

mod support;

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use bus::{Bus, Topic, queue};
use ledger::Ledger;
use message::{ConnectionId, MessageState, event::Event, opt_out::OptOutKind};
use serde_json::json;
use support::{Bench, LIMITED, OPS, connection_body, number, organization};

const Q: &str = "?organization_id=ORG_1";

#[tokio::test]
async fn a_connection_is_added_listed_without_its_secrets_and_deleted() {
    let bench = Bench::new();
    let answer = bench.post("/v1/connections", connection_body()).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let added = answer.body;
    let id = added["id"].as_str().expect("an id").to_owned();
    assert!(id.len() == 13 && id.starts_with('c'), "{id}");
    let base = "https://sms.example.org/distribution-providers/v1/receive/distribution";
    assert_eq!(
        added["webhooks"],
        json!({
            "status": format!("{base}/status/twilio-sms/ORG_1"),
            "message": format!("{base}/message/twilio-sms/ORG_1"),
        })
    );
    let list = bench.get(&format!("/v1/connections{Q}")).await.ok();
    assert_eq!(list["items"][0], added);
    assert_eq!(added["fields"]["auth_token"], "[redacted]");
    assert!(!list.to_string().contains("fedcba9876543210"));
    let stored = bench
        .ledger
        .connection(&ConnectionId::new(&id).expect("an id"))
        .await
        .expect("there")
        .expect("stored");
    assert_eq!(
        stored
            .secret("auth_token")
            .map(|secret| secret.reveal().len()),
        Some(32)
    );

    let path = format!("/v1/connections/{id}{Q}");
    let gone = bench
        .ask(Method::DELETE, &path, LIMITED, Body::empty())
        .await;
    assert_eq!(gone.ok(), json!({ "id": id, "deleted": true }));
    let again = bench
        .ask(Method::DELETE, &path, LIMITED, Body::empty())
        .await;
    assert_eq!(
        (again.status, again.code()),
        (StatusCode::NOT_FOUND, "unknown_connection")
    );
    let list = bench.get(&format!("/v1/connections{Q}")).await.ok();
    assert_eq!(list["items"][0]["active"], false);
}

#[tokio::test]
async fn the_rate_of_a_connection_is_shown_set_and_given_back() {
    let bench = Bench::new();
    let mut form = connection_body();
    form["segments_per_second"] = 40.into();
    let added = bench.post("/v1/connections", form).await.body;
    let path = format!(
        "/v1/connections/{}/limit{Q}",
        added["id"].as_str().expect("an id")
    );
    let put = async |rate: serde_json::Value, path: &str| {
        let body = json!({ "segments_per_second": rate }).to_string();
        bench
            .ask(Method::PUT, path, LIMITED, Body::from(body))
            .await
    };
    let shown = bench.get(&path).await.ok();
    assert_eq!(
        (
            &shown["segments_per_second"],
            &shown["set"],
            &shown["effective"]
        ),
        (&json!(40.0), &json!(null), &json!(40.0))
    );
    let set = put(json!(7.5), &path).await.ok();
    assert_eq!(
        (&set["segments_per_second"], &set["set"], &set["effective"]),
        (&json!(40.0), &json!(7.5), &json!(7.5))
    );
    assert_eq!(bench.get(&path).await.ok(), set);
    let refused = put(json!(0), &path).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::BAD_REQUEST, "invalid_limit")
    );
    let unknown = put(json!(1), &format!("/v1/connections/nobody/limit{Q}")).await;
    assert_eq!(unknown.code(), "unknown_connection");
    assert_eq!(put(json!(null), &path).await.ok(), shown);
}

#[tokio::test]
async fn all_faults_of_a_form_are_reported_at_once_without_its_values() {
    let bench = Bench::new();
    let mut form = connection_body();
    form["name"] = " ".into();
    form["sender"] = "canary-sender!!".into();
    form["segments_per_second"] = 0.into();
    form["fields"] = json!({
        "account_sid": "canary-sid",
        "base_url": "gopher://canary-host",
        "colour": "canary-colour",
    });
    let answer = bench.post("/v1/connections", form).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "invalid_connection")
    );
    let mut fields: Vec<&str> = answer.body["error"]["details"]
        .as_array()
        .expect("details")
        .iter()
        .filter_map(|detail| detail["field"].as_str())
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "fields.account_sid",
            "fields.auth_token",
            "fields.base_url",
            "fields.colour",
            "name",
            "segments_per_second",
            "sender",
        ]
    );
    assert!(
        !answer.body.to_string().contains("canary"),
        "{}",
        answer.body
    );
    let mut form = connection_body();
    form["provider"] = "nobody".into();
    let answer = bench.post("/v1/connections", form).await;
    assert_eq!(answer.body["error"]["details"][0]["field"], "provider");
}

#[tokio::test]
async fn a_body_of_the_wrong_shape_is_named_by_place_and_never_repeated() {
    let bench = Bench::new();
    let mut form = connection_body();
    form["fields"] = json!({ "auth_token": { "canary": "canary" } });
    let answer = bench.post("/v1/connections", form).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "malformed_body")
    );
    assert_eq!(
        answer.body["error"]["details"][0]["field"],
        "fields.auth_token"
    );
    assert!(!answer.body.to_string().contains("canary"));
}

#[tokio::test]
async fn a_host_that_is_not_public_is_refused_where_private_ones_are_not_allowed() {
    let mut settings = support::settings(&[]);
    settings.allow_private_hosts = false;
    let bench = Bench::with(settings);
    let mut form = connection_body();
    form["fields"]["base_url"] = "https://127.0.0.1:8443".into();
    let answer = bench.post("/v1/connections", form).await;
    assert_eq!(
        answer.body["error"]["details"][0]["field"],
        "fields.base_url"
    );
}

#[tokio::test]
async fn the_forms_of_all_providers_are_listed() {
    let bench = Bench::new();
    let list = bench.get("/v1/providers").await.ok();
    let items = list["items"].as_array().expect("a list");
    let slugs: Vec<_> = items.iter().map(|item| item["provider"].as_str()).collect();
    let known = providers::PROVIDERS.iter().map(|known| Some(known.slug()));
    assert_eq!(slugs, known.collect::<Vec<_>>());
    for item in items {
        let fields = item["fields"].as_array().expect("a form");
        assert!(fields.iter().any(|field| field["secret"] == true), "{item}");
        assert!(
            item["can"]["messages_per_request"].as_u64() >= Some(1),
            "{item}"
        );
    }
}

#[tokio::test]
async fn an_organisations_settings_are_kept_and_checked() {
    let bench = Bench::new();
    let path = "/v1/organizations/ORG_1";
    let shown = bench.get(path).await.ok();
    assert_eq!(shown["forbid_default_connection"], false);
    let set = json!({ "forbid_default_connection": true, "default_region": "FR", "brand": "Acme" });
    let answer = bench
        .ask(Method::PUT, path, LIMITED, set.to_string())
        .await
        .ok();
    assert_eq!(answer["default_region"], "FR");
    assert_eq!(bench.get(path).await.ok(), answer);
    let wrong = json!({ "default_region": "XX", "brand": "x".repeat(41) });
    let answer = bench.ask(Method::PUT, path, OPS, wrong.to_string()).await;
    assert_eq!(answer.code(), "invalid_settings");
    assert_eq!(
        answer.body["error"]["details"].as_array().map(Vec::len),
        Some(2)
    );
}

#[tokio::test]
async fn an_opt_out_is_added_looked_up_lifted_and_told() {
    let bench = Bench::new();
    let mut events = bench
        .bus
        .subscribe(Topic::Events, "#")
        .await
        .expect("there");
    let path = format!("/v1/opt-outs/+33612000000{Q}");
    let before = bench.get(&path).await.ok();
    assert_eq!(
        (&before["opted_out"], &before["latest_change"]),
        (&json!(false), &json!(null))
    );
    let note = json!({ "note": "by letter" }).to_string();
    let out = bench.ask(Method::PUT, &path, LIMITED, note).await.ok();
    assert_eq!(
        (&out["opted_out"], &out["number"]),
        (&json!(true), &json!("+33612000000"))
    );
    assert_eq!(out["latest_change"]["evidence"], "crm: by letter");
    assert_eq!(out["latest_change"]["source"], "api");
    assert_eq!(bench.get(&path).await.ok(), out);
    tokio::time::sleep(Duration::from_millis(5)).await; // at the same time the opt-out would hold
    let back = bench
        .ask(Method::DELETE, &path, OPS, Body::empty())
        .await
        .ok();
    assert_eq!(back["opted_out"], false);
    for kind in [OptOutKind::OptOut, OptOutKind::OptIn] {
        let delivery = events.next().await.expect("told");
        let Event::OptOut(told) = serde_json::from_slice(&delivery.body).expect("an event") else {
            panic!("only opt-out events are expected")
        };
        assert_eq!((told.change.kind, told.change.number), (kind, number(0)));
        assert!(!told.event_id.contains("612000000"));
        delivery.ack().await;
    }
    let long = json!({ "note": "x".repeat(201) }).to_string();
    let answer = bench.ask(Method::PUT, &path, OPS, long).await;
    assert_eq!(answer.code(), "invalid_parameter");
}

#[tokio::test]
async fn a_national_number_is_looked_up_by_the_organisations_region() {
    let bench = Bench::new();
    let path = format!("/v1/opt-outs/0612000000{Q}");
    assert_eq!(bench.get(&path).await.code(), "invalid_parameter");
    let settings = message::connection::OrganizationSettings {
        default_region: Some("FR".to_owned()),
        ..Default::default()
    };
    bench
        .ledger
        .set_organization(&organization(), &settings)
        .await
        .expect("there");
    assert_eq!(bench.get(&path).await.ok()["number"], "+33612000000");
}

#[tokio::test]
async fn dead_letters_are_looked_at_without_taking_them_and_without_their_bodies() {
    let bench = Bench::new();
    for n in 0..5 {
        bench
            .dead_letter(&format!("m{n}"), "malformed", Some(queue::BATCHES))
            .await;
    }
    for _ in 0..2 {
        let list = bench.get("/v1/dead-letters?limit=3").await.ok();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(3));
        assert_eq!(
            list["items"][0],
            json!({
                "message_id": "m0", "reason": "malformed", "stage": "a-test", "version": "1",
                "queue": "sms.batches", "bytes": 21,
            })
        );
        assert!(!list.to_string().contains("612000000"));
    }
    assert_eq!(bench.bus.depth(queue::DEAD).await.expect("there"), 5);
}

#[tokio::test]
async fn redriving_puts_back_what_names_a_known_queue_and_leaves_the_rest() {
    let bench = Bench::new();
    bench
        .dead_letter("m1", "malformed", Some(queue::BATCHES))
        .await;
    bench.dead_letter("m2", "panic", Some(queue::BATCHES)).await;
    bench
        .dead_letter("m3", "malformed", Some(queue::DEAD))
        .await;
    bench
        .dead_letter("m4", "malformed", Some("amq.topic"))
        .await;
    bench
        .dead_letter("m5", "malformed", Some("sms.send.gone"))
        .await;
    bench.dead_letter("m6", "malformed", None).await;
    let only = json!({ "limit": 100, "reason": "panic" });
    let answer = bench.post("/v1/dead-letters/redrive", only).await.ok();
    assert_eq!(
        answer,
        json!({ "redriven": 1, "without_queue": 0, "decided": 0 })
    );
    let answer = bench
        .post("/v1/dead-letters/redrive", json!({ "limit": 100 }))
        .await
        .ok();
    assert_eq!(
        answer,
        json!({ "redriven": 1, "without_queue": 4, "decided": 0 })
    );
    assert_eq!(bench.bus.depth(queue::DEAD).await.expect("there"), 4);
    let back = bench
        .bus
        .get(queue::BATCHES)
        .await
        .expect("there")
        .expect("one");
    assert_eq!(back.message_id, "m2");
    let answer = bench
        .post("/v1/dead-letters/redrive", json!({ "limit": 0 }))
        .await;
    assert_eq!(answer.code(), "invalid_parameter");
}

#[tokio::test]
async fn redriving_what_was_given_up_lets_it_be_sent_again_and_nothing_else() {
    let bench = Bench::new();
    bench.publish_batch("d-1", "b-1", 3, 0).await;
    bench.claim("b-1", 0..3).await;
    bench
        .settle("b-1", 0, MessageState::Failed, "attempts_exhausted:connect")
        .await;
    bench.settle("b-1", 1, MessageState::Accepted, "").await;
    for row in [0, 1] {
        bench.dead_chunk("d-1", "b-1", row).await;
    }
    let queue = support::queue("d-1");
    bench.bus.purge(&queue.name()).await.expect("there");
    assert!(
        bench
            .bus
            .delete_send_queue_if_empty(&queue)
            .await
            .expect("there"),
        "removed when it was done"
    );
    let answer = bench
        .post("/v1/dead-letters/redrive", json!({ "limit": 100 }))
        .await
        .ok();
    assert_eq!(
        answer,
        json!({ "redriven": 1, "without_queue": 0, "decided": 1 })
    );
    assert_eq!(
        bench
            .bus
            .depth(&queue.name())
            .await
            .expect("declared again"),
        1
    );
    let rows = bench
        .ledger
        .rows(support::key("b-1"), 0, 10)
        .await
        .expect("there");
    assert_eq!((rows[0].state, rows[0].attempt), (MessageState::Queued, 0));
    assert_eq!(rows[1].state, MessageState::Accepted);
}
