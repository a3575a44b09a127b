//! Steps that several kinds of runs have in common.

use std::time::{Duration, Instant};

use anyhow::Context;
use smsfleet_tests::fleet::Service;
use smsfleet_tests::wait;

use super::books;
use crate::scenario::Scenario;
use crate::stage::Stage;
use crate::work::{Order, orders_of};

/// Between two looks at a run under way.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Acks and events follow the last settle.
pub(super) const AFTERMATH: Duration = Duration::from_millis(300);
/// Longer than any run: the scenario's own limit ends it.
const ENDLESS: Duration = Duration::from_secs(86_400);

/// Starts what hands messages over and adds the organisations with their connections.
pub(super) async fn prepare(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<()> {
    stage.start(Service::Control).await?;
    stage.start(Service::BatchIntake).await?;
    for index in 0..scenario.work.organizations {
        let rate = scenario.provider.segments_per_second;
        stage.add_organization(scenario, index, rate).await?;
    }
    if scenario.work.events_heard {
        stage.hear_events().await?;
    }
    idle_distributions(scenario, stage).await
}

/// Distributions that have sent all they had: behind those that work.
async fn idle_distributions(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<()> {
    let work = &scenario.work;
    if work.idle_distributions == 0 {
        return Ok(());
    }
    let orders: Vec<Order> = (0..work.idle_distributions)
        .flat_map(|index| {
            let number = work.distributions + index;
            orders_of(work.organization_of(number), number, 1, 1)
        })
        .collect();
    stage.hand_over(&orders, 0.0).await?;
    taken(stage, orders.len()).await?;
    stage.start(Service::SendWorker).await?;
    sent(stage, orders.len() as u64).await?;
    settled(scenario, stage, orders.len() as u64).await?;
    tokio::time::sleep(AFTERMATH).await;
    for worker in stage.members(Service::SendWorker) {
        stage.terminate(&worker).await?;
    }
    stage.stub.reset().await
}

/// Waits until intake has taken so many batches since it was started.
pub(super) async fn taken(stage: &mut Stage, batches: usize) -> anyhow::Result<()> {
    let service = Service::BatchIntake;
    wait::until("intake has taken all batches", ENDLESS, async || {
        let taken = stage
            .metric(service, "smsfleet_intake_batches_total", "")
            .await
            .ok()?;
        let held = stage
            .metric(service, "smsfleet_intake_batches_in_flight", "")
            .await
            .ok()?;
        (taken >= batches as f64 && held == 0.0).then_some(())
    })
    .await
}

/// Pauses or resumes all distributions.
pub(super) async fn decide(scenario: &Scenario, stage: &Stage, verb: &str) -> anyhow::Result<()> {
    for number in 0..scenario.work.distributions {
        let of = scenario.work.organization_of(number);
        stage.decide(of, number, verb).await?;
    }
    Ok(())
}

/// Waits until the stub has had so many messages.
pub(super) async fn sent(stage: &mut Stage, messages: u64) -> anyhow::Result<()> {
    while stage.stub.stats().await?.messages < messages {
        stage.all_alive()?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Waits until so many rows have been settled. The workers' own counters are cheap to ask, but a row
/// whose settle was repeated is not in them: when they stand still, the ledger is asked.
pub(super) async fn settled(
    scenario: &Scenario,
    stage: &mut Stage,
    rows: u64,
) -> anyhow::Result<()> {
    const STANDSTILL: Duration = Duration::from_millis(700);
    let (mut last, mut since) = (-1.0, Instant::now());
    loop {
        let settled = stage.metric(
            Service::SendWorker,
            "smsfleet_send_rows_total",
            "state=\"accepted\"",
        );
        let settled = settled.await.context("the workers' metrics")?;
        if settled >= rows as f64 {
            return Ok(());
        }
        if settled > last {
            (last, since) = (settled, Instant::now());
        }
        if since.elapsed() > STANDSTILL {
            since = Instant::now();
            let counts = books::counts(scenario, stage).await?;
            let of = |state: &str| counts.get(state).copied().unwrap_or_default();
            if of("queued") + of("sending") == 0 {
                return Ok(());
            }
        }
        stage.all_alive()?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until so many messages are in `state`, by the ledger.
pub(super) async fn in_state(
    scenario: &Scenario,
    stage: &mut Stage,
    state: &str,
    messages: u64,
) -> anyhow::Result<()> {
    loop {
        let counts = books::counts(scenario, stage).await?;
        if counts.get(state).copied().unwrap_or_default() >= messages {
            return Ok(());
        }
        stage.all_alive()?;
        tokio::time::sleep(LOOK_EVERY * 5).await;
    }
}

/// Ends all workers, so that nothing is sent any more.
pub(super) async fn end_workers(stage: &mut Stage) -> anyhow::Result<()> {
    for worker in stage.members(Service::SendWorker) {
        stage.terminate(&worker).await?;
    }
    Ok(())
}
