//! Who gets how much of a connection, and who serves it. Shares are counted in messages, not in
//! seconds: the machine's speed changes nothing about them.

use std::{thread, time::Duration};

use ledger::QueueEntry;
use message::{BatchKey, MessageState, Weight};
use send_worker::{SendMetrics, SendWorker, Settings, Shard};
use tokio_util::sync::CancellationToken;
use world::{Answer, World, connection};

#[expect(dead_code, reason = "the other suites use the rest")]
mod world;

impl World {
    async fn accepted(&self, batch: BatchKey) -> u64 {
        let counts = self.ledger.counts(batch).await.expect("embedded");
        counts.of(MessageState::Accepted)
    }

    async fn ready(&self, distribution: &str) -> u64 {
        let queue = format!("sms.send.c1.ORG_1.{distribution}");
        self.bus.depth(&queue).await.expect("exists")
    }

    async fn weigh(&self, distribution: &str, weight: u8) {
        let list = self.ledger.queues(None).await.expect("embedded");
        let (entry, _) = list
            .expect("a list")
            .queues
            .into_iter()
            .find(|(entry, _)| entry.distribution_id.as_str() == distribution)
            .expect("listed");
        let entry = QueueEntry {
            weight: Weight::new(weight),
            ..entry
        };
        self.ledger.open_queue(&entry).await.expect("embedded");
    }
}

#[tokio::test]
async fn a_thousand_behind_a_huge_mailing_wait_for_at_most_twice_as_many() {
    let mut world = World::new(1_500.0, |_, _| Answer::Taken).await;
    let huge = world.enqueue("huge", 8_000, 250).await;
    world.start();
    world
        .until(huge, |c| c.of(MessageState::Accepted) >= 500)
        .await;
    let small = world.enqueue("small", 1_000, 250).await;
    let before = world.accepted(huge).await;
    world.until_in(small, MessageState::Accepted, 1_000).await;
    let meanwhile = world.accepted(huge).await - before;
    // Alone it takes the time of 1,000 messages; so three times that is 2,000 others meanwhile.
    assert!(meanwhile < 2_000, "{meanwhile} of the huge one meanwhile");
    world.drain().await;
}

#[tokio::test]
async fn distributions_of_one_connection_share_by_weight_whatever_their_chunks() {
    let mut world = World::new(600.0, |_, _| Answer::Taken).await;
    let heavy = world.enqueue("heavy", 3_000, 20).await;
    let light = world.enqueue("light", 3_000, 90).await;
    world.weigh("heavy", 30).await;
    world.start();
    let counts = world
        .until(heavy, |c| c.of(MessageState::Accepted) >= 600)
        .await;
    let share = world.accepted(light).await as f64 / counts.of(MessageState::Accepted) as f64;
    // Ten, which is what a batch gets that does not say, to thirty; give or take a chunk.
    assert!((0.15..0.5).contains(&share), "{share} instead of a third");

    // A later batch of the other one turns it round.
    world.weigh("light", 100).await;
    world.weigh("heavy", 10).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = (world.accepted(heavy).await, world.accepted(light).await);
    world
        .until(light, |c| c.of(MessageState::Accepted) >= before.1 + 600)
        .await;
    let after = world.accepted(heavy).await - before.0;
    assert!(
        after < 200,
        "{after} of the light one to 600 of the heavy one"
    );
    world.drain().await;
}

