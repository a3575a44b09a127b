//! Batches and distributions: handed over, accounted for, walked through, cancelled.

mod support;

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use bus::{Bus, Topic, queue as fixed};
use ledger::{Claim, Ledger, RefusedBatch, SettleOutcome, SettleRequest, SettleRow};
use message::{
    BatchId, MessageState, Refusal, Rule, Timestamp,
    event::{Event, StatusEvents},
};
use serde_json::{Value, json};
use support::{Bench, OPS, batch_body, key, now, number, organization, queue};

const Q: &str = "?organization_id=ORG_1";

#[tokio::test]
async fn a_batch_handed_over_lies_in_the_schedulers_queue_byte_by_byte() {
    let bench = Bench::new();
    let body = format!(" {}\n", batch_body());
    let answer = bench
        .ask(Method::POST, "/v1/batches", OPS, body.clone())
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.body["batch_url"], format!("/v1/batches/b1{Q}"));
    let delivery = bench
        .bus
        .get(fixed::BATCHES)
        .await
        .expect("there")
        .expect("one");
    assert_eq!(delivery.body, body.as_bytes());
}

#[tokio::test]
async fn what_is_no_batch_is_refused_at_the_door() {
    let bench = Bench::with(support::settings(&[("control.batch_bytes_max", 1_000)]));
    let canary = "+33612999999";
    for body in [
        String::new(),
        "[\"ORG_1\",\"d\",\"b\"]".to_owned(),
        format!("{{\"organization_id\": \"{canary}\""),
        format!("{{\"organization_id\": \"{canary}\", \"distribution_id\": \"d\", \"batch_id\": \"b\"}}"),
        "{\"organization_id\":\"ORG_1\",\"organization_id\":\"ORG_2\",\"distribution_id\":\"d\",\"batch_id\":\"b\"}".to_owned(),
        format!("{} {{}}", batch_body()),
    ] {
        let answer = bench.ask(Method::POST, "/v1/batches", OPS, body).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "malformed_body"));
        assert!(!answer.body.to_string().contains("12999999"), "{}", answer.body);
    }
    let answer = bench
        .ask(Method::POST, "/v1/batches", OPS, " ".repeat(1_001))
        .await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::PAYLOAD_TOO_LARGE, "too_large")
    );
    assert_eq!(bench.bus.depth(fixed::BATCHES).await.expect("there"), 0);
}

#[tokio::test]
async fn a_full_queue_is_answered_429_and_a_closed_bus_503() {
    let bench = Bench::with(support::settings(&[("control.batches_waiting_max", 0)]));
    assert_eq!(
        bench.post("/v1/batches", batch_body()).await.status,
        StatusCode::ACCEPTED
    );
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    let answer = bench.post("/v1/batches", batch_body()).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::TOO_MANY_REQUESTS, "backlog")
    );
    assert_eq!(answer.retry_after.as_deref(), Some("10"));

    let bench = Bench::new();
    bench.bus.close().await;
    let answer = bench.post("/v1/batches", batch_body()).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "bus_unavailable")
    );
    assert!(answer.retry_after.is_some());
}

#[tokio::test]
async fn a_batch_shows_its_counts_and_its_refused_rows_in_pages() {
    let bench = Bench::new();
    bench.publish_batch("dist_1", "b1", 50, 7).await;
    let batch = bench.get(&format!("/v1/batches/b1{Q}")).await.ok();
    assert_eq!(batch["state"], "published");
    assert_eq!(batch["counts"]["queued"], 43);
    assert_eq!(
        batch["books"],
        json!({ "accepted": 43, "terminal": 0, "in_flight": 43, "balanced": true })
    );
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = bench
            .get(&format!("/v1/batches/b1{Q}&limit=3{cursor}"))
            .await
            .ok();
        let page = &page["refused_rows"];
        rows.extend(page["items"].as_array().expect("items").clone());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(rows.len(), 7);
    assert_eq!(
        rows[6],
        json!({ "row": 6, "rule": "invalid_number", "field": "to" })
    );
}

