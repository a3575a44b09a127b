//! Turns over the embedded bus, on a clock that stands still until everybody waits.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bus::{Bus, EmbeddedBus, Outgoing, Route, SendQueue};
use ledger::{EmbeddedLedger, Ledger, QueueEntry};
use message::{Class, ConnectionId, DistributionId, OrganizationId, Timestamp, Weight};
use runtime::{Config, Metrics};
use tokio::time::Instant;

use super::*;
use crate::{SendMetrics, SendWorker, Settings, Shard};

struct Mailings {
    bus: Arc<dyn Bus>,
    queues: Vec<SendQueue>,
    published: usize,
}

fn shared(bus: &Arc<dyn Bus>) -> Arc<Shared> {
    let ledger: Arc<dyn Ledger> = EmbeddedLedger::new();
    let config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
    let settings: Settings = config.section("send_worker").expect("valid");
    let metrics = SendMetrics::new(&Metrics::new());
    let url = "https://sms.example.org".to_owned();
    let worker = SendWorker::new(settings, Shard::WHOLE, url, bus.clone(), ledger, metrics);
    worker.expect("valid settings").shared
}

impl Mailings {
    async fn new(mailings: usize, chunks: usize) -> Self {
        let bus: Arc<dyn Bus> = EmbeddedBus::new();
        let mut queues = Vec::new();
        for n in 0..mailings {
            let queue = SendQueue {
                organization_id: OrganizationId::new("ORG").expect("valid"),
                connection_id: ConnectionId::new("c1").expect("valid"),
                distribution_id: DistributionId::new(&format!("d{n}")).expect("valid"),
                class: Class::Bulk,
            };
            bus.declare_send_queue(&queue).await.expect("embedded");
            queues.push(queue);
        }
        let mut mailings = Self {
            bus,
            queues,
            published: 0,
        };
        for n in 0..mailings.queues.len() {
            mailings.publish(n, chunks).await;
        }
        mailings
    }

    async fn publish(&mut self, mailing: usize, chunks: usize) {
        let route = Route::Queue(self.queues[mailing].name());
        let chunk = Outgoing::new(route, mailing.to_string(), "{}");
        self.bus
            .publish(vec![chunk; chunks])
            .await
            .expect("embedded");
        self.published += chunks;
    }

    fn listed(&self, weight: impl Fn(usize) -> u8) -> Listed {
        let entry = |(n, queue): (usize, &SendQueue)| QueueEntry {
            name: queue.name(),
            organization_id: queue.organization_id.clone(),
            distribution_id: queue.distribution_id.clone(),
            connection_id: queue.connection_id.clone(),
            class: queue.class,
            expires_at: Timestamp::from_millis(0),
            weight: Weight::new(weight(n)),
        };
        Listed {
            queues: self.queues.iter().enumerate().map(entry).collect(),
            hands: 1,
        }
    }

    async fn ready(&self) -> usize {
        let mut ready = 0;
        for queue in &self.queues {
            ready += self.bus.depth(&queue.name()).await.expect("exists");
        }
        usize::try_from(ready).expect("few")
    }
}

/// Sends like a lane: a chunk of `rows` takes its time at the rate, and its answers half a second.
struct Sending {
    turns: Turns,
    rows: u32,
    per_chunk: Duration,
    redelivered: usize,
    acked: Arc<Mutex<usize>>,
}

impl Sending {
    async fn one(&mut self) -> usize {
        let Turn { delivery, queue } = self.turns.next().await;
        self.redelivered += usize::from(delivery.redelivered);
        self.turns.charge(&queue, self.rows);
        // The lane looks up four times a second.
        let until = Instant::now() + self.per_chunk;
        while Instant::now() < until {
            let next = Instant::now() + Duration::from_millis(250);
            tokio::time::sleep_until(next.min(until)).await;
            assert!(self.turns.express().is_none());
        }
        let mailing = delivery.message_id.parse().expect("a number");
        let acked = self.acked.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            delivery.ack().await;
            *acked.lock().expect("no panic") += 1;
        });
        mailing
    }

    fn acked(&self) -> usize {
        *self.acked.lock().expect("no panic")
    }

    fn longest_wait(&self) -> Duration {
        let arrivals = self.turns.arrivals.iter();
        let waits = arrivals.filter_map(|(since, id)| {
            let eldest = self.turns.order.eldest(*id)?;
            (eldest.since == *since).then(|| since.elapsed())
        });
        waits.max().unwrap_or_default()
    }
}

