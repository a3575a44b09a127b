//! What this process knows of the distribution queues: which are old enough, whose lease it renewed.
//!
//! A quorum queue in its first second loses what it
//! confirms if the broker is killed, so until then a publisher keeps its source unacked.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long a queue takes: twice what was measured on RabbitMQ 3.10.8.
const SETTLES_IN: Duration = Duration::from_secs(2);
/// Queues remembered; forgetting one costs its next publisher two seconds.
const KNOWN_MAX: usize = 50_000;

#[derive(Default)]
pub(super) struct Settled {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The connection that these were seen over. A broker that was away may have lost a young
    /// queue, so nothing is taken over from one connection to the next.
    generation: u64,
    queues: HashMap<String, Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    first: Instant,
    renewed: Option<Instant>,
}

impl Settled {
    /// Whether this process knows the queue at all.
    pub(super) fn knows(&self, generation: u64, queue: &str) -> bool {
        self.known(generation).queues.contains_key(queue)
    }

    /// The queue exists as of now; how long it still takes.
    pub(super) fn seen(&self, generation: u64, queue: &str) -> Duration {
        let first = self.known(generation).queue(queue).first;
        SETTLES_IN.saturating_sub(first.elapsed())
    }

    /// Whether to renew the queue's lease now, which is then taken as done.
    pub(super) fn renews(&self, generation: u64, queue: &str, every: Duration) -> bool {
        let mut known = self.known(generation);
        let seen = known.queue(queue);
        let due = seen.renewed.is_none_or(|last| last.elapsed() >= every);
        if due {
            seen.renewed = Some(Instant::now());
        }
        due
    }

    /// The queue was deleted, expired or is suspect.
    pub(super) fn forget(&self, generation: u64, queue: &str) {
        self.known(generation).queues.remove(queue);
    }

    fn known(&self, generation: u64) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.generation != generation {
            known.generation = generation;
            known.queues.clear();
        }
        known
    }
}

impl Known {
    fn queue(&mut self, name: &str) -> &mut Seen {
        if self.queues.len() >= KNOWN_MAX && !self.queues.contains_key(name) {
            self.queues.clear();
        }
        self.queues.entry(name.to_owned()).or_insert_with(|| Seen {
            first: Instant::now(),
            renewed: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_queue_settles_once_per_connection() {
        let settled = Settled::default();
        assert_eq!(settled.seen(1, "q"), SETTLES_IN);
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(settled.seen(1, "q"), Duration::from_millis(500));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(settled.seen(1, "q"), Duration::ZERO);
        assert_eq!(
            settled.seen(2, "q"),
            SETTLES_IN,
            "a new connection knows nothing"
        );
        settled.forget(2, "q");
        assert!(!settled.knows(2, "q"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_renewed_now_and_then() {
        let settled = Settled::default();
        let every = Duration::from_secs(60);
        assert!(settled.renews(1, "q", every));
        assert!(!settled.renews(1, "q", every));
        assert!(settled.renews(1, "p", every));
        tokio::time::advance(every).await;
        assert!(settled.renews(1, "q", every));
    }
}
