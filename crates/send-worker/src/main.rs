//! The send-worker process.

use std::{net::SocketAddr, process::ExitCode};

use backing::{Backing, BackingSettings};
use runtime::{Boot, Config, PublicSettings, Service};
use send_worker::{SendMetrics, SendWorker, Settings};

struct Process {
    settings: Settings,
    public: PublicSettings,
    backing: BackingSettings,
}

impl Service for Process {
    const NAME: &'static str = "send-worker";

    fn configure(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            settings: config.section("send_worker")?,
            public: config.section("public")?,
            backing: BackingSettings::configure(config)?,
        })
    }

    fn ops_listen(&self) -> (&'static str, SocketAddr) {
        ("send_worker.ops_listen", self.settings.ops_listen)
    }

    async fn run(self, boot: Boot) -> anyhow::Result<()> {
        let metrics = SendMetrics::new(&boot.metrics);
        let Backing { bus, ledger } = self.backing.connect(&boot, Self::NAME).await?;
        SendWorker::new(
            self.settings,
            self.public.first()?,
            bus.clone(),
            ledger,
            metrics,
        )?
        .run(boot.stop)
        .await?;
        bus.close().await;
        Ok(())
    }
}

fn main() -> ExitCode {
    runtime::service::main::<Process>()
}
