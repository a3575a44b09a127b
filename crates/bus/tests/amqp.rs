//! What only the bus over RabbitMQ has to survive: lost connections, outages, elder queues.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bus::{AmqpBus, AmqpSettings, Bus, BusError, Outgoing, QueueType, RetryTier, Route, Topic};
use common::{proxy::Proxy, *};
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};

const BOTH: [QueueType; 2] = [QueueType::Classic, QueueType::Quorum];

async fn connected(url: &str, queue_type: QueueType) -> Arc<AmqpBus> {
    AmqpBus::connect(url, settings(queue_type, Bounds::USUAL))
        .await
        .unwrap()
}

async fn becomes_ready(bus: &AmqpBus) {
    eventually("ready again", async || bus.is_ready()).await;
}

/// A connection that knows nothing of the bus.
async fn foreign_channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn a_consumer_survives_a_lost_connection_and_old_acks_are_inert() {
    let Some(url) = broker_url() else { return };
    for queue_type in BOTH {
        let proxy = Proxy::to(&url).await;
        let bus = connected(proxy.url(), queue_type).await;
        let queue = declared(&*bus).await;
        fill(&*bus, &queue.name(), 4).await;
        let mut consumer = bus.consume(&queue.name(), 2).await.unwrap();
        let first = next(&mut consumer).await;
        assert_eq!(first.message_id, "0");

        proxy.cut_once();
        // Acknowledged over a connection that is gone: lost, without an error and without harm.
        tokio::time::sleep(Duration::from_millis(100)).await;
        within(first.ack()).await;

        // A quorum queue keeps no order among those that came back.
        let again = [next(&mut consumer).await, next(&mut consumer).await];
        let mut ids = again.each_ref().map(|delivery| &*delivery.message_id);
        ids.sort_unstable();
        assert_eq!(ids, ["0", "1"], "the old ack must not count");
        nothing_comes(&mut consumer).await; // its prefetch was set again, too
        for delivery in again {
            delivery.ack().await;
        }
        for expected in ["2", "3"] {
            let delivery = next(&mut consumer).await;
            assert_eq!(delivery.message_id, expected);
            delivery.ack().await;
        }
        assert!(bus.stats().reconnects() >= 1);
        drop(consumer);
        becomes_ready(&bus).await;
        removed(&*bus, &queue).await;
        bus.close().await;
    }
}

#[tokio::test]
async fn a_consumer_survives_connections_that_are_lost_over_and_over() {
    let Some(url) = broker_url() else { return };
    let proxy = Proxy::to(&url).await;
    let bus = connected(proxy.url(), QueueType::Classic).await;
    let sender = connected(&url, QueueType::Classic).await;
    let queue = declared(&*sender).await;
    let mut consumer = bus.consume(&queue.name(), 20).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..5 {
        let name = queue.name();
        let group = (0..40).map(|n| to(&name, format!("{round}-{n}"))).collect();
        sender.publish(group).await.unwrap();
        for _ in 0..10 {
            let delivery = next(&mut consumer).await;
            seen.insert(delivery.message_id.clone());
            delivery.ack().await;
        }
        proxy.cut_once();
    }
    while seen.len() < 200 {
        let delivery = next(&mut consumer).await;
        seen.insert(delivery.message_id.clone());
        delivery.ack().await;
    }
    drop(consumer);
    removed(&*sender, &queue).await;
    bus.close().await;
    sender.close().await;
}

#[tokio::test]
async fn a_listener_survives_a_lost_connection() {
    let Some(url) = broker_url() else { return };
    let proxy = Proxy::to(&url).await;
    let bus = connected(proxy.url(), QueueType::Classic).await;
    let sender = connected(&url, QueueType::Classic).await;
    let key = unique();
    let mut listener = bus.subscribe(Topic::Control, &key).await.unwrap();
    proxy.cut_once();
    // What is published while it is away is not kept; sooner or later one arrives.
    let nudge = Outgoing::new(Route::Topic(Topic::Control, key.clone()), "n", "{}");
    let got = within(async {
        loop {
            sender.publish(vec![nudge.clone()]).await.unwrap();
            if let Ok(got) = tokio::time::timeout(A_WHILE, listener.next()).await {
                break got.unwrap();
            }
        }
    })
    .await;
    got.ack().await;
    bus.close().await;
    sender.close().await;
}

