//! Many workers share one limit while they start, stop and die; the stub's log says whether they kept
//! it together.

use std::time::Instant;

use smsfleet_tests::fleet::Service;

use super::window::Window;
use super::{books, pace, steps};
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use crate::stage::Stage;

/// What happens to the workers, in turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Kill,
    Start,
    Stop,
}

const CHANGES: [Change; 4] = [Change::Kill, Change::Start, Change::Stop, Change::Start];

pub(super) async fn run(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<Outcome> {
    steps::prepare(scenario, stage).await?;
    let work = &scenario.work;
    let orders = work.orders();
    stage.hand_over(&orders, 0.0).await?;
    steps::taken(stage, orders.len()).await?;
    for _ in 0..scenario.workers.count {
        stage.start(Service::SendWorker).await?;
    }
    let window = Window::open(stage).await?;
    let began = Instant::now();
    let mut changes = 0;
    let mut due = scenario.workers.change_every;
    // Nobody is left out at the end: the last tenth is sent in peace.
    let busy_until = work.messages - work.messages / 10;
    loop {
        let sent = stage.stub.stats().await?.messages;
        if sent >= busy_until {
            break;
        }
        if began.elapsed() >= due {
            due += scenario.workers.change_every;
            change(stage, CHANGES[changes % CHANGES.len()])?;
            changes += 1;
        }
        stage.all_alive()?;
        tokio::time::sleep(steps::LOOK_EVERY).await;
    }
    while stage.members(Service::SendWorker).len() < scenario.workers.count as usize {
        stage.start(Service::SendWorker).await?;
    }
    let counts = at_rest(scenario, stage).await?;
    let stats = stage.stub.stats().await?;
    let seconds = stats.last_us.saturating_sub(stats.first_us) as f64 / 1e6;
    let mut outcome = window.close(stage, work.messages, seconds).await?;
    outcome.set("workers.changes", changes as f64);
    let unsure = counts.get("in_doubt").copied().unwrap_or_default();
    outcome.set("messages_in_doubt", unsure as f64);
    pace::figures(&mut outcome, scenario, &stage.stub.arrivals().await?);
    outcome.faults = books::faults(scenario, &counts, &stats, true);
    Ok(outcome)
}

/// A worker that was killed or stopped is not waited for: the others go on.
fn change(stage: &mut Stage, change: Change) -> anyhow::Result<()> {
    let first = stage.members(Service::SendWorker).into_iter().next();
    match (change, first) {
        (Change::Start, _) | (_, None) => stage.spawn(Service::SendWorker).map(drop),
        (Change::Kill, Some(worker)) => stage.kill9(&worker),
        (Change::Stop, Some(worker)) => stage.ask_to_stop(&worker),
    }
}

/// The ledger's counts when nothing is under way any more. What a killed worker had claimed is redelivered,
/// found claimed, and in doubt.
async fn at_rest(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<books::Counts> {
    loop {
        let counts = books::counts(scenario, stage).await?;
        let of = |state: &str| counts.get(state).copied().unwrap_or_default();
        if of("queued") + of("sending") == 0 {
            return Ok(counts);
        }
        stage.all_alive()?;
        tokio::time::sleep(steps::LOOK_EVERY * 10).await;
    }
}
