//! `load`: runs scenarios, and the stub they run against.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Load tests of the fleet")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A provider that answers at once and counts.
    Stub(loadtest::stub::Arguments),
    /// Runs scenarios.
    Run(loadtest::run::Arguments),
    /// Runs a peer on the same work.
    Peer(loadtest::peers::Arguments),
    /// Is a peer's process: the one that measures starts it.
    #[command(subcommand, hide = true)]
    PeerWorker(loadtest::peers::Worker),
    /// Runs every scenario in a small size, and the peers.
    All(loadtest::all::Arguments),
    /// Writes all figures as a page, or as the tables of RESULTS.md.
    Report(loadtest::report::Arguments),
    /// Posts callbacks: the one that measures starts it.
    #[command(hide = true)]
    Callbacks(loadtest::callbacks::Arguments),
    /// Runs ours and the peers in turns.
    Compare(loadtest::compare::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Stub(arguments) => loadtest::stub::main(&arguments).map(|()| true),
        Command::Peer(arguments) => loadtest::peers::main(&arguments),
        Command::PeerWorker(worker) => loadtest::peers::worker(&worker).map(|()| true),
        Command::All(arguments) => loadtest::all::main(&arguments),
        Command::Report(arguments) => loadtest::report::main(&arguments).map(|()| true),
        Command::Callbacks(arguments) => loadtest::callbacks::main(&arguments).map(|()| true),
        Command::Compare(arguments) => loadtest::compare::main(&arguments),
        Command::Run(arguments) => loadtest::run::main(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