#[tokio::test]
async fn publishing_during_an_outage_fails_soon_and_works_again_after_it() {
    let Some(url) = broker_url() else { return };
    let proxy = Proxy::to(&url).await;
    let bus = connected(proxy.url(), QueueType::Classic).await;
    let queue = declared(&*bus).await;
    proxy.cut();
    let since = Instant::now();
    for _ in 0..2 {
        let failed = bus.publish(vec![to(&queue.name(), "x")]).await.unwrap_err();
        assert!(matches!(failed, BusError::Unavailable(_)), "{failed:?}");
    }
    assert!(
        since.elapsed() < Duration::from_secs(4),
        "{:?}",
        since.elapsed()
    );
    assert!(!bus.is_ready());
    let failed = bus.depth(&queue.name()).await.unwrap_err();
    assert!(matches!(failed, BusError::Unavailable(_)), "{failed:?}");
    let failed = bus.consume(&queue.name(), 1).await.err().unwrap();
    assert!(matches!(failed, BusError::Unavailable(_)), "{failed:?}");

    proxy.mend();
    becomes_ready(&bus).await;
    fill(&*bus, &queue.name(), 3).await;
    depth_becomes(&*bus, &queue.name(), 3).await;
    removed(&*bus, &queue).await;
    bus.close().await;
}

#[tokio::test]
async fn a_frozen_connection_is_found_by_its_heartbeat() {
    let Some(url) = broker_url() else { return };
    let proxy = Proxy::to(&url).await;
    let hasty = AmqpSettings {
        heartbeat: Duration::from_secs(1),
        confirm_timeout: Duration::from_secs(1),
        ..settings(QueueType::Classic, Bounds::USUAL)
    };
    let bus = AmqpBus::connect(proxy.url(), hasty).await.unwrap();
    let queue = declared(&*bus).await;
    proxy.freeze();
    let since = Instant::now();
    let failed = bus.publish(vec![to(&queue.name(), "x")]).await.unwrap_err();
    assert!(matches!(failed, BusError::Unavailable(_)), "{failed:?}");
    assert!(
        since.elapsed() < Duration::from_secs(3),
        "{:?}",
        since.elapsed()
    );
    eventually("not ready", async || !bus.is_ready()).await;
    assert!(
        since.elapsed() < Duration::from_secs(6),
        "{:?}",
        since.elapsed()
    );
    proxy.cut();
    proxy.mend();
    becomes_ready(&bus).await;
    fill(&*bus, &queue.name(), 1).await;
    removed(&*bus, &queue).await;
    bus.close().await;
}

#[tokio::test]
async fn a_bus_that_starts_before_its_broker_gets_ready_with_it() {
    let Some(url) = broker_url() else { return };
    let proxy = Proxy::to(&url).await;
    proxy.cut();
    let bus = AmqpBus::start(proxy.url(), settings(QueueType::Classic, Bounds::USUAL))
        .await
        .unwrap();
    assert!(!bus.is_ready());
    tokio::time::sleep(A_WHILE).await;
    proxy.mend();
    becomes_ready(&bus).await;
    let queue = declared(&*bus).await;
    removed(&*bus, &queue).await;
    bus.close().await;
}

