//! The send-worker process.

use std::{net::SocketAddr, num::NonZeroUsize, process::ExitCode, thread};

use backing::{Backing, BackingSettings};
use runtime::{Boot, Config, PublicSettings, Service};
use send_worker::{SendMetrics, SendWorker, Settings, Shard};
use tokio::sync::oneshot;

#[derive(Clone)]
struct Process {
    settings: Settings,
    public: PublicSettings,
    backing: BackingSettings,
}

impl Service for Process {
    const NAME: &'static str = "send-worker";
    const HAS_OWN_THREADS: bool = true;

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
        let threads = match self.settings.threads {
            0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads,
        };
        let mut running = Vec::with_capacity(threads);
        for shard in Shard::all(threads) {
            let (process, boot, metrics) = (self.clone(), boot.clone(), metrics.clone());
            let (ended, end) = oneshot::channel();
            thread::Builder::new()
                .name("send".into())
                .spawn(move || ended.send(process.run_shard(shard, boot, metrics)))?;
            running.push(end);
        }
        for end in running {
            end.await??;
        }
        Ok(())
    }
}

impl Process {
    /// One worker with everything of its own, until it is drained.
    fn run_shard(self, shard: Shard, boot: Boot, metrics: SendMetrics) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let public_url = self.public.first()?;
            let Backing { bus, ledger } = self.backing.connect(&boot, Self::NAME).await?;
            let worker = SendWorker::new(
                self.settings,
                shard,
                public_url,
                bus.clone(),
                ledger,
                metrics,
            )?;
            worker.run(boot.stop).await?;
            bus.close().await;
            Ok(())
        })
    }
}

fn main() -> ExitCode {
    runtime::service::main::<Process>()
}
