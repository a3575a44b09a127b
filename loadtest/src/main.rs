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
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Stub(arguments) => loadtest::stub::main(&arguments).map(|()| true),
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
