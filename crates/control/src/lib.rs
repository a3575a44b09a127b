//! control: the HTTP API of schedulers and operators.
//!
//! Every answer is JSON. An error is `{"error":{"code","message","details":[{"field","problem"}]}}`
//! with a code that programs may rely on; a list is `{"items":[…],"next_cursor":"…"|null}` and is
//! walked with `?limit=&cursor=`. The organisation is `?organization_id=`, except where the body
//! names it; a token that is limited to one organisation may leave it out. Whatever changes
//! something leaves a line in the audit log (target `audit`).
//!
//! No answer contains a full recipient number, a text or a secret. The one exception is the number
//! that the caller itself put into the path of an opt-out.

mod answer;
mod audit;
mod backlog;
mod guard;
mod metrics;
mod paging;
mod routes;
mod settings;
mod tokens;

use std::sync::Arc;

use axum::Router;
use bus::Bus;
use ledger::Ledger;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use metrics::ControlMetrics;
pub use settings::Settings;
pub use tokens::Tokens;

/// The service; see the crate.
pub struct Control {
    app: Arc<App>,
}

/// What every request shares.
struct App {
    settings: Settings,
    public_urls: Vec<String>,
    bus: Arc<dyn Bus>,
    ledger: Arc<dyn Ledger>,
    metrics: ControlMetrics,
    backlog: backlog::Backlog,
    at_once: Semaphore,
    /// Cancellations go on when the caller hangs up.
    unfinished: TaskTracker,
}

impl Control {
    /// Puts it together. `public_urls` are the base URLs of the ingress; the first one is told to
    /// administrators.
    #[must_use]
    pub fn new(
        settings: Settings,
        public_urls: Vec<String>,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        metrics: ControlMetrics,
    ) -> Self {
        let at_once = Semaphore::new(usize::from(settings.requests_at_once.get()));
        Self {
            app: Arc::new(App {
                settings,
                public_urls,
                bus,
                ledger,
                metrics,
                backlog: backlog::Backlog::default(),
                at_once,
                unfinished: TaskTracker::new(),
            }),
        }
    }

    /// The routes, for [`Self::run`] and for tests without a socket.
    pub fn router(&self) -> Router {
        routes::router(Arc::clone(&self.app))
    }

    /// Serves until `stop`, then finishes the requests that are under way.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        axum::serve(listener, self.router())
            .with_graceful_shutdown(stop.cancelled_owned())
            .await?;
        self.app.unfinished.close();
        self.app.unfinished.wait().await;
        Ok(())
    }
}
