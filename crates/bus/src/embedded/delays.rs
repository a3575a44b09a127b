//! The retry tiers: a line each. All in one line wait equally long, so the first is always the
//! next, and a pump per line that sleeps until then is exact.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::{task::JoinHandle, time::Instant};

use super::{Shared, queue::Message};
use crate::{BusError, RetryTier};

/// Messages that may wait in one tier.
const WAITING_MAX: usize = 1_000_000;

#[derive(Default)]
pub(super) struct Delays {
    lines: Mutex<HashMap<RetryTier, Line>>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    /// Runs while something waits.
    pump: Option<JoinHandle<()>>,
}

struct Waiting {
    due: Instant,
    queue: String,
    message: Message,
}

impl Delays {
    pub(super) fn push(
        shared: &Arc<Shared>,
        tier: RetryTier,
        queue: String,
        message: Message,
    ) -> Result<(), BusError> {
        let mut lines = shared.delays.lines();
        let line = lines.entry(tier).or_default();
        if line.waiting.len() >= WAITING_MAX {
            let why = format!("`{}` is full", tier.name());
            return Err(BusError::Unavailable(why.into()));
        }
        line.waiting.push_back(Waiting {
            due: Instant::now() + tier.delay(),
            queue,
            message,
        });
        // A pump also ends with the runtime of whoever published first; the next one starts it anew.
        if line.pump.as_ref().is_none_or(JoinHandle::is_finished) {
            line.pump = Some(tokio::spawn(pump(Arc::downgrade(shared), tier)));
        }
        Ok(())
    }

    pub(super) fn stop(&self) {
        for (_, line) in self.lines().drain() {
            if let Some(pump) = line.pump {
                pump.abort();
            }
        }
    }

    /// When the first of the line is due; `None` when nobody waits, and the pump is done then.
    fn next_due(&self, tier: RetryTier) -> Option<Instant> {
        let mut lines = self.lines();
        let line = lines.get_mut(&tier)?;
        let first = line.waiting.front();
        if first.is_none() {
            // Under the same lock as the look, so that whoever comes next starts a new one.
            line.pump = None;
        }
        first.map(|waiting| waiting.due)
    }

    fn take_due(&self, tier: RetryTier) -> Vec<Waiting> {
        let now = Instant::now();
        let mut lines = self.lines();
        let Some(line) = lines.get_mut(&tier) else {
            return Vec::new();
        };
        let due = line.waiting.partition_point(|waiting| waiting.due <= now);
        line.waiting.drain(..due).collect()
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<RetryTier, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets everybody in a line arrive when due, until nobody waits or the bus is gone.
async fn pump(shared: Weak<Shared>, tier: RetryTier) {
    loop {
        // Held across no wait: a bus that nobody uses any more can end.
        let Some(due) = shared
            .upgrade()
            .and_then(|shared| shared.delays.next_due(tier))
        else {
            return;
        };
        tokio::time::sleep_until(due).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        for arrived in shared.delays.take_due(tier) {
            shared.arrive(&arrived.queue, arrived.message);
        }
    }
}
