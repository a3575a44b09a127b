//! Whose turn it is among the queues of one connection: shares by weight, counted in segments.
//!
//! Each queue has a mark on a scale that all share: the segments that it was given, divided by its
//! weight. The least mark is next, so shares are right within one chunk however large chunks are. A
//! queue that was empty comes back at the mark of those that were not, for nobody saves up turns; a
//! queue that has nothing is not looked at.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
};

use message::{Class, Weight, chunk::CHUNK_ROWS_MAX};

/// Names a queue among those of one connection.
pub(crate) type QueueId = u64;

/// Steps of the scale to a segment of weight 1.
const SCALE: u64 = 1 << 20;

/// So many segments may a queue be behind when it comes back: its next chunk was only on its way.
const GRACE: u64 = CHUNK_ROWS_MAX as u64;

/// Queues with what waits in each of them.
pub(crate) struct Order<T> {
    queues: HashMap<QueueId, Queue<T>>,
    express: Line,
    bulk: Line,
    /// Where on the scale the last one stood that was next.
    mark: u64,
    listings: u64,
    share: Share,
}

/// The least mark first; of equal ones the one that was there first.
type Line = BinaryHeap<Reverse<Listing>>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Listing {
    mark: u64,
    number: u64,
    queue: QueueId,
}

struct Queue<T> {
    class: Class,
    weight: Weight,
    mark: u64,
    waiting: VecDeque<T>,
    /// The number of its valid listing; others of it in a line are left over.
    listed: Option<u64>,
}

impl<T> Order<T> {
    pub(crate) fn new(express_share: f64) -> Self {
        Self {
            queues: HashMap::new(),
            express: Line::new(),
            bulk: Line::new(),
            mark: 0,
            listings: 0,
            share: Share::new(express_share),
        }
    }

    /// A queue that takes part from now on, like those that are there, and before those of them that
    /// would be next as well: who has just come may be through with one chunk.
    pub(crate) fn join(&mut self, id: QueueId, class: Class, weight: Weight) {
        let queue = Queue {
            class,
            weight,
            mark: self.mark.saturating_sub(1),
            waiting: VecDeque::new(),
            listed: None,
        };
        self.queues.insert(id, queue);
    }

    /// A queue that takes no part any more; how much waited in it.
    pub(crate) fn part(&mut self, id: QueueId) -> usize {
        self.queues
            .remove(&id)
            .map_or(0, |queue| queue.waiting.len())
    }

    /// What is served from now on counts by this weight.
    pub(crate) fn weigh(&mut self, id: QueueId, weight: Weight) {
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.weight = weight;
        }
    }

    /// Something waits in a queue; it comes back if there is no such queue.
    pub(crate) fn arrive(&mut self, id: QueueId, item: T) -> Result<(), T> {
        let Some(queue) = self.queues.get_mut(&id) else {
            return Err(item);
        };
        queue.waiting.push_back(item);
        if queue.listed.is_none() {
            let grace = scaled(GRACE, queue.weight);
            queue.mark = queue.mark.max(self.mark.saturating_sub(grace));
            self.list(id);
        }
        Ok(())
    }

    /// Something of the express class, if that class is within its share.
    pub(crate) fn express(&mut self) -> Option<(QueueId, T)> {
        if !self.share.express_may_overtake() {
            return None;
        }
        let listing = first(&mut self.express, &self.queues)?;
        // Who overtakes does not move the scale: the others have had no turn.
        self.serve(listing)
    }

    /// Whatever is next.
    pub(crate) fn next(&mut self) -> Option<(QueueId, T)> {
        let express = first(&mut self.express, &self.queues);
        let bulk = first(&mut self.bulk, &self.queues);
        let listing = express.into_iter().chain(bulk).min()?;
        self.mark = self.mark.max(listing.mark);
        self.serve(listing)
    }

    /// Notes what a queue was given.
    pub(crate) fn charge(&mut self, id: QueueId, segments: u32) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        self.share.sent(queue.class, segments);
        let more = scaled(segments.into(), queue.weight);
        queue.mark = queue.mark.saturating_add(more);
        self.list_again(id);
    }

    /// Notes what of it was not sent after all.
    pub(crate) fn refund(&mut self, id: QueueId, segments: u32) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let less = scaled(segments.into(), queue.weight);
        queue.mark = queue.mark.saturating_sub(less);
        self.list_again(id);
    }

    /// Where a queue stands on the scale.
    pub(crate) fn mark_of(&self, id: QueueId) -> u64 {
        self.queues.get(&id).map_or(self.mark, |queue| queue.mark)
    }

    /// What has waited longest in a queue.
    pub(crate) fn eldest(&self, id: QueueId) -> Option<&T> {
        self.queues.get(&id)?.waiting.front()
    }

    /// Takes everything that waits in a queue out of it.
    pub(crate) fn clear(&mut self, id: QueueId) -> VecDeque<T> {
        self.queues
            .get_mut(&id)
            .map(|queue| {
                queue.listed = None;
                std::mem::take(&mut queue.waiting)
            })
            .unwrap_or_default()
    }

    fn serve(&mut self, listing: Listing) -> Option<(QueueId, T)> {
        let queue = self.queues.get_mut(&listing.queue)?;
        let item = queue.waiting.pop_front()?;
        queue.listed = None;
        if !queue.waiting.is_empty() {
            self.list(listing.queue);
        }
        Some((listing.queue, item))
    }

    fn list_again(&mut self, id: QueueId) {
        if self.queues.get(&id).is_some_and(|it| it.listed.is_some()) {
            self.list(id);
        }
    }

    fn list(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        self.listings += 1;
        queue.listed = Some(self.listings);
        let listing = Listing {
            mark: queue.mark,
            number: self.listings,
            queue: id,
        };
        match queue.class {
            Class::Express => self.express.push(Reverse(listing)),
            Class::Bulk => self.bulk.push(Reverse(listing)),
        }
    }
}

