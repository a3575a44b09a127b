//! A batch is taken exactly once, whatever is repeated, lost or killed on the way.

mod support;

use std::time::Duration;

use bus::{Bus, queue};
use ledger::{DistributionState, Ledger};
use message::{Class, DistributionId, MessageState, OrganizationId, Rule};
use runtime::Metrics;
use serde_json::{Value, json};
use support::{
    Bench, Decided, ORGANIZATION, batch,
    faults::{Faults, FaultyBus, FaultyLedger, Mode},
    key, text, with,
};

/// With a bad and a duplicate row in it, so that refusals are part of what must survive.
fn eventful() -> Value {
    let mut eventful = batch("b1", 130);
    eventful["recipients"][7]["to"] = json!("nobody");
    eventful["recipients"][9]["to"] = eventful["recipients"][8]["to"].clone();
    eventful
}

#[tokio::test]
async fn a_batch_seen_twice_is_one_batch_whatever_the_order_of_its_members() {
    let mut bench = Bench::new().await;
    bench.hand_over(text(&eventful())).await;
    assert_eq!(bench.run(1).await, Decided::only("taken", 1));
    let first = bench.left("b1").await;
    assert_eq!(first.rows_in_chunks().len(), 128);
    bench.refused().await;

    let Value::Object(members) = eventful() else {
        panic!("an object")
    };
    let backwards: Vec<String> = members
        .iter()
        .rev()
        .map(|(name, value)| format!("\n \"{name}\" : {value}"))
        .collect();
    bench
        .hand_over(format!("{{{}}}", backwards.join(",")))
        .await;
    bench
        .hand_over(text(&with(eventful(), "max_segments", json!(4))))
        .await;
    assert_eq!(bench.run(2).await, Decided::only("repeated", 2));
    let again = bench.left("b1").await;
    assert_eq!((again.rows, again.chunks.len()), (first.rows, 0));
    assert!(bench.refused().await.is_empty());
}

#[tokio::test]
async fn five_copies_at_once_are_one_batch() {
    let bench = Bench::new().await;
    for _ in 0..5 {
        bench.hand_over(text(&eventful())).await;
    }
    let decided = bench.run(5).await;
    assert_eq!(
        (decided.0.get("taken"), decided.0.get("repeated")),
        (Some(&1), Some(&4))
    );
    let queue = "sms.send.con_1.ORG_1.dist_1";
    let chunks = bench.drain(queue).await;
    let rows: usize = chunks.iter().map(|(_, chunk)| chunk.rows.len()).sum();
    assert_eq!(rows, 128, "no chunk is there twice");
}

#[tokio::test]
async fn the_same_id_with_other_content_is_refused_and_changes_nothing() {
    let mut bench = Bench::new().await;
    bench.hand_over(text(&batch("b1", 3))).await;
    bench.run(1).await;
    let others = [
        with(batch("b1", 3), "text", json!("Bye {{name}}")),
        with(batch("b1", 3), "on_doubt", json!("resend")),
        with(batch("b1", 3), "max_segments", json!(5)),
        with(batch("b1", 3), "method", json!("reminder")),
        with(batch("b1", 3), "distribution_id", json!("dist_2")),
        batch("b1", 4),
    ];
    for other in &others {
        bench.hand_over(text(other)).await;
    }
    assert_eq!(bench.run(6).await, Decided::only("refused", 6));
    let events = bench.refused().await;
    assert!(
        events
            .iter()
            .all(|event| event.refusals[0].rule == Rule::BatchConflict)
    );
    assert_eq!(bench.left("b1").await.rows.len(), 3);
    let organization = OrganizationId::new(ORGANIZATION).expect("an id");
    let kept = bench
        .ledger
        .refused_batches(&organization)
        .await
        .expect("there");
    // How many entries depends on the clock: the ledger keeps equal ones of one millisecond once.
    let distributions: std::collections::BTreeSet<_> = kept
        .iter()
        .filter_map(|refused| refused.distribution_id.as_ref())
        .map(DistributionId::as_str)
        .collect();
    assert_eq!(
        distributions.into_iter().collect::<Vec<_>>(),
        ["dist_1", "dist_2"]
    );
}

