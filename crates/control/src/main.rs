//! The control process.

use std::{net::SocketAddr, process::ExitCode};

use backing::{Backing, BackingSettings};
use control::{Control, ControlMetrics, Settings};
use runtime::{Boot, Config, PublicSettings, Service};

struct Process {
    settings: Settings,
    public: PublicSettings,
    backing: BackingSettings,
}

impl Service for Process {
    const NAME: &'static str = "control";

    fn configure(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            settings: config.section("control")?,
            public: config.section("public")?,
            backing: BackingSettings::configure(config)?,
        })
    }

    fn ops_listen(&self) -> (&'static str, SocketAddr) {
        ("control.ops_listen", self.settings.ops_listen)
    }

    async fn run(self, boot: Boot) -> anyhow::Result<()> {
        // The port first: whether it is free does not depend on anybody else.
        let listener = runtime::ops::bind("control.listen", self.settings.listen).await?;
        let Backing { bus, ledger } = self.backing.connect(&boot, Self::NAME).await?;
        let metrics = ControlMetrics::new(&boot.metrics);
        let control = Control::new(
            self.settings,
            self.public.urls,
            bus.clone(),
            ledger,
            metrics,
        );
        let ended = control.run(listener, boot.stop).await;
        bus.close().await;
        ended
    }
}

fn main() -> ExitCode {
    runtime::service::main::<Process>()
}