/// The first valid listing of a line; what is left over in front of it goes.
fn first<T>(line: &mut Line, queues: &HashMap<QueueId, Queue<T>>) -> Option<Listing> {
    loop {
        let Reverse(listing) = *line.peek()?;
        let queue = queues.get(&listing.queue);
        if queue.is_some_and(|queue| queue.listed == Some(listing.number)) {
            return Some(listing);
        }
        line.pop();
    }
}

fn scaled(segments: u64, weight: Weight) -> u64 {
    segments.saturating_mul(SCALE) / u64::from(weight.get())
}

/// Whether express is within its share of what was sent lately.
struct Share {
    express_share: f64,
    express: f64,
    all: f64,
}

impl Share {
    /// So much express may always go first: a lone confirmation never waits for a ratio.
    const ALLOWANCE: f64 = 50.0;

    /// Past so many segments older ones count half.
    const MEMORY: f64 = 10_000.0;

    fn new(express_share: f64) -> Self {
        Self {
            express_share,
            express: 0.0,
            all: 0.0,
        }
    }

    fn express_may_overtake(&self) -> bool {
        self.express <= self.express_share * self.all + Self::ALLOWANCE
    }

    fn sent(&mut self, class: Class, segments: u32) {
        self.all += f64::from(segments);
        if class == Class::Express {
            self.express += f64::from(segments);
        }
        if self.all > Self::MEMORY {
            self.all /= 2.0;
            self.express /= 2.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(number: u8) -> Weight {
        Weight::new(number).expect("valid")
    }

    /// A queue of a test: chunks of its own sizes, and whether all of them are there at once.
    struct Source {
        weight: u8,
        chunks: u32,
        served: u64,
        largest: u64,
    }

    #[test]
    fn over_any_order_of_arrival_shares_are_right_within_one_chunk() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut order = Order::new(0.2);
            let mut sources: Vec<Source> = (0..random.usize(2..8))
                .map(|_| Source {
                    weight: random.u8(1..=100),
                    chunks: random.u32(1..=CHUNK_ROWS_MAX as u32),
                    served: 0,
                    largest: 0,
                })
                .collect();
            for (id, source) in (0..).zip(&sources) {
                order.join(id, Class::Bulk, weight(source.weight));
            }
            // Nobody ever runs dry, but how many wait and in which order they come is by chance.
            let mut waiting = vec![0; sources.len()];
            for _ in 0..3_000 {
                for at in 0..sources.len() {
                    let at = (at + random.usize(..)) % sources.len();
                    while waiting[at] == 0 || (waiting[at] < 4 && random.bool()) {
                        let size = random.u32(1..=sources[at].chunks);
                        order.arrive(at as u64, size).expect("joined");
                        waiting[at] += 1;
                    }
                }
                for (at, waits) in waiting.iter_mut().enumerate() {
                    if *waits == 0 {
                        order.arrive(at as u64, 1).expect("joined");
                        *waits = 1;
                    }
                }
                let (id, size) = order.next().expect("something waits");
                order.charge(id, size);
                let at = usize::try_from(id).expect("small");
                waiting[at] -= 1;
                sources[at].served += u64::from(size);
                sources[at].largest = sources[at].largest.max(size.into());
            }
            for a in &sources {
                for b in &sources {
                    let share = |it: &Source| it.served as f64 / f64::from(it.weight);
                    let chunk = |it: &Source| it.largest as f64 / f64::from(it.weight);
                    let apart = (share(a) - share(b)).abs();
                    let bound = chunk(a) + chunk(b) + 0.01;
                    assert!(
                        apart <= bound,
                        "seed {seed}: {apart} apart, {bound} allowed"
                    );
                }
            }
        }
    }

