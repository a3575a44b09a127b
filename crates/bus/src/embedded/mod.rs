//! The bus inside the process: the same contract as the broker's, without a broker. Nothing is
//! kept when the process ends, which is what `smsfleet demo` and most tests want.
//!
//! What differs from RabbitMQ, all of it stricter: a queue that still has unacked deliveries is
//! not deleted as empty, and nothing is ever dead-lettered for having been delivered too often.

mod delays;
mod queue;
mod topics;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    Bus, BusError, Consumer, Declared, Delivery, Outgoing, Route, SendQueue, Topic,
    topology::queue as fixed,
};
use delays::Delays;
use queue::{Limits, Message, Queue};
use topics::Topics;

/// How often queues whose lease ran out are looked for; an expired one is never served before.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What bounds the embedded bus.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddedSettings {
    /// Messages a queue holds, ready and unacked; past it publishing answers `Unavailable`.
    pub queue_messages_max: usize,
    /// The same for the bytes of their bodies.
    pub queue_bytes_max: usize,
    /// How long a distribution's queue lives without a consumer and without being declared again.
    #[serde(with = "humantime_serde")]
    pub send_queue_lease: Duration,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self {
            queue_messages_max: 1_000_000,
            queue_bytes_max: 1 << 30,
            send_queue_lease: Duration::from_secs(8 * 24 * 3600),
        }
    }
}

/// See the module.
pub struct EmbeddedBus {
    shared: Arc<Shared>,
}

/// What the bus and its delay pumps share.
struct Shared {
    queues: Mutex<Queues>,
    topics: Topics,
    delays: Delays,
    settings: EmbeddedSettings,
    closed: AtomicBool,
}

struct Queues {
    by_name: HashMap<Arc<str>, Arc<Queue>>,
    swept: Instant,
}

impl EmbeddedBus {
    /// A bus with the fleet's fixed queues and the default bounds.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with_settings(EmbeddedSettings::default())
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_settings(settings: EmbeddedSettings) -> Arc<Self> {
        let limits = Limits::reject(&settings);
        let by_name = fixed::ALL
            .into_iter()
            .map(|name| (Arc::from(name), Queue::new(name, None, limits)))
            .collect();
        Arc::new(Self {
            shared: Arc::new(Shared {
                queues: Mutex::new(Queues {
                    by_name,
                    swept: Instant::now(),
                }),
                topics: Topics::default(),
                delays: Delays::default(),
                settings,
                closed: AtomicBool::new(false),
            }),
        })
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BusError> {
        self.shared.ensure_open()?;
        for outgoing in messages {
            let (route, message) = Message::split(outgoing);
            match route {
                Route::Queue(name) => self.shared.route_to(&name, message)?,
                Route::Dead => self.shared.route_to(fixed::DEAD, message)?,
                Route::Delayed { queue, tier } => {
                    Delays::push(&self.shared, tier, queue, message)?;
                }
                Route::Topic(topic, key) => self.shared.topics.publish(topic, &key, &message),
            }
        }
        Ok(())
    }

    async fn consume(&self, queue: &str, prefetch: u16) -> Result<Consumer, BusError> {
        let queue = self.shared.existing(queue)?;
        Ok(Consumer::new(Box::new(queue.attach(prefetch)?)))
    }

    async fn subscribe(&self, topic: Topic, pattern: &str) -> Result<Consumer, BusError> {
        self.shared.ensure_open()?;
        let listener = self
            .shared
            .topics
            .subscribe(topic, pattern, &self.shared.settings)?;
        Ok(Consumer::new(Box::new(listener)))
    }

    async fn declare_send_queue(&self, queue: &SendQueue) -> Result<Declared, BusError> {
        self.shared.ensure_open()?;
        let name = queue.name();
        let settings = &self.shared.settings;
        let mut queues = self.shared.queues();
        queues.sweep();
        match queues.live(&name) {
            Some(known) => known.renew_lease(),
            None => {
                let lease = Some(settings.send_queue_lease);
                let queue = Queue::new(&name, lease, Limits::reject(settings));
                queues.by_name.insert(name.into(), queue);
            }
        }
        Ok(Declared {
            settles_in: Duration::ZERO,
        })
    }

    async fn delete_send_queue_if_empty(&self, queue: &SendQueue) -> Result<bool, BusError> {
        self.shared.ensure_open()?;
        let name = queue.name();
        let mut queues = self.shared.queues();
        let Some(known) = queues.live(&name) else {
            return Ok(true);
        };
        // Publishing looks a queue up under the same lock, so nothing slips in between.
        if !known.end_if_empty() {
            return Ok(false);
        }
        queues.by_name.remove(name.as_str());
        Ok(true)
    }

    async fn purge(&self, queue: &str) -> Result<u64, BusError> {
        Ok(self.shared.existing(queue)?.purge())
    }

    async fn depth(&self, queue: &str) -> Result<u64, BusError> {
        Ok(self.shared.existing(queue)?.depth())
    }

    async fn get(&self, queue: &str) -> Result<Option<Delivery>, BusError> {
        Ok(self.shared.existing(queue)?.take_one())
    }

    fn is_ready(&self) -> bool {
        !self.shared.closed.load(Ordering::Acquire)
    }

    async fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.delays.stop();
        let queues: Vec<_> = self.shared.queues().by_name.values().cloned().collect();
        for queue in queues {
            queue.end(BusError::Closed);
        }
        self.shared.topics.end();
    }
}

impl Shared {
    fn ensure_open(&self) -> Result<(), BusError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(BusError::Closed);
        }
        Ok(())
    }

    fn existing(&self, name: &str) -> Result<Arc<Queue>, BusError> {
        self.ensure_open()?;
        self.queues()
            .live(name)
            .ok_or_else(|| BusError::NoSuchQueue(name.into()))
    }

    fn route_to(&self, name: &str, message: Message) -> Result<(), BusError> {
        let queue = self
            .queues()
            .live(name)
            .ok_or_else(|| BusError::Unroutable(format!("no queue `{name}`").into()))?;
        queue.push(message)
    }

    /// A message whose delay is over. Its queue may be gone by now; what cannot arrive ends with
    /// the dead letters, because dropping it here would lose it.
    fn arrive(&self, name: &str, message: Message) {
        let target = {
            let mut queues = self.queues();
            queues.live(name).or_else(|| queues.live(fixed::DEAD))
        };
        if let Some(queue) = target {
            queue.push_unbounded(message);
        }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    /// The queue of that name unless its lease has run out, which ends it here and now.
    fn live(&mut self, name: &str) -> Option<Arc<Queue>> {
        let queue = self.by_name.get(name)?;
        if queue.end_if_expired() {
            self.by_name.remove(name);
            return None;
        }
        Some(Arc::clone(queue))
    }

    fn sweep(&mut self) {
        if self.swept.elapsed() >= SWEEP_EVERY {
            self.swept = Instant::now();
            self.by_name.retain(|_, queue| !queue.end_if_expired());
        }
    }
}
