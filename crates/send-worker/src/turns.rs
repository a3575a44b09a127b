//! Turns between the queues of one connection: the [`Order`] says whose it is, so that a small
//! mailing behind a huge one starts at once; the [`Window`] says how many chunks are held meanwhile.
//! A queue that has nothing costs a consumer and no look.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bus::Delivery;
use ledger::QueueEntry;
use message::Class;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use crate::{
    Shared,
    order::{Order, QueueId},
    pump::{self, News},
    roster::Listed,
    window::{self, WAIT_MAX, Window},
};

/// A chunk whose turn it is.
pub(crate) struct Turn {
    pub(crate) delivery: Delivery,
    pub(crate) queue: String,
}

pub(crate) struct Turns {
    shared: Arc<Shared>,
    segments_per_second: f64,
    prefetch: u16,
    window: Window,
    order: Order<Waiting>,
    queues: HashMap<QueueId, Queue>,
    by_name: HashMap<String, QueueId>,
    next_id: QueueId,
    /// Queues without a consumer because there is no room; the least mark is the next to get one.
    shelf: BTreeSet<(u64, QueueId)>,
    /// Chunks that wait for their turn.
    waiting: usize,
    /// When they came; an entry whose chunk has had its turn is left over.
    arrivals: VecDeque<(Instant, QueueId)>,
    /// Consumers that have just started and have not shown yet whether they bring something.
    starting: usize,
    news: mpsc::UnboundedReceiver<(QueueId, News)>,
    to_news: mpsc::UnboundedSender<(QueueId, News)>,
}

struct Waiting {
    delivery: Delivery,
    since: Instant,
}

struct Queue {
    entry: QueueEntry,
    last_delivery: Instant,
    /// When to look whether the queue can go, and how long to wait after that.
    look: Look,
    /// Chunks that its next consumer takes ahead.
    prefetch: u16,
    consumer: Consuming,
}

#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    pause: Duration,
}

enum Consuming {
    /// On the shelf, under this mark.
    No(u64),
    Yes {
        task: JoinHandle<()>,
        starting: bool,
    },
}

/// A look that finds a queue still needed doubles the pause before the next one, up to so many times.
const LOOK_PAUSE_GROWTH_MAX: u32 = 8;

impl Drop for Queue {
    fn drop(&mut self) {
        if let Consuming::Yes { task, .. } = &self.consumer {
            // Its consumer is dropped with it; what it holds goes back to the queue.
            task.abort();
        }
    }
}

impl Turns {
    pub(crate) fn new(shared: Arc<Shared>, segments_per_second: f64) -> Self {
        let (to_news, news) = mpsc::unbounded_channel();
        Self {
            prefetch: window::prefetch(segments_per_second, shared.settings.prefetch),
            order: Order::new(shared.settings.express_share),
            window: Window::new(segments_per_second, 1),
            segments_per_second,
            shared,
            queues: HashMap::new(),
            by_name: HashMap::new(),
            next_id: 0,
            shelf: BTreeSet::new(),
            waiting: 0,
            arrivals: VecDeque::new(),
            starting: 0,
            news,
            to_news,
        }
    }

    /// Consumes exactly these queues from now on.
    pub(crate) fn set_queues(&mut self, listed: &Listed) {
        self.window.share(self.segments_per_second, listed.hands);
        let names: HashSet<&str> = listed.queues.iter().map(|it| it.name.as_str()).collect();
        let gone: Vec<QueueId> = self
            .by_name
            .iter()
            .filter(|(name, _)| !names.contains(name.as_str()))
            .map(|(_, id)| *id)
            .collect();
        for id in gone {
            self.remove(id);
        }
        for entry in &listed.queues {
            let weight = entry.weight.unwrap_or_default();
            if let Some(id) = self.by_name.get(&entry.name) {
                self.order.weigh(*id, weight);
                if let Some(queue) = self.queues.get_mut(id) {
                    queue.entry = entry.clone();
                }
                continue;
            }
            let id = self.next_id;
            self.next_id += 1;
            self.order.join(id, entry.class, weight);
            self.by_name.insert(entry.name.clone(), id);
            let mark = self.order.mark_of(id);
            self.shelf.insert((mark, id));
            let now = Instant::now();
            let prefetch = self.window.prefetch(listed.queues.len(), self.prefetch);
            let pause = self.shared.settings.idle_queue_after;
            let queue = Queue {
                entry: entry.clone(),
                last_delivery: now,
                look: Look {
                    at: now + pause,
                    pause,
                },
                prefetch,
                consumer: Consuming::No(mark),
            };
            self.queues.insert(id, queue);
            if entry.class == Class::Express {
                self.start(id);
            }
        }
        self.fill();
    }

