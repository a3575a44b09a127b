//! Messages are sent; then, with no worker left, a report for each of them is posted at the ingress and
//! followed until the ledger has it.

use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use smsfleet_tests::fleet::Service;

use super::window::Window;
use super::{books, steps};
use crate::outcome::Outcome;
use crate::peers::handshake::Running;
use crate::scenario::Scenario;
use crate::stage::Stage;
use crate::stub_client::program;

pub(super) async fn run(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<Outcome> {
    steps::prepare(scenario, stage).await?;
    let work = &scenario.work;
    let orders = work.orders();
    stage.hand_over(&orders, 0.0).await?;
    for _ in 0..scenario.workers.count {
        stage.start(Service::SendWorker).await?;
    }
    steps::sent(stage, work.messages).await?;
    steps::settled(scenario, stage, work.messages).await?;
    steps::end_workers(stage).await?;
    for service in [Service::Ingress, Service::ReceiptIngest] {
        stage.start(service).await?;
    }
    let mut posting = posting(scenario, stage)?;
    stage.meter.watch("stub", posting.id());
    let window = Window::open(stage).await?;
    let began = Instant::now();
    posting.go()?;
    // Whoever posts has a thread of its own to wait in.
    let posted = tokio::task::spawn_blocking(move || {
        posting.until_done()?;
        anyhow::Ok((posting, Instant::now()))
    });
    let (posting, posted) = posted.await.context("posting")??;
    steps::in_state(scenario, stage, "delivered", work.messages).await?;
    let seconds = began.elapsed().as_secs_f64();
    tokio::time::sleep(steps::AFTERMATH).await;
    let mut outcome = window.close(stage, work.messages, seconds).await?;
    drop(posting);
    let all = work.messages as f64;
    outcome.set(
        "callbacks.per_second",
        all / (posted - began).as_secs_f64().max(1e-9),
    );
    for (name, figure) in [
        ("ingress", "ingress.callbacks_per_core_second"),
        ("receipt-ingest", "receipt_ingest.receipts_per_core_second"),
    ] {
        let cpu = outcome.get(&format!("cpu.{name}")) / 1e4;
        outcome.set(figure, 1.0 / cpu.max(1e-12));
    }
    let stats = stage.stub.stats().await?;
    let counts = books::counts(scenario, stage).await?;
    outcome.faults = books::faults(scenario, &counts, &stats, true);
    Ok(outcome)
}

/// The process that posts, with everything signed beforehand.
fn posting(scenario: &Scenario, stage: &Stage) -> anyhow::Result<Running> {
    let work = &scenario.work;
    let mut command = Command::new(program()?);
    command.args(["callbacks", "--ingress", &stage.ingress_url()]);
    command.args([
        "--connections",
        &scenario.provider.callback_connections.to_string(),
    ]);
    command.args(["--messages", &work.messages.to_string()]);
    command.args(["--batch", &work.batch.to_string()]);
    command.args(["--distributions", &work.distributions.to_string()]);
    command.args(["--organizations", &work.organizations.to_string()]);
    Running::start(command)
}
