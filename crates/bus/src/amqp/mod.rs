//! The bus over RabbitMQ.
//!
//! Three connections: one publishes, because the broker stops to read from a connection that
//! publishes while it is short of memory, and acks must not wait behind that; one consumes; and
//! one does what may fail, because the broker answers some failures by closing the connection.
//! Each is kept up by its [`link`] and declares the [topology](declare) before it is used.

mod admin;
mod arguments;
mod declare;
mod delivery;
mod failure;
mod link;
mod publisher;
mod queues;
mod reconnect;
mod seats;
mod settings;
mod settled;
mod source;
mod stats;
mod version;

use std::sync::Arc;

use async_trait::async_trait;
use lapin::uri::AMQPUri;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Bus, BusError, Consumer, Declared, Delivery, Outgoing, SendQueue, Topic};
use admin::Admin;
use link::{Broker, Link};
use publisher::Publisher;
use queues::Queues;
use seats::{Seats, Wanted};
use source::AmqpSource;

pub use settings::{AmqpSettings, QueueType};
pub use stats::BusStats;

/// Deliveries that a listener of a topic may hold unacked.
const LISTENER_PREFETCH: u16 = 256;

/// See the module. Belongs to the runtime that it was made on, which may be a current-thread one.
pub struct AmqpBus {
    broker: Arc<Broker>,
    links: [Link; 3],
    publisher: Publisher,
    queues: Arc<Queues>,
    seats: Arc<Seats>,
    /// Ends the links, also when the bus is dropped without being closed.
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl AmqpBus {
    /// Connects, and keeps itself connected from then on.
    ///
    /// # Errors
    /// If `url` is none, or if there is no connection within the `connect_timeout`; then the last
    /// attempt's reason is given.
    pub async fn connect(url: &str, settings: AmqpSettings) -> Result<Arc<Self>, BusError> {
        let patience = settings.connect_timeout;
        let bus = Self::start(url, settings).await?;
        for link in &bus.links {
            link.first(patience).await?;
        }
        Ok(bus)
    }

    /// Starts to connect and returns at once, for a service that comes up while the broker is
    /// away: until there is a connection `is_ready` is false and operations fail.
    ///
    /// # Errors
    /// If `url` is none.
    pub async fn start(url: &str, settings: AmqpSettings) -> Result<Arc<Self>, BusError> {
        let broker = Broker::new(parse(url, &settings)?, settings);
        let stop = CancellationToken::new();
        let keep_up = |purpose| Link::keep_up(Arc::clone(&broker), purpose, stop.clone());
        let (publishing, consuming, asking) =
            (keep_up("publish"), keep_up("consume"), keep_up("admin"));
        let queues = Queues::new(Admin::new(Arc::clone(&broker), asking.clone()));
        Ok(Arc::new(Self {
            publisher: Publisher::new(Arc::clone(&broker), publishing.clone()),
            seats: Arc::new(Seats::new(
                Arc::clone(&broker),
                consuming.clone(),
                Arc::clone(&queues),
            )),
            queues,
            links: [publishing, consuming, asking],
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
            broker,
        }))
    }

    /// What this bus has counted.
    #[must_use]
    pub fn stats(&self) -> Arc<BusStats> {
        Arc::clone(&self.broker.stats)
    }
}

#[async_trait]
impl Bus for AmqpBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BusError> {
        self.publisher.publish(messages).await
    }

    async fn consume(&self, queue: &str, prefetch: u16) -> Result<Consumer, BusError> {
        let wanted = Wanted::Queue(queue.into());
        let source = AmqpSource::start(Arc::clone(&self.seats), wanted, prefetch).await?;
        Ok(Consumer::new(Box::new(source)))
    }

    async fn subscribe(&self, topic: Topic, pattern: &str) -> Result<Consumer, BusError> {
        let wanted = Wanted::Topic(topic, pattern.into());
        let seats = Arc::clone(&self.seats);
        let source = AmqpSource::start(seats, wanted, LISTENER_PREFETCH).await?;
        Ok(Consumer::new(Box::new(source)))
    }

    async fn declare_send_queue(&self, queue: &SendQueue) -> Result<Declared, BusError> {
        self.queues.declare_send_queue(&queue.name()).await
    }

    async fn delete_send_queue_if_empty(&self, queue: &SendQueue) -> Result<bool, BusError> {
        self.queues.delete_if_empty(&queue.name()).await
    }

    async fn purge(&self, queue: &str) -> Result<u64, BusError> {
        self.queues.purge(queue).await
    }

    async fn depth(&self, queue: &str) -> Result<u64, BusError> {
        Ok(self.queues.look_at(queue).await?.message_count().into())
    }

    async fn get(&self, queue: &str) -> Result<Option<Delivery>, BusError> {
        self.queues.take_one(queue).await
    }

    fn is_ready(&self) -> bool {
        self.links.iter().all(Link::is_up)
    }

    async fn close(&self) {
        self.publisher.finish().await;
        self.stop.cancel();
        for link in &self.links {
            link.closed().await;
        }
    }
}

/// The URL with what the settings add to it. What is wrong with it is not said in its own words,
/// because they hold a password.
fn parse(url: &str, settings: &AmqpSettings) -> Result<AMQPUri, BusError> {
    let mut uri: AMQPUri = url.parse().map_err(|_| {
        BusError::Unavailable(
            "the broker's URL is not one: amqp[s]://user:password@host:port/vhost".into(),
        )
    })?;
    let seconds = settings.heartbeat.as_secs().clamp(1, u16::MAX.into());
    uri.query
        .heartbeat
        .get_or_insert(u16::try_from(seconds).unwrap_or(u16::MAX));
    Ok(uri)
}
