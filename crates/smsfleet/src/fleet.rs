//! Every service in one process: what `demo` and `standalone` run. The same libraries as the
//! separate binaries, composed by their public constructors, over whatever bus and ledger is given.

use std::{sync::Arc, time::Duration};

use batch_intake::{BatchIntake, IntakeMetrics};
use bus::Bus;
use control::{Control, ControlMetrics};
use ingress::{Ingress, IngressMetrics};
use ledger::Ledger;
use receipt_ingest::{ReceiptIngest, ReceiptMetrics};
use reply_router::{ReplyMetrics, ReplyRouter};
use runtime::{
    CancellationToken, Config, Metrics, PublicSettings, Readiness, ops, service::ShutdownSettings,
    shutdown,
};
use send_worker::{SendMetrics, SendWorker, Shard};
use tokio::{net::TcpListener, task::JoinSet};

/// Open sockets, bound before anything starts so that their addresses are known.
#[derive(Debug)]
pub struct Listeners {
    /// Where providers come in.
    pub ingress: TcpListener,
    /// The control API.
    pub control: TcpListener,
    /// `/livez`, `/readyz` and `/metrics` of all services together.
    pub ops: TcpListener,
}

/// All services at work.
#[derive(Debug)]
pub struct Fleet {
    services: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: CancellationToken,
    deadline: Duration,
    readiness: Readiness,
}

/// The settings of every service, parsed before anything starts.
struct Settings {
    public: PublicSettings,
    shutdown: ShutdownSettings,
    batch_intake: batch_intake::Settings,
    send_worker: send_worker::Settings,
    ingress: ingress::Settings,
    receipt_ingest: receipt_ingest::Settings,
    reply_router: reply_router::Settings,
    control: control::Settings,
}

impl Settings {
    fn read(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            public: config.section("public")?,
            shutdown: config.section("shutdown")?,
            batch_intake: config.section("batch_intake")?,
            send_worker: config.section("send_worker")?,
            ingress: config.section("ingress")?,
            receipt_ingest: config.section("receipt_ingest")?,
            reply_router: config.section("reply_router")?,
            control: config.section("control")?,
        })
    }
}

impl Fleet {
    /// Starts every service.
    ///
    /// # Errors
    /// If a setting does not fit, or an HTTP client can not be set up.
    pub fn start(
        config: &Config,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        listeners: Listeners,
    ) -> anyhow::Result<Self> {
        let settings = Settings::read(config)?;
        let urls = settings.public.urls;
        let metrics = Metrics::new();
        let readiness = Readiness::default();
        let stop = CancellationToken::new();
        let first_url = urls.first().cloned().unwrap_or_default();
        let (b, l) = (|| bus.clone(), || ledger.clone());

        let intake = BatchIntake::new(
            settings.batch_intake,
            b(),
            l(),
            IntakeMetrics::new(&metrics),
        );
        let worker = SendWorker::new(
            settings.send_worker,
            Shard::WHOLE,
            first_url,
            b(),
            l(),
            SendMetrics::new(&metrics),
        )?;
        let receipts = ReceiptIngest::new(
            settings.receipt_ingest,
            b(),
            l(),
            ReceiptMetrics::new(&metrics),
        );
        let replies =
            ReplyRouter::new(settings.reply_router, b(), l(), ReplyMetrics::new(&metrics));
        let door = Ingress::new(
            settings.ingress,
            urls.clone(),
            b(),
            l(),
            IngressMetrics::new(&metrics),
        );
        let control = Control::new(
            settings.control,
            urls,
            b(),
            l(),
            ControlMetrics::new(&metrics),
        );

        let mut services = JoinSet::new();
        macro_rules! start {
            ($name:literal, $service:expr) => {
                let running = $service;
                services.spawn(async move { ($name, running.await) });
            };
        }
        start!("batch-intake", intake.run(stop.clone()));
        start!("send-worker", worker.run(stop.clone()));
        start!("receipt-ingest", receipts.run(stop.clone()));
        start!("reply-router", replies.run(stop.clone()));
        start!("ingress", door.run(listeners.ingress, stop.clone()));
        start!("control", control.run(listeners.control, stop.clone()));
        let health = ops::serve(listeners.ops, metrics, readiness.clone(), stop.clone());
        start!(
            "ops",
            async move { health.await.map_err(anyhow::Error::from) }
        );
        Ok(Self {
            services,
            stop,
            deadline: settings.shutdown.deadline,
            readiness,
        })
    }

    /// Waits for a service to end although nobody asked it to; never returns while all work.
    pub async fn failed(&mut self) -> anyhow::Error {
        match self.services.join_next().await {
            Some(Ok((name, Ok(())))) => anyhow::anyhow!("{name} ended unasked"),
            Some(Ok((name, Err(error)))) => error.context(format!("{name} failed")),
            Some(Err(panic)) => anyhow::anyhow!("a service panicked: {panic}"),
            None => anyhow::anyhow!("no service is left"),
        }
    }

    /// Asks every service to stop and waits for their drains, within the configured deadline.
    ///
    /// # Errors
    /// The first service that fails on its way out, or that the deadline passed.
    pub async fn drain(mut self) -> anyhow::Result<()> {
        self.readiness.drain();
        self.stop.cancel();
        let stopped = async {
            while let Some(ended) = self.services.join_next().await {
                let (name, ended) = ended?;
                ended.map_err(|error| error.context(format!("{name} failed")))?;
            }
            Ok(())
        };
        shutdown::drained(stopped, self.stop.clone(), self.deadline).await
    }
}
