//! Publishing: a group goes out as a whole, then all its confirms are awaited.
//!
//! A channel carries one group at a time. lapin hands a returned message to whichever confirm is
//! resolved next; with one group per channel that is always one of the same group, and all of it
//! has failed then.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    declare::short,
    failure,
    link::{Broker, Link, Live},
};
use crate::{BusError, Outgoing, Route, topology::queue as fixed};

/// Messages whose confirms are awaited together; a larger group goes in several steps.
const GROUP_MAX: usize = 500;
/// "Persistent", in AMQP's words.
const PERSISTENT: u8 = 2;

pub(super) struct Publisher {
    broker: Arc<Broker>,
    link: Link,
    slots: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    generation: u64,
    channel: Channel,
}

impl Publisher {
    pub(super) fn new(broker: Arc<Broker>, link: Link) -> Self {
        let slots = Semaphore::new(broker.settings.publish_channels.get().into());
        Self {
            broker,
            link,
            slots,
            idle: Mutex::default(),
        }
    }

    pub(super) async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BusError> {
        if messages.is_empty() {
            return Ok(());
        }
        let ready: Vec<Ready> = messages
            .into_iter()
            .map(Ready::from_outgoing)
            .collect::<Result<_, _>>()?;
        let settings = &self.broker.settings;
        let _slot = timeout(settings.confirm_timeout, self.slots.acquire())
            .await
            .map_err(|_| failure::timed_out("earlier messages"))?
            .map_err(|_| BusError::Closed)?;
        let live = self.link.within(settings.outage_patience).await?;
        let send_all = async {
            let channel = self.channel(&live).await?;
            for group in ready.chunks(GROUP_MAX) {
                timeout(settings.confirm_timeout, self.send(&channel, group))
                    .await
                    .map_err(|_| failure::timed_out("published messages"))??;
            }
            Ok(channel)
        };
        let channel = tokio::select! {
            biased;
            () = live.blocked() => Err(BusError::Unavailable(
                "the broker is short of memory or disk and takes no messages".into(),
            )),
            sent = send_all => sent,
        }?;
        // Only a channel that owes no confirm any more is used again; on every way out above it
        // ends here instead.
        self.keep(live.generation, channel);
        Ok(())
    }

    /// Waits for what is under way and lets nobody in after it.
    pub(super) async fn finish(&self) {
        let all = u32::from(self.broker.settings.publish_channels.get());
        let patience = self.broker.settings.confirm_timeout;
        // In vain only if a confirm is overdue, which its own caller is told.
        let _ = timeout(patience, self.slots.acquire_many(all)).await;
        self.slots.close();
    }

    async fn send(&self, channel: &Channel, group: &[Ready]) -> Result<(), BusError> {
        let stats = &self.broker.stats;
        stats.add_published(group.len());
        let answers = join_all(group.iter().map(|ready| ready.publish(channel))).await;
        let mut failed = None;
        for (ready, answer) in group.iter().zip(answers) {
            let outcome = match answer {
                Ok(Confirmation::Ack(None)) => {
                    stats.add_confirmed();
                    continue;
                }
                Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => {
                    stats.add_returned();
                    let (exchange, key) =
                        (returned.exchange.as_str(), returned.routing_key.as_str());
                    BusError::Unroutable(format!("exchange `{exchange}`, key `{key}`").into())
                }
                Ok(Confirmation::Nack(None)) => {
                    let why = format!(
                        "the broker refused a message for `{}`: full?",
                        ready.target()
                    );
                    BusError::Unavailable(why.into())
                }
                Ok(Confirmation::NotRequested) => {
                    BusError::Unavailable("the broker was not asked for confirms".into())
                }
                Err(error) => failure::unavailable(&error),
            };
            failed.get_or_insert(outcome);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn channel(&self, live: &Live) -> Result<Channel, BusError> {
        loop {
            let Some(idle) = self.idle().pop() else {
                break;
            };
            if idle.generation == live.generation && idle.channel.status().connected() {
                return Ok(idle.channel);
            }
        }
        let open = async {
            let channel = live.connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            Ok(channel)
        };
        timeout(self.broker.settings.operation_timeout, open)
            .await
            .map_err(|_| failure::timed_out("opening a channel"))?
            .map_err(|error: lapin::Error| failure::unavailable(&error))
    }

    fn keep(&self, generation: u64, channel: Channel) {
        self.idle().push(Idle {
            generation,
            channel,
        });
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message in the broker's words.
struct Ready {
    exchange: lapin::types::ShortString,
    key: lapin::types::ShortString,
    /// Returned if it has nowhere to go; otherwise the broker drops and confirms it.
    mandatory: bool,
    body: bytes::Bytes,
    properties: BasicProperties,
}

impl Ready {
    fn from_outgoing(outgoing: Outgoing) -> Result<Self, BusError> {
        let (exchange, key, mandatory) = match outgoing.route {
            Route::Queue(queue) => (String::new(), queue, true),
            Route::Delayed { queue, tier } => (tier.name(), queue, true),
            Route::Topic(topic, key) => (topic.exchange().to_owned(), key, false),
            Route::Dead => (String::new(), fixed::DEAD.to_owned(), true),
        };
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_message_id(short(&outgoing.message_id)?);
        if !outgoing.headers.is_empty() {
            let mut headers = FieldTable::default();
            for (name, value) in outgoing.headers {
                headers.insert(short(&name)?, AMQPValue::LongString(value.into()));
            }
            properties = properties.with_headers(headers);
        }
        Ok(Self {
            exchange: short(&exchange)?,
            key: short(&key)?,
            mandatory,
            body: outgoing.body,
            properties,
        })
    }

    async fn publish(&self, channel: &Channel) -> lapin::Result<Confirmation> {
        let options = BasicPublishOptions {
            mandatory: self.mandatory,
            ..BasicPublishOptions::default()
        };
        channel
            .basic_publish(
                self.exchange.clone(),
                self.key.clone(),
                options,
                &self.body,
                self.properties.clone(),
            )
            .await?
            .await
    }

    fn target(&self) -> &str {
        if self.exchange.as_str().is_empty() {
            self.key.as_str()
        } else {
            self.exchange.as_str()
        }
    }
}
