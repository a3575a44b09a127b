//! Turns between the queues of one connection: a chunk from each in rotation, express first within
//! its share, so that a small mailing behind a huge one starts at once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bus::{BusError, Delivery, SendQueue};
use ledger::QueueEntry;
use message::Class;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::Instant,
};

use crate::Shared;

/// A chunk whose turn it is.
pub(crate) struct Turn {
    pub(crate) delivery: Delivery,
    pub(crate) queue: String,
}

pub(crate) struct Turns {
    shared: Arc<Shared>,
    prefetch: u16,
    pumps: Vec<Pump>,
    next: usize,
    arrived: Arc<Notify>,
    share: Share,
}

/// Takes deliveries of one queue ahead, so that the lane can ask all queues without waiting.
struct Pump {
    entry: QueueEntry,
    inbox: mpsc::Receiver<Delivery>,
    last_delivery: Instant,
    task: JoinHandle<()>,
}

impl Drop for Pump {
    fn drop(&mut self) {
        // Its consumer is dropped with it; what it holds goes back to the queue.
        self.task.abort();
    }
}

impl Turns {
    pub(crate) fn new(shared: Arc<Shared>, prefetch: u16) -> Self {
        let share = Share {
            express_share: shared.settings.express_share,
            express: 0.0,
            all: 0.0,
        };
        Self {
            shared,
            prefetch,
            pumps: Vec::new(),
            next: 0,
            arrived: Arc::default(),
            share,
        }
    }

    /// Consumes exactly these queues from now on.
    pub(crate) fn set_queues(&mut self, queues: &[QueueEntry]) {
        let mut wanted: HashMap<&str, &QueueEntry> = queues
            .iter()
            .map(|entry| (entry.name.as_str(), entry))
            .collect();
        self.pumps
            .retain(|pump| wanted.remove(pump.entry.name.as_str()).is_some());
        for entry in wanted.into_values() {
            let (outbox, inbox) = mpsc::channel(1);
            let task = tokio::spawn(pump(
                self.shared.clone(),
                entry.clone(),
                self.prefetch,
                outbox,
                self.arrived.clone(),
            ));
            self.pumps.push(Pump {
                entry: entry.clone(),
                inbox,
                last_delivery: Instant::now(),
                task,
            });
        }
    }

    /// The next chunk in turn; waits for one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Turn {
        loop {
            if let Some(turn) = self.express().or_else(|| self.any()) {
                return turn;
            }
            self.arrived.notified().await;
        }
    }

    /// A chunk of the express class, if one is there and the class is within its share.
    pub(crate) fn express(&mut self) -> Option<Turn> {
        self.share
            .express_may_overtake()
            .then(|| self.take(|class| class == Class::Express))
            .flatten()
    }

    fn any(&mut self) -> Option<Turn> {
        self.take(|_| true)
    }

    fn take(&mut self, wanted: impl Fn(Class) -> bool) -> Option<Turn> {
        let n = self.pumps.len();
        for step in 0..n {
            let at = (self.next + step) % n;
            let pump = &mut self.pumps[at];
            if !wanted(pump.entry.class) {
                continue;
            }
            if let Ok(delivery) = pump.inbox.try_recv() {
                pump.last_delivery = Instant::now();
                let turn = Turn {
                    delivery,
                    queue: pump.entry.name.clone(),
                };
                self.next = (at + 1) % n;
                return Some(turn);
            }
        }
        None
    }

    /// Notes what was sent, for the express share.
    pub(crate) fn sent(&mut self, class: Class, segments: u32) {
        self.share.sent(class, segments);
    }

    /// Queues without a delivery for that long.
    pub(crate) fn silent_for(&self, silence: Duration) -> Vec<QueueEntry> {
        self.pumps
            .iter()
            .filter(|pump| pump.last_delivery.elapsed() >= silence)
            .map(|pump| pump.entry.clone())
            .collect()
    }
}

/// Whether express is within its share of what was sent lately.
struct Share {
    express_share: f64,
    express: f64,
    all: f64,
}

impl Share {
    /// So much express may always go first: a lone confirmation never waits for a ratio.
    const ALLOWANCE: f64 = 50.0;

    /// Past so many segments older ones count half.
    const MEMORY: f64 = 10_000.0;

    fn express_may_overtake(&self) -> bool {
        self.express <= self.express_share * self.all + Self::ALLOWANCE
    }

    fn sent(&mut self, class: Class, segments: u32) {
        self.all += f64::from(segments);
        if class == Class::Express {
            self.express += f64::from(segments);
        }
        if self.all > Self::MEMORY {
            self.all /= 2.0;
            self.express /= 2.0;
        }
    }
}

/// Keeps a consumer on the queue; makes the queue again if it is gone while the list still has it.
async fn pump(
    shared: Arc<Shared>,
    entry: QueueEntry,
    prefetch: u16,
    outbox: mpsc::Sender<Delivery>,
    arrived: Arc<Notify>,
) {
    let queue = SendQueue {
        organization_id: entry.organization_id.clone(),
        connection_id: entry.connection_id.clone(),
        distribution_id: entry.distribution_id.clone(),
        class: entry.class,
    };
    loop {
        match consume(&shared, &queue, prefetch, &outbox, &arrived).await {
            Ok(()) | Err(BusError::Closed) => return,
            Err(error) => tracing::warn!(queue = entry.name, "consumer ended: {error}"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Ends well when nobody listens any more.
async fn consume(
    shared: &Shared,
    queue: &SendQueue,
    prefetch: u16,
    outbox: &mpsc::Sender<Delivery>,
    arrived: &Notify,
) -> Result<(), BusError> {
    shared.bus.declare_send_queue(queue).await?;
    let mut consumer = shared.bus.consume(&queue.name(), prefetch).await?;
    loop {
        // The place comes first: a delivery without one is only somebody's delay.
        let Ok(place) = outbox.reserve().await else {
            return Ok(());
        };
        place.send(consumer.next().await?);
        arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn express_overtakes_until_it_has_had_its_share() {
        let mut share = Share {
            express_share: 0.2,
            express: 0.0,
            all: 0.0,
        };
        assert!(share.express_may_overtake());
        for _ in 0..100 {
            share.sent(Class::Express, 1);
        }
        assert!(
            !share.express_may_overtake(),
            "100 of 100 segments is more than a fifth and the allowance"
        );
        for _ in 0..200 {
            share.sent(Class::Bulk, 1);
        }
        assert!(share.express_may_overtake());
    }
}