fn sending(mailings: &Mailings, rate: f64, rows: u32, per_chunk: Duration) -> Sending {
    Sending {
        turns: Turns::new(shared(&mailings.bus), rate),
        rows,
        per_chunk,
        redelivered: 0,
        acked: Arc::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_connection_with_many_mailings_holds_less_than_a_minute_of_work() {
    let mailings = Mailings::new(200, 20).await;
    let chunk = Duration::from_secs(5);
    let mut sending = sending(&mailings, 1.0, 5, chunk);
    sending.turns.set_queues(&mailings.listed(|_| 10));
    let mut seen = HashSet::new();
    for _ in 0..400 {
        seen.insert(sending.one().await);
        let held = mailings.published - mailings.ready().await - sending.acked();
        assert!(
            chunk * u32::try_from(held).expect("few") <= Duration::from_secs(60),
            "{held}"
        );
        assert!(sending.longest_wait() <= WAIT_MAX);
    }
    assert_eq!(seen.len(), 200, "everybody had a turn");
    assert!(sending.redelivered <= 2, "{}", sending.redelivered);
}

#[tokio::test(start_paused = true)]
async fn mailings_that_wait_for_a_consumer_get_their_share_all_the_same() {
    let mailings = Mailings::new(40, 400).await;
    let mut sending = sending(&mailings, 1.0, 5, Duration::from_secs(5));
    sending
        .turns
        .set_queues(&mailings.listed(|n| if n < 20 { 10 } else { 30 }));
    let mut served = [0_u32; 40];
    for _ in 0..1_600 {
        served[sending.one().await] += 1;
    }
    // 1,600 chunks over a weight of 800: 20 and 60, give or take one chunk and the one that waits.
    for (n, served) in served.iter().enumerate() {
        let share = if n < 20 { 20 } else { 60 };
        assert!(
            served.abs_diff(share) <= 3,
            "{n} was served {served}, its share is {share}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_slower_than_its_rate_is_not_waited_for_by_many_chunks() {
    let mailings = Mailings::new(30, 50).await;
    // It should send a chunk in five seconds and takes twenty.
    let mut sending = sending(&mailings, 1.0, 5, Duration::from_secs(20));
    sending.turns.set_queues(&mailings.listed(|_| 10));
    for n in 0..60 {
        sending.one().await;
        assert!(sending.longest_wait() <= WAIT_MAX + Duration::from_millis(250));
        if n > 20 {
            let held = mailings.published - mailings.ready().await - sending.acked();
            assert!(held <= 5, "{held} are held");
        }
    }
    assert!(sending.redelivered <= 12, "{}", sending.redelivered);
}

#[tokio::test(start_paused = true)]
async fn a_small_mailing_is_next_even_if_all_places_are_taken() {
    let mut mailings = Mailings::new(100, 50).await;
    let mut sending = sending(&mailings, 1.0, 5, Duration::from_secs(5));
    let mut listed = mailings.listed(|_| 10);
    let small = listed.queues.pop().expect("a hundred");
    sending.turns.set_queues(&listed);
    for _ in 0..250 {
        sending.one().await;
    }
    listed.queues.push(small);
    mailings.publish(99, 1).await;
    sending.turns.set_queues(&listed);
    let mut turns = 0;
    while sending.one().await != 99 {
        turns += 1;
    }
    assert!(turns <= 8, "after {turns} others");
}

#[tokio::test(start_paused = true)]
async fn a_lone_mailing_among_idle_ones_is_as_fast_as_alone() {
    let mut mailings = Mailings::new(2_000, 0).await;
    // A thousand a second, 250 rows a chunk, half a second until the answers: three at a time.
    let mut sending = sending(&mailings, 1_000.0, 250, Duration::from_millis(250));
    sending.turns.set_queues(&mailings.listed(|_| 10));
    // All consumers have started.
    let nothing = tokio::time::timeout(Duration::from_secs(10), sending.turns.next()).await;
    assert!(nothing.is_err() && sending.turns.shelf.is_empty());
    mailings.publish(7, 100).await;
    let started = Instant::now();
    for _ in 0..100 {
        assert_eq!(sending.one().await, 7);
    }
    let took = started.elapsed();
    assert!(took <= Duration::from_secs(28), "{took:?} instead of 25 s");
}

#[tokio::test(start_paused = true)]
async fn a_mailing_that_leaves_gives_back_what_it_held() {
    let mailings = Mailings::new(2, 10).await;
    let mut sending = sending(&mailings, 100.0, 250, Duration::from_secs(1));
    sending.turns.set_queues(&mailings.listed(|_| 10));
    sending.one().await;
    let mut listed = mailings.listed(|_| 10);
    listed.queues.truncate(1);
    sending.turns.set_queues(&listed);
    for _ in 0..5 {
        assert_eq!(sending.one().await, 0);
    }
    let name = mailings.queues[1].name();
    let depth = mailings.bus.depth(&name).await.expect("exists");
    assert!(depth >= 9, "{depth} are back");
}
