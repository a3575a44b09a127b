//! A worker that has many queues and nothing to send.

use std::time::{Duration, Instant};

use smsfleet_tests::fleet::Service;

use super::window::Window;
use super::{books, steps};
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use crate::stage::Stage;

/// How long it is looked at.
const CALM: Duration = Duration::from_secs(10);

pub(super) async fn run(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<Outcome> {
    steps::prepare(scenario, stage).await?;
    let queues = f64::from(scenario.work.idle_distributions);
    let began = Instant::now();
    stage.start(Service::SendWorker).await?;
    while stage
        .metric(Service::SendWorker, "smsfleet_send_queues", "")
        .await?
        < queues
    {
        stage.all_alive()?;
        tokio::time::sleep(steps::LOOK_EVERY).await;
    }
    let started = began.elapsed().as_secs_f64();
    // The queues are known; their consumers come after that.
    tokio::time::sleep(CALM).await;
    let window = Window::open(stage).await?;
    tokio::time::sleep(CALM).await;
    let mut outcome = window.close(stage, 0, CALM.as_secs_f64()).await?;
    outcome.set("start_seconds", started);
    let percent = outcome.get("cores.send-worker") * 100.0;
    outcome.set("idle.core_percent", percent);
    let stats = stage.stub.stats().await?;
    let counts = books::idle_counts(scenario, stage).await?;
    let sent = counts.get("accepted").copied().unwrap_or_default();
    if sent != u64::from(scenario.work.idle_distributions) || stats.messages != 0 {
        outcome.faults.push(format!(
            "{} sent while idle, the ledger has {counts:?}",
            stats.messages
        ));
    }
    Ok(outcome)
}
