//! The loop: a slot, a batch, a decision, an ack.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use bus::{Bus, BusError, Consumer, Delivery, Outgoing, SendQueue, queue};
use ledger::Ledger;
use message::{BatchKey, Timestamp};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    IntakeMetrics, Settings,
    in_hand::InHand,
    metrics::Outcome,
    patience::{Halt, Patience},
    peek,
    reading::Lane,
    turns::{Party, Shares, Turn, Turns},
};

/// The service; see the crate.
pub struct BatchIntake {
    settings: Settings,
    bus: Arc<dyn Bus>,
    ledger: Arc<dyn Ledger>,
    metrics: IntakeMetrics,
}

/// What every batch under way shares.
pub(crate) struct Intake {
    pub(crate) settings: Settings,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) metrics: IntakeMetrics,
    pub(crate) patience: Patience,
    pub(crate) in_hand: InHand<BatchKey>,
    /// Queues that are being declared: a broker that makes one answers badly to whoever asks it
    /// for the same meanwhile.
    pub(crate) declaring: InHand<SendQueue>,
    /// Batches being read, checked and written; the others only wait and hold their bytes.
    pub(crate) at_work: Turns,
    /// What each organisation has in hand of what schedulers handed over.
    shares: Shares,
}

impl BatchIntake {
    /// Puts it together; nothing runs yet.
    #[must_use]
    pub fn new(
        settings: Settings,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        metrics: IntakeMetrics,
    ) -> Self {
        Self {
            settings,
            bus,
            ledger,
            metrics,
        }
    }

    /// Takes batches until `stop` fires, then finishes those in hand; the caller bounds that wait.
    ///
    /// # Errors
    /// If the bus is closed under it.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let intake = Arc::new(Intake {
            patience: Patience {
                first: self.settings.retry_first,
                longest: self.settings.retry_longest,
                stop: stop.clone(),
                metrics: self.metrics.clone(),
            },
            at_work: Turns::new(usize::from(self.settings.batches_at_work.get())),
            shares: Shares::new(usize::from(self.settings.batches_per_organization.get())),
            in_hand: InHand::default(),
            declaring: InHand::default(),
            settings: self.settings,
            bus: self.bus,
            ledger: self.ledger,
            metrics: self.metrics,
        });
        // Lanes with slots of their own: confirmations never wait behind mailings, nor one
        // organisation behind what another has handed over.
        let mut lanes = JoinSet::new();
        for lane in Lane::all() {
            lanes.spawn(Arc::clone(&intake).lane(lane, stop.clone()));
        }
        while let Some(ended) = lanes.join_next().await {
            ended??;
        }
        Ok(())
    }
}

