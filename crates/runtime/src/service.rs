//! The start of every service binary, so that each `main` is a table of contents.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{Config, Metrics, Readiness, ops, shutdown, telemetry};

/// What every service binary understands.
#[derive(Debug, Parser)]
struct Arguments {
    /// A TOML file; every key has a default, see `deploy/config/smsfleet.toml`.
    #[arg(long, env = "SMSFLEET_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, say what is wrong with it, and end.
    #[arg(long)]
    check_config: bool,
}

/// How a process ends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownSettings {
    /// How long work under way may take after SIGTERM.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
}

/// How the outside world reaches the ingress.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicSettings {
    /// Base URLs without a slash at the end. The first one is what providers are told; signatures
    /// over any of them are accepted (old names, other data centres).
    pub urls: Vec<String>,
}

impl PublicSettings {
    /// The URL that providers are told.
    ///
    /// # Errors
    /// If there is none.
    pub fn first(&self) -> anyhow::Result<String> {
        self.urls
            .first()
            .cloned()
            .ok_or_else(|| anyhow::anyhow!("`public.urls`: at least one URL is needed"))
    }
}

/// One service binary.
pub trait Service: Sized {
    /// Its name in logs: `send-worker`.
    const NAME: &'static str;

    /// Whether it does its work on threads that it starts itself. Then this process needs no more than
    /// one thread beside them, for the endpoints.
    const HAS_OWN_THREADS: bool = false;

    /// Its settings out of the configuration, parsed before any port opens.
    ///
    /// # Errors
    /// The first key that does not fit.
    fn configure(config: &Config) -> anyhow::Result<Self>;

    /// Where its `/livez`, `/readyz` and `/metrics` are, and the key that says so.
    fn ops_listen(&self) -> (&'static str, SocketAddr);

    /// Runs until `boot.stop`, then drains.
    fn run(self, boot: Boot) -> impl Future<Output = anyhow::Result<()>>;
}

/// What a running service has from the start.
#[derive(Debug, Clone)]
pub struct Boot {
    /// Where it declares its metrics.
    pub metrics: Metrics,
    /// Where it says what it needs.
    pub readiness: Readiness,
    /// Fires when it shall drain.
    pub stop: CancellationToken,
}

/// Runs a service as a process: 0 after a drain, 1 after a failure, 2 for a bad configuration.
pub fn main<S: Service>() -> ExitCode {
    let arguments = Arguments::parse();
    let configured = Config::load(arguments.config.as_deref(), std::env::vars())
        .map_err(anyhow::Error::from)
        .and_then(|config| {
            let service = S::configure(&config)?;
            Ok((
                service,
                config.section("log")?,
                config.section::<ShutdownSettings>("shutdown")?,
            ))
        });
    let (service, log, shutdown) = match configured {
        Ok(configured) => configured,
        Err(error) => {
            eprintln!("{}: configuration: {error:#}", S::NAME);
            return ExitCode::from(2);
        }
    };
    if arguments.check_config {
        println!("{}: configuration is valid", S::NAME);
        return ExitCode::SUCCESS;
    }
    if let Err(error) = telemetry::init(&log) {
        eprintln!("{}: configuration: {error:#}", S::NAME);
        return ExitCode::from(2);
    }
    let mut builder = if S::HAS_OWN_THREADS {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("can not start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(service, shutdown.deadline)) {
        Ok(()) => {
            tracing::info!(service = S::NAME, "drained");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(service = S::NAME, "ended: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run<S: Service>(service: S, deadline: Duration) -> anyhow::Result<()> {
    let boot = Boot {
        metrics: Metrics::new(),
        readiness: Readiness::default(),
        stop: shutdown::on_signal()?,
    };
    let (key, address) = service.ops_listen();
    let listener = ops::bind(key, address).await?;
    tracing::info!(service = S::NAME, ops = %listener.local_addr()?, "starting");
    // The endpoints outlive the drain, so that it can be watched.
    let ops = tokio::spawn(ops::serve(
        listener,
        boot.metrics.clone(),
        boot.readiness.clone(),
        CancellationToken::new(),
    ));
    let draining = boot.clone();
    tokio::spawn(async move {
        draining.stop.cancelled().await;
        draining.readiness.drain();
    });
    let stop = boot.stop.clone();
    let ended = shutdown::drained(service.run(boot), stop, deadline).await;
    ops.abort();
    ended
}
