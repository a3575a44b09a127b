//! Callbacks that arrive within a few milliseconds share one AMQP message: one message each would
//! cost the broker more than everything on the way out. Each is answered after its group's confirm.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bus::{Bus, BusError, Outgoing, Route, queue};
use bytes::Bytes;
use providers::CallbackKind;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_util::task::TaskTracker;

use crate::{
    IngressMetrics, Settings,
    written::{self, Written},
};

/// Rooms that are kept, and how large they may be: what most of the time is enough.
const ROOMS_MAX: usize = 4;
const ROOM_BYTES_MAX: usize = 1024 * 1024;

/// Where verified callbacks are handed over.
pub(crate) struct Groups {
    status: Arc<Lane>,
    message: Arc<Lane>,
    tasks: TaskTracker,
}

/// The groups of one kind.
struct Lane {
    kind: CallbackKind,
    wait: Duration,
    callbacks_max: usize,
    bytes_max: usize,
    timeout: Duration,
    /// AMQP messages that may wait for their confirm at once.
    publishes: Semaphore,
    bus: Arc<dyn Bus>,
    metrics: IngressMetrics,
    open: Mutex<Open>,
}

/// The group that callbacks are written to right now.
#[derive(Default)]
struct Open {
    group: Group,
    /// Wakes the task that waits for the group to be full or its time to be over.
    full: Arc<Notify>,
    /// Room of groups that are done, for the next ones: so much memory is dear to get and to give back.
    rooms: Vec<Vec<u8>>,
}

/// Callbacks in the form in which they are published, and who waits for the answer.
#[derive(Default)]
struct Group {
    body: Vec<u8>,
    /// Bytes of the callbacks' bodies.
    bytes: usize,
    waiting: Vec<oneshot::Sender<Result<(), BusError>>>,
}

impl Groups {
    /// None yet. What is published is published in `tasks`.
    pub(crate) fn new(
        settings: &Settings,
        bus: &Arc<dyn Bus>,
        metrics: &IngressMetrics,
        tasks: &TaskTracker,
    ) -> Self {
        let lane = |kind: CallbackKind| {
            Arc::new(Lane {
                kind,
                wait: settings.group_wait,
                callbacks_max: settings.group_max.get(),
                bytes_max: settings.group_bytes_max,
                timeout: settings.publish_timeout,
                publishes: Semaphore::new(settings.publishes_max.get()),
                bus: bus.clone(),
                metrics: metrics.clone(),
                open: Mutex::default(),
            })
        };
        Self {
            status: lane(CallbackKind::Status),
            message: lane(CallbackKind::Message),
            tasks: tasks.clone(),
        }
    }

    /// Puts `callback` on the bus together with its neighbours in time and waits for the confirm.
    ///
    /// # Errors
    /// What the bus said about the group. It may have been taken all the same: a provider that then
    /// repeats the callback does no harm.
    pub(crate) async fn hand_over(
        &self,
        kind: CallbackKind,
        callback: &Written<'_>,
    ) -> Result<(), BusError> {
        let lane = match kind {
            CallbackKind::Status => &self.status,
            CallbackKind::Message => &self.message,
        };
        let confirmed = lane.add(callback, &self.tasks)?;
        // The place of the local spool: when this is `Err`, the callback goes there instead and the
        // answer stays 2xx. Until it exists the provider is told 503.
        confirmed.await.unwrap_or(Err(BusError::Closed))
    }
}

impl Lane {
    fn add(
        self: &Arc<Self>,
        callback: &Written<'_>,
        tasks: &TaskTracker,
    ) -> Result<oneshot::Receiver<Result<(), BusError>>, BusError> {
        let (handed_over, confirmed) = oneshot::channel();
        let mut open = self.open();
        let is_first = open.group.waiting.is_empty();
        if is_first {
            open.group.body = open.rooms.pop().unwrap_or_default();
            written::begin(&mut open.group.body);
        }
        let end = open.group.body.len();
        if let Err(why) = written::append(&mut open.group.body, callback) {
            open.group.body.truncate(end);
            if is_first {
                open.group = Group::default();
            }
            let why = format!("callback not written: {why}");
            return Err(BusError::Unavailable(why.into()));
        }
        open.group.bytes += callback.body.len();
        open.group.waiting.push(handed_over);
        let is_full =
            open.group.waiting.len() >= self.callbacks_max || open.group.bytes >= self.bytes_max;
        if is_full {
            let group = mem::take(&mut open.group);
            if !is_first {
                mem::take(&mut open.full).notify_one();
            }
            drop(open);
            tasks.spawn(self.clone().publish_full(group));
        } else if is_first {
            let full = open.full.clone();
            drop(open);
            tasks.spawn(self.clone().publish_in_time(full));
        }
        Ok(confirmed)
    }

    /// Publishes the group that has just begun when its time is over, unless it is full before. While
    /// too many others wait for their confirm it stays open.
    async fn publish_in_time(self: Arc<Self>, full: Arc<Notify>) {
        let time_over = async {
            tokio::time::sleep(self.wait).await;
            self.publishes.acquire().await
        };
        let permit = tokio::select! {
            biased;
            () = full.notified() => return,
            permit = time_over => permit,
        };
        let group = {
            let mut open = self.open();
            // It may have become full in this very moment, and another one have begun.
            if !Arc::ptr_eq(&open.full, &full) {
                return;
            }
            mem::take(&mut open.group)
        };
        self.publish(group).await;
        drop(permit);
    }

    async fn publish_full(self: Arc<Self>, group: Group) {
        let permit = self.publishes.acquire().await;
        self.publish(group).await;
        drop(permit);
    }

    async fn publish(&self, group: Group) {
        let Group { body, waiting, .. } = group;
        let confirmed = self.confirmed(body).await;
        let labels = [
            self.kind.as_str(),
            if confirmed.is_ok() {
                "confirmed"
            } else {
                "failed"
            },
        ];
        self.metrics.groups.with_label_values(&labels).inc();
        self.metrics
            .grouped
            .with_label_values(&labels)
            .inc_by(waiting.len() as u64);
        for handed_over in waiting {
            // Whoever hung up meanwhile does not hear it; the callback is on the bus all the same.
            let _ = handed_over.send(confirmed.clone());
        }
    }

    async fn confirmed(&self, mut body: Vec<u8>) -> Result<(), BusError> {
        written::end(&mut body);
        let queue = match self.kind {
            CallbackKind::Status => queue::STATUS_CALLBACKS,
            CallbackKind::Message => queue::MESSAGE_CALLBACKS,
        };
        let name = format!("{}-{:032x}", self.kind.as_str(), fastrand::u128(..));
        let body = Bytes::from(body);
        let outgoing = Outgoing::new(Route::Queue(queue.to_owned()), name, body.clone());
        let confirmed = tokio::time::timeout(self.timeout, self.bus.publish(vec![outgoing]))
            .await
            .unwrap_or_else(|_| Err(BusError::Unavailable(Arc::from("no confirm in time"))));
        if body.is_unique() {
            self.keep(body.into());
        }
        confirmed
    }

    /// Keeps the room of a group that is done.
    fn keep(&self, mut room: Vec<u8>) {
        room.clear();
        let rooms = &mut self.open().rooms;
        if rooms.len() < ROOMS_MAX && room.capacity() <= ROOM_BYTES_MAX {
            rooms.push(room);
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
