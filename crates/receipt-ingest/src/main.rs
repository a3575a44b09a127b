//! The receipt-ingest process.

use std::{net::SocketAddr, process::ExitCode, thread};

use backing::{Backing, BackingSettings};
use receipt_ingest::{ReceiptIngest, ReceiptMetrics, Settings};
use runtime::{Boot, Config, Service};
use tokio::sync::oneshot;

struct Process {
    settings: Settings,
    backing: BackingSettings,
}

impl Service for Process {
    const NAME: &'static str = "receipt-ingest";
    const HAS_OWN_THREADS: bool = true;

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

    /// On one thread, which takes more than the broker hands out; who wants more starts more processes.
    /// Dealt out between threads the same work would only cost more.
    async fn run(self, boot: Boot) -> anyhow::Result<()> {
        let metrics = ReceiptMetrics::new(&boot.metrics);
        let (ended, end) = oneshot::channel();
        thread::Builder::new()
            .name("ingest".into())
            .spawn(move || ended.send(self.ingest(boot, metrics)))?;
        end.await?
    }
}

impl Process {
    fn ingest(self, boot: Boot, metrics: ReceiptMetrics) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let Backing { bus, ledger } = self.backing.connect(&boot, Self::NAME).await?;
            let ingest = ReceiptIngest::new(self.settings, bus.clone(), ledger, metrics);
            let ended = ingest.run(boot.stop).await;
            bus.close().await;
            ended
        })
    }
}

fn main() -> ExitCode {
    runtime::service::main::<Process>()
}
