//! One organisation's millions do not hold up another's ten, and nothing is lost or doubled for it.

mod support;

use std::{
    collections::BTreeMap,
    num::NonZeroU16,
    time::{Duration, Instant},
};

use bus::{Bus, queue};
use ledger::Ledger;
use message::{BatchId, BatchKey, OrganizationId};
use runtime::Metrics;
use serde_json::json;
use support::{
    Bench, Decided, ORGANIZATION, PATIENCE, batch,
    faults::{Faults, FaultyBus, FaultyLedger, Mode},
    key, text, with,
};

const LARGE: u32 = 60;
const ROWS: u32 = 2_000;

async fn published(bench: &Bench, organization: &str, id: &str) -> bool {
    let organization = OrganizationId::new(organization).expect("an id");
    let key = BatchKey::of(&organization, &BatchId::new(id).expect("an id"));
    let record = bench.ledger.batch(key).await.expect("there");
    record.is_some_and(|record| record.published)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_recipients_behind_another_organisations_many_are_through_long_before_them() {
    let mut bench = Bench::new().await;
    bench.settings.batches_per_organization = NonZeroU16::new(4).expect("not zero");
    bench.connect("ORG_2", "con_2").await;
    for n in 0..LARGE {
        bench.hand_over(text(&batch(&format!("b{n}"), ROWS))).await;
    }
    let small = with(batch("small", 10), "organization_id", json!("ORG_2"));
    bench.hand_over(text(&small)).await;

    let metrics = Metrics::new();
    let (intake, stop) = bench.intake(bench.bus.clone(), bench.ledger.clone(), &metrics);
    let began = Instant::now();
    let running = tokio::spawn(intake.run(stop.clone()));
    while !published(&bench, "ORG_2", "small").await {
        assert!(began.elapsed() < PATIENCE, "the small one is not through");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (delay, before) = (began.elapsed(), Decided::of(&metrics).total());
    while Decided::of(&metrics).total() < u64::from(LARGE) + 1 {
        assert!(began.elapsed() < PATIENCE, "not all are through");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!(
        "10 recipients behind {}: through after {delay:.1?} and {before} batches, all after {:.1?}",
        LARGE * ROWS,
        began.elapsed()
    );
    stop.cancel();
    running.await.expect("no panic").expect("drained");

    assert!(before < u64::from(LARGE) / 2, "{before} batches were first");
    assert_eq!(
        Decided::of(&metrics),
        Decided::only("taken", u64::from(LARGE) + 1),
        "each is taken once"
    );
    assert!(laid_aside(&metrics) > 0);
    let mut rows = BTreeMap::<BatchKey, Vec<u32>>::new();
    for (_, chunk) in bench.drain("sms.send.con_1.ORG_1.dist_1").await {
        let of_it = rows.entry(chunk.batch).or_default();
        of_it.extend(chunk.rows.iter().map(|row| row.row));
    }
    assert_eq!(rows.len(), LARGE as usize);
    for rows in rows.values_mut() {
        rows.sort_unstable();
        assert!(rows.iter().copied().eq(0..ROWS), "every row is there once");
    }
    assert_eq!(waiting(&bench).await, 0);
}

fn laid_aside(metrics: &Metrics) -> u64 {
    let text = String::from_utf8(metrics.render()).expect("text");
    let series = "smsfleet_intake_batches_laid_aside_total ";
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Batches in any queue.
async fn waiting(bench: &Bench) -> u64 {
    let mut all = bench.batches_waiting().await;
    for name in queue::WAITING_BATCHES {
        all += bench.bus.depth(name).await.expect("there");
    }
    all
}

#[tokio::test]
async fn a_batch_that_lies_in_both_queues_is_one_batch() {
    let bench = Bench::new().await;
    for queue in [queue::BATCHES, queue::WAITING_BATCHES[3]] {
        bench.hand_over_to(queue, text(&batch("b1", 30))).await;
    }
    let decided = bench.run(2).await;
    assert_eq!(decided.0.get("taken"), Some(&1));
    assert_eq!(decided.0.get("repeated"), Some(&1));
    let left = bench.left("b1").await;
    assert!(left.rows_in_chunks().into_iter().eq(0..30));
}

/// Kills intake at its n-th call while it works on one batch and lays two aside, and lets another
/// one finish.
#[test]
fn whoever_dies_while_batches_are_laid_aside_leaves_each_to_be_taken_once() {
    let outer = tokio::runtime::Runtime::new().expect("a runtime");
    let one = NonZeroU16::new(1).expect("not zero");
    for n in 0..40 {
        for mode in [Mode::DieBefore(n), Mode::DieAfter(n)] {
            let mut bench = outer.block_on(Bench::new());
            bench.settings.batches_per_organization = one;
            outer.block_on(async {
                for id in ["b1", "b2", "b3"] {
                    bench.hand_over(text(&batch(id, 5))).await;
                }
            });
            let faults = Faults::new(mode);
            let first = tokio::runtime::Runtime::new().expect("a runtime");
            let (intake, stop) = bench.intake(
                FaultyBus::new(bench.bus.clone(), &faults),
                FaultyLedger::new(bench.ledger.clone(), &faults),
                &Metrics::new(),
            );
            first.spawn(intake.run(stop));
            let died = async {
                let died = faults.died.notified();
                tokio::time::timeout(Duration::from_secs(2), died).await
            };
            // There may be fewer calls than this: then all is done, and nothing must be left.
            let _ = outer.block_on(died);
            first.shutdown_timeout(Duration::from_secs(5));

            outer.block_on(async {
                let left = waiting(&bench).await;
                let decided = bench.run(left).await;
                assert_eq!(waiting(&bench).await, 0, "{mode:?} {left} {decided:?}");
                for id in ["b1", "b2", "b3"] {
                    let is_through = published(&bench, ORGANIZATION, id).await;
                    assert!(is_through, "{mode:?} {id} {left} {decided:?}");
                    let rows = bench.ledger.rows(key(id), 0, 10).await.expect("there");
                    assert_eq!(rows.len(), 5, "{mode:?} {id}");
                }
                let mut rows = BTreeMap::<BatchKey, Vec<u32>>::new();
                for (_, chunk) in bench.drain("sms.send.con_1.ORG_1.dist_1").await {
                    // A chunk that was published before the kill and again after it is inert: it
                    // has the same name and the same rows.
                    rows.insert(chunk.batch, chunk.rows.iter().map(|row| row.row).collect());
                }
                assert!(rows.len() == 3, "{mode:?}");
                assert!(
                    rows.values().all(|rows| rows.iter().copied().eq(0..5)),
                    "{mode:?}"
                );
            });
        }
    }
}
