//! The channels of consumers: one each while there are few, shared from then on, each consumer with
//! a prefetch of its own. A channel lives as long as one of them or a delivery of theirs does.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lapin::{
    Channel, Consumer,
    options::{BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};

use super::{
    declare::short,
    failure,
    link::{Broker, Link, Live},
    queues::Queues,
};
use crate::{BusError, Topic};

/// Consumers that start at once: the broker declares nothing faster for being asked by thousands, and
/// those at the end would only find that their time is over.
const STARTS_AT_ONCE: usize = 32;

/// What a watcher may be behind before it misses the oldest: watching must not cost the broker.
const WATCHER_LENGTH_MAX: i64 = 100_000;

/// What a consumer wants.
#[derive(Clone)]
pub(super) enum Wanted {
    /// What is in a queue that somebody else declared.
    Queue(Arc<str>),
    /// What is published from now on, over a queue that ends with the connection.
    Topic(Topic, Arc<str>),
}

/// A channel with room for several consumers.
pub(super) struct SharedChannel {
    pub(super) channel: Channel,
    generation: u64,
    taken: AtomicUsize,
    /// One consumer starts at a time, because its prefetch is set on the channel just before.
    starting: Mutex<()>,
}

/// One consumer's place on a channel, given back when dropped.
pub(super) struct Seat {
    shared: Arc<SharedChannel>,
}

impl Seat {
    pub(super) fn channel(&self) -> &Arc<SharedChannel> {
        &self.shared
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// All shared channels of a bus.
pub(super) struct Seats {
    pub(super) broker: Arc<Broker>,
    pub(super) link: Link,
    queues: Arc<Queues>,
    channels: Mutex<Vec<Weak<SharedChannel>>>,
    starts: Semaphore,
}

impl Seats {
    pub(super) fn new(broker: Arc<Broker>, link: Link, queues: Arc<Queues>) -> Self {
        Self {
            broker,
            link,
            queues,
            channels: Mutex::default(),
            starts: Semaphore::new(STARTS_AT_ONCE),
        }
    }

    /// Starts a consumer on `live`. To be run in a task of its own: a start that is given up half
    /// way would leave a consumer behind that nobody reads.
    pub(super) async fn start(
        &self,
        live: &Live,
        wanted: &Wanted,
        prefetch: u16,
    ) -> Result<(Consumer, Seat), BusError> {
        let _start = self.starts.acquire().await;
        if let Wanted::Queue(queue) = wanted {
            // Here a refusal would end the channel's other consumers.
            self.queues.check_consumable(queue).await?;
        }
        let patience = self.broker.settings.operation_timeout;
        timeout(patience, self.start_on(live, wanted, prefetch))
            .await
            .unwrap_or_else(|_| Err(failure::timed_out("starting a consumer")))
    }

    async fn start_on(
        &self,
        live: &Live,
        wanted: &Wanted,
        prefetch: u16,
    ) -> Result<(Consumer, Seat), BusError> {
        let blame = match wanted {
            Wanted::Queue(queue) => Arc::clone(queue),
            Wanted::Topic(topic, _) => topic.exchange().into(),
        };
        let seat = self.take_seat(live).await?;
        let channel = &seat.shared.channel;
        let turn = seat.shared.starting.lock().await;
        let begin = async {
            let queue = match wanted {
                Wanted::Queue(queue) => short(queue).map_err(Failed::Here)?,
                Wanted::Topic(topic, pattern) => watch(channel, *topic, pattern).await?,
            };
            channel
                .basic_qos(prefetch.max(1), BasicQosOptions::default())
                .await?;
            let options = BasicConsumeOptions::default();
            let consumer = channel
                .basic_consume(queue, "".into(), options, FieldTable::default())
                .await?;
            Ok(consumer)
        };
        match begin.await {
            Ok(consumer) => {
                drop(turn);
                Ok((consumer, seat))
            }
            Err(Failed::There(error)) => Err(failure::of_queue(&blame, &error)),
            Err(Failed::Here(error)) => Err(error),
        }
    }

    async fn take_seat(&self, live: &Live) -> Result<Seat, BusError> {
        let mut channels = self.channels.lock().await;
        channels.retain(|weak| weak.strong_count() > 0);
        let usable: Vec<_> = channels
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|shared| {
                shared.generation == live.generation && shared.channel.status().connected()
            })
            .collect();
        let room = usize::from(self.broker.settings.consumer_channels_max.get());
        let emptiest = usable
            .iter()
            .min_by_key(|shared| shared.taken.load(Ordering::Acquire));
        let shared = match emptiest {
            Some(shared) if usable.len() >= room => Arc::clone(shared),
            _ => {
                let channel = live
                    .connection
                    .create_channel()
                    .await
                    .map_err(|error| failure::unavailable(&error))?;
                let shared = Arc::new(SharedChannel {
                    channel,
                    generation: live.generation,
                    taken: AtomicUsize::new(0),
                    starting: Mutex::default(),
                });
                channels.push(Arc::downgrade(&shared));
                shared
            }
        };
        shared.taken.fetch_add(1, Ordering::AcqRel);
        Ok(Seat { shared })
    }

    /// How long a best-effort good-bye may take.
    pub(super) fn patience(&self) -> Duration {
        self.broker.settings.operation_timeout
    }
}

enum Failed {
    /// Before anything was sent.
    Here(BusError),
    /// The broker's answer.
    There(lapin::Error),
}

impl From<lapin::Error> for Failed {
    fn from(error: lapin::Error) -> Self {
        Self::There(error)
    }
}

/// A queue of this connection's own that gets what `pattern` means.
async fn watch(channel: &Channel, topic: Topic, pattern: &str) -> Result<ShortString, Failed> {
    let key = short(pattern).map_err(Failed::Here)?;
    let own = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-max-length".into(),
        AMQPValue::LongLongInt(WATCHER_LENGTH_MAX),
    );
    let queue = channel.queue_declare("".into(), own, arguments).await?;
    let name = queue.name().clone();
    channel
        .queue_bind(
            name.clone(),
            topic.exchange().into(),
            key,
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    Ok(name)
}
