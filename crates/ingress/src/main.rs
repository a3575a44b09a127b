//! The ingress process.

use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    process::ExitCode,
    thread,
};

use anyhow::Context;
use backing::{Backing, BackingSettings};
use ingress::{Ingress, IngressMetrics, Settings};
use runtime::{Boot, Config, PublicSettings, Service};
use tokio::{net::TcpSocket, sync::oneshot};

#[derive(Clone)]
struct Process {
    settings: Settings,
    public: PublicSettings,
    backing: BackingSettings,
}

impl Service for Process {
    const NAME: &'static str = "ingress";
    const HAS_OWN_THREADS: bool = true;

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
        let threads = match self.settings.threads {
            0 => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            threads => NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
        };
        // The ports first: whether they are free does not depend on anybody else.
        let mut doors = Vec::with_capacity(threads.get());
        for _ in 0..threads.get() {
            doors.push(listen(self.settings.listen, threads).await?);
        }
        let metrics = IngressMetrics::new(&boot.metrics);
        let mut running = Vec::with_capacity(threads.get());
        for door in doors {
            let settings = self.settings.clone().shared_by(threads);
            let (process, boot, metrics) = (self.clone(), boot.clone(), metrics.clone());
            let (ended, end) = oneshot::channel();
            thread::Builder::new()
                .name("door".into())
                .spawn(move || ended.send(process.serve(door, settings, boot, metrics)))?;
            running.push(end);
        }
        for end in running {
            end.await??;
        }
        Ok(())
    }
}

impl Process {
    /// One door with everything of its own, until it is drained.
    fn serve(
        self,
        door: TcpListener,
        settings: Settings,
        boot: Boot,
        metrics: IngressMetrics,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let Backing { bus, ledger } = self.backing.connect(&boot, Self::NAME).await?;
            let ingress = Ingress::new(settings, self.public.urls, bus.clone(), ledger, metrics);
            let door = tokio::net::TcpListener::from_std(door)?;
            let ended = ingress.run(door, boot.stop).await;
            bus.close().await;
            ended
        })
    }
}

/// One of several listeners at the same address; among them the kernel deals the connections out. Where
/// there is one, two processes by mistake must not share it.
async fn listen(address: SocketAddr, of: NonZeroUsize) -> anyhow::Result<TcpListener> {
    const KEY: &str = "ingress.listen";
    if of == NonZeroUsize::MIN {
        return Ok(runtime::ops::bind(KEY, address).await?.into_std()?);
    }
    let open = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    open().with_context(|| format!("`{KEY}`: can not listen on {address}"))
}

/// Connections that the kernel keeps until they are accepted; as many as it does for others.
const BACKLOG: u32 = 1024;

fn main() -> ExitCode {
    runtime::service::main::<Process>()
}
