//! Operations that may fail: on a connection of their own, because RabbitMQ answers a failed one by
//! closing its channel, and one on a broken queue by closing the connection. One at a time, so that
//! a closed connection can be blamed on the operation that was under way.

use std::{future::Future, sync::Arc};

use lapin::Channel;
use tokio::{sync::Mutex, time::timeout};

use super::{
    failure,
    link::{Broker, Link, Live},
};
use crate::BusError;

pub(super) struct Admin {
    broker: Arc<Broker>,
    link: Link,
    /// Kept from one operation to the next while nothing fails.
    channel: Mutex<Option<Opened>>,
}

struct Opened {
    generation: u64,
    channel: Channel,
}

impl Admin {
    pub(super) fn new(broker: Arc<Broker>, link: Link) -> Self {
        Self {
            broker,
            link,
            channel: Mutex::default(),
        }
    }

    pub(super) async fn live(&self) -> Result<Arc<Live>, BusError> {
        self.link.within(self.broker.settings.outage_patience).await
    }

    /// Does `operation` on `queue`.
    pub(super) async fn run<T, F>(
        &self,
        queue: &str,
        operation: impl FnOnce(Channel) -> F + Send,
    ) -> Result<T, BusError>
    where
        F: Future<Output = lapin::Result<T>> + Send,
    {
        // Before the queue for the turn: while the broker is away all of them wait at once.
        let mut live = self.live().await?;
        let mut slot = self.channel.lock().await;
        if !live.is_connected() {
            live = self.live().await?;
        }
        let patience = self.broker.settings.operation_timeout;
        let work = async {
            // Taken out: if the operation fails or its caller goes away, the channel ends with it.
            let channel = match slot.take() {
                Some(opened) if opened.is_usable(&live) => opened.channel,
                _ => live
                    .connection
                    .create_channel()
                    .await
                    .map_err(|error| failure::unavailable(&error))?,
            };
            let answer = operation(channel.clone())
                .await
                .map_err(|error| failure::of_queue(queue, &error))?;
            *slot = Some(Opened {
                generation: live.generation,
                channel,
            });
            Ok(answer)
        };
        timeout(patience, work)
            .await
            .unwrap_or_else(|_| Err(failure::timed_out("an operation on a queue")))
    }
}

impl Opened {
    fn is_usable(&self, live: &Live) -> bool {
        self.generation == live.generation && self.channel.status().connected()
    }
}
