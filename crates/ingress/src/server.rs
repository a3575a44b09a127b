//! The HTTP server: every limit is set here by name, because a server on the open internet has none
//! to spare.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bus::Bus;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use ledger::Ledger;
use runtime::CancellationToken;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::task::TaskTracker;

use crate::{
    IngressMetrics, Settings,
    body::Bodies,
    connections::Connections,
    groups::Groups,
    log_budget::LogBudget,
    nonces::Nonces,
    receive::{Desk, receive},
};

/// How long to wait before accepting again when the kernel refuses: out of descriptors, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes callbacks of providers.
pub struct Ingress {
    settings: Settings,
    public_urls: Vec<String>,
    bus: Arc<dyn Bus>,
    ledger: Arc<dyn Ledger>,
    metrics: IngressMetrics,
}

impl Ingress {
    /// `public_urls` are the base URLs under which providers reach this ingress: what they sign.
    #[must_use]
    pub fn new(
        settings: Settings,
        public_urls: Vec<String>,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        metrics: IngressMetrics,
    ) -> Self {
        Self {
            settings,
            public_urls,
            bus,
            ledger,
            metrics,
        }
    }

    /// Serves `listener` until `stop`; then answers what is in flight and waits for its confirms.
    ///
    /// # Errors
    /// None so far: what fails, fails one connection.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        let publishes = TaskTracker::new();
        let places = Arc::new(Semaphore::new(self.settings.connections_max.get()));
        let open = self.metrics.connections.clone();
        let server = Server {
            builder: builder(&self.settings),
            stop: stop.clone(),
        };
        let desk = self.desk(&publishes);
        let connections = TaskTracker::new();
        loop {
            // The place comes first: a connection taken without one is only memory.
            let (place, stream) = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accept(&places, &listener) => accepted?,
            };
            let (server, desk, open) = (server.clone(), desk.clone(), open.clone());
            connections.spawn(async move {
                let _place = place; // given back however this ends
                open.inc();
                server.serve(stream, desk).await;
                open.dec();
            });
        }
        drop(listener);
        connections.close();
        connections.wait().await;
        // Their senders may have hung up: what they handed over is published all the same.
        publishes.close();
        publishes.wait().await;
        Ok(())
    }

    fn desk(self, publishes: &TaskTracker) -> Arc<Desk> {
        let settings = self.settings;
        Arc::new(Desk {
            nonces: Nonces::new(self.ledger.clone()),
            bodies: Bodies::new(&settings),
            connections: Connections::new(
                self.ledger,
                settings.connections_fresh_for,
                settings.organizations_max.get(),
                self.metrics.stale_lookups.clone(),
            ),
            groups: Groups::new(&settings, &self.bus, &self.metrics, publishes),
            slots: Semaphore::new(settings.in_flight_max.get()),
            lines: LogBudget::new(settings.refusal_lines_per_second),
            metrics: self.metrics,
            public_urls: self.public_urls,
            settings,
        })
    }
}

async fn accept(
    places: &Arc<Semaphore>,
    listener: &TcpListener,
) -> anyhow::Result<(tokio::sync::OwnedSemaphorePermit, TcpStream)> {
    let place = places.clone().acquire_owned().await?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((place, stream)),
            Err(why) => {
                tracing::warn!("can not accept connections: {why}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Hyper's own limit of 100 headers stays: setting it, even to 100, costs an allocation a request.
fn builder(settings: &Settings) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_header_size(settings.header_bytes_max)
        .max_buf_size(settings.header_bytes_max.max(BUFFER_BYTES_MIN))
        .keep_alive(true);
    builder
}

/// Hyper refuses a smaller read buffer.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

#[derive(Clone)]
struct Server {
    builder: http1::Builder,
    stop: CancellationToken,
}

impl Server {
    async fn serve(&self, stream: TcpStream, desk: Arc<Desk>) {
        // Answers are one small packet each; waiting for a second one only delays them.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let desk = desk.clone();
            async move { Ok::<_, Infallible>(receive(&desk, request).await) }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(why) = ended {
            tracing::debug!("connection ended: {why}");
        }
    }
}
