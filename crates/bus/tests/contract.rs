//! One suite for every bus: what the crate's documentation promises, on the embedded bus and on
//! RabbitMQ with both kinds of queue.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::{Duration, Instant};

use bus::{Bus, BusError, Outgoing, RetryTier, Route, Topic};
use common::*;

macro_rules! contract {
    ($($test:ident $(($bounds:ident))?,)*) => {
        mod embedded {
            $(#[tokio::test(start_paused = true)]
            async fn $test() {
                super::run(super::Kind::Embedded, super::bounds!($($bounds)?), async |bus| super::$test(bus).await).await;
            })*
        }
        mod classic {
            $(#[tokio::test]
            async fn $test() {
                super::run(super::Kind::Classic, super::bounds!($($bounds)?), async |bus| super::$test(bus).await).await;
            })*
        }
        mod quorum {
            $(#[tokio::test]
            async fn $test() {
                super::run(super::Kind::Quorum, super::bounds!($($bounds)?), async |bus| super::$test(bus).await).await;
            })*
        }
    };
}

macro_rules! bounds {
    () => {
        crate::Bounds::USUAL
    };
    ($bounds:ident) => {
        crate::Bounds::$bounds
    };
}
use bounds;

/// Runs on a current-thread runtime, as the send-worker does; the paused clock of the embedded
/// bus makes its delays cost no time.
async fn run(kind: Kind, bounds: Bounds, test: impl AsyncFnOnce(&dyn Bus)) {
    if let Some(bus) = bus_of(kind, bounds).await {
        test(&*bus).await;
        bus.close().await;
    }
}

contract! {
    a_message_arrives_as_it_was_sent,
    an_acked_delivery_never_comes_back_and_a_dropped_one_does,
    what_a_dropped_consumer_had_not_read_comes_back_in_order,
    a_delivery_outlives_its_consumer,
    a_consumer_holds_no_more_than_its_prefetch,
    consumers_of_one_queue_take_turns,
    a_given_up_wait_loses_nothing,
    a_large_group_arrives_complete_and_in_order,
    publishing_to_a_missing_queue_is_unroutable,
    one_unroutable_message_fails_its_group,
    a_full_queue_refuses(SMALL),
    a_topic_without_listeners_takes_what_is_published,
    a_listener_gets_what_its_pattern_means,
    a_listener_that_left_gets_nothing_and_leaves_nothing,
    getting_takes_one_message_and_gives_it_back_when_dropped,
    purging_counts_and_drops_only_what_is_ready,
    a_queue_is_deleted_only_when_empty,
    a_missing_queue_is_said_to_be_missing,
    deleting_a_queue_ends_its_consumers,
    a_queue_that_nobody_uses_expires(SHORT_LEASE),
    a_queue_that_is_declared_again_and_again_lives_on(SHORT_LEASE),
    a_queue_with_a_consumer_does_not_expire(SHORT_LEASE),
    a_delay_is_kept_and_not_behind_an_elder_longer_one,
    what_was_delayed_for_a_queue_that_is_gone_is_a_dead_letter,
    a_dead_letter_keeps_its_headers,
    a_closed_bus_says_so,
}

async fn a_message_arrives_as_it_was_sent(bus: &dyn Bus) {
    let queue = declared(bus).await;
    let sent = to(&queue.name(), "id-1")
        .with_header("reason", "ünïcode")
        .with_header("version", "2");
    bus.publish(vec![sent.clone()]).await.unwrap();
    let empty = Outgoing::new(Route::Queue(queue.name()), "id-2", "");
    bus.publish(vec![empty]).await.unwrap();
    bus.publish(Vec::new()).await.unwrap();

    let mut consumer = bus.consume(&queue.name(), 10).await.unwrap();
    let got = next(&mut consumer).await;
    assert_eq!(got.body, sent.body);
    assert_eq!(got.message_id, "id-1");
    assert_eq!(got.header("reason"), Some("ünïcode"));
    assert_eq!(got.header("version"), Some("2"));
    assert_eq!(got.header("other"), None);
    assert!(!got.redelivered);
    got.ack().await;
    let got = next(&mut consumer).await;
    assert!(got.body.is_empty());
    got.ack().await;
    drop(consumer);
    removed(bus, &queue).await;
}

