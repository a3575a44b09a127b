//! `load run`: a scenario from its file to its figures.

mod books;
mod drain;
mod fair;
mod idle;
mod intake;
mod limits;
mod live;
mod pace;
mod steps;
mod way_back;
mod window;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::Args;
use smsfleet_tests::site::root;

use crate::outcome::Outcome;
use crate::scenario::{self, Kind, Scenario};
use crate::stage::Stage;

/// How scenarios are run.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Files, or names of the project's own such as `send-single`.
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
    /// Changes a key of the scenario: `work.messages=2000`, `settings.amqp.queue_type=quorum`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The folder for a JSON file of each run.
    #[arg(long, default_value = "target/load")]
    pub out: PathBuf,
    /// Counts system calls of the worker; the other figures are worth nothing then.
    #[arg(long)]
    pub system_calls: bool,
    /// Keeps configuration and logs of the processes.
    #[arg(long)]
    pub keep: bool,
}

/// Runs all; whether all books balance.
///
/// # Errors
/// If a run does not come to its end.
pub fn main(arguments: &Arguments) -> anyhow::Result<bool> {
    with_services()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a runtime")?;
    let mut balanced = true;
    for path in &arguments.scenarios {
        for (variant, scenario) in Scenario::runs(&scenario::find(path), &arguments.set)? {
            let outcome = runtime.block_on(run(&scenario, variant, arguments))?;
            print!("{}", outcome.table());
            outcome.write(&arguments.out)?;
            balanced &= outcome.balanced();
        }
    }
    Ok(balanced)
}

/// Starts this very command again with RabbitMQ and Redis, if nobody says where they are.
///
/// # Errors
/// If they can not be started.
pub fn with_services() -> anyhow::Result<()> {
    let given = |name| std::env::var_os(name).is_some();
    if given("SMSFLEET_AMQP_URL") && given("SMSFLEET_REDIS_URL") {
        return Ok(());
    }
    let this = std::env::current_exe().context("this program's own path")?;
    let error = Command::new(root().join("deploy/dev/services"))
        .arg("run")
        .arg(this)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(error).context("run deploy/dev/services")
}

async fn run(
    scenario: &Scenario,
    variant: Option<String>,
    arguments: &Arguments,
) -> anyhow::Result<Outcome> {
    let named = variant
        .as_ref()
        .map(|it| format!(" ({it})"))
        .unwrap_or_default();
    eprintln!("load: {}{named}", scenario.name);
    let mut stage = Stage::open(scenario).await?;
    stage.system_calls = arguments.system_calls;
    let play = play(scenario, &mut stage);
    let played = match tokio::time::timeout(scenario.time_max, play).await {
        Ok(played) => played,
        Err(_) => bail_late(scenario),
    };
    let alive = stage.all_alive();
    if (arguments.keep || played.is_err())
        && let Some(kept) = stage.keep_files()
    {
        eprintln!("load: configuration and logs are in {}", kept.display());
    }
    let mut outcome = played.with_context(|| scenario.name.clone())?;
    alive?;
    outcome.scenario.clone_from(&scenario.name);
    outcome.about.clone_from(&scenario.about);
    outcome.command = command(scenario, variant.as_deref(), arguments);
    outcome.variant = variant;
    outcome.machine = stage.machine()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    outcome.ended_at = now.unwrap_or_default().as_secs();
    outcome.judge(&scenario.target);
    Ok(outcome)
}

fn bail_late(scenario: &Scenario) -> anyhow::Result<Outcome> {
    let limit = humantime::format_duration(scenario.time_max);
    bail!("not done after {limit} (time_max)")
}

async fn play(scenario: &Scenario, stage: &mut Stage) -> anyhow::Result<Outcome> {
    match scenario.kind {
        Kind::Drain => drain::run(scenario, stage).await,
        Kind::Live => live::run(scenario, stage).await,
        Kind::Limits => limits::run(scenario, stage).await,
        Kind::Fair => fair::run(scenario, stage).await,
        Kind::Idle => idle::run(scenario, stage).await,
        Kind::WayBack => way_back::run(scenario, stage).await,
        Kind::Intake => intake::run(scenario, stage).await,
    }
}

fn command(scenario: &Scenario, variant: Option<&str>, arguments: &Arguments) -> String {
    let mut words = vec![format!("load run {}", scenario.name)];
    let varied = variant.into_iter().flat_map(|it| it.split(' '));
    let changes = arguments.set.iter().map(String::as_str).chain(varied);
    words.extend(changes.map(|change| format!("--set '{change}'")));
    words.join(" ")
}