#[tokio::test]
async fn a_batch_refused_as_a_whole_is_found_by_its_id_and_in_the_list() {
    let bench = Bench::new();
    for n in 0..25_u64 {
        let refused = RefusedBatch {
            organization_id: organization(),
            distribution_id: None,
            batch_id: BatchId::new(&format!("b{n}")).ok(),
            refusals: vec![Refusal {
                row: None,
                field: "text".to_owned(),
                rule: Rule::Template,
                detail: "the text is empty".to_owned(),
            }],
            // Several at the same time: a cursor must not lose any of them.
            at: Timestamp::from_millis(1_000_000 + n / 10),
        };
        bench
            .ledger
            .record_refused_batch(&refused)
            .await
            .expect("there");
    }
    let one = bench.get(&format!("/v1/batches/b7{Q}")).await.ok();
    assert_eq!(
        (&one["state"], &one["refusals"][0]["rule"]),
        (&json!("refused"), &json!("template"))
    );
    for limit in [1, 3, 10, 25, 100] {
        let items = bench.walk(&format!("/v1/refused-batches{Q}"), limit).await;
        let ids: BTreeSet<&str> = items
            .iter()
            .filter_map(|item| item["batch_id"].as_str())
            .collect();
        assert_eq!((items.len(), ids.len()), (25, 25), "limit {limit}");
    }
}

#[tokio::test]
async fn walking_the_distributions_meets_each_once_even_while_new_ones_come() {
    let bench = Bench::new();
    for n in 0..30 {
        bench
            .publish_batch(&format!("dist_{n}"), &format!("b{n}"), 1, 0)
            .await;
    }
    for limit in [1, 7, 30, 1_000] {
        let items = bench.walk(&format!("/v1/distributions{Q}"), limit).await;
        assert_eq!(ids(&items).len(), 30, "limit {limit}");
        assert_eq!(items.len(), 30);
    }
    let first = bench
        .get(&format!("/v1/distributions{Q}&limit=10"))
        .await
        .ok();
    for n in 30..35 {
        bench
            .publish_batch(&format!("dist_{n}"), &format!("b{n}"), 1, 0)
            .await;
    }
    let cursor = first["next_cursor"].as_str().expect("more");
    let rest = bench
        .walk(&format!("/v1/distributions{Q}&cursor={cursor}"), 1_000)
        .await;
    let first = first["items"].as_array().expect("items").clone();
    assert_eq!((first.len(), rest.len()), (10, 20));
    assert!(ids(&first).is_disjoint(&ids(&rest)));
}

fn ids(items: &[Value]) -> BTreeSet<String> {
    let id = |item: &Value| item["distribution_id"].as_str().map(str::to_owned);
    items.iter().filter_map(id).collect()
}