    /// The next chunk in turn; waits for one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Turn {
        loop {
            self.look_up();
            if let Some(turn) = self.order.express().or_else(|| self.order.next()) {
                return self.taken(turn);
            }
            self.fill();
            if let Some((id, news)) = self.news.recv().await {
                self.hear(id, news);
            }
        }
    }

    /// A chunk of the express class, if one is there and the class is within its share.
    pub(crate) fn express(&mut self) -> Option<Turn> {
        self.look_up();
        let turn = self.order.express()?;
        Some(self.taken(turn))
    }

    /// Notes how much the chunk of a turn was. To be said before the next turn is asked for.
    pub(crate) fn charge(&mut self, queue: &str, segments: u32) {
        let Some(&id) = self.by_name.get(queue) else {
            return;
        };
        self.order.charge(id, segments);
        self.moved(id);
    }

    /// Notes what of it was handed back unsent.
    pub(crate) fn refund(&mut self, queue: &str, segments: u32) {
        let Some(&id) = self.by_name.get(queue) else {
            return;
        };
        self.order.refund(id, segments);
        self.moved(id);
    }

    /// Queues that have been silent for so long that somebody should look whether they can go.
    pub(crate) fn silent(&mut self) -> Vec<QueueEntry> {
        let now = Instant::now();
        let least = self.shared.settings.idle_queue_after;
        let mut silent = Vec::new();
        for queue in self.queues.values_mut() {
            let has_consumer = matches!(queue.consumer, Consuming::Yes { .. });
            let since = now.duration_since(queue.last_delivery);
            if has_consumer && since >= least && now >= queue.look.at {
                queue.look.at = now + queue.look.pause;
                queue.look.pause = (queue.look.pause * 2).min(least * LOOK_PAUSE_GROWTH_MAX);
                silent.push(queue.entry.clone());
            }
        }
        silent
    }

    /// Hears what has come, and gives back what has waited too long.
    fn look_up(&mut self) {
        while let Ok((id, news)) = self.news.try_recv() {
            self.hear(id, news);
        }
        while let Some(&(since, id)) = self.arrivals.front() {
            let waits = self.order.eldest(id).is_some_and(|it| it.since == since);
            if waits && since.elapsed() <= WAIT_MAX {
                return;
            }
            self.arrivals.pop_front();
            if waits {
                self.window.waited_too_long();
                self.set_aside(id);
            }
        }
    }

    fn hear(&mut self, id: QueueId, news: News) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return; // a delivery of a queue that is off the list goes back
        };
        let Consuming::Yes { starting, .. } = &mut queue.consumer else {
            return; // came while its consumer was ended
        };
        if std::mem::take(starting) {
            self.starting -= 1;
        }
        if let News::Delivery(delivery) = news {
            let since = Instant::now();
            queue.last_delivery = since;
            queue.look.pause = self.shared.settings.idle_queue_after;
            let too_many = self.waiting >= self.window.room_for_surprises();
            if too_many && queue.entry.class != Class::Express {
                queue.prefetch = (queue.prefetch / 2).max(1);
                drop(delivery);
                self.set_aside(id);
                return;
            }
            if self.order.arrive(id, Waiting { delivery, since }).is_ok() {
                self.waiting += 1;
                self.arrivals.push_back((since, id));
            }
        }
        self.fill();
    }

    fn taken(&mut self, (id, waiting): (QueueId, Waiting)) -> Turn {
        self.waiting -= 1;
        self.window.waited(waiting.since.elapsed());
        Turn {
            delivery: waiting.delivery,
            queue: self
                .queues
                .get(&id)
                .map(|queue| queue.entry.name.clone())
                .unwrap_or_default(),
        }
    }

    /// A queue's mark has moved. If it holds nothing and others without a consumer are before it,
    /// they get its place.
    fn moved(&mut self, id: QueueId) {
        let mark = self.order.mark_of(id);
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        match &mut queue.consumer {
            Consuming::No(shelved) => {
                self.shelf.remove(&(*shelved, id));
                self.shelf.insert((mark, id));
                *shelved = mark;
            }
            Consuming::Yes { .. } if self.order.eldest(id).is_none() => {
                let first = self.shelf.first();
                if first.is_some_and(|(first, _)| *first < mark) {
                    self.set_aside(id);
                } else if self.waiting == 0 && queue.prefetch < self.prefetch {
                    // Alone after all: a consumer keeps its prefetch, so it gets another one.
                    queue.prefetch = (queue.prefetch * 2).min(self.prefetch);
                    self.set_aside(id);
                }
            }
            Consuming::Yes { .. } => {}
        }
        self.fill();
    }

    /// Gives consumers to queues on the shelf while there is room.
    fn fill(&mut self) {
        while self.waiting + self.starting < self.window.room() {
            let Some(&(_, id)) = self.shelf.first() else {
                return;
            };
            self.start(id);
        }
    }

    /// Gives a consumer to a queue on the shelf.
    fn start(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let Consuming::No(mark) = queue.consumer else {
            return;
        };
        self.shelf.remove(&(mark, id));
        let pump = pump::run(
            self.shared.clone(),
            queue.entry.clone(),
            id,
            queue.prefetch,
            self.to_news.clone(),
        );
        queue.consumer = Consuming::Yes {
            task: tokio::spawn(pump),
            starting: true,
        };
        self.starting += 1;
    }

    /// Puts a queue on the shelf until it is its turn to have a consumer; for express that is now.
    fn set_aside(&mut self, id: QueueId) {
        self.shelve(id);
        let queue = self.queues.get(&id);
        if queue.is_some_and(|queue| queue.entry.class == Class::Express) {
            self.start(id);
        }
        self.fill();
    }

    /// Ends a queue's consumer; what it holds goes back.
    fn shelve(&mut self, id: QueueId) {
        let held = self.order.clear(id);
        self.waiting -= held.len();
        drop(held);
        let mark = self.order.mark_of(id);
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut queue.consumer, Consuming::No(mark));
        match before {
            Consuming::No(shelved) => {
                self.shelf.remove(&(shelved, id));
            }
            Consuming::Yes { task, starting } => {
                task.abort();
                self.starting -= usize::from(starting);
            }
        }
        self.shelf.insert((mark, id));
    }

    fn remove(&mut self, id: QueueId) {
        self.waiting -= self.order.part(id);
        let Some(queue) = self.queues.remove(&id) else {
            return;
        };
        self.by_name.remove(&queue.entry.name);
        match &queue.consumer {
            Consuming::No(mark) => {
                self.shelf.remove(&(*mark, id));
            }
            Consuming::Yes { starting, .. } => self.starting -= usize::from(*starting),
        }
    }
}

#[cfg(test)]
mod tests;
