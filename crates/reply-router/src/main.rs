//! The reply-router process.

use std::{net::SocketAddr, process::ExitCode};

use backing::{Backing, BackingSettings};
use reply_router::{ReplyMetrics, ReplyRouter, Settings};
use runtime::{Boot, Config, Service};

struct Process {
    settings: Settings,
    backing: BackingSettings,
}

impl Service for Process {
    const NAME: &'static str = "reply-router";

    fn configure(config: &Config) -> anyhow::Result<Self> {
        let settings = config.section("reply_router")?;
        Ok(Self {
            settings,
            backing: BackingSettings::configure(config)?,
        })
    }

    fn ops_listen(&self) -> (&'static str, SocketAddr) {
        ("reply_router.ops_listen", self.settings.ops_listen)
    }

    async fn run(self, boot: Boot) -> anyhow::Result<()> {
        let Backing { bus, ledger } = self.backing.connect(&boot, Self::NAME).await?;
        let metrics = ReplyMetrics::new(&boot.metrics);
        let router = ReplyRouter::new(self.settings, bus.clone(), ledger, metrics);
        let ended = router.run(boot.stop).await;
        bus.close().await;
        ended
    }
}

fn main() -> ExitCode {
    runtime::service::main::<Process>()
}
