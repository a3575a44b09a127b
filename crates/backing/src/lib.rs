//! What every service stands on: the bus and the ledger that `[amqp]`, `[redis]` and `[secrets]`
//! describe, connected, watched for `/readyz`, and waited for when they are away at the start.
//!
//! And what several services do in the same way with them, so that it is written once:
//! - [`patience`] waits while one of the two is away;
//! - [`news`] makes the events that the platform is told;
//! - [`callbacks`] opens groups of callbacks and keeps those that are not finished;
//! - [`dead_letter()`] labels what nobody can work on.

mod dead_letter;
mod fingerprint;
mod status_events;

pub mod callbacks;
pub mod news;
pub mod patience;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus::{AmqpBus, AmqpSettings, Bus};
use ledger::{Ledger, RedisLedger, RedisSettings, Sealer};
use message::Secret;
use runtime::{Boot, Config};
use serde::Deserialize;

pub use dead_letter::dead_letter;
pub use fingerprint::fingerprint;

use patience::Pauses;

/// The bus and the ledger of one process.
#[derive(Clone)]
pub struct Backing {
    /// RabbitMQ.
    pub bus: Arc<dyn Bus>,
    /// Redis.
    pub ledger: Arc<dyn Ledger>,
}

/// Everything needed to connect, parsed before any port opens.
#[derive(Debug, Clone)]
pub struct BackingSettings {
    amqp_url: Secret,
    amqp: AmqpSettings,
    redis_url: Secret,
    redis: RedisSettings,
    sealer: Arc<Sealer>,
}

/// `[secrets]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretSettings {
    /// `id=base64 of 32 bytes`; the first seals, all open.
    keys: Vec<Secret>,
}

impl BackingSettings {
    /// Reads the three sections.
    ///
    /// # Errors
    /// The first key that does not fit, by name.
    pub fn configure(config: &Config) -> anyhow::Result<Self> {
        // The URLs hold passwords, so they are read as secrets and not with the other settings.
        Ok(Self {
            amqp_url: config.value("amqp", "url")?,
            amqp: config.section_without("amqp", "url")?,
            redis_url: config.value("redis", "url")?,
            redis: config.section_without("redis", "url")?,
            sealer: Arc::new(sealer(config)?),
        })
    }

    /// Connects both. A broker that is away is waited for in the background, Redis right here:
    /// without the ledger no service can do anything, and `/readyz` says so meanwhile.
    ///
    /// # Errors
    /// If a URL is none, if Redis answers but must not be used (it evicts), or if the process is
    /// asked to stop first.
    pub async fn connect(self, boot: &Boot, service: &str) -> anyhow::Result<Backing> {
        let (amqp_ready, redis_ready) = (boot.readiness.need("amqp"), boot.readiness.need("redis"));
        let settings = AmqpSettings {
            connection_name: format!("smsfleet {service}"),
            ..self.amqp
        };
        let bus: Arc<dyn Bus> = AmqpBus::start(self.amqp_url.reveal(), settings).await?;
        let connecting = connect_ledger(&self.redis_url, &self.redis, &self.sealer);
        let ledger: Arc<dyn Ledger> = tokio::select! {
            () = boot.stop.cancelled() => anyhow::bail!("asked to stop before Redis was reached"),
            connected = connecting => connected?,
        };
        tokio::spawn(watch(bus.clone(), ledger.clone(), amqp_ready, redis_ready));
        Ok(Backing { bus, ledger })
    }
}

/// The sealing keys of `[secrets]`.
///
/// # Errors
/// If there is none, or one is not `id=base64`.
pub fn sealer(config: &Config) -> anyhow::Result<Sealer> {
    let settings: SecretSettings = config.section("secrets")?;
    let mut keys: Vec<(String, Secret)> = Vec::new();
    for entry in &settings.keys {
        let Some((id, key)) = entry.reveal().split_once('=') else {
            anyhow::bail!("`secrets.keys`: expected `id=base64 of 32 bytes`");
        };
        anyhow::ensure!(
            keys.iter().all(|(known, _)| known != id),
            "`secrets.keys`: key id `{id}` stands there twice"
        );
        keys.push((id.to_owned(), Secret::new(key.to_owned())));
    }
    anyhow::ensure!(
        !keys.is_empty(),
        "`secrets.keys`: at least one key is needed: `openssl rand -base64 32` makes one, `id=` goes before it"
    );
    Sealer::new(keys).map_err(|error| anyhow::anyhow!("`secrets.keys`: {error}"))
}

const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

async fn connect_ledger(
    url: &Secret,
    settings: &RedisSettings,
    sealer: &Arc<Sealer>,
) -> anyhow::Result<Arc<RedisLedger>> {
    let mut pauses = Pauses::new(WAIT_MIN, WAIT_MAX);
    loop {
        match RedisLedger::connect(url.reveal(), settings.clone(), sealer.clone()).await {
            Ok(ledger) => return Ok(ledger),
            Err(error @ ledger::LedgerError::Unavailable(_)) => {
                let pause = pauses.pause();
                tracing::warn!(?pause, "waiting for Redis: {error}");
                tokio::time::sleep(pause).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// How often `/readyz` learns the truth.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// The same while something is missing, so that a start is not made longer.
const WATCH_MISSING_EVERY: Duration = Duration::from_millis(50);

async fn watch(
    bus: Arc<dyn Bus>,
    ledger: Arc<dyn Ledger>,
    amqp: Arc<AtomicBool>,
    redis: Arc<AtomicBool>,
) {
    loop {
        let ready = (bus.is_ready(), ledger.ping().await.is_ok());
        amqp.store(ready.0, Ordering::Relaxed);
        redis.store(ready.1, Ordering::Relaxed);
        let pause = if ready == (true, true) {
            WATCH_EVERY
        } else {
            WATCH_MISSING_EVERY
        };
        tokio::time::sleep(pause).await;
    }
}
