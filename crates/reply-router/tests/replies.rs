//! Which message a reply answers, and what happens to those that answer none.

mod support;

use std::time::Duration;

use bus::{Bus, queue};
use message::{Timestamp, event::Keyword, opt_out::OptOutKind};
use support::*;

#[tokio::test]
async fn a_reply_finds_the_latest_message_from_the_sender_it_was_written_to() {
    let mut world = World::new().await;
    world.text("ORG_1", "d-long", LONG, ANA).await;
    world.text("ORG_1", "d-short", SHORT, ANA).await;
    let running = world.start();
    world
        .publish(vec![inbound("SM1", LONG, "Ça va \n👍 ")])
        .await;
    let reply = world.reply().await;
    let matched = reply.in_reply_to.expect("matched");
    assert_eq!(matched.distribution_id.as_str(), "d-long");
    assert_eq!(matched.batch_id.as_str(), "d-long-batch");
    assert_eq!(
        (reply.text.as_str(), reply.keyword),
        ("Ça va \n👍 ", Keyword::None)
    );
    assert_eq!((reply.from.as_str(), reply.to.as_str()), (ANA, LONG));
    assert_eq!(reply.event_id, "reply:twilio-sms:SM1");
    assert!(world.answers().await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_reply_to_a_pool_finds_what_the_pool_sent() {
    let mut world = World::new().await;
    world.text("ORG_1", "d-pool", "MG0123", ANA).await;
    let running = world.start();
    let service = [("MessagingServiceSid", "MG0123")];
    world
        .publish(vec![inbound_with(
            "SM1",
            ANA,
            "+13530000000",
            "4",
            &service,
        )])
        .await;
    let reply = world.reply().await;
    assert_eq!(
        reply.in_reply_to.expect("matched").distribution_id.as_str(),
        "d-pool"
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_overtook_the_note_of_its_message_waits_for_it() {
    let mut world = World::new().await;
    let running = world.start();
    world.publish(vec![inbound("SM1", LONG, "4")]).await;
    running
        .until("smsfleet_reply_inbound_total{outcome=\"parked\",provider=\"twilio-sms\"} 1")
        .await;
    world.text("ORG_1", "d-1", LONG, ANA).await;
    let reply = world.reply().await;
    assert_eq!(
        reply.in_reply_to.expect("matched").distribution_id.as_str(),
        "d-1"
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_nothing_is_told_as_unmatched_after_a_moment() {
    let mut world = World::new().await;
    let mut unmatched = world
        .bus
        .subscribe(bus::Topic::Replies, "ORG_1.unmatched")
        .await
        .expect("embedded");
    let running = world.start();
    let started = tokio::time::Instant::now();
    world.publish(vec![inbound("SM1", LONG, "4")]).await;
    let reply = world.reply().await;
    assert!(started.elapsed() >= Duration::from_secs(5));
    assert_eq!(reply.in_reply_to, None);
    unmatched
        .next()
        .await
        .expect("under the key of unmatched ones")
        .ack()
        .await;
    running.stop().await;
}

// On the real clock: a paused one leaps over the wait while nothing else happens.
#[tokio::test]
async fn a_stop_is_told_even_if_a_start_comes_while_it_waits_for_its_message() {
    let mut world = World::new().await;
    let running = world.start();
    world.publish(vec![inbound("SM1", SHORT, "STOP")]).await;
    let stopped = world.opt_out().await.change;
    assert_eq!(stopped.kind, OptOutKind::OptOut);
    // In the same millisecond the opt-out would win.
    while Timestamp::from(std::time::SystemTime::now()) <= stopped.at {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.publish(vec![inbound("SM2", SHORT, "START")]).await;
    assert_eq!(world.opt_out().await.change.kind, OptOutKind::OptIn);
    assert!(!world.is_out("ORG_1", ANA).await);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_answers_nothing_holds_and_is_told_before_it_waits_and_is_confirmed_after() {
    let mut world = World::new().await;
    let running = world.start();
    world.publish(vec![inbound("SM1", SHORT, "STOP")]).await;
    running
        .until("smsfleet_reply_inbound_total{outcome=\"parked\",provider=\"twilio-sms\"} 1")
        .await;
    assert!(world.is_out("ORG_1", ANA).await);
    world.reply().await;
    assert_eq!(
        world.opt_out().await.change.organization_id,
        organization("ORG_1")
    );
    assert_eq!(world.answers().await.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn an_empty_text_and_a_writer_without_a_number_are_kept() {
    let mut world = World::new().await;
    world.text("ORG_1", "d-1", LONG, ANA).await;
    let running = world.start();
    let picture = inbound_with("SM1", ANA, LONG, "", &[("NumMedia", "1")]);
    world.publish(vec![picture]).await;
    let reply = world.reply().await;
    assert_eq!((reply.text.as_str(), reply.keyword), ("", Keyword::None));
    world
        .publish(vec![inbound_with("SM2", "12345", LONG, "STOP", &[])])
        .await;
    let reply = world.reply().await;
    assert_eq!((reply.from.as_str(), reply.in_reply_to), ("12345", None));
    assert!(
        world.is_quiet().await,
        "nobody can be opted out without a number"
    );
    running.stop().await;
}

#[tokio::test]
async fn poison_is_dead_with_its_reason_and_its_neighbours_are_done() {
    let mut world = World::new().await;
    world.text("ORG_1", "d-1", LONG, ANA).await;
    world.publish_raw("[").await;
    world.publish_raw(r#"{"v":2}"#).await;
    let mut unknown = inbound("SM1", LONG, "x");
    unknown.provider = "acme".into();
    let mut nameless = inbound("SM2", LONG, "x");
    nameless.body = b"From=%2B353861234567&Body=x".to_vec();
    world
        .publish(vec![unknown, nameless, inbound("SM3", LONG, "4")])
        .await;
    let running = world.start();
    assert_eq!(world.reply().await.provider_message_id, "SM3");
    let letters = world.dead(4).await;
    let mut reasons: Vec<_> = letters
        .iter()
        .filter_map(|one| one.header("reason"))
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            "malformed_callback",
            "unknown_provider",
            "unknown_version",
            "unreadable_group"
        ]
    );
    assert!(
        letters
            .iter()
            .all(|one| one.header("queue") == Some(queue::MESSAGE_CALLBACKS))
    );
    running.stop().await;
}

#[tokio::test]
async fn a_hundred_people_of_one_group_are_each_told_once() {
    let mut world = World::new().await;
    let people: Vec<_> = (0..100).map(|n| format!("+3538600001{n:02}")).collect();
    for (n, person) in people.iter().enumerate() {
        world.text("ORG_1", &format!("d-{n}"), LONG, person).await;
    }
    let running = world.start();
    let group = people.iter().enumerate();
    let group = group.map(|(n, person)| inbound_with(&format!("SM{n}"), person, LONG, "ok", &[]));
    world.publish(group.collect()).await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let reply = world.reply().await;
        assert!(reply.in_reply_to.is_some());
        ids.insert(reply.event_id);
    }
    assert_eq!(ids.len(), 100);
    running.stop().await;
}
