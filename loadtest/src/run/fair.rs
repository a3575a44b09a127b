//! Some distributions alone, then the same again behind and beside others: what they lose by that.

use std::collections::BTreeSet;
use std::time::Instant;

use smsfleet_tests::fleet::Service;

use super::window::Window;
use super::{books, steps};
use crate::outcome::Outcome;
use crate::scenario::{Part, Scenario};
use crate::stage::Stage;
use crate::stub::Arrival;
use crate::work::{Order, orders_of};

pub(super) async fn run(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<Outcome> {
    stage.start(Service::Control).await?;
    stage.start(Service::BatchIntake).await?;
    let organizations: BTreeSet<u32> = scenario.part.iter().map(|it| it.organization).collect();
    for (index, organization) in organizations.iter().enumerate() {
        anyhow::ensure!(
            index as u32 == *organization,
            "part.organization: expected 0, 1, …"
        );
        let of = |part: &&Part| part.organization == *organization;
        let rate = scenario
            .part
            .iter()
            .find(of)
            .map_or(1.0, |it| it.segments_per_second);
        stage
            .add_organization(scenario, *organization, rate)
            .await?;
    }
    for _ in 0..scenario.workers.count {
        stage.start(Service::SendWorker).await?;
    }
    let measured = |distribution: u32, measured: bool| -> Vec<Order> {
        let parts = scenario
            .part
            .iter()
            .filter(|part| part.measured == measured);
        let orders = parts.zip(distribution..).flat_map(|(part, number)| {
            orders_of(
                part.organization,
                number,
                part.messages,
                scenario.work.batch,
            )
        });
        orders.collect()
    };
    let others = scenario.part.iter().filter(|part| !part.measured).count() as u32;
    let count = scenario.part.len() as u32 - others;
    let (alone, behind, beside) = (
        measured(0, true),
        measured(count, false),
        measured(count + others, true),
    );

    let alone_seconds = finished(stage, &alone).await?;
    stage.hand_over(&behind, 0.0).await?;
    steps::taken(stage, alone.len() + behind.len()).await?;
    let window = Window::open(stage).await?;
    let began = Instant::now();
    let before = stage.stub.stats().await?.messages;
    let beside_seconds = finished(stage, &beside).await?;
    let seconds = began.elapsed().as_secs_f64();
    let messages = stage.stub.stats().await?.messages - before;
    let mut outcome = window.close(stage, messages, seconds).await?;
    outcome.set("fair.alone_seconds", alone_seconds);
    outcome.set("fair.beside_seconds", beside_seconds);
    outcome.set("fair.ratio", beside_seconds / alone_seconds.max(1e-9));
    steps::end_workers(stage).await?;

    let mut counts = books::Counts::new();
    let mut handed_over = 0;
    let mut distributions = BTreeSet::new();
    for order in alone.iter().chain(&behind).chain(&beside) {
        handed_over += u64::from(order.count);
        if distributions.insert((order.organization, order.distribution)) {
            for (state, count) in stage.counts(order.organization, order.distribution).await? {
                *counts.entry(state).or_default() += count;
            }
        }
    }
    let stats = stage.stub.stats().await?;
    outcome.faults = books::compared(handed_over, &counts, &stats, false);
    Ok(outcome)
}

/// Hands batches over and waits until all their messages have been asked for; how long that took.
async fn finished(stage: &mut Stage, orders: &[Order]) -> anyhow::Result<f64> {
    let keys: BTreeSet<u64> = orders.iter().map(Order::key).collect();
    let wanted: u64 = orders.iter().map(|order| u64::from(order.count)).sum();
    stage.hand_over(orders, 0.0).await?;
    let began = orders.first().and_then(|order| stage.handed_over_us(order));
    loop {
        let arrivals = stage.stub.arrivals().await?;
        let ours = arrivals.iter().filter(|it| keys.contains(&it.batch));
        let (count, last) = ours.fold((0, 0), |(count, last), arrival: &Arrival| {
            (count + u64::from(arrival.messages), last.max(arrival.at_us))
        });
        if count >= wanted {
            let took = last.saturating_sub(began.unwrap_or_default());
            return Ok(took as f64 / 1e6);
        }
        stage.all_alive()?;
        tokio::time::sleep(steps::LOOK_EVERY * 10).await;
    }
}