#[tokio::test]
async fn a_distribution_is_accounted_for_over_all_its_batches() {
    let bench = Bench::new();
    let added = bench
        .post("/v1/connections", support::connection_body())
        .await;
    assert_eq!(added.status, StatusCode::CREATED);
    bench.publish_batch("dist_1", "b1", 100, 10).await;
    bench.publish_batch("dist_1", "b2", 100, 0).await;
    let seen = bench
        .get(&format!("/v1/distributions/dist_1{Q}"))
        .await
        .ok();
    assert_eq!(seen["state"], "active");
    assert_eq!(seen["refused_rows"], 10);
    assert_eq!(
        seen["books"],
        json!({ "accepted": 190, "terminal": 0, "in_flight": 190, "balanced": true })
    );
    assert_eq!(seen["batches"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        seen["eta_seconds"],
        Value::Null,
        "its connection is unknown"
    );
}

#[tokio::test]
async fn messages_are_walked_once_masked_and_by_status() {
    let bench = Bench::new();
    bench.publish_batch("dist_1", "b1", 40, 5).await;
    bench.publish_batch("dist_1", "b2", 30, 0).await;
    let path = format!("/v1/distributions/dist_1/messages{Q}");
    for limit in [1, 7, 35, 1_000] {
        let items = bench.walk(&path, limit).await;
        let names: BTreeSet<&str> = items
            .iter()
            .filter_map(|m| m["reference"].as_str())
            .collect();
        assert_eq!((items.len(), names.len()), (70, 70), "limit {limit}");
        assert!(
            items
                .iter()
                .all(|m| m["to"].as_str().is_some_and(|to| to.contains('*')))
        );
    }
    let invalid = bench.walk(&format!("{path}&status=invalid"), 2).await;
    assert_eq!(invalid.len(), 5);
    assert_eq!(invalid[0]["error_code"], "invalid_number:to");
    let answer = bench.get(&format!("{path}&status=nonsense")).await;
    assert_eq!(answer.code(), "invalid_parameter");
}

#[tokio::test]
async fn pausing_and_resuming_reach_the_workers_list() {
    let bench = Bench::new();
    bench.publish_batch("dist_1", "b1", 1, 0).await;
    let mut nudges = bench
        .bus
        .subscribe(Topic::Control, "#")
        .await
        .expect("there");
    for (verb, state) in [("pause", "paused"), ("resume", "active")] {
        let answer = bench
            .post(&format!("/v1/distributions/dist_1/{verb}{Q}"), json!({}))
            .await;
        assert_eq!(answer.ok()["state"], state);
        nudges.next().await.expect("a nudge").ack().await;
        let list = bench
            .ledger
            .queues(None)
            .await
            .expect("there")
            .expect("a list");
        assert_eq!(serde_json::to_value(list.queues[0].1).expect("JSON"), state);
    }
    let answer = bench
        .post(&format!("/v1/distributions/none/pause{Q}"), json!({}))
        .await;
    assert_eq!(answer.code(), "unknown_distribution");
}

#[tokio::test]
async fn cancelling_answers_exactly_what_will_not_be_sent_while_rows_are_claimed() {
    let bench = Bench::new();
    bench.publish_batch("dist_1", "b1", 100, 10).await;
    bench.publish_batch("dist_1", "b2", 50, 0).await;
    let mut events = bench
        .bus
        .subscribe(Topic::Events, "#.cancelled")
        .await
        .expect("there");
    // 20 are being sent, 15 of which the provider has taken already.
    assert!(
        bench
            .claim("b1", 10..30)
            .await
            .iter()
            .all(|claim| *claim == Claim::Fresh)
    );
    settle(&bench, 10..25, SettleOutcome::State(MessageState::Accepted)).await;

    let path = format!("/v1/distributions/dist_1/cancel{Q}");
    let answer = bench.post(&path, json!({})).await.ok();
    assert_eq!(
        (
            &answer["will_not_be_sent"],
            &answer["being_sent"],
            &answer["already_sent"]
        ),
        (&json!(120), &json!(5), &json!(15))
    );
    assert_eq!(
        bench
            .bus
            .depth(&queue("dist_1").name())
            .await
            .expect("there"),
        0
    );
    assert!(
        bench
            .claim("b2", 0..50)
            .await
            .iter()
            .all(|claim| matches!(claim, Claim::Settled(_)))
    );

    // What a worker hands back is withdrawn too, and asking again says so.
    settle(&bench, 25..30, SettleOutcome::Release).await;
    let again = bench.post(&path, json!({})).await.ok();
    assert_eq!(
        (&again["will_not_be_sent"], &again["being_sent"]),
        (&json!(125), &json!(0))
    );

    let mut told = BTreeSet::new();
    let wait = std::time::Duration::from_millis(50);
    while let Ok(delivery) = tokio::time::timeout(wait, events.next()).await {
        let delivery = delivery.expect("an open bus");
        let Event::Status(StatusEvents { messages, .. }) =
            serde_json::from_slice(&delivery.body).expect("an event")
        else {
            panic!("only status events are expected")
        };
        told.extend(messages.into_iter().map(|message| message.event_id));
        delivery.ack().await;
    }
    assert_eq!(told.len(), 125);

    let seen = bench
        .get(&format!("/v1/distributions/dist_1{Q}"))
        .await
        .ok();
    assert_eq!(seen["state"], "cancelled");
    assert_eq!(
        seen["books"],
        json!({ "accepted": 140, "terminal": 125, "in_flight": 15, "balanced": true })
    );
    for verb in ["pause", "resume"] {
        let answer = bench
            .post(&format!("/v1/distributions/dist_1/{verb}{Q}"), json!({}))
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::CONFLICT, "distribution_cancelled")
        );
    }
}

async fn settle(bench: &Bench, rows: std::ops::Range<u32>, outcome: SettleOutcome) {
    let request = SettleRequest {
        batch: key("b1"),
        token: 11,
        now: now(),
        sender: (organization(), "+15550001111".to_owned()),
        index_ids: true,
        connection_id: message::ConnectionId::new("con_1").expect("an id"),
        rows: rows
            .map(|row| SettleRow {
                row,
                to: number(row),
                outcome,
                code: String::new(),
                provider_message_id: String::new(),
                parts: 0,
                part_ids: Vec::new(),
            })
            .collect(),
    };
    bench.ledger.settle(&request).await.expect("there");
}

#[tokio::test]
async fn an_unfinished_body_is_no_batch() {
    let bench = Bench::new();
    let cut = futures_util::stream::iter([
        Ok(bytes::Bytes::from_static(b"{")),
        Err(std::io::Error::other("the line went dead")),
    ]);
    let answer = bench
        .ask(Method::POST, "/v1/batches", OPS, Body::from_stream(cut))
        .await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::BAD_REQUEST, "incomplete_body")
    );
}
