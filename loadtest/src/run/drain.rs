//! Queues are filled while no worker runs; then workers empty them. Measured is from the first request
//! to the last row that is settled, or a part of that.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use smsfleet_tests::fleet::Service;

use super::window::Window;
use super::{books, pace, steps};
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use crate::stage::Stage;

/// So few can be paused and resumed within the blink of an eye.
const PAUSABLE: u32 = 20;

pub(super) async fn run(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<Outcome> {
    steps::prepare(scenario, stage).await?;
    let work = &scenario.work;
    let measure = &scenario.measure;
    let orders = work.orders();
    stage.hand_over(&orders, 0.0).await?;
    steps::taken(stage, orders.len() + work.idle_distributions as usize).await?;
    let paused = measure.skip == 0 && work.distributions <= PAUSABLE;
    if paused {
        steps::decide(scenario, stage, "pause").await?;
    }
    for _ in 0..scenario.workers.count {
        stage.start(Service::SendWorker).await?;
    }
    let window;
    if paused {
        // Their start is not part of the work.
        tokio::time::sleep(steps::AFTERMATH).await;
        window = Window::open(stage).await?;
        steps::decide(scenario, stage, "resume").await?;
    } else {
        steps::sent(stage, measure.skip).await?;
        window = Window::open(stage).await?;
    }
    let before = stage.stub.stats().await?;
    let goal = match measure.messages {
        0 => work.messages,
        some => (before.messages + some).min(work.messages),
    };
    let began = Instant::now();
    let whole = goal == work.messages;
    steps::sent(stage, goal).await?;
    if whole {
        steps::settled(scenario, stage, goal).await?;
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
        tokio::time::sleep(steps::AFTERMATH).await;
    }
    let mut outcome = window.close(stage, messages, seconds).await?;
    if !whole {
        steps::end_workers(stage).await?;
    }
    if scenario.provider.arrivals {
        let arrivals = stage.stub.arrivals().await?;
        pace::figures(&mut outcome, scenario, &arrivals);
    }
    let stats = stage.stub.stats().await?;
    let counts = books::counts(scenario, stage).await?;
    outcome.faults = books::faults(scenario, &counts, &stats, whole);
    Ok(outcome)
}
