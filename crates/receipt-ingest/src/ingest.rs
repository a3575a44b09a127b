//! Takes what waits, a round at a time, and several rounds at once.

use std::{sync::Arc, time::Instant};

use backing::patience::{Patience, Undone};
use bus::{Bus, BusError, Consumer, Delivery, queue};
use ledger::Ledger;
use runtime::CancellationToken;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{ReceiptMetrics, Settings, names::Remembered, round::Rounds};

/// Merges receipts and tells what changed.
pub struct ReceiptIngest {
    settings: Settings,
    bus: Arc<dyn Bus>,
    ledger: Arc<dyn Ledger>,
    metrics: ReceiptMetrics,
}

impl ReceiptIngest {
    /// One that works on `bus` and `ledger`.
    #[must_use]
    pub fn new(
        settings: Settings,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        metrics: ReceiptMetrics,
    ) -> Self {
        Self {
            settings,
            bus,
            ledger,
            metrics,
        }
    }

    /// Works until `stop`, then finishes the rounds under way. While the ledger or the broker is
    /// away they wait; at `stop` they try once more and leave the rest to whoever comes next.
    ///
    /// # Errors
    /// If the bus is closed underneath.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let slots = Arc::new(Semaphore::new(self.settings.rounds_max.get()));
        let under_way = TaskTracker::new();
        let per_round = self.settings.groups_per_round.get();
        let rounds = self.rounds(&stop);
        let mut consumer = None;
        loop {
            // The slot comes first: groups taken without one are only somebody's delay.
            let slot = slots.clone().acquire_owned().await?;
            let deliveries = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                taken = rounds.take(&mut consumer, per_round) => match taken {
                    Ok(taken) => taken,
                    Err(Undone::Stopped) if stop.is_cancelled() => break,
                    Err(why) => anyhow::bail!("can not consume `{}`: {why}", queue::STATUS_CALLBACKS),
                },
            };
            let rounds = rounds.clone();
            under_way.spawn(async move {
                let _slot = slot; // given back however this ends
                rounds.round(deliveries).await;
            });
        }
        drop(consumer);
        under_way.close();
        under_way.wait().await;
        Ok(())
    }

    fn rounds(self, stop: &CancellationToken) -> Arc<Rounds> {
        Arc::new(Rounds {
            names: Remembered::new(self.settings.batches_remembered.get()),
            patience: Patience {
                first: self.settings.retry_first,
                longest: self.settings.retry_longest,
                stop: stop.clone(),
                waits: self.metrics.waits.clone(),
            },
            settings: self.settings,
            bus: self.bus,
            ledger: self.ledger,
            metrics: self.metrics,
        })
    }
}

impl Rounds {
    /// Waits for a group and takes those that are ready behind it. A consumer that is over is made
    /// anew.
    async fn take(
        &self,
        consumer: &mut Option<Consumer>,
        max: usize,
    ) -> Result<Vec<Delivery>, Undone> {
        loop {
            let open = match consumer {
                Some(open) => open,
                None => {
                    let prefetch = self.settings.prefetch.get();
                    let consume = || self.bus.consume(queue::STATUS_CALLBACKS, prefetch);
                    consumer.insert(self.patience.bus(consume).await?)
                }
            };
            match ready(open, max).await {
                Ok(deliveries) => return Ok(deliveries),
                Err(BusError::Closed) => return Err(Undone::Stopped),
                Err(why) => {
                    tracing::warn!("consumer ended, starting another: {why}");
                    *consumer = None;
                }
            }
        }
    }

    async fn round(&self, deliveries: Vec<Delivery>) {
        let started = Instant::now();
        self.metrics.groups.inc_by(deliveries.len() as u64);
        match self.work(&deliveries).await {
            Ok(()) => {
                for delivery in deliveries {
                    delivery.ack().await;
                }
                self.metrics
                    .round_seconds
                    .observe(started.elapsed().as_secs_f64());
            }
            // Dropped unacked, they come back.
            Err(why) => {
                tracing::warn!(groups = deliveries.len(), "round left for later: {why}");
            }
        }
    }
}

/// The next delivery and those that are there already, at most `max`. Cancel safe: once something
/// was taken nothing is waited for.
async fn ready(consumer: &mut Consumer, max: usize) -> Result<Vec<Delivery>, BusError> {
    let mut deliveries = vec![consumer.next().await?];
    while deliveries.len() < max {
        let next = tokio::select! {
            biased;
            next = consumer.next() => next,
            () = std::future::ready(()) => break,
        };
        match next {
            Ok(delivery) => deliveries.push(delivery),
            // What was taken is still worth doing; the next call meets the error again.
            Err(_) => break,
        }
    }
    Ok(deliveries)
}
