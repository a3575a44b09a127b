//! What an operator does over the API, with exact numbers.

use std::time::Duration;

use smsfleet_tests::people;
use smsfleet_tests::scene::{Options, Scene};
use smsfleet_tests::wait;

use crate::{open, taken};

fn requests(scene: &Scene) -> u64 {
    scene.twin().audit_summary().totals.requests
}

/// Waits until no request has left for a while.
async fn silence(scene: &Scene) -> u64 {
    let calm = Duration::from_secs(2);
    wait::until_calm("the worker is silent", calm, wait::PATIENCE, async || {
        Some(requests(scene))
    })
    .await
    .expect("it falls silent")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_mailing_sends_nothing_and_a_resumed_one_sends_the_rest() {
    let mut scene = open!(Options {
        segments_per_second: 100.0,
        ..Options::default()
    });
    scene
        .mail("spring", "spring-1", &people::numbers(0..1_000))
        .await
        .expect("confirmed");
    taken(&scene, 100).await;
    let paused = scene.api().decide("spring", "pause").await.expect("paused");
    assert_eq!(paused["state"], "paused", "{paused}");
    let at_rest = silence(&scene).await;
    assert!(at_rest < 900, "{at_rest} of 1,000 have left all the same");
    let queued = |counts: &std::collections::BTreeMap<String, u64>| {
        counts.get("queued").copied().unwrap_or_default()
    };
    let counts = scene.api().counts("spring").await.expect("counts");
    assert_eq!(queued(&counts), 1_000 - at_rest, "{counts:?}");

    // Beside it another mailing goes on.
    let others = people::numbers(5_000..5_050);
    scene
        .mail("autumn", "autumn-1", &others)
        .await
        .expect("confirmed");
    taken(&scene, at_rest + 50).await;
    assert_eq!(requests(&scene), at_rest + 50);

    let resumed = scene
        .api()
        .decide("spring", "resume")
        .await
        .expect("resumed");
    assert_eq!(resumed["state"], "active", "{resumed}");
    let verdict = scene.balance().await.expect("the books balance");
    assert_eq!(verdict.figure("twin: messages taken"), 1_050);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_mailing_says_exactly_how_many_will_not_be_sent() {
    let mut scene = open!(Options {
        segments_per_second: 100.0,
        ..Options::default()
    });
    scene
        .mail("spring", "spring-1", &people::numbers(0..1_000))
        .await
        .expect("confirmed");
    taken(&scene, 200).await;
    let cancelled = scene
        .api()
        .decide("spring", "cancel")
        .await
        .expect("cancelled");
    println!("{cancelled}");
    let told = cancelled["will_not_be_sent"].as_u64().expect("a number");
    let held = cancelled["being_sent"].as_u64().expect("a number");
    let verdict = scene.balance().await.expect("the books balance");
    let (sent, withdrawn) = (
        verdict.figure("twin: messages taken"),
        verdict.figure("ledger: cancelled"),
    );
    assert_eq!(sent + withdrawn, 1_000, "{verdict}");
    assert!(
        (told..=told + held).contains(&withdrawn),
        "{cancelled}: {verdict}"
    );
    if held == 0 {
        assert_eq!(withdrawn, told);
    }
    assert!(sent < 900, "{sent} were sent all the same");
    // A later batch of it is refused, and a resume too.
    let later = people::numbers(2_000..2_010);
    let json = smsfleet_tests::scene::batch("spring", "spring-2", &later);
    scene.scheduler.hand_over(&json).await.expect("confirmed");
    crate::mailing::refused(&scene, "distribution_cancelled").await;
    assert!(scene.api().decide("spring", "resume").await.is_err());
    assert_eq!(requests(&scene), sent);
}
