//! Takes groups of inbound callbacks and works on several at once.

use std::{sync::Arc, time::Instant};

use backing::patience::{Patience, Undone};
use bus::{Bus, BusError, Consumer, Delivery, queue};
use ledger::Ledger;
use runtime::CancellationToken;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{ReplyMetrics, Settings, group::Groups, standing::Turns};

/// Routes replies, and makes opt-outs hold.
pub struct ReplyRouter {
    settings: Settings,
    bus: Arc<dyn Bus>,
    ledger: Arc<dyn Ledger>,
    metrics: ReplyMetrics,
}

impl ReplyRouter {
    /// One that works on `bus` and `ledger`.
    #[must_use]
    pub fn new(
        settings: Settings,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        metrics: ReplyMetrics,
    ) -> Self {
        Self {
            settings,
            bus,
            ledger,
            metrics,
        }
    }

    /// Works until `stop`, then finishes the groups under way. While the ledger or the broker is
    /// away they wait; at `stop` they try once more and leave the rest to whoever comes next.
    ///
    /// # Errors
    /// If the bus is closed underneath.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let slots = Arc::new(Semaphore::new(usize::from(self.settings.prefetch.get())));
        let under_way = TaskTracker::new();
        let groups = self.groups(&stop);
        let mut consumer = None;
        loop {
            let slot = slots.clone().acquire_owned().await?;
            let delivery = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                taken = groups.take(&mut consumer) => match taken {
                    Ok(taken) => taken,
                    Err(Undone::Stopped) if stop.is_cancelled() => break,
                    Err(why) => anyhow::bail!("can not consume `{}`: {why}", queue::MESSAGE_CALLBACKS),
                },
            };
            let groups = groups.clone();
            under_way.spawn(async move {
                let _slot = slot; // given back however this ends
                groups.group(delivery).await;
            });
        }
        drop(consumer);
        under_way.close();
        under_way.wait().await;
        Ok(())
    }

    fn groups(self, stop: &CancellationToken) -> Arc<Groups> {
        Arc::new(Groups {
            patience: Patience {
                first: self.settings.retry_first,
                longest: self.settings.retry_longest,
                stop: stop.clone(),
                waits: self.metrics.waits.clone(),
            },
            turns: Turns::new(),
            settings: self.settings,
            bus: self.bus,
            ledger: self.ledger,
            metrics: self.metrics,
        })
    }
}

impl Groups {
    /// Waits for a group. A consumer that is over is made anew.
    async fn take(&self, consumer: &mut Option<Consumer>) -> Result<Delivery, Undone> {
        loop {
            let open = match consumer {
                Some(open) => open,
                None => {
                    let prefetch = self.settings.prefetch.get();
                    let consume = || self.bus.consume(queue::MESSAGE_CALLBACKS, prefetch);
                    consumer.insert(self.patience.bus(consume).await?)
                }
            };
            match open.next().await {
                Ok(delivery) => return Ok(delivery),
                Err(BusError::Closed) => return Err(Undone::Stopped),
                Err(why) => {
                    tracing::warn!("consumer ended, starting another: {why}");
                    *consumer = None;
                }
            }
        }
    }

    async fn group(&self, delivery: Delivery) {
        let started = Instant::now();
        match self.work(&delivery).await {
            Ok(()) => {
                delivery.ack().await;
                self.metrics
                    .group_seconds
                    .observe(started.elapsed().as_secs_f64());
            }
            // Dropped unacked, it comes back.
            Err(why) => tracing::warn!("group left for later: {why}"),
        }
    }
}