impl Intake {
    async fn lane(self: Arc<Self>, lane: Lane, stop: CancellationToken) -> anyhow::Result<()> {
        let prefetch = lane.slots(self.settings.batches_in_flight.get());
        let slots = Arc::new(Semaphore::new(usize::from(prefetch)));
        let in_flight = TaskTracker::new();
        'consumer: while let Ok(mut inbox) = self.consumer(lane, prefetch).await {
            loop {
                // The slot comes first: a batch taken without one is only memory.
                let slot = Arc::clone(&slots)
                    .acquire_owned()
                    .await
                    .expect("slots are never closed");
                let delivery = tokio::select! {
                    biased;
                    () = stop.cancelled() => break 'consumer,
                    next = inbox.next() => match next {
                        Ok(delivery) => delivery,
                        Err(BusError::Closed) => break 'consumer,
                        Err(error) => {
                            tracing::warn!(queue = lane.queue(), "consuming anew: {error}");
                            continue 'consumer;
                        }
                    },
                };
                let intake = Arc::clone(&self);
                in_flight.spawn(async move {
                    let _slot = slot; // given back however this ends
                    intake.place(delivery, lane).await;
                });
            }
        }
        in_flight.close();
        in_flight.wait().await;
        anyhow::ensure!(stop.is_cancelled(), "the bus was closed");
        Ok(())
    }

    /// A consumer of the lane's queue, however long that takes.
    async fn consumer(&self, lane: Lane, prefetch: u16) -> Result<Consumer, Halt> {
        let mut pauses = self.patience.pauses();
        loop {
            let consume = self
                .patience
                .until("consume", || self.bus.consume(lane.queue(), prefetch));
            match consume.await {
                // The fixed queues are declared again by the bus when it reconnects.
                Err(Halt::QueueGone) => self.patience.sleep(pauses.pause()).await?,
                other => return other,
            }
        }
    }

    /// Works on a batch if its organisation's share allows it, and lays it aside if not.
    async fn place(&self, delivery: Delivery, lane: Lane) {
        let party = match lane {
            Lane::Internal => None,
            Lane::Schedulers | Lane::Waiting(_) => peek::organization(&delivery.body),
        };
        let share = match (lane, &party) {
            (Lane::Schedulers, Some(organization)) => match self.shares.take(organization) {
                None => return self.lay_aside(delivery, organization).await,
                share => share,
            },
            _ => None,
        };
        self.take(delivery, lane, &party).await;
        drop(share);
    }

    /// One batch, from taken to decided. What is not decided is not acked and comes again.
    async fn take(&self, delivery: Delivery, lane: Lane, party: &Party) {
        let began = Instant::now();
        self.metrics.began();
        let decided = match self.decide(&delivery, lane, party).await {
            Err(Halt::Poison(reason)) => self.bury(&delivery, lane, reason).await,
            other => other,
        };
        match decided {
            Ok(outcome) => {
                delivery.ack().await;
                let seconds = began.elapsed().as_secs_f64();
                self.metrics.ended(Some(outcome), seconds);
            }
            Err(_) => {
                drop(delivery);
                self.metrics.ended(None, 0.0);
            }
        }
    }

    /// Into the dead queue with the reason, for an operator to look at and to redrive.
    async fn bury(
        &self,
        delivery: &Delivery,
        lane: Lane,
        reason: &'static str,
    ) -> Result<Outcome, Halt> {
        tracing::error!(reason, message_id = delivery.message_id, "batch is dead");
        self.publish(vec![self.dead_letter(delivery, lane, reason)])
            .await?;
        Ok(Outcome::Dead)
    }
}

/// What every step uses.
impl Intake {
    /// Publishes to the fixed queues and topics, which the bus declares again by itself: here a
    /// missing one is only another reason to wait.
    pub(crate) async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), Halt> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut pauses = self.patience.pauses();
        loop {
            let publish = self
                .patience
                .until("publish", || self.bus.publish(messages.clone()));
            match publish.await {
                Err(Halt::QueueGone) => self.patience.sleep(pauses.pause()).await?,
                other => return other,
            }
        }
    }

    /// Computes off the reactor, so that heartbeats go on, in a turn of `party`.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        party: &Party,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Halt> {
        let _turn = self.turn(party).await;
        self.blocking(compute).await
    }

    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Halt> {
        tokio::task::spawn_blocking(compute)
            .await
            // A process that ends drops what it had not begun: that says nothing about the batch.
            .map_err(|error| match error.is_panic() {
                true => Halt::Poison("panic"),
                false => Halt::Stopped,
            })
    }

    pub(crate) async fn turn(&self, party: &Party) -> Turn {
        self.at_work.turn(party).await
    }
}

impl Lane {
    fn all() -> impl Iterator<Item = Self> {
        let waiting = (0..queue::WAITING_BATCHES.len()).map(Self::Waiting);
        [Self::Schedulers, Self::Internal]
            .into_iter()
            .chain(waiting)
    }

    pub(crate) const fn queue(self) -> &'static str {
        match self {
            Self::Schedulers => queue::BATCHES,
            Self::Internal => queue::INTERNAL_BATCHES,
            Self::Waiting(place) => queue::WAITING_BATCHES[place],
        }
    }

    /// All that is laid aside shares what a lane may have in hand.
    fn slots(self, in_flight: u16) -> u16 {
        match self {
            Self::Schedulers | Self::Internal => in_flight,
            Self::Waiting(_) => in_flight.div_ceil(queue::WAITING_BATCHES.len() as u16),
        }
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
