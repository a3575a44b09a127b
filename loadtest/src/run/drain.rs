//! Queues are filled while no worker runs; then workers empty them. Measured is from the first request
//! to the last row that is settled, or a part of that.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use smsfleet_tests::fleet::Service;
use smsfleet_tests::wait;

use super::books;
use super::window::Window;
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use crate::stage::Stage;

/// So few can be paused and resumed within the blink of an eye.
const PAUSABLE: u32 = 20;
/// Between two looks at a run under way.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Acks and events follow the last settle.
const AFTERMATH: Duration = Duration::from_millis(300);

pub(super) async fn run(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<Outcome> {
    fill(scenario, stage).await?;
    let work = &scenario.work;
    let measure = &scenario.measure;
    let paused = measure.skip == 0 && work.distributions <= PAUSABLE;
    if paused {
        decide(scenario, stage, "pause").await?;
    }
    for _ in 0..scenario.workers.count {
        stage.start(Service::SendWorker).await?;
    }
    let window;
    if paused {
        // Their start is not part of the work.
        tokio::time::sleep(AFTERMATH).await;
        window = Window::open(stage).await?;
        decide(scenario, stage, "resume").await?;
    } else {
        sent(stage, measure.skip).await?;
        window = Window::open(stage).await?;
    }
    let before = stage.stub.stats().await?;
    let goal = match measure.messages {
        0 => work.messages,
        some => (before.messages + some).min(work.messages),
    };
    let began = Instant::now();
    let whole = goal == work.messages;
    sent(stage, goal).await?;
    if whole {
        settled(stage, goal).await?;
    }
    let ended_us = SystemTime::now().duration_since(UNIX_EPOCH);
    let ended_us = ended_us.unwrap_or_default().as_micros() as u64;
    let stats = stage.stub.stats().await?;
    let (seconds, messages) = if paused {
        let took = ended_us.saturating_sub(stats.first_us);
        (took as f64 / 1e6, goal)
    } else {
        let messages = stats.messages - before.messages;
        (began.elapsed().as_secs_f64(), messages)
    };
    if whole {
        tokio::time::sleep(AFTERMATH).await;
    }
    let mut outcome = window.close(stage, messages, seconds).await?;
    if !whole {
        for worker in stage.members(Service::SendWorker) {
            stage.terminate(&worker).await?;
        }
    }
    let stats = stage.stub.stats().await?;
    let counts = books::counts(scenario, stage).await?;
    outcome.faults = books::faults(work.messages, &counts, &stats, whole);
    Ok(outcome)
}

/// Starts what hands messages over, adds the connections and fills the queues.
pub(super) async fn fill(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<()> {
    stage.start(Service::Control).await?;
    stage.start(Service::BatchIntake).await?;
    for index in 0..scenario.work.organizations {
        stage.add_organization(scenario, index).await?;
    }
    if scenario.work.events_heard {
        stage.hear_events().await?;
    }
    let orders = scenario.work.orders();
    stage.hand_over(&orders).await?;
    taken(stage, orders.len()).await
}

/// Waits until intake has taken so many batches.
pub(super) async fn taken(stage: &Stage, batches: usize) -> anyhow::Result<()> {
    wait::until(
        "intake has taken all batches",
        Duration::MAX / 4,
        async || {
            let service = Service::BatchIntake;
            let taken = stage
                .metric(service, "smsfleet_intake_batches_total", "")
                .await
                .ok()?;
            let held = stage
                .metric(service, "smsfleet_intake_batches_in_flight", "")
                .await
                .ok()?;
            (taken >= batches as f64 && held == 0.0).then_some(())
        },
    )
    .await
}

async fn decide(scenario: &Scenario, stage: &Stage, verb: &str) -> anyhow::Result<()> {
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

/// Waits until the workers have settled so many rows.
pub(super) async fn settled(stage: &mut Stage, rows: u64) -> anyhow::Result<()> {
    loop {
        let settled = stage.metric(
            Service::SendWorker,
            "smsfleet_send_rows_total",
            "state=\"accepted\"",
        );
        if settled.await.context("the workers' metrics")? >= rows as f64 {
            return Ok(());
        }
        stage.all_alive()?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
