//! Batches that are none: each is refused with its reason, and a good one behind them goes out.

use serde_json::{Value, json};
use smsfleet_tests::fleet::Service;
use smsfleet_tests::people;
use smsfleet_tests::scene::{Options, Scene, batch};
use smsfleet_tests::wait;

use crate::mailing::refused;
use crate::open;

fn refusals(scene: &Scene) -> Vec<Value> {
    let events = scene.events.bodies();
    let of_refused = events
        .into_iter()
        .filter(|event| event["kind"] == "refused");
    of_refused
        .flat_map(|event| event["refusals"].as_array().cloned().unwrap_or_default())
        .collect()
}

/// A good batch, after whatever was thrown at intake, goes out as if nothing had been.
async fn a_good_one_still_goes_out(scene: &mut Scene) {
    let people = people::numbers(9_000..9_010);
    scene
        .mail("good", "good-1", &people)
        .await
        .expect("confirmed");
    let verdict = scene.balance().await.expect("the books balance");
    assert_eq!(verdict.figure("twin: messages taken"), 10);
    scene.fleet.all_alive().expect("nobody crashed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_batch_is_refused_with_its_reason_and_disturbs_nobody() {
    let mut scene = open!(Options::default());
    let good = batch("bad", "bad-1", &people::numbers(0..3));
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        serde_json::to_vec(&changed).expect("JSON")
    };
    let mut invalid_utf8 = serde_json::to_vec(&good).expect("JSON");
    let quote = invalid_utf8
        .iter()
        .position(|byte| *byte == b'H')
        .expect("the text");
    invalid_utf8[quote] = 0xff;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "no JSON",
            b"{\"organization_id\": \"ORG_e2e\", ".to_vec(),
            "malformed",
        ),
        ("no bytes", Vec::new(), "malformed"),
        ("an array", b"[1, 2, 3]".to_vec(), "malformed"),
        ("invalid UTF-8", invalid_utf8, "malformed"),
        (
            "recipients of a wrong type",
            with("recipients", json!("everybody")),
            "malformed",
        ),
        (
            "a text of a wrong type",
            with("text", json!(7)),
            "malformed",
        ),
        ("an unknown key", with("colour", json!("red")), "malformed"),
        (
            "a name with a dot",
            with("distribution_id", json!("a.b")),
            "malformed",
        ),
        ("nobody", with("recipients", json!([])), "recipient_count"),
        (
            "an unclosed placeholder",
            with("text", json!("Hi {{first_name")),
            "template",
        ),
        ("no text", with("text", json!("")), "template"),
        (
            "a past expiry",
            with("expires_at", json!("2001-01-01T00:00:00Z")),
            "expiry",
        ),
        (
            "no segments",
            with("max_segments", json!(0)),
            "segment_limit",
        ),
        (
            "an organisation without connection",
            with("organization_id", json!("ORG_none")),
            "no_connection",
        ),
    ];
    for (what, body, rule) in cases {
        let before = refusals(&scene).len();
        scene
            .scheduler
            .hand_over_bytes(&body)
            .await
            .expect("confirmed");
        let said = wait::until(what, wait::PATIENCE, async || {
            let said = refusals(&scene);
            (said.len() > before).then(|| said[before..].to_vec())
        })
        .await
        .unwrap_or_else(|error| panic!("{what} is not refused: {error:#}"));
        let by_rule = said.iter().any(|refusal| refusal["rule"] == rule);
        assert!(
            by_rule,
            "{what} is refused by another rule than {rule}: {said:?}"
        );
        let explained = said.iter().all(|refusal| {
            refusal["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() > 10)
        });
        assert!(
            explained,
            "{what}: a refusal without an explanation: {said:?}"
        );
    }
    a_good_one_still_goes_out(&mut scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_more_than_ten_megabytes_is_refused_before_it_is_read() {
    let mut scene = open!(Options::default());
    let mut json = batch("bad", "bad-1", &people::numbers(0..10));
    json["text"] = json!("x".repeat(10_000_001));
    scene.scheduler.hand_over(&json).await.expect("confirmed");
    refused(&scene, "too_large").await;
    // Over HTTP the caller hears it at once.
    let answer = scene.api().post_batch(&json).await;
    assert_eq!(answer.expect("an answer").status, 413);
    a_good_one_still_goes_out(&mut scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_bad_rows_are_each_named_and_too_many_at_once_refused_as_a_whole() {
    const ROWS: usize = 10_000;
    let mut scene = open!(Options::default());
    let bad: Vec<String> = (0..ROWS).map(|row| format!("nobody {row}")).collect();
    for number in 0..10 {
        let json = batch("bad", &format!("bad-{number}"), &bad);
        scene.scheduler.hand_over(&json).await.expect("confirmed");
    }
    wait::until("every bad row is named", wait::PATIENCE, async || {
        (refusals(&scene).len() >= 10 * ROWS).then_some(())
    })
    .await
    .expect("all are named");
    let counts = scene.api().counts("bad").await.expect("counts");
    assert_eq!(counts.get("invalid").copied(), Some(100_000), "{counts:?}");
    let depth = scene
        .scheduler
        .depth("sms.dead")
        .await
        .expect("the dead letters");
    assert_eq!(depth, 0, "a refused row is no dead letter");

    let all: Vec<String> = people::numbers(0..100_000);
    let json = batch("huge", "huge-1", &all);
    scene.scheduler.hand_over(&json).await.expect("confirmed");
    refused(&scene, "recipient_count").await;
    a_good_one_still_goes_out(&mut scene).await;
    let leaks = scene.leaks().await.expect("metrics");
    assert!(leaks.is_empty(), "{leaks:#?}");
    let memory = resident_megabytes(&scene).await;
    assert!(memory < 500.0, "intake holds {memory} MB");
}

async fn resident_megabytes(scene: &Scene) -> f64 {
    let metrics = scene
        .fleet
        .metrics(Service::BatchIntake)
        .await
        .expect("metrics");
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    let bytes: f64 = line
        .and_then(|value| value.parse().ok())
        .unwrap_or_default();
    bytes / 1e6
}
