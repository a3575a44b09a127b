//! The message bus: one contract, two implementations. [`amqp`] speaks to RabbitMQ, [`embedded`]
//! lives in the process; `tests/contract.rs` holds both to the same behaviour.
//!
//! What every caller may rely on:
//! - a publish that returned `Ok` was confirmed, and routed wherever a route must exist;
//! - a delivery that is neither acked nor rejected comes back when its consumer or connection ends;
//! - a delivery may come more than once, and `redelivered` proves nothing: the ledger's claim does;
//! - what comes back comes back first, but in no promised order among itself;
//! - a delay is kept by a tier of its own, never by waiting behind an elder message; what was
//!   delayed for a queue that is gone by then ends in `sms.dead`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub mod amqp;
pub mod embedded;
mod pattern;
mod topology;

pub use amqp::{AmqpBus, AmqpSettings, BusStats, QueueType};
pub use embedded::{EmbeddedBus, EmbeddedSettings};
pub use pattern::topic_matches;
pub use topology::{RetryTier, SendQueue, queue};

/// The bus as the services see it.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Publishes all of `messages` and waits for every confirm.
    ///
    /// # Errors
    /// If any was not confirmed or not routed. Nothing is known about the others then: the caller
    /// publishes all of them again or leaves its own source unacked.
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BusError>;

    /// Starts to consume `queue` with at most `prefetch` unacked deliveries.
    async fn consume(&self, queue: &str, prefetch: u16) -> Result<Consumer, BusError>;

    /// Consumes what is published on a topic from now on, over a queue of its own that ends with
    /// the consumer: for nudges and for watching, not for keeping.
    async fn subscribe(&self, topic: Topic, pattern: &str) -> Result<Consumer, BusError>;

    /// Makes sure that the distribution's queue exists, and renews its lease if it does. Returns
    /// once the queue keeps what it confirms: see [`Declared`].
    async fn declare_send_queue(&self, queue: &SendQueue) -> Result<Declared, BusError>;

    /// Deletes a distribution's queue if nothing is in it; `false` if something is.
    ///
    /// Only for queues whose work the ledger knows to be done, with nobody publishing to it: RabbitMQ
    /// does not see unacked deliveries here, and for a quorum queue the look and the deletion are two.
    async fn delete_send_queue_if_empty(&self, queue: &SendQueue) -> Result<bool, BusError>;

    /// Drops what is ready in `queue`; how many that were. Unacked deliveries stay.
    async fn purge(&self, queue: &str) -> Result<u64, BusError>;

    /// How many messages are ready in `queue`.
    async fn depth(&self, queue: &str) -> Result<u64, BusError>;

    /// Takes one message out of `queue` without waiting, for browsing and redriving dead letters.
    /// It comes back when the delivery is dropped unacked.
    async fn get(&self, queue: &str) -> Result<Option<Delivery>, BusError>;

    /// Whether the bus can be used right now: what `/readyz` answers by.
    fn is_ready(&self) -> bool;

    /// Waits for what is under way and closes.
    async fn close(&self);
}

/// How old a queue is, because a young quorum queue does not yet keep what it confirms: after
/// publishing to a young one its source may only be acked when `settles_in` has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// Zero for a queue that this process knows to be old enough.
    pub settles_in: Duration,
}

/// A message on its way to the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Where to.
    pub route: Route,
    /// The name consumers recognise a repetition by.
    pub message_id: String,
    /// JSON.
    pub body: Bytes,
    /// Headers: dead letters carry reason, stage and version.
    pub headers: Vec<(String, String)>,
}

impl Outgoing {
    /// A message without headers.
    #[must_use]
    pub fn new(route: Route, message_id: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            route,
            message_id: message_id.into(),
            body: body.into(),
            headers: Vec::new(),
        }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Straight into a queue, which must exist.
    Queue(String),
    /// Into `queue`, which must exist by then, after the tier's delay.
    Delayed {
        /// The queue it arrives in.
        queue: String,
        /// How long it takes.
        tier: RetryTier,
    },
    /// To whoever bound a queue to the topic; nobody listening is fine.
    Topic(Topic, String),
    /// The end of the line: `sms.dead`.
    Dead,
}

