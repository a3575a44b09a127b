//! A consumer that outlives connections: when its stream ends, for whatever reason, it is started
//! again on the connection of the day. Only the broker's word that the queue is gone or unusable,
//! asked for anew each time, ends it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::options::{BasicCancelOptions, BasicNackOptions};
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    delivery,
    reconnect::Pauses,
    seats::{Seat, Seats, Wanted},
};
use crate::{BusError, Delivery, DeliverySource};

pub(super) struct AmqpSource {
    seats: Arc<Seats>,
    wanted: Wanted,
    prefetch: u16,
    state: State,
    /// Ends a start that still waits for a connection.
    dropped: CancellationToken,
}

enum State {
    Idle,
    /// A task, because a caller may give up waiting at any time and a started consumer must not
    /// get lost then.
    Starting(JoinHandle<Result<Attached, BusError>>),
    Attached(Attached),
}

impl AmqpSource {
    /// The first start, which fails rather than waits.
    pub(super) async fn start(
        seats: Arc<Seats>,
        wanted: Wanted,
        prefetch: u16,
    ) -> Result<Self, BusError> {
        let mut source = Self {
            seats,
            wanted,
            prefetch,
            state: State::Idle,
            dropped: CancellationToken::new(),
        };
        let (seats, wanted) = (Arc::clone(&source.seats), source.wanted.clone());
        let first = tokio::spawn(async move {
            let patience = seats.broker.settings.outage_patience;
            let live = seats.link.within(patience).await?;
            Attached::start(&seats, &live, &wanted, prefetch).await
        });
        source.state = State::Attached(joined(first.await)?);
        Ok(source)
    }

    fn start_again(&self) -> JoinHandle<Result<Attached, BusError>> {
        let (seats, wanted, prefetch) =
            (Arc::clone(&self.seats), self.wanted.clone(), self.prefetch);
        let dropped = self.dropped.clone();
        tokio::spawn(async move {
            let mut pauses = Pauses::up_to(seats.broker.settings.reconnect_pause_max);
            loop {
                let live = tokio::select! {
                    () = dropped.cancelled() => return Err(BusError::Closed),
                    live = seats.link.wait() => live?,
                };
                match Attached::start(&seats, &live, &wanted, prefetch).await {
                    Err(BusError::Unavailable(why)) => {
                        tracing::debug!(%why, "cannot consume yet");
                    }
                    decided => return decided,
                }
                tokio::select! {
                    () = dropped.cancelled() => return Err(BusError::Closed),
                    () = sleep(pauses.next()) => {}
                }
            }
        })
    }
}

#[async_trait]
impl DeliverySource for AmqpSource {
    async fn next(&mut self) -> Result<Delivery, BusError> {
        loop {
            match &mut self.state {
                State::Idle => self.state = State::Starting(self.start_again()),
                State::Starting(task) => {
                    let started = joined(task.await);
                    self.state = State::Idle;
                    self.state = State::Attached(started?);
                }
                State::Attached(attached) => match attached.next().await {
                    Some(delivery) => return Ok(delivery),
                    None => self.state = State::Idle,
                },
            }
        }
    }
}

impl Drop for AmqpSource {
    fn drop(&mut self) {
        self.dropped.cancel();
    }
}

/// A task that was cancelled has gone with its runtime, and the bus with it.
fn joined<T>(ended: Result<Result<T, BusError>, tokio::task::JoinError>) -> Result<T, BusError> {
    ended.unwrap_or(Err(BusError::Closed))
}

/// A consumer on one channel of one connection.
struct Attached {
    seats: Arc<Seats>,
    runtime: Handle,
    /// Gone once its good-bye is under way.
    parts: Option<(lapin::Consumer, Seat)>,
}

impl Attached {
    async fn start(
        seats: &Arc<Seats>,
        live: &super::link::Live,
        wanted: &Wanted,
        prefetch: u16,
    ) -> Result<Self, BusError> {
        let parts = seats.start(live, wanted, prefetch).await?;
        seats.broker.stats.consumer_attached();
        Ok(Self {
            seats: Arc::clone(seats),
            runtime: Handle::current(),
            parts: Some(parts),
        })
    }

    /// `None` when the stream has ended: queue deleted, channel or connection lost.
    async fn next(&mut self) -> Option<Delivery> {
        let (consumer, seat) = self.parts.as_mut()?;
        loop {
            match consumer.next().await? {
                // lapin goes on to yield what it had received when a connection was lost. These
                // come back on the next one; handled here they would only be handled twice.
                Ok(delivery) if !delivery.acker.usable() => {}
                Ok(delivery) => {
                    let channel = Arc::clone(seat.channel());
                    return Some(delivery::consumed(delivery, channel, self.runtime.clone()));
                }
                Err(why) => {
                    tracing::debug!(%why, "a consumer lost its channel");
                    return None;
                }
            }
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.seats.broker.stats.consumer_detached();
        let Some((mut consumer, seat)) = self.parts.take() else {
            return;
        };
        let patience = self.seats.patience();
        // The broker takes a cancelled consumer's deliveries back only when the channel ends, and
        // others may sit on it: what was received and not read yet is returned one by one. What
        // the caller already holds stays the caller's.
        let goodbye = async move {
            let channel = &seat.channel().channel;
            if !channel.status().connected() {
                return;
            }
            let tag = consumer.tag();
            let _ = channel
                .basic_cancel(tag, BasicCancelOptions::default())
                .await;
            while let Some(Ok(unread)) = consumer.next().await {
                let requeue = BasicNackOptions {
                    requeue: true,
                    ..BasicNackOptions::default()
                };
                let _ = unread.acker.nack(requeue).await;
            }
        };
        self.runtime.spawn(timeout(patience, goodbye));
    }
}
