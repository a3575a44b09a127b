//! The app's MT queue: messages wait here for their turn on the channel.
//!
//! Only one moment is remembered, the one at which the queue is empty; how many wait follows from it and the rate.
//! Source: `shared/providers/sinch.md`, section 5.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::accounts::Account;
use crate::locked;

/// The queues of all apps, by the account's number.
#[derive(Debug, Default)]
pub(crate) struct Queues(Mutex<HashMap<u16, Queue>>);

#[derive(Debug)]
struct Queue {
    /// Of the engine's run, which a reset of the twin changes.
    run: u64,
    empty_at: Instant,
}

/// Places in a queue, one behind the other.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Places {
    first: Duration,
    apart: Duration,
}

impl Places {
    /// How long the message in place `index` waits.
    pub fn wait(self, index: usize) -> Duration {
        self.first + self.apart * u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// The same places, so much later.
    pub fn after(self, delay: Duration) -> Self {
        Self {
            first: self.first + delay,
            ..self
        }
    }
}

impl Queues {
    /// Puts so many messages into the app's queue; `None` if it is too full for them.
    pub fn enter(&self, account: &Account, run: u64, count: usize, now: Instant) -> Option<Places> {
        let Some(rate) = account.settings.drain_per_second else {
            return Some(Places::default());
        };
        let apart = apart(rate);
        let mut queues = locked(&self.0);
        let queue = queues
            .entry(account.number)
            .or_insert(Queue { run, empty_at: now });
        if queue.run != run {
            *queue = Queue { run, empty_at: now };
        }
        let first = queue.empty_at.saturating_duration_since(now);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if waiting(first, rate).saturating_add(count) > account.settings.queue_limit {
            return None;
        }
        queue.empty_at = now + first + apart * count;
        Some(Places { first, apart })
    }

    /// How far apart the app's messages leave, for those that do not queue with the others.
    pub fn alone(account: &Account) -> Places {
        Places {
            first: Duration::ZERO,
            apart: account
                .settings
                .drain_per_second
                .map_or(Duration::ZERO, apart),
        }
    }

    /// Messages in the app's queue.
    pub fn size(&self, account: &Account, run: u64, now: Instant) -> u32 {
        let Some(rate) = account.settings.drain_per_second else {
            return 0;
        };
        let queues = locked(&self.0);
        let queue = queues.get(&account.number).filter(|queue| queue.run == run);
        queue.map_or(0, |queue| {
            waiting(queue.empty_at.saturating_duration_since(now), rate)
        })
    }
}

fn apart(rate: NonZeroU32) -> Duration {
    Duration::from_secs(1) / rate.get()
}

fn waiting(until_empty: Duration, rate: NonZeroU32) -> u32 {
    // A cast from a float stops at the ends of the integer.
    (until_empty.as_secs_f64() * f64::from(rate.get())).ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Accounts;
    use crate::sinch::SinchAccount;

    #[test]
    fn messages_leave_one_by_one_and_a_full_queue_takes_no_more() {
        let now = Instant::now();
        let account = SinchAccount {
            drain_per_second: NonZeroU32::new(20),
            queue_limit: 3,
            ..SinchAccount::new("p", "a", "c", "s")
        };
        let accounts = Accounts::new(vec![account], now).expect("one account");
        let account = accounts.get(0).expect("one account");
        let queues = Queues::default();
        let wait = |count, at| Some(queues.enter(account, 1, count, at)?.wait(0).as_millis());
        assert_eq!(wait(1, now), Some(0));
        let two = queues.enter(account, 1, 2, now).expect("three fit");
        assert_eq!(
            (two.wait(0).as_millis(), two.wait(1).as_millis()),
            (50, 100)
        );
        assert_eq!(queues.size(account, 1, now), 3);
        assert_eq!(wait(1, now), None);
        let later = now + Duration::from_millis(100);
        assert_eq!(queues.size(account, 1, later), 1);
        assert_eq!(wait(2, later), Some(50));
        assert_eq!(queues.size(account, 2, later), 0, "a reset empties it");
        let after = two.after(Duration::from_secs(60));
        assert_eq!(after.wait(1).as_millis(), 60_100);
    }
}
