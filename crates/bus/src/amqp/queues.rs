//! What is asked of single queues, over the admin connection.

use std::{sync::Arc, time::Duration};

use lapin::{
    Channel, Queue,
    options::{
        BasicGetOptions, BasicNackOptions, BasicQosOptions, QueueDeclareOptions,
        QueueDeleteOptions, QueuePurgeOptions,
    },
    types::FieldTable,
};
use tokio::runtime::Handle;

use super::{
    admin::Admin,
    arguments::{self, Kind},
    declare::{self, short},
    delivery, failure,
    settings::QueueType,
    settled::Settled,
};
use crate::{BusError, Declared, Delivery};

pub(super) struct Queues {
    admin: Admin,
    settled: Settled,
}

impl Queues {
    pub(super) fn new(admin: Admin) -> Arc<Self> {
        Arc::new(Self {
            admin,
            settled: Settled::default(),
        })
    }

    pub(super) async fn declare_send_queue(&self, queue: &str) -> Result<Declared, BusError> {
        let name = short(queue)?;
        let live = self.admin.live().await?;
        let settings = &self.admin.broker.settings;
        let generation = live.generation;
        if self.settled.knows(generation, queue) {
            // Somebody else may have deleted it since: then it is about to be born again.
            if let Err(gone) = self.look_at(queue).await {
                self.settled.forget(generation, queue);
                if !matches!(gone, BusError::NoSuchQueue(_)) {
                    return Err(gone);
                }
            }
        }
        let attempts = arguments::attempts(settings, live.version, Kind::Send);
        let found = declare::queue(&self.admin.broker, queue, attempts, |arguments| {
            let name = name.clone();
            Box::pin(self.admin.run(queue, async move |channel: Channel| {
                channel
                    .queue_declare(name, QueueDeclareOptions::durable(), arguments)
                    .await
            }))
        })
        .await?;
        self.admin
            .run(queue, async move |channel: Channel| {
                declare::bind_to_requeue(&channel, name).await
            })
            .await?;
        let quorum = settings.queue_type == QueueType::Quorum || found.elder;
        if !quorum {
            return Ok(Declared {
                settles_in: Duration::ZERO,
            });
        }
        let settles_in = self.settled.seen(generation, queue);
        if found.consumers.unwrap_or(0) == 0 {
            self.touch(generation, queue).await?;
        }
        Ok(Declared { settles_in })
    }

    /// Makes sure that a consumer of `queue` can be started: here, where a failure disturbs nobody.
    pub(super) async fn check_consumable(&self, queue: &str) -> Result<(), BusError> {
        let generation = self.admin.live().await?.generation;
        let found = self.look_at(queue).await?;
        let quorum = self.admin.broker.settings.queue_type == QueueType::Quorum;
        if quorum && found.consumer_count() == 0 {
            self.touch(generation, queue).await?;
        }
        Ok(())
    }

    /// Takes one message and gives it back, which counts as a delivery of it, hence seldom.
    ///
    /// Renews the lease: declaring again does for a classic queue, but a quorum queue's (RabbitMQ
    /// 3.10.8) is only renewed by those who take from it. And it is the only harmless question that
    /// a quorum queue without a leader does not answer.
    async fn touch(&self, generation: u64, queue: &str) -> Result<(), BusError> {
        let every = self.admin.broker.settings.send_queue_lease / 4;
        if !self.settled.renews(generation, queue, every) {
            return Ok(());
        }
        let name = short(queue)?;
        let touched = self
            .admin
            .run(queue, async move |channel: Channel| {
                if let Some(taken) = channel.basic_get(name, BasicGetOptions::default()).await? {
                    let requeue = BasicNackOptions {
                        requeue: true,
                        ..BasicNackOptions::default()
                    };
                    taken.delivery.acker.nack(requeue).await?;
                    // An answer on this channel says that the broker has seen the return: a
                    // consumer that starts next gets the message in its place.
                    channel.basic_qos(1, BasicQosOptions::default()).await?;
                }
                Ok(())
            })
            .await;
        if touched.is_err() {
            self.settled.forget(generation, queue);
        }
        touched
    }

    pub(super) async fn look_at(&self, queue: &str) -> Result<Queue, BusError> {
        let name = short(queue)?;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        self.admin
            .run(queue, async move |channel: Channel| {
                channel
                    .queue_declare(name, passive, FieldTable::default())
                    .await
            })
            .await
    }

    pub(super) async fn take_one(&self, queue: &str) -> Result<Option<Delivery>, BusError> {
        let name = short(queue)?;
        let live = self.admin.live().await?;
        self.admin
            .try_on(&live, queue, async {
                // Its own channel, which lives as long as the delivery.
                let channel = live.connection.create_channel().await?;
                let found = channel.basic_get(name, BasicGetOptions::default()).await?;
                Ok(found
                    .map(|message| delivery::taken(message.delivery, channel, Handle::current())))
            })
            .await
    }

    pub(super) async fn purge(&self, queue: &str) -> Result<u64, BusError> {
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

    pub(super) async fn delete_if_empty(&self, queue: &str) -> Result<bool, BusError> {
        // Quorum queues do not know `if-empty` (the broker closes the connection over it), so they
        // are only looked at first; the ledger has to know that nobody publishes meanwhile.
        match self.look_at(queue).await {
            Ok(found) if found.message_count() == 0 => {}
            Ok(_) => return Ok(false),
            Err(BusError::NoSuchQueue(_)) => return Ok(true),
            Err(error) => return Err(error),
        }
        let if_empty = self.admin.broker.settings.queue_type == QueueType::Classic;
        let mut deleted = self.delete(queue, if_empty).await;
        if if_empty && matches!(deleted, Err(BusError::Unusable { .. })) {
            // A quorum queue, elder than the settings.
            deleted = self.delete(queue, false).await;
        }
        deleted
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
}
