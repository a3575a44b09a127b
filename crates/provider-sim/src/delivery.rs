//! The schedule of delayed work: one heap, one task that waits for its earliest entry, a bounded number at work.
//!
//! A task per message would cost memory for as long as the message waits for its receipt; an entry here is a few words.

use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::locked;

/// How much a twin has still to do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Waiting {
    /// Status changes and replies whose time has not come, or that wait for a free place.
    pub due: usize,
    /// Callbacks on their way.
    pub in_flight: usize,
}

#[derive(Debug)]
struct Due<J> {
    at: Instant,
    /// Keeps what is due at the same instant in the order of planning.
    sequence: u64,
    job: J,
}

#[derive(Debug)]
struct Heap<J> {
    due: BinaryHeap<Due<J>>,
    sequence: u64,
}

/// Work with a time.
#[derive(Debug)]
pub(crate) struct Schedule<J> {
    heap: Mutex<Heap<J>>,
    /// Something is due earlier than what the task waits for.
    earlier: Notify,
    /// Planned and not finished. Work that plans more work does so before it ends, so this reaches 0 only at the end.
    unfinished: AtomicUsize,
    finished: Notify,
}

impl<J: Send + 'static> Schedule<J> {
    pub fn new() -> Self {
        Self {
            heap: Mutex::new(Heap {
                due: BinaryHeap::new(),
                sequence: 0,
            }),
            earlier: Notify::new(),
            unfinished: AtomicUsize::new(0),
            finished: Notify::new(),
        }
    }

    /// Plans `job`.
    pub fn push(&self, at: Instant, job: J) {
        self.unfinished.fetch_add(1, Ordering::AcqRel);
        let mut heap = locked(&self.heap);
        let first = heap.due.peek().is_none_or(|next| at < next.at);
        heap.sequence += 1;
        let sequence = heap.sequence;
        heap.due.push(Due { at, sequence, job });
        drop(heap);
        if first {
            self.earlier.notify_one();
        }
    }

    /// Drops everything that is due; what is at work ends by itself.
    pub fn clear(&self) {
        let dropped = std::mem::take(&mut locked(&self.heap).due).len();
        self.finish(dropped);
    }

    /// Counts work that somebody does outside the schedule, so that [`Schedule::idle`] waits for it too.
    pub fn busy(&self) -> Busy<'_, J> {
        self.unfinished.fetch_add(1, Ordering::AcqRel);
        Busy(self)
    }

    pub fn waiting(&self) -> Waiting {
        let due = locked(&self.heap).due.len();
        let unfinished = self.unfinished.load(Ordering::Acquire);
        Waiting {
            due,
            in_flight: unfinished.saturating_sub(due),
        }
    }

    /// Waits until nothing is due and nothing at work.
    pub async fn idle(&self) {
        loop {
            let finished = self.finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable(); // before looking, or a wake-up in between is lost
            if self.unfinished.load(Ordering::Acquire) == 0 {
                return;
            }
            finished.await;
        }
    }

    /// Does what is due, `in_flight_max` at once, until `stop`; then drops what is at work.
    pub async fn run<W, F>(self: Arc<Self>, in_flight_max: u16, stop: CancellationToken, work: W)
    where
        W: Fn(J) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(usize::from(in_flight_max)));
        let take = async || {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, self.next().await)
        };
        while let Some((place, job)) = stop.run_until_cancelled(take()).await {
            let (schedule, stop, work) = (Arc::clone(&self), stop.clone(), work(job));
            tokio::spawn(async move {
                let _place = place;
                let _counted = Busy(&schedule);
                stop.run_until_cancelled(work).await;
            });
        }
    }

    async fn next(&self) -> J {
        loop {
            let wake_at = {
                let mut heap = locked(&self.heap);
                match heap.due.peek() {
                    Some(next) if next.at > Instant::now() => Some(next.at),
                    Some(_) => {
                        if let Some(due) = heap.due.pop() {
                            return due.job;
                        }
                        None
                    }
                    None => None,
                }
            };
            match wake_at {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    () = self.earlier.notified() => {}
                },
                None => self.earlier.notified().await,
            }
        }
    }
}

impl<J> Schedule<J> {
    fn finish(&self, count: usize) {
        if self.unfinished.fetch_sub(count, Ordering::AcqRel) == count {
            self.finished.notify_waiters();
        }
    }
}

/// Work that is being done; ends with `drop`, however it ends.
pub(crate) struct Busy<'a, J>(&'a Schedule<J>);

impl<J> Drop for Busy<'_, J> {
    fn drop(&mut self) {
        self.0.finish(1);
    }
}

// The heap gives out its greatest, so the earliest is the greatest.
impl<J> Ord for Due<J> {
    fn cmp(&self, other: &Self) -> Order {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}
impl<J> PartialOrd for Due<J> {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}
impl<J> PartialEq for Due<J> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Order::Equal
    }
}
impl<J> Eq for Due<J> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn work_is_done_in_the_order_of_its_time_and_idle_waits_for_the_last() {
        let schedule = Arc::new(Schedule::new());
        let done = Arc::new(Mutex::new(Vec::new()));
        let stop = CancellationToken::new();
        let seen = Arc::clone(&done);
        tokio::spawn(Arc::clone(&schedule).run(1, stop.clone(), move |job: u32| {
            let seen = Arc::clone(&seen);
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                locked(&seen).push(job);
            }
        }));
        let now = Instant::now();
        schedule.push(now + Duration::from_millis(60), 3);
        schedule.push(now + Duration::from_millis(20), 1);
        schedule.push(now + Duration::from_millis(20), 2);
        assert_eq!(schedule.waiting().due, 3);
        schedule.idle().await;
        assert_eq!(*locked(&done), [1, 2, 3]);
        assert_eq!(schedule.waiting(), Waiting::default());
        stop.cancel();
    }

    #[tokio::test]
    async fn a_cleared_schedule_is_idle() {
        let schedule = Schedule::new();
        schedule.push(Instant::now() + Duration::from_secs(3_600), ());
        schedule.clear();
        schedule.idle().await;
        assert_eq!(schedule.waiting(), Waiting::default());
    }
}
