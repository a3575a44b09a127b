//! The receipt-ingest process.

use std::{net::SocketAddr, process::ExitCode};

use backing::{Backing, BackingSettings};
use receipt_ingest::{ReceiptIngest, ReceiptMetrics, Settings};
use runtime::{Boot, Config, Service};

struct Process {
    settings: Settings,
    backing: BackingSettings,
}

impl Service for Process {
    const NAME: &'static str = "receipt-ingest";

    fn configure(config: &Config) -> anyhow::Result<Self> {
        let settings = config.section("receipt_ingest")?;
        Ok(Self {
            settings,
            backing: BackingSettings::configure(config)?,
        })
    }

    fn ops_listen(&self) -> (&'static str, SocketAddr) {
        ("receipt_ingest.ops_listen", self.settings.ops_listen)
    }

    async fn run(self, boot: Boot) -> anyhow::Result<()> {
        let Backing { bus, ledger } = self.backing.connect(&boot, Self::NAME).await?;
        let metrics = ReceiptMetrics::new(&boot.metrics);
        let ingest = ReceiptIngest::new(self.settings, bus.clone(), ledger, metrics);
        let ended = ingest.run(boot.stop).await;
        bus.close().await;
        ended
    }
}

fn main() -> ExitCode {
    runtime::service::main::<Process>()
}