    #[test]
    fn a_thousand_behind_a_million_need_at_most_twice_their_time_and_a_chunk() {
        let mut order = Order::new(0.2);
        order.join(1, Class::Bulk, Weight::default());
        for _ in 0..4 {
            order.arrive(1, 250).expect("joined");
        }
        // The huge one has had the connection for itself for a long while.
        for _ in 0..2_000 {
            let (id, size) = order.next().expect("waits");
            order.charge(id, size);
            order.arrive(1, 250).expect("joined");
        }
        order.join(2, Class::Bulk, Weight::default());
        for _ in 0..20 {
            order.arrive(2, 50).expect("joined");
        }
        let (mut small, mut all) = (0, 0);
        while small < 1_000 {
            let (id, size) = order.next().expect("waits");
            order.charge(id, size);
            all += size;
            match id {
                1 => order.arrive(1, 250).expect("joined"),
                _ => small += size,
            }
        }
        assert!(
            all <= 2 * 1_000 + 250,
            "{all} segments until it was through"
        );
    }

    #[test]
    fn who_was_away_has_not_saved_up_turns() {
        let mut order = Order::new(0.2);
        order.join(1, Class::Bulk, Weight::default());
        order.join(2, Class::Bulk, Weight::default());
        for _ in 0..1_000 {
            order.arrive(1, ()).expect("joined");
            let (id, ()) = order.next().expect("waits");
            order.charge(id, 10);
        }
        for _ in 0..200 {
            order.arrive(1, ()).expect("joined");
            order.arrive(2, ()).expect("joined");
        }
        let mut in_a_row = 0;
        while let Some((2, ())) = order.next() {
            order.charge(2, 10);
            in_a_row += 1;
        }
        let grace = CHUNK_ROWS_MAX / 10 + 1;
        assert!(in_a_row <= grace, "{in_a_row} chunks in a row");
    }

    #[test]
    fn what_was_handed_back_does_not_count() {
        let mut order = Order::new(0.2);
        for id in [1, 2] {
            order.join(id, Class::Bulk, Weight::default());
            for _ in 0..10 {
                order.arrive(id, ()).expect("joined");
            }
        }
        let (first, ()) = order.next().expect("waits");
        order.charge(first, 100);
        order.refund(first, 90);
        let (second, ()) = order.next().expect("waits");
        assert_ne!(first, second);
        order.charge(second, 100);
        let next: Vec<_> = (0..9)
            .map(|_| {
                let (id, ()) = order.next().expect("waits");
                order.charge(id, 10);
                id
            })
            .collect();
        assert_eq!(next, [first; 9]);
    }

    #[test]
    fn a_queue_that_left_is_not_served_and_a_late_charge_harms_nobody() {
        let mut order = Order::new(0.2);
        order.join(1, Class::Bulk, Weight::default());
        order.arrive(1, ()).expect("joined");
        order.arrive(1, ()).expect("joined");
        assert!(order.next().is_some());
        assert_eq!(order.part(1), 1);
        order.charge(1, 100);
        assert!(order.next().is_none());
        assert!(order.arrive(1, ()).is_err());
    }

    /// What express gets of 4,000 segments beside so many bulk queues that never run dry.
    fn express_beside(bulk: u64) -> u32 {
        let mut order = Order::new(0.2);
        order.join(0, Class::Express, Weight::default());
        for id in 1..=bulk {
            order.join(id, Class::Bulk, Weight::default());
        }
        for id in 0..=bulk {
            for _ in 0..4_000 {
                order.arrive(id, ()).expect("joined");
            }
        }
        let mut express = 0;
        for _ in 0..4_000 {
            let (id, ()) = order.express().or_else(|| order.next()).expect("waits");
            order.charge(id, 1);
            express += u32::from(id == 0);
        }
        express
    }

    #[test]
    fn express_has_its_share_first_or_its_turn_if_that_is_more() {
        let beside_one = express_beside(1);
        assert!((2_000..=2_060).contains(&beside_one), "{beside_one}");
        let beside_many = express_beside(19);
        assert!((800..=870).contains(&beside_many), "{beside_many}");
    }

    #[test]
    fn express_overtakes_until_it_has_had_its_share() {
        let mut share = Share::new(0.2);
        assert!(share.express_may_overtake());
        for _ in 0..100 {
            share.sent(Class::Express, 1);
        }
        assert!(
            !share.express_may_overtake(),
            "100 of 100 segments is more than a fifth and the allowance"
        );
        for _ in 0..200 {
            share.sent(Class::Bulk, 1);
        }
        assert!(share.express_may_overtake());
    }
}
