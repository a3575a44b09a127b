//! The `smsfleet` command: the fleet in one process (`demo`, `standalone`), and the command line
//! over the control API of any fleet.

mod api;
mod batches;
mod check_config;
mod cli;
mod commands;
mod demo;
mod docs;
mod exit;
mod fleet;
mod inspect;
mod output;
mod recipients;
mod sample;
mod standalone;
mod twin;

use std::process::ExitCode;

use clap::Parser as _;

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return exit::Failure::Failed(error.into()).end(),
    };
    match runtime.block_on(cli.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end(),
    }
}
