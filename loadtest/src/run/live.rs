//! Batches are handed over while everything runs, and, where the provider calls back, followed until
//! their messages are delivered.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use smsfleet_tests::fleet::Service;

use super::window::Window;
use super::{books, steps};
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use crate::stage::Stage;
use crate::statistics::{histogram, percentile};

pub(super) async fn run(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<Outcome> {
    steps::prepare(scenario, stage).await?;
    let work = &scenario.work;
    if scenario.provider.callbacks {
        for service in [Service::Ingress, Service::ReceiptIngest] {
            stage.start(service).await?;
        }
    }
    for _ in 0..scenario.workers.count {
        stage.start(Service::SendWorker).await?;
    }
    tokio::time::sleep(steps::AFTERMATH).await;
    let window = Window::open(stage).await?;
    let (began, began_at) = (Instant::now(), SystemTime::now());
    stage.hand_over(&work.orders(), work.per_second).await?;
    steps::sent(stage, work.messages).await?;
    if scenario.provider.callbacks {
        steps::in_state(scenario, stage, "delivered", work.messages).await?;
    } else {
        steps::settled(scenario, stage, work.messages).await?;
    }
    let seconds = began.elapsed().as_secs_f64();
    tokio::time::sleep(steps::AFTERMATH).await;
    let mut outcome = window.close(stage, work.messages, seconds).await?;
    if scenario.provider.arrivals {
        let arrivals = stage.stub.arrivals().await?;
        let began_us = began_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_micros() as u64;
        let last = arrivals
            .last()
            .map_or(0, |it| it.at_us.saturating_sub(began_us));
        outcome.set("sent_after_seconds", last as f64 / 1e6);
        let waits = stage.waits(&arrivals);
        outcome.set("wait.p50_seconds", percentile(&waits, 0.5));
        outcome.set("wait.p99_seconds", percentile(&waits, 0.99));
        outcome.set("wait.max_seconds", percentile(&waits, 1.0));
        outcome.waits = histogram(&waits);
    }
    let stats = stage.stub.stats().await?;
    let counts = books::counts(scenario, stage).await?;
    outcome.faults = books::faults(scenario, &counts, &stats, true);
    Ok(outcome)
}
