//! One queue: what is ready, who consumes, and what each of them holds unacked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

use super::EmbeddedSettings;
use crate::{Acker, BusError, Delivery, DeliverySource, Outgoing, Route};

/// A message without its route.
#[derive(Clone)]
pub(super) struct Message {
    body: Bytes,
    message_id: String,
    headers: Vec<(String, String)>,
}

impl Message {
    pub(super) fn split(outgoing: Outgoing) -> (Route, Self) {
        let Outgoing {
            route,
            message_id,
            body,
            headers,
        } = outgoing;
        let message = Self {
            body,
            message_id,
            headers,
        };
        (route, message)
    }
}

/// What a queue may hold, and what happens past it.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    messages_max: usize,
    bytes_max: usize,
    drop_oldest: bool,
}

impl Limits {
    /// A full queue refuses.
    pub(super) fn reject(settings: &EmbeddedSettings) -> Self {
        Self {
            messages_max: settings.queue_messages_max,
            bytes_max: settings.queue_bytes_max,
            drop_oldest: false,
        }
    }

    /// A full queue forgets its oldest: whoever only watches must not hold up who publishes.
    pub(super) fn forget(settings: &EmbeddedSettings) -> Self {
        Self {
            drop_oldest: true,
            ..Self::reject(settings)
        }
    }
}

pub(super) struct Queue {
    name: Arc<str>,
    lease: Option<Duration>,
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    /// In order of `seq`, also after something came back.
    ready: VecDeque<Stored>,
    seq_next: u64,
    /// Ready and unacked together.
    messages: usize,
    bytes: usize,
    consumers: Vec<Seat>,
    consumer_id_next: u64,
    /// Whose turn it is among `consumers`.
    turn: usize,
    last_used: Instant,
    ended: Option<BusError>,
}

struct Stored {
    seq: u64,
    redelivered: bool,
    message: Message,
}

/// A consumer as its queue sees it.
struct Seat {
    id: u64,
    prefetch: usize,
    /// Handed to this consumer and not decided yet, `buffer` included.
    unacked: usize,
    buffer: VecDeque<Stored>,
    wake: Arc<Notify>,
}