async fn an_acked_delivery_never_comes_back_and_a_dropped_one_does(bus: &dyn Bus) {
    let queue = declared(bus).await;
    fill(bus, &queue.name(), 3).await;
    let mut consumer = bus.consume(&queue.name(), 10).await.unwrap();
    let first = next(&mut consumer).await;
    let second = next(&mut consumer).await;
    let third = next(&mut consumer).await;
    assert!(!second.redelivered);
    first.ack().await;
    drop(second);
    third.ack().await;

    let again = next(&mut consumer).await;
    assert_eq!(again.message_id, "1");
    assert!(again.redelivered);
    again.ack().await;
    nothing_comes(&mut consumer).await;
    drop(consumer);
    let mut other = bus.consume(&queue.name(), 10).await.unwrap();
    nothing_comes(&mut other).await;
    drop(other);
    removed(bus, &queue).await;
}

async fn what_a_dropped_consumer_had_not_read_comes_back_in_order(bus: &dyn Bus) {
    let queue = declared(bus).await;
    fill(bus, &queue.name(), 5).await;
    let mut consumer = bus.consume(&queue.name(), 5).await.unwrap();
    next(&mut consumer).await.ack().await;
    drop(consumer);
    depth_becomes(bus, &queue.name(), 4).await;

    let mut other = bus.consume(&queue.name(), 5).await.unwrap();
    for expected in ["1", "2", "3", "4"] {
        let delivery = next(&mut other).await;
        assert_eq!(delivery.message_id, expected);
        delivery.ack().await;
    }
    drop(other);
    removed(bus, &queue).await;
}

async fn a_delivery_outlives_its_consumer(bus: &dyn Bus) {
    let queue = declared(bus).await;
    fill(bus, &queue.name(), 2).await;
    let mut consumer = bus.consume(&queue.name(), 5).await.unwrap();
    let to_ack = next(&mut consumer).await;
    let to_drop = next(&mut consumer).await;
    // What a draining service does: no new deliveries, but those in hand are finished.
    drop(consumer);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(bus.depth(&queue.name()).await.unwrap(), 0);
    to_ack.ack().await;
    drop(to_drop);
    depth_becomes(bus, &queue.name(), 1).await;
    let left = bus.get(&queue.name()).await.unwrap().unwrap();
    assert_eq!(left.message_id, "1");
    left.ack().await;
    removed(bus, &queue).await;
}

async fn a_consumer_holds_no_more_than_its_prefetch(bus: &dyn Bus) {
    let queue = declared(bus).await;
    fill(bus, &queue.name(), 5).await;
    let mut consumer = bus.consume(&queue.name(), 2).await.unwrap();
    let mut other = bus.consume(&queue.name(), 1).await.unwrap();
    let first = next(&mut consumer).await;
    let second = next(&mut consumer).await;
    let others = next(&mut other).await;
    nothing_comes(&mut consumer).await;
    nothing_comes(&mut other).await;
    depth_becomes(bus, &queue.name(), 2).await;
    first.ack().await;
    let third = next(&mut consumer).await;
    nothing_comes(&mut other).await;
    for delivery in [second, third, others] {
        delivery.ack().await;
    }
    drop(consumer);
    drop(other);
    removed(bus, &queue).await;
}

async fn consumers_of_one_queue_take_turns(bus: &dyn Bus) {
    let queue = declared(bus).await;
    let mut one = bus.consume(&queue.name(), 100).await.unwrap();
    let mut two = bus.consume(&queue.name(), 100).await.unwrap();
    fill(bus, &queue.name(), 40).await;
    let mut counts = [0, 0];
    for _ in 0..40 {
        let (who, delivery) = within(async {
            tokio::select! {
                delivery = one.next() => (0, delivery.unwrap()),
                delivery = two.next() => (1, delivery.unwrap()),
            }
        })
        .await;
        counts[who] += 1;
        delivery.ack().await;
    }
    assert!(counts.iter().all(|&count| count >= 10), "{counts:?}");
    drop((one, two));
    removed(bus, &queue).await;
}

async fn a_given_up_wait_loses_nothing(bus: &dyn Bus) {
    let queue = declared(bus).await;
    let mut consumer = bus.consume(&queue.name(), 10).await.unwrap();
    for n in 0..50 {
        let wait = Duration::from_micros(fastrand::u64(0..3000));
        let _ = tokio::time::timeout(Duration::ZERO, consumer.next()).await;
        let publish = bus.publish(vec![to(&queue.name(), n.to_string())]);
        let (early, published) = tokio::join!(tokio::time::timeout(wait, consumer.next()), publish);
        published.unwrap();
        let delivery = match early {
            Ok(delivery) => delivery.unwrap(),
            Err(_) => next(&mut consumer).await,
        };
        assert_eq!(delivery.message_id, n.to_string());
        delivery.ack().await;
    }
    drop(consumer);
    removed(bus, &queue).await;
}

