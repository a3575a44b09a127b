//! Logs: structured, to standard error, as JSON for machines or in lines for people.

use serde::Deserialize;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// How a process logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// For people or for machines.
    pub format: LogFormat,
    /// `info`, or `info,send_worker=debug`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// A line for people.
    Human,
    /// A JSON object a line.
    Json,
}

/// Starts logging, and makes a panic a log line and the end of the process: a task that vanished
/// would be a service that looks alive and does nothing.
///
/// # Errors
/// If the filter can not be read.
pub fn init(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.filter)
        .map_err(|why| anyhow::anyhow!("`log.filter`: {why}: `{}`", settings.filter))?;
    // lapin logs messages that come back unroutable with their bodies, which hold numbers and texts.
    let filter = filter.add_directive("lapin=off".parse()?);
    let registry = tracing_subscriber::registry().with(filter);
    let writer = std::io::stderr;
    match settings.format {
        LogFormat::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_writer(writer))
            .try_init()?,
        LogFormat::Human => registry
            .with(
                fmt::layer()
                    .with_ansi(std::io::IsTerminal::is_terminal(&writer()))
                    .with_writer(writer),
            )
            .try_init()?,
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        // The message is ours (an `expect`), never input.
        tracing::error!(place, backtrace = %std::backtrace::Backtrace::force_capture(), "panic: {panic}");
        std::process::exit(EXIT_PANIC);
    }));
    Ok(())
}

/// The exit code of a process that panicked, as Rust's own.
const EXIT_PANIC: i32 = 101;
