//! `/livez`, `/readyz` and `/metrics` of every binary.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Metrics;

/// Whether the process should get work. Starts as not ready for every named need.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    needs: Arc<Mutex<Vec<Need>>>,
    draining: Arc<AtomicBool>,
}

/// Its name, and whether it is there.
type Need = (&'static str, Arc<AtomicBool>);

impl Readiness {
    /// Something that has to be there; whoever watches it sets the flag.
    #[must_use]
    pub fn need(&self, name: &'static str) -> Arc<AtomicBool> {
        let flag = Arc::new(AtomicBool::new(false));
        self.needs
            .lock()
            .expect("no code panics while it adds a need")
            .push((name, flag.clone()));
        flag
    }

    /// From now on not ready: the process is on its way out.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// What is missing; empty if ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let needs = self
            .needs
            .lock()
            .expect("no code panics while it adds a need");
        let mut missing: Vec<_> = needs
            .iter()
            .filter(|(_, there)| !there.load(Ordering::Relaxed))
            .map(|(name, _)| *name)
            .collect();
        if self.draining.load(Ordering::Relaxed) {
            missing.push("draining");
        }
        missing
    }
}

/// The three routes, for a listener of their own or beside others.
pub fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(scrape).with_state(metrics))
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let missing = readiness.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {}\n", missing.join(", ")),
        )
    }
}

async fn scrape(State(metrics): State<Metrics>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        metrics.render(),
    )
}

/// Serves the routes until `stop`.
///
/// # Errors
/// If the socket fails.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(metrics, readiness))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// Binds `address` with an error that names the key it came from.
///
/// # Errors
/// If the port is taken or the address is not ours.
pub async fn bind(key: &str, address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|why| anyhow::anyhow!("`{key}`: can not listen on {address}: {why}"))
}