async fn a_large_group_arrives_complete_and_in_order(bus: &dyn Bus) {
    let queue = declared(bus).await;
    fill(bus, &queue.name(), 2_000).await;
    let mut consumer = bus.consume(&queue.name(), 500).await.unwrap();
    for n in 0..2_000 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.message_id, n.to_string());
        delivery.ack().await;
    }
    drop(consumer);
    removed(bus, &queue).await;
}

async fn publishing_to_a_missing_queue_is_unroutable(bus: &dyn Bus) {
    let missing = new_queue().name();
    let failed = bus.publish(vec![to(&missing, "1")]).await.unwrap_err();
    assert!(matches!(failed, BusError::Unroutable(_)), "{failed:?}");
    // And the bus is as good as before.
    let queue = declared(bus).await;
    fill(bus, &queue.name(), 1).await;
    removed(bus, &queue).await;
}

async fn one_unroutable_message_fails_its_group(bus: &dyn Bus) {
    let queue = declared(bus).await;
    let missing = new_queue().name();
    let mut group: Vec<_> = (0..30).map(|n| to(&queue.name(), n.to_string())).collect();
    group.insert(13, to(&missing, "lost"));
    let failed = bus.publish(group).await.unwrap_err();
    assert!(matches!(failed, BusError::Unroutable(_)), "{failed:?}");
    removed(bus, &queue).await;
}

async fn a_full_queue_refuses(bus: &dyn Bus) {
    let queue = declared(bus).await;
    // A broker's bound is approximate by what is under way: one at a time.
    let mut refused = None;
    for n in 0..20 {
        if let Err(why) = bus.publish(vec![to(&queue.name(), n.to_string())]).await {
            refused = Some((n, why));
            break;
        }
    }
    let (taken, why) = refused.expect("a bound");
    assert!((5..=7).contains(&taken), "{taken}");
    assert!(matches!(why, BusError::Unavailable(_)), "{why:?}");
    removed(bus, &queue).await;
}

fn on(topic: Topic, key: &str) -> Outgoing {
    Outgoing::new(Route::Topic(topic, key.to_owned()), key, "{}")
}

async fn a_topic_without_listeners_takes_what_is_published(bus: &dyn Bus) {
    let key = format!("{}.x", unique());
    bus.publish(vec![on(Topic::Events, &key), on(Topic::Replies, &key)])
        .await
        .unwrap();
}

async fn a_listener_gets_what_its_pattern_means(bus: &dyn Bus) {
    let name = unique();
    let key = |rest: &str| format!("{name}.{rest}");
    let mut everything = bus.subscribe(Topic::Events, &key("#")).await.unwrap();
    let mut delivered = bus
        .subscribe(Topic::Events, &key("*.delivered"))
        .await
        .unwrap();
    let mut elsewhere = bus.subscribe(Topic::Replies, &key("#")).await.unwrap();
    bus.publish(vec![
        on(Topic::Events, &key("one.delivered")),
        on(Topic::Events, &key("one.failed")),
        on(Topic::Events, &key("a.b.delivered")),
        on(Topic::Events, &name),
        on(Topic::Control, &key("one.delivered")),
    ])
    .await
    .unwrap();
    for expected in [
        key("one.delivered"),
        key("one.failed"),
        key("a.b.delivered"),
        name.clone(),
    ] {
        let event = next(&mut everything).await;
        assert_eq!(event.message_id, expected);
        event.ack().await;
    }
    let event = next(&mut delivered).await;
    assert_eq!(event.message_id, key("one.delivered"));
    event.ack().await;
    nothing_comes(&mut everything).await;
    nothing_comes(&mut delivered).await;
    nothing_comes(&mut elsewhere).await;
}

async fn a_listener_that_left_gets_nothing_and_leaves_nothing(bus: &dyn Bus) {
    let key = unique();
    let mut first = bus.subscribe(Topic::Control, &key).await.unwrap();
    bus.publish(vec![on(Topic::Control, &key)]).await.unwrap();
    let unacked = next(&mut first).await;
    drop(first);
    drop(unacked);
    let mut second = bus.subscribe(Topic::Control, &key).await.unwrap();
    nothing_comes(&mut second).await;
}

