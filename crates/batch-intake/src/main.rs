//! The batch-intake process.

use std::{net::SocketAddr, process::ExitCode};

use backing::{Backing, BackingSettings};
use batch_intake::{BatchIntake, IntakeMetrics, Settings};
use runtime::{Boot, Config, Service};

struct Process {
    settings: Settings,
    backing: BackingSettings,
}

impl Service for Process {
    const NAME: &'static str = "batch-intake";

    fn configure(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            settings: config.section("batch_intake")?,
            backing: BackingSettings::configure(config)?,
        })
    }

    fn ops_listen(&self) -> (&'static str, SocketAddr) {
        ("batch_intake.ops_listen", self.settings.ops_listen)
    }

    async fn run(self, boot: Boot) -> anyhow::Result<()> {
        let Backing { bus, ledger } = self.backing.connect(&boot, Self::NAME).await?;
        let metrics = IntakeMetrics::new(&boot.metrics);
        let intake = BatchIntake::new(self.settings, bus.clone(), ledger, metrics);
        let ended = intake.run(boot.stop).await;
        bus.close().await;
        ended
    }
}

fn main() -> ExitCode {
    runtime::service::main::<Process>()
}
