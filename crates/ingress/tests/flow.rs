//! Many callbacks at once, and a bus that does not take them.

mod support;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use bus::{EmbeddedBus, EmbeddedSettings, queue::STATUS_CALLBACKS};
use support::*;

fn bus_for(queue_messages_max: usize) -> Arc<EmbeddedBus> {
    EmbeddedBus::with_settings(EmbeddedSettings {
        queue_messages_max,
        ..EmbeddedSettings::default()
    })
}

async fn hundred_at_once(running: &Arc<Running>) -> Vec<u16> {
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let running = running.clone();
            tokio::spawn(async move {
                running
                    .signed("status", &format!("?m={n}"), DELIVERED)
                    .await
                    .status()
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.expect("no panic"));
    }
    statuses
}

#[tokio::test]
async fn a_hundred_callbacks_of_one_moment_share_a_few_messages() {
    let mut patient = settings();
    patient.group_wait = Duration::from_millis(50);
    let running = Arc::new(Running::start_with(patient, EmbeddedBus::new()).await);
    assert_eq!(hundred_at_once(&running).await, [204; 100]);
    let groups = running.groups(STATUS_CALLBACKS).await;
    assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 100);
    assert!(
        groups.len() <= 10,
        "{} messages for 100 callbacks",
        groups.len()
    );
    let mut targets: Vec<_> = groups.concat().into_iter().map(|one| one.target).collect();
    targets.sort();
    targets.dedup();
    assert_eq!(targets.len(), 100, "none is lost and none is there twice");
}

#[tokio::test]
async fn a_group_is_never_larger_than_allowed() {
    let mut small = settings();
    small.group_max = NonZeroUsize::new(7).expect("not zero");
    small.group_wait = Duration::from_millis(20);
    let running = Arc::new(Running::start_with(small, EmbeddedBus::new()).await);
    assert_eq!(hundred_at_once(&running).await, [204; 100]);
    assert!(
        running
            .groups(STATUS_CALLBACKS)
            .await
            .iter()
            .all(|group| group.len() <= 7)
    );
}

#[tokio::test]
async fn while_the_bus_takes_nothing_callbacks_are_503_and_later_they_are_taken_again() {
    let running = Running::start_with(settings(), bus_for(1)).await;
    assert_eq!(
        running.signed("status", "?m=1", DELIVERED).await.status(),
        204
    );
    let answer = running.signed("status", "?m=2", DELIVERED).await;
    assert_eq!(
        (answer.status(), answer.header("retry-after")),
        (503, Some("5"))
    );
    assert_eq!(running.groups(STATUS_CALLBACKS).await.concat().len(), 1);
    assert_eq!(
        running.signed("status", "?m=2", DELIVERED).await.status(),
        204
    );
    assert!(running.metric(
        "smsfleet_ingress_callbacks_total{kind=\"status\",outcome=\"broker_away\",provider=\"twilio-sms\"} 1"
    ));
    running.stop().await;
}

#[tokio::test]
async fn more_than_can_be_in_flight_are_503_at_once() {
    let mut narrow = settings();
    narrow.in_flight_max = NonZeroUsize::new(5).expect("not zero");
    narrow.group_wait = Duration::from_millis(500);
    let running = Arc::new(Running::start_with(narrow, EmbeddedBus::new()).await);
    let statuses = hundred_at_once(&running).await;
    assert!(
        statuses.iter().all(|status| matches!(status, 204 | 503)),
        "{statuses:?}"
    );
    assert!(
        statuses.contains(&204) && statuses.contains(&503),
        "{statuses:?}"
    );
    let taken = running.groups(STATUS_CALLBACKS).await.concat().len();
    assert_eq!(
        taken,
        statuses.iter().filter(|status| **status == 204).count()
    );
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight_and_loses_nothing() {
    let mut patient = settings();
    patient.group_wait = Duration::from_millis(300);
    let running = Arc::new(Running::start_with(patient, EmbeddedBus::new()).await);
    let waiting = {
        let running = running.clone();
        tokio::spawn(async move { running.signed("status", "?m=1", DELIVERED).await.status() })
    };
    while !running.metric("smsfleet_ingress_in_flight 1") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.ask_to_stop();
    assert_eq!(waiting.await.expect("no panic"), 204);
    assert_eq!(running.groups(STATUS_CALLBACKS).await.concat().len(), 1);
    Arc::into_inner(running)
        .expect("the last holder")
        .ended()
        .await;
}
