//! Pushes messages through each organisation's account, as fast as its limits allow and never
//! faster.
//!
//! - [`roster`] learns which queues exist and keeps a lane per connection that has a [seat](seats) here;
//! - [`lane`] takes [`turns`] between the queues of one connection, paces, and launches groups of rows;
//! - [`group`] is the hot part: claim, send, settle, tell; [`request`] hands some rows of it over;
//! - [`run`] follows one chunk from its delivery to its ack;
//! - [`submit`] is the HTTP client, [`tokens`] what its requests carry, [`policy`] what an outcome means;
//! - [`pacing`] is what a lane asks before it launches, [`limits`] what this process spends of each limit.

mod codes;
mod connections;
mod gate;
mod group;
mod in_flight;
mod lane;
mod limits;
mod metrics;
mod order;
mod pacing;
mod patience;
mod policy;
mod pool;
mod pump;
mod request;
mod roster;
mod run;
mod seats;
mod settings;
mod shard;
mod submit;
mod tell;
mod tokens;
mod turns;
mod window;

use std::sync::Arc;

use bus::Bus;
use ledger::Ledger;
use tokio_util::sync::CancellationToken;

pub use metrics::SendMetrics;
pub use settings::Settings;
pub use shard::Shard;

/// The service: see the crate's description.
pub struct SendWorker {
    shared: Arc<Shared>,
}

/// What every lane and group needs.
struct Shared {
    settings: Settings,
    public_url: String,
    bus: Arc<dyn Bus>,
    ledger: Arc<dyn Ledger>,
    metrics: SendMetrics,
    submit: submit::Submitter,
    tokens: tokens::Tokens,
    connections: connections::Connections,
    shard: Shard,
    limits: Arc<limits::Limits>,
}

impl SendWorker {
    /// A worker that is not running yet. `public_url` is where providers shall send receipts; `shard`
    /// is the part of the connections that it serves.
    ///
    /// # Errors
    /// If the HTTP client can not be set up, or a provider's limit can not be read.
    pub fn new(
        settings: Settings,
        shard: Shard,
        public_url: String,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        metrics: SendMetrics,
    ) -> anyhow::Result<Self> {
        let submit = submit::Submitter::new(&settings)?;
        let of_providers = settings.provider_limits()?;
        let limits =
            limits::Limits::new(ledger.clone(), bus.clone(), metrics.limits(), of_providers);
        let connections =
            connections::Connections::new(ledger.clone(), settings.connection_cache_for);
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                public_url,
                bus,
                ledger,
                metrics,
                submit,
                tokens: tokens::Tokens::default(),
                connections,
                shard,
                limits,
            }),
        })
    }

    /// Sends until `stop` fires, then finishes what is in flight. What was taken and not yet
    /// claimed goes back to its queue.
    ///
    /// # Errors
    /// If the bus is closed under it.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let listening = tokio::spawn(self.shared.limits.clone().listen(stop.clone()));
        let ended = roster::Roster::new(self.shared).run(stop).await;
        listening.abort();
        ended
    }
}