/// Kills intake at its n-th call of bus or ledger, before and after it is made, lets another one
/// finish, and compares with a run that nothing disturbed.
#[test]
fn whoever_dies_at_whatever_step_leaves_a_batch_that_the_next_one_finishes() {
    let outer = tokio::runtime::Runtime::new().expect("a runtime");
    let (undisturbed, steps) = outer.block_on(async {
        let bench = Bench::new().await;
        bench.hand_over(text(&eventful())).await;
        let faults = Faults::new(Mode::Work);
        let bus = FaultyBus::new(bench.bus.clone(), &faults);
        let ledger = FaultyLedger::new(bench.ledger.clone(), &faults);
        bench.run_on(bus, ledger, 1).await;
        (bench.left("b1").await, faults.calls())
    });
    assert!(steps >= 9, "{steps} steps");
    let modes = (0..steps).flat_map(|n| [Mode::DieBefore(n), Mode::DieAfter(n)]);
    for mode in modes {
        let mut bench = outer.block_on(Bench::new());
        outer.block_on(bench.hand_over(text(&eventful())));
        let faults = Faults::new(mode);
        // A runtime of its own, so that everything of the first intake ends with it, as in a kill.
        let first = tokio::runtime::Runtime::new().expect("a runtime");
        let (intake, stop) = bench.intake(
            FaultyBus::new(bench.bus.clone(), &faults),
            FaultyLedger::new(bench.ledger.clone(), &faults),
            &Metrics::new(),
        );
        first.spawn(intake.run(stop));
        let died = async { tokio::time::timeout(support::PATIENCE, faults.died.notified()).await };
        outer
            .block_on(died)
            .unwrap_or_else(|_| panic!("{mode:?} was never reached"));
        first.shutdown_timeout(Duration::from_secs(5));

        outer.block_on(async {
            assert_eq!(bench.batches_waiting().await, 1, "{mode:?}: it comes back");
            bench.run(1).await;
            let left = bench.left("b1").await;
            assert!(left.published, "{mode:?}");
            assert_eq!(plain(&left.rows), plain(&undisturbed.rows), "{mode:?}");
            assert_eq!(
                left.rows_in_chunks(),
                undisturbed.rows_in_chunks(),
                "{mode:?}"
            );
            assert_eq!(bench.batches_waiting().await, 0, "{mode:?}");
            let told: usize = bench.refused().await.iter().map(|e| e.refusals.len()).sum();
            assert_eq!(told, 2, "{mode:?}");
        });
    }
}

/// Rows without their times.
fn plain(rows: &[ledger::Row]) -> Vec<(u32, MessageState, String)> {
    rows.iter()
        .map(|row| (row.row, row.state, row.code.clone()))
        .collect()
}

#[tokio::test]
async fn a_bus_and_a_ledger_that_fail_every_other_call_only_delay() {
    for mode in [Mode::FailEveryOther, Mode::LoseEveryOther] {
        let mut bench = Bench::new().await;
        bench.hand_over(text(&eventful())).await;
        let faults = Faults::new(mode);
        let bus = FaultyBus::new(bench.bus.clone(), &faults);
        let ledger = FaultyLedger::new(bench.ledger.clone(), &faults);
        let decided = bench.run_on(bus, ledger, 1).await;
        assert_eq!(decided.0.values().sum::<u64>(), 1, "{mode:?}");
        let left = bench.left("b1").await;
        assert!(left.published);
        assert_eq!(left.rows_in_chunks().len(), 128, "{mode:?}");
        let told: usize = bench.refused().await.iter().map(|e| e.refusals.len()).sum();
        assert_eq!(told, 2);
    }
}