async fn getting_takes_one_message_and_gives_it_back_when_dropped(bus: &dyn Bus) {
    let queue = declared(bus).await;
    assert!(bus.get(&queue.name()).await.unwrap().is_none());
    fill(bus, &queue.name(), 2).await;
    depth_becomes(bus, &queue.name(), 2).await;
    let first = bus.get(&queue.name()).await.unwrap().unwrap();
    let second = bus.get(&queue.name()).await.unwrap().unwrap();
    assert_eq!([&*first.message_id, &*second.message_id], ["0", "1"]);
    assert!(bus.get(&queue.name()).await.unwrap().is_none());
    drop(first);
    second.ack().await;
    depth_becomes(bus, &queue.name(), 1).await;
    let again = bus.get(&queue.name()).await.unwrap().unwrap();
    assert_eq!(again.message_id, "0");
    assert!(again.redelivered);
    again.ack().await;
    depth_becomes(bus, &queue.name(), 0).await;
    removed(bus, &queue).await;
}

async fn purging_counts_and_drops_only_what_is_ready(bus: &dyn Bus) {
    let queue = declared(bus).await;
    fill(bus, &queue.name(), 6).await;
    let mut consumer = bus.consume(&queue.name(), 2).await.unwrap();
    let acked = next(&mut consumer).await;
    let dropped = next(&mut consumer).await;
    depth_becomes(bus, &queue.name(), 4).await;
    assert_eq!(bus.purge(&queue.name()).await.unwrap(), 4);
    assert_eq!(bus.purge(&queue.name()).await.unwrap(), 0);
    acked.ack().await;
    drop(dropped);
    let left = next(&mut consumer).await;
    assert_eq!(left.message_id, "1");
    left.ack().await;
    nothing_comes(&mut consumer).await;
    drop(consumer);
    removed(bus, &queue).await;
}

async fn a_queue_is_deleted_only_when_empty(bus: &dyn Bus) {
    let queue = declared(bus).await;
    fill(bus, &queue.name(), 1).await;
    depth_becomes(bus, &queue.name(), 1).await;
    assert!(!bus.delete_send_queue_if_empty(&queue).await.unwrap());
    assert_eq!(bus.depth(&queue.name()).await.unwrap(), 1);
    bus.get(&queue.name()).await.unwrap().unwrap().ack().await;
    eventually("deleted", async || {
        bus.delete_send_queue_if_empty(&queue).await.unwrap()
    })
    .await;
    let gone = bus.depth(&queue.name()).await.unwrap_err();
    assert!(matches!(gone, BusError::NoSuchQueue(_)), "{gone:?}");
    assert!(
        bus.delete_send_queue_if_empty(&queue).await.unwrap(),
        "what is gone is as good as deleted"
    );
    // And it can be born again.
    bus.declare_send_queue(&queue).await.unwrap();
    fill(bus, &queue.name(), 1).await;
    removed(bus, &queue).await;
}

async fn a_missing_queue_is_said_to_be_missing(bus: &dyn Bus) {
    let missing = new_queue().name();
    let failures = [
        bus.consume(&missing, 1).await.err().unwrap(),
        bus.depth(&missing).await.unwrap_err(),
        bus.purge(&missing).await.unwrap_err(),
        bus.get(&missing).await.unwrap_err(),
    ];
    for failure in failures {
        assert!(
            matches!(&failure, BusError::NoSuchQueue(name) if **name == *missing),
            "{failure:?}"
        );
    }
}

async fn deleting_a_queue_ends_its_consumers(bus: &dyn Bus) {
    let (queue, neighbour) = (declared(bus).await, declared(bus).await);
    let mut consumer = bus.consume(&queue.name(), 5).await.unwrap();
    let mut undisturbed = bus.consume(&neighbour.name(), 5).await.unwrap();
    assert!(bus.delete_send_queue_if_empty(&queue).await.unwrap());
    let over = next_error(&mut consumer).await;
    assert!(matches!(over, BusError::NoSuchQueue(_)), "{over:?}");
    fill(bus, &neighbour.name(), 1).await;
    let delivery = next(&mut undisturbed).await;
    assert!(!delivery.redelivered);
    delivery.ack().await;
    drop(undisturbed);
    removed(bus, &neighbour).await;
}

async fn a_queue_that_nobody_uses_expires(bus: &dyn Bus) {
    let queue = declared(bus).await;
    fill(bus, &queue.name(), 1).await;
    // Without looking at it meanwhile: to a classic queue that is use. A quorum queue looks at its
    // own age every five seconds.
    tokio::time::sleep(Bounds::SHORT_LEASE.lease + Duration::from_secs(8)).await;
    let gone = bus.depth(&queue.name()).await.unwrap_err();
    assert!(matches!(gone, BusError::NoSuchQueue(_)), "{gone:?}");
    let lost = bus.publish(vec![to(&queue.name(), "1")]).await.unwrap_err();
    assert!(matches!(lost, BusError::Unroutable(_)), "{lost:?}");
}

