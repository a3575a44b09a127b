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
mod reconnect;
mod seats;
mod settings;
mod settled;
mod source;
mod stats;
mod version;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lapin::{
    Channel,
    options::{BasicGetOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions},
    types::FieldTable,
    uri::AMQPUri,
};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Bus, BusError, Consumer, Declared, Delivery, Outgoing, SendQueue, Topic};
use admin::Admin;
use arguments::Kind;
use declare::short;
use link::{Broker, Link};
use publisher::Publisher;
use seats::{Seats, Wanted};
use settled::Settled;
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
    admin: Arc<Admin>,
    seats: Arc<Seats>,
    settled: Settled,
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
        let admin = Arc::new(Admin::new(Arc::clone(&broker), asking.clone()));
        Ok(Arc::new(Self {
            publisher: Publisher::new(Arc::clone(&broker), publishing.clone()),
            seats: Arc::new(Seats::new(
                Arc::clone(&broker),
                consuming.clone(),
                Arc::clone(&admin),
            )),
            admin,
            links: [publishing, consuming, asking],
            settled: Settled::default(),
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

    /// Declaring again renews a classic queue's lease. A quorum queue's (RabbitMQ 3.10.8) is only
    /// renewed by those who take from it, so one message is taken and given back. That counts as
    /// a delivery of it, hence seldom.
    async fn renew_lease(&self, generation: u64, queue: &str) {
        let every = self.broker.settings.send_queue_lease / 4;
        if !self.settled.renews(generation, queue, every) {
            return;
        }
        if let Err(why) = self.get(queue).await {
            tracing::warn!(queue, %why, "cannot renew the lease of a queue");
        }
    }

    async fn delete(&self, queue: &str, if_empty: bool) -> Result<bool, BusError> {
        let name = short(queue)?;
        let options = QueueDeleteOptions {
            if_empty,
            ..QueueDeleteOptions::default()
        };
        let deleted = self
            .admin
            .run(queue, async move |channel: Channel| {
                match channel.queue_delete(name, options).await {
                    Ok(lost) => Ok(Some(lost)),
                    Err(error) if failure::is_precondition_failed(&error) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .await?;
        let Some(lost) = deleted else {
            return Ok(false);
        };
        if let Ok(live) = self.admin.live().await {
            self.settled.forget(live.generation, queue);
        }
        if lost > 0 {
            tracing::error!(
                queue,
                lost,
                "messages were published to a queue while it was deleted"
            );
        }
        Ok(true)
    }

    async fn passive(&self, queue: &str) -> Result<u64, BusError> {
        let name = short(queue)?;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let found = self
            .admin
            .run(queue, async move |channel: Channel| {
                channel
                    .queue_declare(name, passive, FieldTable::default())
                    .await
            })
            .await?;
        Ok(found.message_count().into())
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
        let queue = queue.name();
        let name = short(&queue)?;
        let live = self.admin.live().await?;
        let generation = live.generation;
        if self.settled.knows(generation, &queue) {
            // Somebody else may have deleted it since: then it is about to be born again.
            if let Err(gone) = self.passive(&queue).await {
                self.settled.forget(generation, &queue);
                if !matches!(gone, BusError::NoSuchQueue(_)) {
                    return Err(gone);
                }
            }
        }
        let attempts = arguments::attempts(&self.broker.settings, live.version, Kind::Send);
        let found = declare::queue(&queue, attempts, |arguments| {
            let (queue, name) = (queue.as_str(), name.clone());
            Box::pin(self.admin.run(queue, async move |channel: Channel| {
                channel
                    .queue_declare(name, QueueDeclareOptions::durable(), arguments)
                    .await
            }))
        })
        .await?;
        let quorum = self.broker.settings.queue_type == QueueType::Quorum || found.elder;
        if quorum && found.consumers.unwrap_or(0) == 0 {
            self.renew_lease(generation, &queue).await;
        }
        self.admin
            .run(&queue, async move |channel: Channel| {
                declare::bind_to_requeue(&channel, name).await
            })
            .await?;
        let settles_in = match quorum {
            true => self.settled.seen(generation, &queue),
            false => Duration::ZERO,
        };
        Ok(Declared { settles_in })
    }

    async fn delete_send_queue_if_empty(&self, queue: &SendQueue) -> Result<bool, BusError> {
        let queue = queue.name();
        // Quorum queues do not know `if-empty` (the broker closes the connection over it), so they
        // are only looked at first; the ledger has to know that nobody publishes meanwhile.
        match self.passive(&queue).await {
            Ok(0) => {}
            Ok(_) => return Ok(false),
            Err(BusError::NoSuchQueue(_)) => return Ok(true),
            Err(error) => return Err(error),
        }
        let if_empty = self.broker.settings.queue_type == QueueType::Classic;
        let mut deleted = self.delete(&queue, if_empty).await;
        if if_empty && matches!(deleted, Err(BusError::Unusable { .. })) {
            // A quorum queue, elder than the settings.
            deleted = self.delete(&queue, false).await;
        }
        deleted
    }

    async fn purge(&self, queue: &str) -> Result<u64, BusError> {
        let name = short(queue)?;
        let purged = self
            .admin
            .run(queue, async move |channel: Channel| {
                channel
                    .queue_purge(name, QueuePurgeOptions::default())
                    .await
            })
            .await?;
        Ok(purged.into())
    }

    async fn depth(&self, queue: &str) -> Result<u64, BusError> {
        self.passive(queue).await
    }

    async fn get(&self, queue: &str) -> Result<Option<Delivery>, BusError> {
        let name = short(queue)?;
        let live = self.admin.live().await?;
        // Its own channel, which lives as long as the delivery.
        let take = async {
            let channel = live.connection.create_channel().await?;
            let found = channel.basic_get(name, BasicGetOptions::default()).await?;
            Ok(found.map(|message| delivery::taken(message.delivery, channel, Handle::current())))
        };
        timeout(self.broker.settings.operation_timeout, take)
            .await
            .map_err(|_| failure::timed_out("taking a message"))?
            .map_err(|error: lapin::Error| failure::of_queue(queue, &error))
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
