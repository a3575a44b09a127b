//! Operations that may fail: on a connection of their own, because RabbitMQ answers a failed one by
//! closing its channel, and one on a broken queue by closing the connection.
//!
//! A quorum queue that lost its leader for good (see `RELIABILITY.md`: killed in its first second)
//! answers looks at it as if nothing were wrong, answers nothing else, and a minute later the
//! broker closes the connection with 541. So an unanswered operation is what tells such a queue,
//! and the 541 that follows is nobody's fault who is under way by then.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use lapin::Channel;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    failure,
    link::{Broker, Link, Live},
};
use crate::BusError;

/// Operations at once: each has a channel, of which a connection has some 2,000, and whoever starts
/// with thousands of queues would ask about all of them at the same time. As many channels are kept
/// for the next operations.
const AT_ONCE: usize = 32;
/// A broker that is well opens a channel in this time.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

pub(super) struct Admin {
    pub(super) broker: Arc<Broker>,
    link: Link,
    turns: Semaphore,
    idle: Mutex<Vec<Opened>>,
    under_way: AtomicUsize,
    /// The last generation in which an operation was not answered.
    unanswered: AtomicU64,
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
            turns: Semaphore::new(AT_ONCE),
            idle: Mutex::default(),
            under_way: AtomicUsize::new(0),
            unanswered: AtomicU64::new(0),
        }
    }

    pub(super) async fn live(&self) -> Result<Arc<Live>, BusError> {
        self.link.within(self.broker.settings.outage_patience).await
    }

    /// Does `operation` on `queue`, on a channel that is used again afterwards.
    pub(super) async fn run<T, F>(
        &self,
        queue: &str,
        operation: impl FnOnce(Channel) -> F + Send,
    ) -> Result<T, BusError>
    where
        F: Future<Output = lapin::Result<T>> + Send,
    {
        let _turn = self.turns.acquire().await;
        let live = self.live().await?;
        let (answer, channel) = self
            .try_on(&live, queue, async {
                let channel = match self.take_idle(&live) {
                    Some(channel) => channel,
                    None => live.connection.create_channel().await?,
                };
                let answer = operation(channel.clone()).await?;
                Ok((answer, channel))
            })
            .await?;
        // One that failed, or whose caller went away, has ended instead.
        self.keep(live.generation, channel);
        Ok(answer)
    }

    /// Waits for `work` on `queue`, and says what its failure means.
    pub(super) async fn try_on<T>(
        &self,
        live: &Live,
        queue: &str,
        work: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, BusError> {
        let _counted = Counted::among(&self.under_way);
        match timeout(self.broker.settings.operation_timeout, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if failure::is_internal(&error) && !self.is_to_blame(live) => {
                Err(failure::unavailable(&error))
            }
            Ok(Err(error)) => Err(failure::of_queue(queue, &error)),
            Err(_) => Err(self.unanswered(live, queue).await),
        }
    }

    /// Whether a connection that closes now does so because of the operation that asks.
    fn is_to_blame(&self, live: &Live) -> bool {
        self.under_way.load(Ordering::Acquire) == 1
            && self.unanswered.load(Ordering::Acquire) != live.generation
    }

    /// No answer: because of the queue if the broker is well otherwise.
    async fn unanswered(&self, live: &Live, queue: &str) -> BusError {
        let alive = timeout(SIGN_OF_LIFE, live.connection.create_channel()).await;
        if !matches!(alive, Ok(Ok(_))) {
            return failure::timed_out("an operation on a queue");
        }
        self.unanswered.store(live.generation, Ordering::Release);
        BusError::Unusable {
            queue: queue.into(),
            why: "the broker does not answer operations on it: a quorum queue without a leader?"
                .into(),
        }
    }

    fn take_idle(&self, live: &Live) -> Option<Channel> {
        let mut idle = self.idle();
        while let Some(opened) = idle.pop() {
            if opened.generation == live.generation && opened.channel.status().connected() {
                return Some(opened.channel);
            }
        }
        None
    }

    fn keep(&self, generation: u64, channel: Channel) {
        let mut idle = self.idle();
        if idle.len() < AT_ONCE {
            idle.push(Opened {
                generation,
                channel,
            });
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Opened>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of those under way, until dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn among(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