#[tokio::test]
async fn a_slow_connection_is_in_one_hand_and_little_of_it_at_that() {
    let mut world = World::new(2.0, |_, _| Answer::Taken).await;
    let mut batches = Vec::new();
    for n in 0..30 {
        batches.push(world.enqueue(&format!("d{n}"), 50, 10).await);
    }
    for _ in 0..3 {
        world.start();
    }
    world
        .until(batches[0], |c| c.of(MessageState::Accepted) >= 1)
        .await;
    let held = async || {
        let mut ready = 0;
        for n in 0..30 {
            ready += world.ready(&format!("d{n}")).await;
        }
        30 * 5 - ready
    };
    // One worker takes what it sends in half a minute, six chunks of five seconds, and one is at
    // work. The two others take nothing once they have heard of each other.
    for _ in 0..100 {
        if held().await <= 8 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for _ in 0..10 {
        let held = held().await;
        assert!(held <= 9, "{held} chunks are in somebody's hands");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.drain().await;
}

#[tokio::test]
async fn a_slow_neighbour_with_much_to_send_takes_nothing_from_a_fast_connection() {
    let mut world = World::new(1.0, |_, _| Answer::Taken).await;
    let base_url = world.connection.field("base_url").to_owned();
    let slow = world.enqueue("slow", 20_000, 5).await;
    let fast = connection("c2", &world.organization, &base_url, 2_000.0);
    world.ledger.add_connection(&fast).await.expect("embedded");
    let (batch, mut chunks) = world.batch("fast", 2_000, 250).await;
    for chunk in &mut chunks {
        chunk.connection_id = fast.id.clone();
    }
    world.publish(&chunks).await;
    world.start();
    world.until_in(batch, MessageState::Accepted, 2_000).await;
    let meanwhile = world.accepted(slow).await;
    assert!(meanwhile <= 40, "{meanwhile} of the slow one in that time");
    world.drain().await;
}

/// Slow connections, each with a mailing of its own: at least one of them is the seat of each worker.
async fn slow_connections(world: &World) -> Vec<BatchKey> {
    let base_url = world.connection.field("base_url").to_owned();
    let mut batches = Vec::new();
    for n in 0..10 {
        let slow = connection(&format!("slow{n}"), &world.organization, &base_url, 40.0);
        world.ledger.add_connection(&slow).await.expect("embedded");
        let (batch, mut chunks) = world.batch(&format!("d{n}"), 200, 20).await;
        for chunk in &mut chunks {
            chunk.connection_id = slow.id.clone();
        }
        world.publish(&chunks).await;
        batches.push(batch);
    }
    batches
}

#[tokio::test]
async fn seats_are_taken_over_when_their_worker_dies() {
    let mut world = World::new(1.0, |_, _| Answer::Taken).await;
    world.settings.seat_lease = Duration::from_secs(2);
    let batches = slow_connections(&world).await;
    let victim = Doomed::start(&world);
    for batch in &batches {
        world
            .until(*batch, |c| c.of(MessageState::Accepted) >= 1)
            .await;
    }
    victim.die();
    world.start();
    for batch in batches {
        // What it was sending when it died is in doubt or found as such; all else is sent.
        world
            .until(batch, |c| {
                c.of(MessageState::Queued) == 0 && c.of(MessageState::Accepted) >= 100
            })
            .await;
    }
    world.drain().await;
}

#[tokio::test]
async fn a_worker_that_drains_leaves_its_seats_at_once() {
    let mut world = World::new(1.0, |_, _| Answer::Taken).await;
    world.settings.seat_lease = Duration::from_secs(3_600);
    let batches = slow_connections(&world).await;
    world.start();
    for batch in &batches {
        world
            .until(*batch, |c| c.of(MessageState::Accepted) >= 1)
            .await;
    }
    world.drain().await;
    world.start();
    for batch in batches {
        world.until_in(batch, MessageState::Accepted, 200).await;
    }
    world.drain().await;
}

/// A worker on a runtime of its own, which ends with everything that runs on it.
struct Doomed {
    kill: CancellationToken,
    thread: thread::JoinHandle<()>,
}

impl Doomed {
    fn start(world: &World) -> Self {
        let settings: Settings = world.settings.clone();
        let (bus, ledger) = (world.bus.clone(), world.ledger.clone());
        let kill = CancellationToken::new();
        let killed = kill.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let metrics = SendMetrics::new(&runtime::Metrics::new());
                let url = "https://sms.example.org".to_owned();
                let worker = SendWorker::new(settings, Shard::WHOLE, url, bus, ledger, metrics)
                    .expect("valid settings");
                tokio::select! {
                    () = killed.cancelled() => {}
                    _ = worker.run(CancellationToken::new()) => {}
                }
            });
        });
        Self { kill, thread }
    }

    fn die(self) {
        self.kill.cancel();
        self.thread.join().expect("no panic");
    }
}
