//! The topology on the broker: fixed queues, topic exchanges and retry tiers, declared after every
//! connect, and what a distribution's queue is declared with.
//!
//! A retry tier is an exchange and a queue of the same name. What is published to the exchange
//! with the name of a queue as its routing key waits in the tier, and dies of its age into the
//! exchange `sms.requeue`, where every queue of the fleet is bound by its name. RabbitMQ's
//! default exchange would do the same with less, except for a queue that is gone by then: a
//! classic tier would drop the message, and a quorum tier would keep it and, after 32 of that
//! kind, keep everything. `sms.requeue` has an alternate that leads to the dead letters.

use futures_util::future::BoxFuture;
use lapin::{
    Channel, Connection, ExchangeKind, Queue,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};

use super::{
    arguments::{self, Kind},
    failure::{self, Mismatch},
    link::Broker,
    version::Version,
};
use crate::{BusError, RetryTier, Topic, topology::queue as fixed};

/// Where messages whose delay is over find their queue by name.
pub(super) const REQUEUE: &str = "sms.requeue";
/// Where those go whose queue is gone.
const UNROUTABLE: &str = "sms.unroutable";

/// Everything that must be there before anything is published or consumed.
pub(super) async fn topology(
    broker: &Broker,
    connection: &Connection,
    version: Version,
) -> Result<(), BusError> {
    let channel = open(connection).await?;

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
    let mut alternate = FieldTable::default();
    alternate.insert("alternate-exchange".into(), arguments::text(UNROUTABLE));
    exchange(&channel, REQUEUE, ExchangeKind::Direct, alternate).await?;

    for name in fixed::ALL {
        let kind = match name {
            fixed::DEAD => Kind::Dead,
            _ => Kind::Work,
        };
        fixed_queue(broker, connection, version, name, kind).await?;
        bind(&channel, name, REQUEUE, name).await?;
    }
    bind(&channel, fixed::DEAD, UNROUTABLE, "").await?;

    for tier in RetryTier::ALL {
        let name = tier.name();
        exchange(&channel, &name, ExchangeKind::Fanout, FieldTable::default()).await?;
        fixed_queue(broker, connection, version, &name, Kind::Tier(tier)).await?;
        bind(&channel, &name, &name, "").await?;
    }
    Ok(())
}

async fn fixed_queue(
    broker: &Broker,
    connection: &Connection,
    version: Version,
    name: &str,
    kind: Kind,
) -> Result<(), BusError> {
    let attempts = arguments::attempts(&broker.settings, version, kind);
    queue(broker, name, attempts, |arguments| {
        Box::pin(async move {
            // A channel each, because a refusal closes it.
            let channel = open(connection).await?;
            let options = QueueDeclareOptions::durable();
            channel
                .queue_declare(short(name)?, options, arguments)
                .await
                .map_err(|error| failure::of_queue(name, &error))
        })
    })
    .await?;
    Ok(())
}

/// What a declaration found.
pub(super) struct Found {
    /// Whether the queue may have another type than the settings say.
    pub(super) elder: bool,
    /// How many consume it, where the broker said so.
    pub(super) consumers: Option<u32>,
}

/// Declares a queue with the first of `attempts` that fits what exists. One of ours that was born
/// under other settings goes on as it is, which is said; one of somebody else's is refused.
pub(super) async fn queue<'a>(
    broker: &Broker,
    name: &str,
    attempts: [FieldTable; 2],
    mut attempt: impl FnMut(FieldTable) -> BoxFuture<'a, Result<Queue, BusError>>,
) -> Result<Found, BusError> {
    let mut refused = None;
    for arguments in attempts {
        let error = match attempt(arguments).await {
            Ok(queue) => {
                if let Some(reason) = &refused {
                    said_elder(broker, name, reason);
                }
                return Ok(Found {
                    elder: refused.is_some(),
                    consumers: Some(queue.consumer_count()),
                });
            }
            Err(error) => error,
        };
        match failure::mismatch(&error) {
            Some(Mismatch::Number) => {
                said_elder(broker, name, &error);
                return Ok(Found {
                    elder: true,
                    consumers: None,
                });
            }
            // The first refusal is about the settings, and the one to be told.
            Some(Mismatch::Type) => refused = refused.or(Some(error)),
            None => return Err(refused.unwrap_or(error)),
        }
    }
    Err(refused.unwrap_or(BusError::NoSuchQueue(name.into())))
}

fn said_elder(broker: &Broker, queue: &str, reason: &BusError) {
    if broker.is_news(queue) {
        tracing::warn!(queue, %reason, "queue goes on with the arguments that it was born with");
    }
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

/// A name for the wire, which has room for 255 bytes.
pub(super) fn short(name: &str) -> Result<ShortString, BusError> {
    ShortString::try_new(name).map_err(|error| BusError::Unusable {
        queue: name.into(),
        why: error.to_string().into(),
    })
}
