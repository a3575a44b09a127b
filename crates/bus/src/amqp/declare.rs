//! The topology on the broker: fixed queues, topic exchanges and retry tiers, declared after every
//! connect, and what a distribution's queue is declared with.
//!
//! A retry tier is an exchange and a queue of the same name. What is published to the exchange
//! with the name of a queue as its routing key waits in the tier, and dies of its age into the
//! exchange `sms.requeue`, where every queue of the fleet is bound by its name. RabbitMQ's
//! default exchange would do the same with less, except for a queue that is gone by then: a
//! classic tier would drop the message, and a quorum tier would keep it and, after 32 of that
//! kind, keep everything. `sms.requeue` has an alternate that leads to the dead letters.

use std::time::Duration;

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    failure,
    settings::{AmqpSettings, QueueType},
    version::Version,
};
use crate::{BusError, RetryTier, Topic, topology::queue as fixed};

/// Where messages whose delay is over find their queue by name.
const REQUEUE: &str = "sms.requeue";
/// Where those go whose queue is gone.
const UNROUTABLE: &str = "sms.unroutable";

/// Everything that must be there before anything is published or consumed.
pub(super) async fn topology(
    connection: &Connection,
    settings: &AmqpSettings,
    version: Version,
) -> Result<(), BusError> {
    let plan = Plan { settings, version };
    let mut channel = open(connection).await?;

    for topic in [Topic::Events, Topic::Replies, Topic::Control] {
        exchange(
            &channel,
            topic.exchange(),
            ExchangeKind::Topic,
            FieldTable::default(),
        )
        .await?;
    }
    exchange(
        &channel,
        UNROUTABLE,
        ExchangeKind::Fanout,
        FieldTable::default(),
    )
    .await?;
    let alternate = table([("alternate-exchange", text(UNROUTABLE))]);
    exchange(&channel, REQUEUE, ExchangeKind::Direct, alternate).await?;

    for name in fixed::ALL {
        let arguments = match name {
            fixed::DEAD => plan.dead(),
            _ => plan.work(),
        };
        queue(connection, &mut channel, name, arguments).await?;
        bind(&channel, name, REQUEUE, name).await?;
    }
    bind(&channel, fixed::DEAD, UNROUTABLE, "").await?;

    for tier in RetryTier::ALL {
        let name = tier.name();
        exchange(&channel, &name, ExchangeKind::Fanout, FieldTable::default()).await?;
        queue(connection, &mut channel, &name, plan.tier(tier)).await?;
        bind(&channel, &name, &name, "").await?;
    }
    Ok(())
}

/// What a distribution's queue is declared with.
pub(super) fn send_queue(settings: &AmqpSettings, version: Version) -> FieldTable {
    let mut arguments = Plan { settings, version }.work();
    arguments.insert("x-expires".into(), milliseconds(settings.send_queue_lease));
    arguments
}

/// Declares a durable queue; one that exists with elder numbers is kept, and said.
async fn queue(
    connection: &Connection,
    channel: &mut Channel,
    name: &str,
    arguments: FieldTable,
) -> Result<(), BusError> {
    let declared = channel
        .queue_declare(short(name)?, QueueDeclareOptions::durable(), arguments)
        .await;
    let Err(error) = declared else {
        return Ok(());
    };
    let refusal = failure::of_queue(name, &error);
    if !failure::is_elder_setting(&refusal) {
        return Err(refusal);
    }
    tracing::warn!(queue = name, reason = %refusal, "queue keeps the arguments that it was declared with");
    // The refusal has closed the channel.
    *channel = open(connection).await?;
    Ok(())
}

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<(), BusError> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(short(name)?, kind, options, arguments)
        .await
        .map_err(|error| failure::of_queue(name, &error))
}

/// Lets what waited in a tier for the queue `name` find it.
pub(super) async fn bind_to_requeue(channel: &Channel, name: ShortString) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            name.clone(),
            REQUEUE.into(),
            name,
            options,
            FieldTable::default(),
        )
        .await
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), BusError> {
    channel
        .queue_bind(
            short(queue)?,
            short(exchange)?,
            short(key)?,
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .map_err(|error| failure::of_queue(queue, &error))
}

async fn open(connection: &Connection) -> Result<Channel, BusError> {
    connection
        .create_channel()
        .await
        .map_err(|error| failure::unavailable(&error))
}

impl Topic {
    /// The exchange of that topic.
    pub(crate) const fn exchange(self) -> &'static str {
        match self {
            Self::Events => "sms.events",
            Self::Replies => "sms.replies",
            Self::Control => "sms.control",
        }
    }
}

/// The arguments of each kind of queue.
struct Plan<'a> {
    settings: &'a AmqpSettings,
    version: Version,
}

impl Plan<'_> {
    /// A queue that work waits in: what cannot be processed ends in `sms.dead`.
    fn work(&self) -> FieldTable {
        let mut arguments = self.base(self.settings.queue_type, self.settings.queue_length_max);
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        arguments.insert("x-dead-letter-routing-key".into(), text(fixed::DEAD));
        if self.settings.queue_type == QueueType::Quorum {
            let limit = self.settings.delivery_limit.get();
            arguments.insert("x-delivery-limit".into(), number(limit));
        }
        arguments
    }

    fn tier(&self, tier: RetryTier) -> FieldTable {
        let mut arguments = self.base(self.timed(), self.settings.queue_length_max);
        arguments.insert("x-message-ttl".into(), milliseconds(tier.delay()));
        arguments.insert("x-dead-letter-exchange".into(), text(REQUEUE));
        arguments
    }

    fn dead(&self) -> FieldTable {
        let queue_type = self.timed();
        let mut arguments = self.base(queue_type, self.settings.dead_letter_length_max);
        arguments.insert(
            "x-message-ttl".into(),
            milliseconds(self.settings.dead_letter_ttl),
        );
        if queue_type == QueueType::Quorum {
            // Browsing takes a letter and gives it back, which counts. Nothing is behind this
            // queue, and RabbitMQ 4 limits to 20 where nothing is said: then browsing would delete.
            arguments.insert("x-delivery-limit".into(), number(i32::MAX));
        }
        arguments
    }

    /// Quorum queues had no message TTL before 3.10, and said nothing when asked for one.
    fn timed(&self) -> QueueType {
        if self.version < Version::TIMED_QUORUM_QUEUES {
            QueueType::Classic
        } else {
            self.settings.queue_type
        }
    }

    fn base(&self, queue_type: QueueType, length_max: u32) -> FieldTable {
        let mut arguments = table([
            ("x-queue-type", text(queue_type.as_str())),
            ("x-max-length", number(length_max)),
            ("x-overflow", text("reject-publish")),
        ]);
        if queue_type == QueueType::Quorum && self.version >= Version::TIMED_QUORUM_QUEUES {
            arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        }
        arguments
    }
}

/// A name for the wire, which has room for 255 bytes.
pub(super) fn short(name: &str) -> Result<ShortString, BusError> {
    ShortString::try_new(name).map_err(|error| BusError::Unusable {
        queue: name.into(),
        why: error.to_string().into(),
    })
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn number(value: impl Into<i64>) -> AMQPValue {
    AMQPValue::LongLongInt(value.into())
}

fn milliseconds(duration: Duration) -> AMQPValue {
    number(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
