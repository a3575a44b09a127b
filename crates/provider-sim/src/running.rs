//! A running twin, as its caller holds it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::behaviour::{LiveBehaviour, TwinBehaviour};
use crate::delivery::Waiting;
use crate::report::AuditReport;
use crate::settings::{TwinAccount, TwinSettings};
use crate::webhook::Poster;
use crate::{console, server};

/// What every provider's twin stands on.
#[derive(Debug)]
pub(crate) struct Stage {
    pub audit: Audit,
    pub behaviour: LiveBehaviour,
    pub poster: Poster,
    /// Ends the twin.
    pub stop: CancellationToken,
}

impl Stage {
    /// `signatures` are the twin's own words for [`SignatureVariant::Variant`](crate::SignatureVariant::Variant).
    pub fn new<A: TwinAccount>(
        settings: &TwinSettings<A>,
        signatures: &'static [&'static str],
    ) -> anyhow::Result<Self> {
        settings.check()?;
        let accounts = settings
            .accounts
            .iter()
            .map(|account| account.name().to_owned());
        Ok(Self {
            audit: Audit::new(accounts.collect()),
            behaviour: LiveBehaviour::new(settings.behaviour.clone(), signatures)?,
            poster: Poster::new(settings.callbacks_in_flight_max)?,
            stop: CancellationToken::new(),
        })
    }
}

/// A twin, seen from the paths and handles that all twins share; the engine is the only one that implements it.
pub(crate) trait Twin: Send + Sync + 'static {
    fn stage(&self) -> &Stage;
    /// The provider's own API.
    fn routes(self: Arc<Self>) -> axum::Router;
    /// Does the delayed work until the twin stops.
    fn work(self: Arc<Self>) -> BoxFuture<'static, ()>;
    /// A person writes. The status is what the customer's webhook answered.
    fn inbound<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
        text: &'a str,
    ) -> BoxFuture<'a, anyhow::Result<u16>>;
    fn waiting(&self) -> Waiting;
    fn idle(&self) -> BoxFuture<'_, ()>;
    /// Forgets everything but settings and behaviour.
    fn reset(&self);
}

/// A twin at work. Dropping it stops it; [`RunningTwin::stop`] also waits for that.
pub struct RunningTwin {
    twin: Arc<dyn Twin>,
    address: SocketAddr,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl std::fmt::Debug for RunningTwin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningTwin")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl RunningTwin {
    /// Binds `listen` and starts serving.
    pub(crate) async fn start<T: Twin>(listen: SocketAddr, twin: T) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("bind the twin to {listen}"))?;
        let address = listener
            .local_addr()
            .context("read the twin's own address")?;
        let twin = Arc::new(twin);
        let stop = twin.stage().stop.clone();
        let shared: Arc<dyn Twin> = twin.clone();
        let router = twin
            .clone()
            .routes()
            .merge(console::routes(Arc::clone(&shared)));
        let tasks = TaskTracker::new();
        tasks.spawn(server::serve(listener, router, stop.clone()));
        tasks.spawn(twin.work());
        tasks.close();
        Ok(Self {
            twin: shared,
            address,
            tasks,
            stop: stop.drop_guard(),
        })
    }

    /// Where the provider's API is, such as `http://127.0.0.1:40123`; no slash at the end.
    pub fn base_url(&self) -> String {
        // Bound to every address, it is still reached on one.
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// Everything that the twin has seen.
    pub fn audit(&self) -> AuditReport {
        self.twin.stage().audit.report()
    }

    /// The audit without its entry per message, for whoever asks every second.
    pub fn audit_summary(&self) -> AuditReport {
        self.twin.stage().audit.summary()
    }

    /// Callbacks due and in flight.
    pub fn waiting(&self) -> Waiting {
        self.twin.waiting()
    }

    /// Waits until no callback or scripted reply is due or in flight.
    pub async fn idle(&self) {
        self.twin.idle().await;
    }

    /// The behaviour, to read and to change.
    pub fn behaviour(&self) -> &LiveBehaviour {
        &self.twin.stage().behaviour
    }

    /// A person writes `body` from their number to one of the customer's; the answer is the webhook's HTTP status.
    ///
    /// # Errors
    /// If no account receives on `to`, it has no webhook, or the webhook does not answer at all.
    pub async fn send_inbound(&self, from: &str, to: &str, body: &str) -> anyhow::Result<u16> {
        self.twin.inbound(from, to, body).await
    }

    /// Forgets messages, opt-outs, audit and everything due. Settings and behaviour stay.
    pub fn reset(&self) {
        self.twin.reset();
    }

    /// Stops: no new request, a moment for those in flight, and what was due is dropped.
    pub async fn stop(self) {
        drop(self.stop);
        self.tasks.wait().await;
    }
}

/// Merges `patch` into the behaviour as RFC 7396 says, so that a caller names only what changes.
pub(crate) fn merge_behaviour(
    live: &LiveBehaviour,
    patch: &serde_json::Value,
) -> anyhow::Result<TwinBehaviour> {
    let mut whole = serde_json::to_value(&*live.get()).context("write the behaviour as JSON")?;
    merge(&mut whole, patch);
    let behaviour: TwinBehaviour = serde_json::from_value(whole).context("read the behaviour")?;
    live.set(behaviour.clone())?;
    Ok(behaviour)
}

/// RFC 7396.
pub(crate) fn merge(target: &mut serde_json::Value, patch: &serde_json::Value) {
    use serde_json::Value::{Null, Object};
    let Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Object(serde_json::Map::new());
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name).or_insert(Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_changes_what_it_names_and_null_restores_the_default() {
        let behaviour = TwinBehaviour {
            seed: 9,
            failed_rate: 0.5,
            ..TwinBehaviour::default()
        };
        let live = LiveBehaviour::new(behaviour, &[]).expect("it is consistent");
        let patch = json!({"latency": "5ms", "fault_rates": {"hang": 0.1}, "failed_rate": null});
        merge_behaviour(&live, &patch).expect("the patch is valid");
        let now = live.get();
        assert_eq!(
            (now.seed, now.failed_rate, now.fault_rates.hang),
            (9, 0.0, 0.1)
        );
        assert_eq!(now.latency, std::time::Duration::from_millis(5));
    }

    #[test]
    fn a_patch_with_a_misspelt_name_or_a_bad_value_changes_nothing() {
        let live = LiveBehaviour::new(TwinBehaviour::default(), &[]).expect("it is consistent");
        for patch in [
            json!({"latencyy": "5ms"}),
            json!({"failed_rate": 2}),
            json!("fast"),
            json!({"seed": 3, "latency": "soon"}),
        ] {
            assert!(merge_behaviour(&live, &patch).is_err(), "{patch}");
        }
        assert_eq!(*live.get(), TwinBehaviour::default());
    }
}