/// The exchanges that the rest of the platform binds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// `sms.events`.
    Events,
    /// `sms.replies`.
    Replies,
    /// `sms.control`: nudges between our own services.
    Control,
}

/// A stream of deliveries. Dropping it cancels the consumer; deliveries that it had not yielded come
/// back, and those in the caller's hands can still be acked: that is how a service drains.
pub struct Consumer {
    source: Box<dyn DeliverySource>,
}

impl Consumer {
    /// Wraps an implementation's stream.
    #[must_use]
    pub fn new(source: Box<dyn DeliverySource>) -> Self {
        Self { source }
    }

    /// The next delivery; waits through reconnections. An error means that this consumer is over
    /// (its queue is gone, the bus is closed) and has to be made anew. Cancel safe.
    ///
    /// # Errors
    /// See above: the caller decides by [`BusError`]'s variant.
    pub async fn next(&mut self) -> Result<Delivery, BusError> {
        self.source.next().await
    }
}

/// What stands behind a [`Consumer`].
#[async_trait]
pub trait DeliverySource: Send {
    /// The next delivery; see [`Consumer::next`].
    async fn next(&mut self) -> Result<Delivery, BusError>;
}

/// One message taken from a queue, to be acked, rejected or dropped (then it comes back).
pub struct Delivery {
    /// JSON.
    pub body: Bytes,
    /// The publisher's name for it.
    pub message_id: String,
    /// The publisher's headers.
    pub headers: Vec<(String, String)>,
    /// A hint that it was delivered before; its absence proves nothing.
    pub redelivered: bool,
    acker: Option<Box<dyn Acker>>,
}

impl Delivery {
    /// A delivery that `acker` decides about.
    #[must_use]
    pub fn new(
        body: Bytes,
        message_id: String,
        headers: Vec<(String, String)>,
        redelivered: bool,
        acker: Box<dyn Acker>,
    ) -> Self {
        Self {
            body,
            message_id,
            headers,
            redelivered,
            acker: Some(acker),
        }
    }

    /// Done: it never comes back. On a connection that has ended meanwhile the ack is lost and the
    /// message comes back; that is no error, because its claims make it inert.
    pub async fn ack(mut self) {
        if let Some(acker) = self.acker.take() {
            acker.ack().await;
        }
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(acker) = self.acker.take() {
            acker.give_back();
        }
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No body: it may hold numbers and texts.
        f.debug_struct("Delivery")
            .field("message_id", &self.message_id)
            .field("bytes", &self.body.len())
            .finish()
    }
}

/// Decides the fate of one delivery.
#[async_trait]
pub trait Acker: Send + Sync {
    /// Takes it off the queue for good.
    async fn ack(self: Box<Self>);
    /// Returns it to the queue; called when a delivery is dropped.
    fn give_back(self: Box<Self>);
}

/// What can go wrong with the bus.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// The broker is away or refuses; trying again later may work.
    #[error("message broker unavailable: {0}")]
    Unavailable(Arc<str>),
    /// No such queue: it expired, was deleted, or was never declared.
    #[error("queue `{0}` does not exist")]
    NoSuchQueue(Arc<str>),
    /// The broker took the message and had nowhere to put it.
    #[error("message was returned unroutable: {0}")]
    Unroutable(Arc<str>),
    /// A queue of that name exists with other arguments, or is broken.
    #[error("queue `{queue}` is unusable: {why}")]
    Unusable {
        /// Which.
        queue: Arc<str>,
        /// The broker's words.
        why: Arc<str>,
    },
    /// [`Bus::close`] was called.
    #[error("the bus is closed")]
    Closed,
}
