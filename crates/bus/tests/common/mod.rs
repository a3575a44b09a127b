//! What both suites need: a bus to test, names of their own, and patience with a deadline.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each suite uses its part, and a test may panic"
)]

pub mod proxy;

use std::{future::Future, sync::Arc, time::Duration};

use bus::{
    AmqpBus, AmqpSettings, Bus, BusError, Consumer, Delivery, EmbeddedBus, EmbeddedSettings,
    Outgoing, QueueType, Route, SendQueue, queue,
};
use message::{Class, ConnectionId, DistributionId, OrganizationId};

/// For what must not happen: long enough for a broker on a busy machine to do it all the same.
pub const A_WHILE: Duration = Duration::from_millis(400);
/// For what must happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Embedded,
    Classic,
    Quorum,
}

/// The bounds that a test may want to be small.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub lease: Duration,
    pub queue_length: u32,
}

impl Bounds {
    pub const USUAL: Self = Self {
        lease: Duration::from_secs(600),
        queue_length: 2_000_000,
    };
    pub const SHORT_LEASE: Self = Self {
        lease: Duration::from_millis(1500),
        ..Self::USUAL
    };
    pub const SMALL: Self = Self {
        queue_length: 5,
        ..Self::USUAL
    };
}

/// The broker to test against; `None`, said once, if there is none.
pub fn broker_url() -> Option<String> {
    let url = std::env::var("SMSFLEET_AMQP_URL").ok();
    if url.is_none() {
        assert!(
            std::env::var("SMSFLEET_REQUIRE_SERVICES").as_deref() != Ok("1"),
            "SMSFLEET_REQUIRE_SERVICES is 1, but SMSFLEET_AMQP_URL is not set"
        );
        eprintln!("skipped: SMSFLEET_AMQP_URL is not set (see deploy/dev/services)");
    }
    url
}

pub fn settings(queue_type: QueueType, bounds: Bounds) -> AmqpSettings {
    AmqpSettings {
        queue_type,
        connection_name: "bus tests".to_owned(),
        send_queue_lease: bounds.lease,
        queue_length_max: bounds.queue_length,
        connect_timeout: PATIENCE,
        ..AmqpSettings::default()
    }
}

pub async fn bus_of(kind: Kind, bounds: Bounds) -> Option<Arc<dyn Bus>> {
    let queue_type = match kind {
        Kind::Embedded => {
            return Some(EmbeddedBus::with_settings(EmbeddedSettings {
                send_queue_lease: bounds.lease,
                queue_messages_max: bounds.queue_length as usize,
                ..EmbeddedSettings::default()
            }));
        }
        Kind::Classic => QueueType::Classic,
        Kind::Quorum => QueueType::Quorum,
    };
    let url = broker_url()?;
    let bus = AmqpBus::connect(&url, settings(queue_type, bounds)).await;
    Some(bus.unwrap_or_else(|why| panic!("the broker that SMSFLEET_AMQP_URL names: {why}")))
}

/// A name that no other test, run or process uses.
pub fn unique() -> String {
    format!("t{:x}", fastrand::u128(..))
}

/// A queue that does not exist yet.
pub fn new_queue() -> SendQueue {
    SendQueue {
        organization_id: OrganizationId::new("bus-tests").unwrap(),
        connection_id: ConnectionId::new("c").unwrap(),
        distribution_id: DistributionId::new(&unique()).unwrap(),
        class: Class::Bulk,
    }
}

/// One that does.
pub async fn declared(bus: &dyn Bus) -> SendQueue {
    let queue = new_queue();
    bus.declare_send_queue(&queue).await.unwrap();
    queue
}

/// Leaves nothing behind. Everything that held a delivery of the queue must be gone or done.
pub async fn removed(bus: &dyn Bus, queue: &SendQueue) {
    eventually("an empty queue is deleted", async || {
        match bus.purge(&queue.name()).await {
            Ok(_) => bus.delete_send_queue_if_empty(queue).await.unwrap(),
            Err(BusError::NoSuchQueue(_)) => true,
            Err(why) => panic!("purge: {why}"),
        }
    })
    .await;
}

pub fn to(queue: &str, message_id: impl Into<String>) -> Outgoing {
    Outgoing::new(Route::Queue(queue.to_owned()), message_id, r#"{"a":1}"#)
}

/// Publishes messages named "0", "1", … into `queue`.
pub async fn fill(bus: &dyn Bus, queue: &str, messages: usize) {
    let messages = (0..messages).map(|n| to(queue, n.to_string())).collect();
    bus.publish(messages).await.unwrap();
}

pub async fn next(consumer: &mut Consumer) -> Delivery {
    within(consumer.next()).await.unwrap()
}

pub async fn next_error(consumer: &mut Consumer) -> BusError {
    within(consumer.next()).await.unwrap_err()
}

pub async fn nothing_comes(consumer: &mut Consumer) {
    let came = tokio::time::timeout(A_WHILE, consumer.next()).await;
    assert!(came.is_err(), "unexpected: {came:?}");
}

pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

/// Waits until `holds`.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn depth_becomes(bus: &dyn Bus, queue: &str, expected: u64) {
    eventually(&format!("depth {expected}"), async || {
        bus.depth(queue).await.unwrap() == expected
    })
    .await;
}

/// Looks for a dead letter of ours among everybody's and takes it out.
pub async fn dead_letter(bus: &dyn Bus, message_id: &str) -> Delivery {
    let mut others = bus.consume(queue::DEAD, 1000).await.unwrap();
    loop {
        let letter = next(&mut others).await;
        if letter.message_id == message_id {
            return letter;
        }
        // Held until the consumer ends would be politer to others, but then two tests that look
        // at once would hide each other's letters.
        drop(letter);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
