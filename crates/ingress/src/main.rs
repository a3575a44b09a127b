//! The ingress process.

use std::{net::SocketAddr, process::ExitCode};

use backing::{Backing, BackingSettings};
use ingress::{Ingress, IngressMetrics, Settings};
use runtime::{Boot, Config, PublicSettings, Service};

struct Process {
    settings: Settings,
    public: PublicSettings,
    backing: BackingSettings,
}

impl Service for Process {
    const NAME: &'static str = "ingress";

    fn configure(config: &Config) -> anyhow::Result<Self> {
        let (settings, public) = (config.section("ingress")?, config.section("public")?);
        Ok(Self {
            settings,
            public,
            backing: BackingSettings::configure(config)?,
        })
    }

    fn ops_listen(&self) -> (&'static str, SocketAddr) {
        ("ingress.ops_listen", self.settings.ops_listen)
    }

    async fn run(self, boot: Boot) -> anyhow::Result<()> {
        // The port first: whether it is free does not depend on anybody else.
        let listener = runtime::ops::bind("ingress.listen", self.settings.listen).await?;
        let Backing { bus, ledger } = self.backing.connect(&boot, Self::NAME).await?;
        let metrics = IngressMetrics::new(&boot.metrics);
        let ingress = Ingress::new(
            self.settings,
            self.public.urls,
            bus.clone(),
            ledger,
            metrics,
        );
        let ended = ingress.run(listener, boot.stop).await;
        bus.close().await;
        ended
    }
}

fn main() -> ExitCode {
    runtime::service::main::<Process>()
}
