//! What the fleet is for, and what may not happen beside it.

use std::time::Duration;

use provider_sim::{Replies, ReplyScript, TwinBehaviour};
use serde_json::{Value, json};
use smsfleet_tests::checker::HandedOver;
use smsfleet_tests::people;
use smsfleet_tests::proxy::Line;
use smsfleet_tests::scene::{ORGANIZATION, Options, SENDER, Scene, batch};
use smsfleet_tests::site;
use smsfleet_tests::wait;

use crate::{open, taken};

fn schema(name: &str) -> jsonschema::Validator {
    let path = site::root().join(format!("deploy/schemas/{name}.schema.json"));
    let text = std::fs::read_to_string(path).expect("the schema is part of the repository");
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    jsonschema::validator_for(&schema).expect("a valid schema")
}

fn assert_fit(schema: &str, said: &[Value]) {
    let validator = self::schema(schema);
    for message in said {
        let faults: Vec<String> = validator
            .iter_errors(message)
            .map(|fault| fault.to_string())
            .collect();
        assert!(faults.is_empty(), "{schema}: {faults:?} in {message}");
    }
}

fn replies(count: u64) -> Replies {
    Replies {
        fraction: 0.0,
        count: Some(count),
        words: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailing_of_five_hundred_comes_back_delivered_answered_and_without_a_trace_in_the_logs() {
    let mut options = Options::default().with("log.filter", "\"debug\"");
    options.twin.replies = ReplyScript {
        stop: replies(5),
        help: replies(3),
        text: replies(12),
        ..ReplyScript::default()
    };
    options.twin.undelivered_rate = 0.05;
    options.twin.duplicate_receipt_rate = 0.1;
    options.twin.reorder_rate = 0.1;
    let mut scene = open!(options);
    let good = people::numbers(0..490);
    let mut json = batch("spring", "spring-1", &good);
    let recipients = json["recipients"].as_array_mut().expect("a list");
    let bad = ["", "12", "+33", "not a number", "+999123456789"];
    let first_name = json!({"first_name": "Eve"});
    for to in bad
        .iter()
        .copied()
        .chain(good[..5].iter().map(String::as_str))
    {
        recipients.push(json!({"to": to, "fields": first_name}));
    }
    scene.scheduler.hand_over(&json).await.expect("confirmed");
    let mut noted = HandedOver::new(ORGANIZATION, "spring", "spring-1", &good).expect("valid");
    noted.recipients.extend(vec![None; 10]);
    scene.note(noted);

    let verdict = scene.balance().await.expect("the books balance");
    assert_eq!(verdict.figure("twin: messages taken"), 490);
    assert_eq!(verdict.figure("refused by intake"), 10);
    assert_eq!(verdict.figure("distinct replies heard"), 20);

    let (events, replies) = (scene.events.bodies(), scene.replies.bodies());
    assert_fit("event", &events);
    assert_fit("reply", &replies);
    assert_fit("batch", &[json]);
    let refused: Vec<&Value> = events
        .iter()
        .filter(|event| event["kind"] == "refused")
        .flat_map(|event| event["refusals"].as_array().into_iter().flatten())
        .collect();
    assert_eq!(refused.len(), 10, "{refused:?}");
    for (row, rule) in [(490, "invalid_number"), (499, "duplicate")] {
        let named = refused
            .iter()
            .any(|refusal| refusal["row"] == row && refusal["rule"] == rule);
        assert!(named, "row {row} by rule {rule}: {refused:?}");
    }
    let keyword = |word: &str| {
        replies
            .iter()
            .filter(|reply| reply["keyword"] == word)
            .count()
    };
    assert!(
        keyword("opt_out") >= 5 && keyword("none") >= 12,
        "{replies:?}"
    );
    assert!(
        replies
            .iter()
            .all(|reply| reply["in_reply_to"]["distribution_id"] == "spring"),
        "every reply finds its message: {replies:?}"
    );
    let leaks = scene.leaks().await.expect("metrics");
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_a_running_mailing_is_heeded_for_everybody_who_has_not_had_their_turn() {
    let mut scene = open!(Options {
        segments_per_second: 100.0,
        ..Options::default()
    });
    scene
        .mail("spring", "spring-1", &people::numbers(0..800))
        .await
        .expect("confirmed");
    taken(&scene, 50).await;
    for person in (700..800).step_by(5) {
        let status = scene
            .twin()
            .send_inbound(&people::number(person), SENDER, "STOP")
            .await;
        assert_eq!(status.expect("the ingress answers"), 200);
    }
    let verdict = scene.balance().await.expect("the books balance");
    assert_eq!(verdict.figure("suppressed in the ledger"), 20);
    assert_eq!(verdict.figure("twin: messages taken"), 780);
    assert_eq!(verdict.figure("late: requests to stopped numbers"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_handed_over_five_times_is_one_batch_whoever_hands_it_over() {
    let mut scene = open!(Options::default());
    let people = people::numbers(0..300);
    let json = scene
        .mail("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    for _ in 0..3 {
        scene.scheduler.hand_over(&json).await.expect("confirmed");
    }
    let answer = scene
        .api()
        .post_batch(&json)
        .await
        .expect("the API answers");
    assert_eq!(answer.status, 202, "{answer:?}");
    scene.balance().await.expect("the books balance");
    // And once more when all is over.
    scene.scheduler.hand_over(&json).await.expect("confirmed");
    let empty = async || {
        let depth = scene.scheduler.depth("sms.batches").await.ok()?;
        (depth == 0).then_some(())
    };
    wait::until("intake has read it", wait::PATIENCE, empty)
        .await
        .expect("read");
    let verdict = scene.balance().await.expect("the books still balance");
    assert_eq!(verdict.figure("twin: requests"), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_batch_published_twice_texts_nobody_twice() {
    let mut scene = open!(Options::default());
    for number in 0..5_u32 {
        let people = people::numbers(number * 100..(number + 1) * 100);
        let id = format!("spring-{number}");
        let json = scene.mail("spring", &id, &people).await.expect("confirmed");
        scene.scheduler.hand_over(&json).await.expect("confirmed");
    }
    let verdict = scene.balance().await.expect("the books balance");
    assert_eq!(verdict.figure("twin: requests"), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_batch_id_with_other_content_is_refused_and_changes_nothing() {
    let mut scene = open!(Options::default());
    scene
        .mail("spring", "spring-1", &people::numbers(0..20))
        .await
        .expect("confirmed");
    scene.balance().await.expect("the books balance");
    let other = batch("spring", "spring-1", &people::numbers(20..40));
    scene.scheduler.hand_over(&other).await.expect("confirmed");
    refused(&scene, "batch_conflict").await;
    let verdict = scene.balance().await.expect("the books still balance");
    assert_eq!(verdict.figure("twin: requests"), 20);
}

/// Waits for an event that refuses a whole batch by `rule`.
pub(crate) async fn refused(scene: &Scene, rule: &str) {
    let what = format!("an event that refuses a batch by {rule}");
    wait::until(&what, wait::PATIENCE, async || {
        scene
            .events
            .bodies()
            .iter()
            .filter(|event| event["kind"] == "refused")
            .flat_map(|event| event["refusals"].as_array().into_iter().flatten())
            .any(|refusal| refusal["rule"] == rule && refusal["row"].is_null())
            .then_some(())
    })
    .await
    .expect("it is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_tried_again_later_and_each_message_is_taken_once() {
    let mut scene = open!(Options {
        proxies: true,
        twin: TwinBehaviour {
            receipt_delay: Duration::from_millis(100),
            ..TwinBehaviour::default()
        },
        ..Options::default()
    });
    let provider = |line| {
        scene
            .lines
            .as_ref()
            .expect("there are proxies")
            .provider
            .set(line)
    };
    provider(Line::Cut);
    let people = people::numbers(0..60);
    scene
        .mail("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    wait::until("everybody was tried once", wait::PATIENCE, async || {
        let rows = scene.api().rows("spring").await.ok()?;
        let tried = rows
            .iter()
            .filter(|row| row.state == "queued" && row.attempt >= 1);
        (tried.count() == 60).then_some(())
    })
    .await
    .expect("they wait in a retry tier");
    assert_eq!(scene.twin().audit_summary().totals.requests, 0);
    let provider = |line| {
        scene
            .lines
            .as_ref()
            .expect("there are proxies")
            .provider
            .set(line)
    };
    provider(Line::Healthy);
    let verdict = scene.balance().await.expect("the books balance");
    assert_eq!(verdict.figure("twin: requests"), 60);
    let rows = scene.api().rows("spring").await.expect("the API answers");
    assert!(rows.iter().all(|row| row.attempt >= 2), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_costs_no_attempt_and_the_message_goes_out_later() {
    let mut options = Options::default().with("send_worker.throttled_rest", "\"200ms\"");
    options.twin.fault_rates.throttle_429 = 0.1;
    let mut scene = open!(options);
    let people = people::numbers(0..100);
    scene
        .mail("spring", "spring-1", &people)
        .await
        .expect("confirmed");
    let verdict = scene.balance().await.expect("the books balance");
    assert!(verdict.figure("twin: throttled (429)") > 0, "{verdict}");
    assert_eq!(verdict.figure("twin: messages taken"), 100);
    let rows = scene.api().rows("spring").await.expect("the API answers");
    assert!(rows.iter().all(|row| row.attempt == 1), "{rows:?}");
}
