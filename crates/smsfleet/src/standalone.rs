//! `smsfleet standalone`: every service in one process, without RabbitMQ and without Redis.

use std::path::PathBuf;

use anyhow::Context as _;
use bus::EmbeddedBus;
use ledger::EmbeddedLedger;
use runtime::{Config, ops, shutdown, telemetry};

use crate::{
    exit::{Failure, OrUsage as _},
    fleet::{Fleet, Listeners},
};

/// Runs every service in one process. Everything is kept in memory: it ends with the process.
#[derive(Debug, clap::Args)]
pub struct Standalone {
    /// A TOML file; every key has a default, see `smsfleet docs config`.
    #[arg(long, env = "SMSFLEET_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Standalone {
    /// Runs until SIGTERM or SIGINT, then drains.
    ///
    /// # Errors
    /// A wrong configuration, a taken port, or a service that fails.
    pub async fn run(self) -> Result<(), Failure> {
        let config = Config::load(self.config.as_deref(), std::env::vars()).or_usage()?;
        telemetry::init(&config.section("log").or_usage()?).or_usage()?;
        let stop = shutdown::on_signal().context("watch for signals")?;
        let listeners = bind(&config).await?;
        tracing::warn!(
            ingress = %listeners.ingress.local_addr().context("own address")?,
            control = %listeners.control.local_addr().context("own address")?,
            ops = %listeners.ops.local_addr().context("own address")?,
            "one process, kept in memory only: batches, messages, connections and opt-outs end with it"
        );
        let bus = EmbeddedBus::new();
        let mut fleet = Fleet::start(&config, bus, EmbeddedLedger::new(), listeners).or_usage()?;
        tokio::select! {
            () = stop.cancelled() => {}
            error = fleet.failed() => return Err(error.into()),
        }
        fleet.drain().await?;
        tracing::info!("drained");
        Ok(())
    }
}

/// The sockets where the configuration wants them.
async fn bind(config: &Config) -> Result<Listeners, Failure> {
    let ingress: ingress::Settings = config.section("ingress").or_usage()?;
    let control: control::Settings = config.section("control").or_usage()?;
    Ok(Listeners {
        ingress: ops::bind("ingress.listen", ingress.listen).await?,
        control: ops::bind("control.listen", control.listen).await?,
        ops: ops::bind("control.ops_listen", control.ops_listen).await?,
    })
}
