//! Batches wait in their queue; then intake takes them. Nobody sends.

use std::time::Instant;

use smsfleet_tests::fleet::Service;

use super::window::Window;
use super::{books, steps};
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use crate::stage::Stage;
use crate::stub::Stats;

pub(super) async fn run(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<Outcome> {
    steps::prepare(scenario, stage).await?;
    // What waits was handed over while intake was away.
    for intake in stage.members(Service::BatchIntake) {
        stage.terminate(&intake).await?;
    }
    let work = &scenario.work;
    let orders = work.orders();
    stage.hand_over(&orders, 0.0).await?;
    let window = Window::open(stage).await?;
    let began = Instant::now();
    stage.start(Service::BatchIntake).await?;
    steps::taken(stage, orders.len()).await?;
    let seconds = began.elapsed().as_secs_f64();
    let mut outcome = window.close(stage, work.messages, seconds).await?;
    let cpu = outcome.get("cpu.batch-intake") * work.messages as f64 / 1e4;
    outcome.set(
        "intake.recipients_per_core_second",
        work.messages as f64 / cpu.max(1e-9),
    );
    outcome.set("intake.rss_growth_percent", growth_percent(&outcome));
    let counts = books::counts(scenario, stage).await?;
    outcome.faults = books::compared(work.messages, &counts, &Stats::default(), false);
    Ok(outcome)
}

/// By how much the memory of the last third is above that of the middle.
fn growth_percent(outcome: &Outcome) -> f64 {
    let of = |sample: &crate::meter::Sample| sample.usages.get("batch-intake").map(|it| it.rss_mb);
    let series: Vec<f64> = outcome.samples.iter().filter_map(of).collect();
    let third = series.len() / 3;
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let (middle, last) = (most(&series[third..2 * third]), most(&series[2 * third..]));
    if middle > 0.0 {
        100.0 * (last / middle - 1.0)
    } else {
        0.0
    }
}