#[tokio::test]
async fn a_batch_counts_as_published_only_when_its_queue_has_settled() {
    let bench = Bench::new().await;
    bench.hand_over(text(&batch("b1", 3))).await;
    let bus = FaultyBus::new(bench.bus.clone(), &Faults::new(Mode::Work));
    *bus.settles_in.lock().expect("not poisoned") = vec![Duration::from_secs(600)];
    let (intake, stop) = bench.intake(bus, bench.ledger.clone(), &Metrics::new());
    let running = tokio::spawn(intake.run(stop.clone()));
    let queue = "sms.send.con_1.ORG_1.dist_1";
    while bench.bus.depth(queue).await.unwrap_or(0) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Workers may have it already; the batch itself is neither marked nor acked.
    stop.cancel();
    running.await.expect("no panic").expect("drained");
    assert!(!bench.left("b1").await.published);
    assert_eq!(bench.bus.depth(queue::BATCHES).await.expect("there"), 1);
    assert_eq!(bench.run(1).await, Decided::only("finished", 1));
    assert!(bench.left("b1").await.published);
}

#[tokio::test]
async fn a_queue_that_is_born_again_while_it_settles_gets_its_chunks_again() {
    let bench = Bench::new().await;
    bench.hand_over(text(&batch("b1", 3))).await;
    let bus = FaultyBus::new(bench.bus.clone(), &Faults::new(Mode::Work));
    let short = Duration::from_millis(5);
    *bus.settles_in.lock().expect("not poisoned") = vec![short, short];
    bench.run_on(bus, bench.ledger.clone(), 1).await;
    assert_eq!(bench.drain("sms.send.con_1.ORG_1.dist_1").await.len(), 2);
}

#[tokio::test]
async fn a_distribution_cancelled_on_the_way_in_sends_nothing_and_one_cancelled_before_is_refused()
{
    let mut bench = Bench::new().await;
    let faults = Faults::new(Mode::DieAfter(5));
    bench.hand_over(text(&batch("b1", 3))).await;
    let first = tokio::runtime::Runtime::new().expect("a runtime");
    let (intake, stop) = bench.intake(
        bench.bus.clone(),
        FaultyLedger::new(bench.ledger.clone(), &faults),
        &Metrics::new(),
    );
    first.spawn(intake.run(stop));
    faults.died.notified().await;
    first.shutdown_background();
    let (organization, distribution) = (
        OrganizationId::new(ORGANIZATION).expect("an id"),
        DistributionId::new("dist_1").expect("an id"),
    );
    bench
        .ledger
        .set_distribution_state(&organization, &distribution, DistributionState::Cancelled)
        .await
        .expect("there");
    bench.hand_over(text(&batch("b2", 3))).await;
    let decided = bench.run(2).await;
    assert_eq!(
        (decided.0.get("cancelled"), decided.0.get("refused")),
        (Some(&1), Some(&1))
    );
    let left = bench.left("b1").await;
    assert!(left.chunks.is_empty());
    assert!(
        left.rows
            .iter()
            .all(|row| row.state == MessageState::Cancelled)
    );
    assert_eq!(
        bench.refused().await[0].refusals[0].rule,
        Rule::DistributionCancelled
    );
    assert!(
        bench
            .ledger
            .batch(key("b2"))
            .await
            .expect("there")
            .is_none()
    );
}

#[tokio::test]
async fn an_interactive_batch_travels_express() {
    let bench = Bench::new().await;
    bench
        .hand_over(text(&with(batch("b1", 2), "method", json!("interactive"))))
        .await;
    bench.run(1).await;
    let left = bench.left_on("b1", "con_1", Class::Express).await;
    assert_eq!(left.rows_in_chunks(), [0, 1]);
}

#[tokio::test]
async fn stopping_gives_back_what_waits_for_a_ledger_that_is_away() {
    let bench = Bench::new().await;
    bench.hand_over(text(&batch("b1", 2))).await;
    let ledger = FaultyLedger::new(bench.ledger.clone(), &Faults::new(Mode::Away));
    let (intake, stop) = bench.intake(bench.bus.clone(), ledger, &Metrics::new());
    let running = tokio::spawn(intake.run(stop.clone()));
    while bench.batches_waiting().await > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop.cancel();
    running.await.expect("no panic").expect("drained");
    assert_eq!(bench.batches_waiting().await, 1);
    assert!(!bench.left("b1").await.published);
}