impl Queue {
    pub(super) fn new(name: &str, lease: Option<Duration>, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            lease,
            limits,
            state: Mutex::new(State {
                ready: VecDeque::new(),
                seq_next: 0,
                messages: 0,
                bytes: 0,
                consumers: Vec::new(),
                consumer_id_next: 0,
                turn: 0,
                last_used: Instant::now(),
                ended: None,
            }),
        })
    }

    pub(super) fn push(&self, message: Message) -> Result<(), BusError> {
        let mut state = self.state();
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        let full = state.messages >= self.limits.messages_max
            || state.bytes + message.body.len() > self.limits.bytes_max;
        if full && !(self.limits.drop_oldest && state.forget_oldest()) {
            let why = format!("queue `{}` is full", self.name);
            return Err(BusError::Unavailable(why.into()));
        }
        state.append(message);
        Ok(())
    }

    /// Takes a message whatever the bound says: it was inside the bus already.
    pub(super) fn push_unbounded(&self, message: Message) {
        let mut state = self.state();
        if state.ended.is_none() {
            state.append(message);
        }
    }

    pub(super) fn attach(self: &Arc<Self>, prefetch: u16) -> Result<Source, BusError> {
        let mut state = self.state();
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        let id = state.consumer_id_next;
        state.consumer_id_next += 1;
        let wake = Arc::new(Notify::new());
        state.consumers.push(Seat {
            id,
            prefetch: usize::from(prefetch.max(1)),
            unacked: 0,
            buffer: VecDeque::new(),
            wake: Arc::clone(&wake),
        });
        state.hand_out();
        drop(state);
        Ok(Source {
            queue: Arc::clone(self),
            id,
            wake,
        })
    }

    pub(super) fn take_one(self: &Arc<Self>) -> Option<Delivery> {
        let mut state = self.state();
        state.last_used = Instant::now();
        let stored = state.ready.pop_front()?;
        drop(state);
        Some(self.delivery(stored, None))
    }

    pub(super) fn purge(&self) -> u64 {
        let mut state = self.state();
        let dropped = std::mem::take(&mut state.ready);
        for stored in &dropped {
            state.forget(stored.message.body.len());
        }
        dropped.len() as u64
    }

    pub(super) fn depth(&self) -> u64 {
        self.state().ready.len() as u64
    }

    pub(super) fn renew_lease(&self) {
        self.state().last_used = Instant::now();
    }

    pub(super) fn end_if_empty(&self) -> bool {
        let mut state = self.state();
        let empty = state.messages == 0;
        if empty {
            state.end(BusError::NoSuchQueue(Arc::clone(&self.name)));
        }
        empty
    }

    pub(super) fn end_if_expired(&self) -> bool {
        let mut state = self.state();
        let expired = self
            .lease
            .is_some_and(|lease| state.consumers.is_empty() && state.last_used.elapsed() >= lease);
        if expired {
            state.end(BusError::NoSuchQueue(Arc::clone(&self.name)));
        }
        expired
    }

    pub(super) fn end(&self, why: BusError) {
        self.state().end(why);
    }

    fn delivery(self: &Arc<Self>, stored: Stored, consumer: Option<u64>) -> Delivery {
        // The copy stays with the acker, for the case that it comes back; bodies are shared.
        let Message {
            body,
            message_id,
            headers,
        } = stored.message.clone();
        let redelivered = stored.redelivered;
        let acker = Box::new(Held {
            queue: Arc::clone(self),
            consumer,
            stored,
        });
        Delivery::new(body, message_id, headers, redelivered, acker)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, message: Message) {
        self.messages += 1;
        self.bytes += message.body.len();
        let seq = self.seq_next;
        self.seq_next += 1;
        self.ready.push_back(Stored {
            seq,
            redelivered: false,
            message,
        });
        self.hand_out();
    }

    /// Gives ready messages to the consumers that have room, one each in turn.
    fn hand_out(&mut self) {
        while !self.ready.is_empty() {
            let seats = self.consumers.len();
            let Some(index) = (0..seats)
                .map(|step| (self.turn + step) % seats)
                .find(|&index| self.consumers[index].unacked < self.consumers[index].prefetch)
            else {
                return;
            };
            self.turn = index + 1;
            if let Some(stored) = self.ready.pop_front() {
                let seat = &mut self.consumers[index];
                seat.unacked += 1;
                seat.buffer.push_back(stored);
                seat.wake.notify_one();
            }
        }
    }

    /// Back to where it was in the order of publishing.
    fn put_back(&mut self, mut stored: Stored) {
        stored.redelivered = true;
        let place = self.ready.partition_point(|other| other.seq < stored.seq);
        self.ready.insert(place, stored);
    }

    fn forget_oldest(&mut self) -> bool {
        let oldest = self.ready.pop_front();
        if let Some(stored) = &oldest {
            self.forget(stored.message.body.len());
        }
        oldest.is_some()
    }

    fn forget(&mut self, bytes: usize) {
        self.messages -= 1;
        self.bytes -= bytes;
    }

    /// A slot of `consumer` is free again. It may be gone; its last deliveries live on without it.
    fn release(&mut self, consumer: Option<u64>) {
        if let Some(seat) = self
            .consumers
            .iter_mut()
            .find(|seat| Some(seat.id) == consumer)
        {
            seat.unacked -= 1;
        }
    }

    fn end(&mut self, why: BusError) {
        self.ended = Some(why);
        self.ready = VecDeque::new();
        for seat in &mut self.consumers {
            seat.buffer = VecDeque::new();
            seat.wake.notify_one();
        }
    }
}

/// A consumer as its owner holds it.
pub(super) struct Source {
    queue: Arc<Queue>,
    id: u64,
    wake: Arc<Notify>,
}

#[async_trait]
impl DeliverySource for Source {
    async fn next(&mut self) -> Result<Delivery, BusError> {
        loop {
            {
                let mut state = self.queue.state();
                if let Some(ended) = &state.ended {
                    return Err(ended.clone());
                }
                let seat = state.consumers.iter_mut().find(|seat| seat.id == self.id);
                if let Some(stored) = seat.and_then(|seat| seat.buffer.pop_front()) {
                    drop(state);
                    return Ok(self.queue.delivery(stored, Some(self.id)));
                }
            }
            // A wake-up between the look and the wait is kept as a permit.
            self.wake.notified().await;
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        let Some(index) = state.consumers.iter().position(|seat| seat.id == self.id) else {
            return;
        };
        let seat = state.consumers.remove(index);
        // Newest first, so that each one's place is at the front.
        for stored in seat.buffer.into_iter().rev() {
            state.put_back(stored);
        }
        state.last_used = Instant::now();
        state.hand_out();
    }
}

struct Held {
    queue: Arc<Queue>,
    consumer: Option<u64>,
    stored: Stored,
}

#[async_trait]
impl Acker for Held {
    async fn ack(self: Box<Self>) {
        let mut state = self.queue.state();
        state.forget(self.stored.message.body.len());
        state.release(self.consumer);
        state.hand_out();
    }

    fn give_back(self: Box<Self>) {
        let Self {
            queue,
            consumer,
            stored,
        } = *self;
        let mut state = queue.state();
        if state.ended.is_some() {
            return;
        }
        state.put_back(stored);
        state.release(consumer);
        state.hand_out();
    }
}
