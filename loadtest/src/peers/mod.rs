//! Others on the same work: what a hand-made loop can do at best, what one writes without much
//! thought, and two products that people use today. Each drains the same number of messages from its
//! own queue to the same stub: an opt-out check, a claim and a result in Redis, one POST.

mod celery;
pub(crate) mod handshake;
mod ideal;
mod kannel;
mod naive;
mod payload;
mod ring;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};

use crate::outcome::Outcome;

/// What is asked of a peer.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Who.
    pub peer: Peer,
    /// Messages to send.
    #[arg(long, default_value_t = 50_000)]
    pub messages: u64,
    /// How long the provider takes.
    #[arg(long, default_value = "0ms")]
    pub latency: humantime::Duration,
    /// Requests in flight.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Counts system calls of those that are ours; the other figures are worth nothing then.
    #[arg(long)]
    pub system_calls: bool,
    /// Where the figures go.
    #[arg(long, default_value = "target/load")]
    pub out: PathBuf,
}

/// The peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// Hand-made upper bound: a POST for each message, claims by a script.
    Ideal,
    /// The same with the claims of a batch as a bitmap.
    IdealBitmap,
    /// 100 messages in a POST, claims by a script.
    IdealBulk,
    /// The same with the claims of a batch as a bitmap.
    IdealBulkBitmap,
    /// A task for each message, everything awaited.
    Naive,
    /// Kannel with its queue in memory, filled before the provider answers.
    Kannel,
    /// Kannel with its durable store, filled while it sends.
    KannelLive,
    /// Celery with requests, processes.
    Celery,
    /// Celery with requests, green threads.
    CeleryGevent,
}

impl Peer {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// Why it can not run here; nothing if it can.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Kannel | Self::KannelLive => kannel::missing(),
            Self::Celery | Self::CeleryGevent => celery::missing(),
            _ => None,
        }
    }
}

/// A peer's own process; the one that measures starts it.
#[derive(Clone, Debug, Subcommand)]
pub enum Worker {
    /// The upper bound.
    Ideal(ideal::Arguments),
    /// The one without much thought.
    Naive(naive::Arguments),
}

/// Runs a peer once.
///
/// # Errors
/// If it does not come to its end.
pub fn main(arguments: &Arguments) -> anyhow::Result<bool> {
    crate::run::with_services()?;
    let outcome = runtime()?.block_on(run(arguments))?;
    print!("{}", outcome.table());
    outcome.write(&arguments.out)?;
    Ok(outcome.balanced())
}

/// Is a peer's process.
///
/// # Errors
/// If its work fails.
pub fn worker(worker: &Worker) -> anyhow::Result<()> {
    match worker {
        Worker::Ideal(arguments) => runtime()?.block_on(ideal::run(arguments)),
        Worker::Naive(arguments) => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("a runtime")?
            .block_on(naive::run(arguments)),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a runtime")
}

async fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut ring = ring::Ring::open(arguments).await?;
    let mut outcome = match arguments.peer {
        Peer::Ideal => ideal::drain(&mut ring, arguments, false, false).await,
        Peer::IdealBitmap => ideal::drain(&mut ring, arguments, false, true).await,
        Peer::IdealBulk => ideal::drain(&mut ring, arguments, true, false).await,
        Peer::IdealBulkBitmap => ideal::drain(&mut ring, arguments, true, true).await,
        Peer::Naive => naive::drain(&mut ring, arguments).await,
        Peer::Kannel => kannel::run(&mut ring, arguments, false).await,
        Peer::KannelLive => kannel::run(&mut ring, arguments, true).await,
        Peer::Celery => celery::run(&mut ring, arguments, "prefork", 2).await,
        Peer::CeleryGevent => celery::run(&mut ring, arguments, "gevent", 100).await,
    }
    .with_context(|| arguments.peer.name())?;
    ring.label(&mut outcome, arguments)?;
    Ok(outcome)
}