#[tokio::test]
async fn closing_during_an_outage_ends_consumers_soon() {
    let Some(url) = broker_url() else { return };
    let proxy = Proxy::to(&url).await;
    let bus = connected(proxy.url(), QueueType::Classic).await;
    let mut listener = bus.subscribe(Topic::Control, &unique()).await.unwrap();
    proxy.cut();
    let waiting = tokio::spawn(async move { listener.next().await });
    tokio::time::sleep(A_WHILE).await;
    let since = Instant::now();
    bus.close().await;
    let over = within(waiting).await.unwrap().unwrap_err();
    assert!(matches!(over, BusError::Closed), "{over:?}");
    assert!(
        since.elapsed() < Duration::from_secs(6),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn the_topology_is_declared_again_after_every_reconnection() {
    let Some(url) = broker_url() else { return };
    let proxy = Proxy::to(&url).await;
    let bus = connected(proxy.url(), QueueType::Classic).await;
    // The tier that tests never use, so that others on this broker lose nothing.
    let name = RetryTier::H1.name();
    assert_eq!(bus.depth(&name).await.unwrap(), 0, "somebody uses it");
    let (connection, channel) = foreign_channel(&url).await;
    // Again and again, because a neighbouring test that connects declares it, too.
    eventually("it is gone", async || {
        let options = QueueDeleteOptions::default();
        channel
            .queue_delete(name.as_str().into(), options)
            .await
            .unwrap();
        matches!(bus.depth(&name).await, Err(BusError::NoSuchQueue(_)))
    })
    .await;
    proxy.cut_once();
    eventually("declared again", async || bus.depth(&name).await.is_ok()).await;
    connection.close(200, "done".into()).await.unwrap();
    bus.close().await;
}

#[tokio::test]
async fn a_young_quorum_queue_says_when_it_is_old_enough() {
    let Some(url) = broker_url() else { return };
    let bus = connected(&url, QueueType::Quorum).await;
    let queue = new_queue();
    let first = bus.declare_send_queue(&queue).await.unwrap().settles_in;
    assert!(first > Duration::from_millis(1500), "{first:?}");
    tokio::time::sleep(first + Duration::from_millis(10)).await;
    let later = bus.declare_send_queue(&queue).await.unwrap().settles_in;
    assert_eq!(later, Duration::ZERO);
    // Deleted behind our back it is born again, and young again.
    let other = connected(&url, QueueType::Quorum).await;
    removed(&*other, &queue).await;
    let reborn = bus.declare_send_queue(&queue).await.unwrap().settles_in;
    assert!(reborn > Duration::from_millis(1500), "{reborn:?}");
    removed(&*bus, &queue).await;
    bus.close().await;
    other.close().await;

    let bus = connected(&url, QueueType::Classic).await;
    let queue = new_queue();
    let classic = bus.declare_send_queue(&queue).await.unwrap().settles_in;
    assert_eq!(classic, Duration::ZERO);
    removed(&*bus, &queue).await;
    bus.close().await;
}

#[tokio::test]
async fn a_queue_of_somebody_elses_making_is_unusable_and_disturbs_nobody() {
    let Some(url) = broker_url() else { return };
    for queue_type in BOTH {
        is_unusable_and_disturbs_nobody(&url, queue_type).await;
    }
}

async fn is_unusable_and_disturbs_nobody(url: &str, queue_type: QueueType) {
    let bus = connected(url, queue_type).await;
    let neighbour = declared(&*bus).await;
    let mut undisturbed = bus.consume(&neighbour.name(), 5).await.unwrap();
    let queue = new_queue();
    let (connection, channel) = foreign_channel(url).await;
    channel
        .queue_declare(
            queue.name().as_str().into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let refused = bus.declare_send_queue(&queue).await.unwrap_err();
    assert!(matches!(refused, BusError::Unusable { .. }), "{refused:?}");
    fill(&*bus, &neighbour.name(), 1).await;
    let delivery = next(&mut undisturbed).await;
    assert!(!delivery.redelivered);
    delivery.ack().await;
    drop(undisturbed);
    removed(&*bus, &neighbour).await;
    removed(&*bus, &queue).await;
    connection.close(200, "done".into()).await.unwrap();
    bus.close().await;
}

#[tokio::test]
async fn a_queue_that_was_declared_under_other_settings_goes_on() {
    let Some(url) = broker_url() else { return };
    let other = Bounds {
        lease: Duration::from_secs(1200),
        ..Bounds::USUAL
    };
    for (then, now) in BOTH
        .into_iter()
        .flat_map(|then| BOTH.map(|now| (then, now)))
    {
        let before = connected(&url, then).await;
        let queue = declared(&*before).await;
        fill(&*before, &queue.name(), 1).await;
        let bus = AmqpBus::connect(&url, settings(now, other)).await.unwrap();
        bus.declare_send_queue(&queue).await.unwrap();
        depth_becomes(&*bus, &queue.name(), 1).await;
        assert!(!bus.delete_send_queue_if_empty(&queue).await.unwrap());
        removed(&*bus, &queue).await;
        bus.close().await;
        before.close().await;
    }
}

#[tokio::test]
async fn many_consumers_share_few_channels() {
    let Some(url) = broker_url() else { return };
    let narrow = AmqpSettings {
        consumer_channels_max: 7_u16.try_into().unwrap(),
        ..settings(QueueType::Classic, Bounds::USUAL)
    };
    let bus = AmqpBus::connect(&url, narrow).await.unwrap();
    let mut queues = Vec::new();
    for _ in 0..60 {
        queues.push(declared(&*bus).await);
    }
    let mut consumers = Vec::new();
    for (n, queue) in queues.iter().enumerate() {
        // Each with another prefetch, on the same channels.
        let prefetch = u16::try_from(n % 3 + 1).unwrap();
        let consumer = bus.consume(&queue.name(), prefetch).await.unwrap();
        fill(&*bus, &queue.name(), 5).await;
        consumers.push((prefetch, consumer));
    }
    assert_eq!(bus.stats().consumers(), 60);
    for (prefetch, mut consumer) in consumers {
        let mut held = Vec::new();
        for _ in 0..prefetch {
            held.push(next(&mut consumer).await);
        }
        let more = tokio::time::timeout(Duration::from_millis(5), consumer.next()).await;
        assert!(more.is_err(), "more than {prefetch}: {more:?}");
    }
    for queue in &queues {
        removed(&*bus, queue).await;
    }
    assert_eq!(bus.stats().consumers(), 0);
    assert!(bus.stats().confirmed() >= 300);
    bus.close().await;
}

#[tokio::test]
async fn what_is_given_back_too_often_is_a_dead_letter() {
    let Some(url) = broker_url() else { return };
    let strict = AmqpSettings {
        delivery_limit: 2_u16.try_into().unwrap(),
        ..settings(QueueType::Quorum, Bounds::USUAL)
    };
    let bus = AmqpBus::connect(&url, strict).await.unwrap();
    let queue = declared(&*bus).await;
    let id = unique();
    bus.publish(vec![to(&queue.name(), id.clone())])
        .await
        .unwrap();
    let mut consumer = bus.consume(&queue.name(), 1).await.unwrap();
    for _ in 0..3 {
        drop(next(&mut consumer).await);
    }
    let letter = dead_letter(&*bus, &id).await;
    assert_eq!(
        letter.header("x-first-death-reason"),
        Some("delivery_limit")
    );
    assert_eq!(letter.header("x-first-death-queue"), Some(&*queue.name()));
    letter.ack().await;
    drop(consumer);
    removed(&*bus, &queue).await;
    bus.close().await;
}

#[tokio::test]
async fn browsing_a_dead_letter_does_not_use_it_up() {
    let Some(url) = broker_url() else { return };
    let bus = connected(&url, QueueType::Quorum).await;
    let id = unique();
    bus.publish(vec![Outgoing::new(Route::Dead, id.clone(), "{}")])
        .await
        .unwrap();
    for _ in 0..30 {
        drop(dead_letter(&*bus, &id).await);
    }
    dead_letter(&*bus, &id).await.ack().await;
    bus.close().await;
}

#[tokio::test]
async fn a_url_that_is_none_is_refused_without_being_repeated() {
    for url in [
        "",
        "http://u:geheim@h/",
        "amqp//geheim",
        "amqp://u:geheim@h:99999/%2f",
    ] {
        let refused = AmqpBus::connect(url, AmqpSettings::default())
            .await
            .err()
            .unwrap();
        assert!(!refused.to_string().contains("geheim"), "{refused}");
    }
}

#[tokio::test]
async fn nobody_listening_and_a_wrong_password_are_said_in_time() {
    let hasty = AmqpSettings {
        connect_timeout: Duration::from_secs(2),
        ..AmqpSettings::default()
    };
    let nobody = AmqpBus::connect("amqp://u:geheim@127.0.0.1:1/%2f", hasty.clone()).await;
    let why = nobody.err().unwrap().to_string();
    assert!(!why.contains("geheim"), "{why}");

    let Some(url) = broker_url() else { return };
    let mut uri: lapin::uri::AMQPUri = url.parse().unwrap();
    uri.authority.userinfo.password = "geheim".to_owned();
    let refused = AmqpBus::connect(&uri.to_string(), hasty).await;
    let why = refused.err().unwrap().to_string();
    assert!(why.contains("ACCESS_REFUSED"), "{why}");
    assert!(!why.contains("geheim"), "{why}");
}

#[test]
fn settings_name_their_units_and_refuse_unknown_keys() {
    let settings: AmqpSettings = toml::from_str(
        r#"
        queue_type = "classic"
        heartbeat = "5s"
        send_queue_lease = "10days"
        publish_channels = 4
        "#,
    )
    .unwrap();
    assert_eq!(settings.queue_type, QueueType::Classic);
    assert_eq!(settings.heartbeat, Duration::from_secs(5));
    assert_eq!(settings.send_queue_lease, Duration::from_secs(864_000));
    for wrong in ["lease = \"1s\"", "heartbeat = 5", "publish_channels = 0"] {
        assert!(toml::from_str::<AmqpSettings>(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn dropping_a_bus_without_closing_it_ends_its_connections() {
    let Some(url) = broker_url() else { return };
    let bus = connected(&url, QueueType::Classic).await;
    let queue = declared(&*bus).await;
    let mut consumer = bus.consume(&queue.name(), 5).await.unwrap();
    drop(bus);
    let over = next_error(&mut consumer).await;
    assert!(matches!(over, BusError::Closed), "{over:?}");
    let bus = connected(&url, QueueType::Classic).await;
    removed(&*bus, &queue).await;
    bus.close().await;
}