async fn a_queue_that_is_declared_again_and_again_lives_on(bus: &dyn Bus) {
    let queue = declared(bus).await;
    fill(bus, &queue.name(), 1).await;
    for _ in 0..14 {
        tokio::time::sleep(Bounds::SHORT_LEASE.lease / 2).await;
        bus.declare_send_queue(&queue).await.unwrap();
    }
    depth_becomes(bus, &queue.name(), 1).await;
    removed(bus, &queue).await;
}

async fn a_queue_with_a_consumer_does_not_expire(bus: &dyn Bus) {
    let queue = declared(bus).await;
    let consumer = bus.consume(&queue.name(), 1).await.unwrap();
    tokio::time::sleep(Bounds::SHORT_LEASE.lease + Duration::from_secs(6)).await;
    assert_eq!(bus.depth(&queue.name()).await.unwrap(), 0);
    drop(consumer);
    removed(bus, &queue).await;
}

fn delayed(queue: &str, tier: RetryTier) -> Outgoing {
    let queue = queue.to_owned();
    Outgoing::new(Route::Delayed { queue, tier }, tier.name(), "{}")
}

async fn a_delay_is_kept_and_not_behind_an_elder_longer_one(bus: &dyn Bus) {
    let queue = declared(bus).await;
    let mut consumer = bus.consume(&queue.name(), 5).await.unwrap();
    let since = tokio::time::Instant::now();
    bus.publish(vec![delayed(&queue.name(), RetryTier::S15)])
        .await
        .unwrap();
    bus.publish(vec![delayed(&queue.name(), RetryTier::S5)])
        .await
        .unwrap();
    for tier in [RetryTier::S5, RetryTier::S15] {
        let delivery = next(&mut consumer).await;
        let waited = since.elapsed();
        assert_eq!(delivery.message_id, tier.name());
        // A loaded test machine may be late; a delay that ends early would be a fault.
        let late = waited.saturating_sub(tier.delay());
        assert!(
            waited >= tier.delay() - Duration::from_millis(20),
            "{waited:?}"
        );
        assert!(late < Duration::from_secs(3), "{waited:?}");
        delivery.ack().await;
    }
    drop(consumer);
    removed(bus, &queue).await;
}

async fn what_was_delayed_for_a_queue_that_is_gone_is_a_dead_letter(bus: &dyn Bus) {
    let gone = new_queue().name();
    let id = unique();
    let mut message = delayed(&gone, RetryTier::S5);
    message.message_id.clone_from(&id);
    bus.publish(vec![message]).await.unwrap();
    dead_letter(bus, &id).await.ack().await;
    // And nothing behind it is held up.
    let queue = declared(bus).await;
    let since = Instant::now();
    bus.publish(vec![delayed(&queue.name(), RetryTier::S5)])
        .await
        .unwrap();
    let mut consumer = bus.consume(&queue.name(), 5).await.unwrap();
    next(&mut consumer).await.ack().await;
    assert!(
        since.elapsed() < Duration::from_secs(8),
        "{:?}",
        since.elapsed()
    );
    drop(consumer);
    removed(bus, &queue).await;
}

async fn a_dead_letter_keeps_its_headers(bus: &dyn Bus) {
    let id = unique();
    let letter = Outgoing::new(Route::Dead, id.clone(), "{}").with_header("reason", "poison");
    bus.publish(vec![letter]).await.unwrap();
    let found = dead_letter(bus, &id).await;
    assert_eq!(found.header("reason"), Some("poison"));
    found.ack().await;
}

async fn a_closed_bus_says_so(bus: &dyn Bus) {
    let queue = declared(bus).await;
    let mut consumer = bus.consume(&queue.name(), 5).await.unwrap();
    removed(bus, &queue).await;
    let _ = next_error(&mut consumer).await;
    let mut listener = bus.subscribe(Topic::Control, &unique()).await.unwrap();
    assert!(bus.is_ready());
    bus.close().await;
    assert!(!bus.is_ready());
    let closed = [
        next_error(&mut listener).await,
        bus.publish(vec![to(bus::queue::DEAD, "1")])
            .await
            .unwrap_err(),
        bus.consume(bus::queue::BATCHES, 1).await.err().unwrap(),
        bus.depth(bus::queue::BATCHES).await.unwrap_err(),
        bus.declare_send_queue(&queue).await.unwrap_err(),
    ];
    for error in closed {
        assert!(matches!(error, BusError::Closed), "{error:?}");
    }
    bus.close().await;
}
