//! The rate, the queue and its drain, the app that tells of them, and the time to live of what waits.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use provider_sim::{AccountLimits, SinchAccount};
use serde_json::json;

use crate::support::quick;
use crate::{APP, PERSON, World, account, message};

#[tokio::test]
async fn over_the_rate_the_answer_is_429_and_usually_does_not_say_when() {
    let limits = AccountLimits {
        per_second: NonZeroU32::new(5),
        ..AccountLimits::default()
    };
    let world = World::with(
        SinchAccount {
            limits,
            ..account()
        },
        quick(),
    )
    .await;
    let mut throttled = 0;
    for n in 0..10 {
        let (status, body) = world.send(PERSON, &format!("t-{n}")).await;
        if status == 429 {
            assert_eq!(body["error"]["status"], "RESOURCE_EXHAUSTED");
            throttled += 1;
        }
    }
    let totals = world.twin.audit().totals;
    assert!((1..=5).contains(&throttled), "{throttled} of 10 at 5/s");
    assert_eq!(
        (totals.throttled, totals.accepted),
        (throttled, 10 - throttled)
    );
}

#[tokio::test]
async fn what_waits_in_the_queue_is_shown_is_late_and_is_too_much_in_the_end() {
    let account = SinchAccount {
        drain_per_second: NonZeroU32::new(4),
        queue_limit: 4,
        ..account()
    };
    let world = World::with(account, quick()).await;
    world
        .twin
        .behaviour()
        .change(|b| b.receipt_delay = Duration::ZERO)
        .unwrap();
    let started = Instant::now();
    let mut taken = 0;
    let mut refused = None;
    for n in 0..20 {
        let (status, body) = world.send(PERSON, &format!("q-{n}")).await;
        match status {
            200 => taken += 1,
            _ => refused = Some((status, body["error"]["status"].clone())),
        }
    }
    assert_eq!(refused, Some((429, json!("RESOURCE_EXHAUSTED"))));
    assert!(taken >= 4);
    let (status, app) = world.get(&format!("apps/{APP}")).await;
    assert_eq!((status, &app["id"]), (200, &json!(APP)));
    assert_eq!(
        app["rate_limits"],
        json!({"inbound": 25, "outbound": 4, "webhooks": 25})
    );
    assert_eq!(app["queue_stats"]["outbound_limit"], 4);
    assert!((1..=4).contains(&app["queue_stats"]["outbound_size"].as_u64().unwrap()));
    world.twin.idle().await;
    let drained = Duration::from_millis(250) * (taken - 1);
    assert!(
        started.elapsed() >= drained,
        "the last left after {drained:?}"
    );
    assert_eq!(world.reports().len(), taken as usize * 2);
    let totals = world.twin.audit().totals;
    assert_eq!(totals.accepted + totals.throttled, 20);
    world.twin.reset();
    assert_eq!(
        world.get("apps").await.1["apps"][0]["queue_stats"]["outbound_size"],
        0
    );
}

#[tokio::test]
async fn a_message_that_waits_longer_than_its_time_to_live_expires() {
    let account = SinchAccount {
        drain_per_second: NonZeroU32::new(1),
        ..account()
    };
    let world = World::with(account, quick()).await;
    for n in 0..8 {
        let mut body = message(PERSON, &format!("e-{n}"));
        body["ttl"] = json!("3s");
        assert_eq!(world.post("messages:send", &body).await.0, 200);
    }
    world.twin.idle().await;
    let expired = world
        .reports()
        .into_iter()
        .filter(|(_, code)| code.as_deref() == Some("MESSAGE_EXPIRED"));
    assert!(
        (1..=5).contains(&expired.count()),
        "the eighth would wait 7 s"
    );
}

#[tokio::test]
async fn a_wrong_app_is_not_there() {
    let world = World::start().await;
    assert_eq!(world.get("apps/NOAPP").await.0, 404);
    let (_, app) = world.get(&format!("apps/{APP}")).await;
    assert_eq!(app["rate_limits"]["outbound"], 800, "nothing waits");
    assert_eq!(
        app["queue_stats"],
        json!({"outbound_size": 0, "outbound_limit": 500_000})
    );
}
