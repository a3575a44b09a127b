//! The limits that this process spends. The truth about each is in the ledger, shared by all workers;
//! here are the tokens in hand ([`hand`]), one [`Limit`] for all who spend it, the way back of what
//! providers say about their limits ([`tally`]), and what workers tell each other when one of them was
//! throttled.

mod gauges;
mod hand;
mod limit;
mod tally;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bus::{Bus, Outgoing, Route, Topic};
use ledger::{LeaseRequest, Ledger, LimitScope, LimitState, ThrottleReport};
use message::Connection;
use prometheus::{IntCounter, IntCounterVec};
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

pub(crate) use gauges::Gauges;
pub(crate) use hand::Taken;
pub(crate) use limit::{Limit, whole};

/// Where workers tell each other about limits.
const NUDGES: &str = "limits.narrowed";

/// A provider that says to wait longer than this is asked again all the same.
const HOLD_MAX: Duration = Duration::from_secs(3600);

/// Answers are counted for so long before the first of them is reported: the fleet shall know how
/// many were refused, and soon.
const REPORT_AFTER: Duration = Duration::from_millis(30);

/// What a limit needs to be worked on.
pub(crate) struct Limits {
    ledger: Arc<dyn Ledger>,
    bus: Arc<dyn Bus>,
    metrics: LimitMetrics,
    /// Segments per second of the whole fleet, by provider.
    of_providers: HashMap<String, f64>,
    known: Mutex<HashMap<LimitScope, Weak<Limit>>>,
}

/// See the help texts in `metrics.rs`.
#[derive(Debug, Clone)]
pub(crate) struct LimitMetrics {
    pub(crate) leases: IntCounter,
    pub(crate) granted: IntCounter,
    pub(crate) throttled: IntCounterVec,
    pub(crate) ledger_errors: IntCounter,
    pub(crate) gauges: Arc<Gauges>,
}

/// The limits that a message of one connection has to pass.
pub(crate) struct ConnectionLimits {
    limits: Arc<Limits>,
    provider: String,
    /// The connection's own, then its sender's and the provider's, where there are such.
    pub(crate) all: Vec<Arc<Limit>>,
}

/// What one worker tells the others.
#[derive(Debug, Serialize, Deserialize)]
struct Narrowed {
    /// The limit's name, without those of senders: they are never narrowed.
    connection: String,
    per_second: f64,
    held_for_millis: u64,
}

impl Limits {
    pub(crate) fn new(
        ledger: Arc<dyn Ledger>,
        bus: Arc<dyn Bus>,
        metrics: LimitMetrics,
        of_providers: HashMap<String, f64>,
    ) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            bus,
            metrics,
            of_providers,
            known: Mutex::default(),
        })
    }

    /// The limits of a connection, shared with all who spend them.
    pub(crate) fn of(self: &Arc<Self>, connection: &Connection) -> Arc<ConnectionLimits> {
        let owner = &connection.organization_id;
        let rate = connection.segments_per_second;
        let own = self.limit(
            LimitScope::connection(owner, &connection.id),
            rate,
            Some(connection.id.to_string()),
        );
        let documented = providers::provider(&connection.provider)
            .and_then(|provider| provider.capabilities().sender_limit(&connection.sender));
        // A connection with a higher rate of its own says that more was agreed on.
        let sender = documented.filter(|documented| rate <= *documented);
        let sender = sender.map(|documented| {
            let scope = LimitScope::sender(owner, &connection.provider, &connection.sender);
            self.limit(scope, documented, None)
        });
        let fleet = self.of_providers.get(&connection.provider).map(|rate| {
            let scope = LimitScope::provider(&connection.provider);
            self.limit(scope, *rate, Some(connection.provider.clone()))
        });
        Arc::new(ConnectionLimits {
            limits: self.clone(),
            provider: connection.provider.clone(),
            all: [Some(own), sender, fleet].into_iter().flatten().collect(),
        })
    }

    fn limit(&self, scope: LimitScope, per_second: f64, label: Option<String>) -> Arc<Limit> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = known.get(&scope).and_then(Weak::upgrade) {
            return limit;
        }
        known.retain(|_, limit| limit.strong_count() > 0);
        let gauge = label.and_then(|label| self.metrics.gauges.of(label));
        let limit = Arc::new(Limit::new(scope.clone(), per_second, gauge));
        known.insert(scope, Arc::downgrade(&limit));
        limit
    }

    /// Asks the ledger for tokens, beside who waits for them: what is in hand goes on being spent.
    pub(crate) fn lease(
        self: &Arc<Self>,
        asked: Vec<(Arc<Limit>, LeaseRequest)>,
        heard: Arc<Notify>,
    ) {
        let limits = self.clone();
        tokio::spawn(async move {
            let (of, requests): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
            let asking = Asking(of);
            let asked = Instant::now();
            let answer = limits.ledger.lease(&requests).await;
            limits.metrics.leases.inc();
            asking.answered(answer, asked, &limits.metrics.granted);
            heard.notify_one();
        });
    }

    /// Learns from the other workers which limits were narrowed, until `stop`. Only a short cut:
    /// every lease tells it too.
    pub(crate) async fn listen(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let listening = async {
                let mut nudges = self.bus.subscribe(Topic::Control, NUDGES).await.ok()?;
                while let Ok(delivery) = nudges.next().await {
                    if let Ok(narrowed) = serde_json::from_slice(&delivery.body) {
                        self.heard(&narrowed);
                    }
                    delivery.ack().await;
                }
                Some(())
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = listening => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    fn heard(&self, narrowed: &Narrowed) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = known
            .iter()
            .find(|(scope, _)| scope.connection_id() == Some(narrowed.connection.as_str()))
            .and_then(|(_, limit)| limit.upgrade());
        drop(known);
        if let Some(limit) = limit {
            let held = Duration::from_millis(narrowed.held_for_millis);
            limit.narrowed(narrowed.per_second, held);
        }
    }
}

/// Limits that are being asked for; they may be asked again however this ends.
struct Asking(Vec<Arc<Limit>>);

impl Asking {
    fn answered(
        mut self,
        answer: Result<Vec<ledger::Lease>, ledger::LedgerError>,
        asked: Instant,
        granted: &IntCounter,
    ) {
        let heard = Instant::now();
        let mut limits = std::mem::take(&mut self.0).into_iter();
        match answer {
            Ok(leases) => {
                for (limit, lease) in limits.by_ref().zip(&leases) {
                    granted.inc_by(lease.granted().into());
                    limit.granted(lease, asked, heard);
                }
            }
            Err(error) => {
                if let Some(first) = limits.next() {
                    first.failed(error);
                }
            }
        }
        self.0 = limits.collect();
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        for limit in &self.0 {
            limit.abandoned();
        }
    }
}

impl ConnectionLimits {
    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    fn own(&self) -> &Arc<Limit> {
        &self.all[0]
    }

    /// Notes what the provider answered: how often it said "too fast", of how many answers, and the
    /// longest wait that it asked for. The fleet is told within some 30 ms.
    pub(crate) fn answered(self: &Arc<Self>, throttled: u32, answers: u32, hold: Option<Duration>) {
        let now = Instant::now();
        let own = self.own();
        let mut state = own.state();
        let hold = hold.unwrap_or_default().min(HOLD_MAX);
        state.tally.count(now, throttled, answers, hold);
        if throttled == 0 {
            return;
        }
        let counter = &self.limits.metrics.throttled;
        counter
            .with_label_values(&[self.provider.as_str()])
            .inc_by(throttled.into());
        // A wait that the provider asks for is told at once, a rate not before it may change again.
        if state.reporting || (now < state.quiet_until && hold.is_zero()) {
            return;
        }
        state.reporting = true;
        drop(state);
        let told = self.clone();
        tokio::spawn(async move { told.report().await });
    }

    async fn report(&self) {
        tokio::time::sleep(REPORT_AFTER).await;
        let own = self.own();
        let (throttled, answers, hold) = own.state().tally.told();
        let state = self.tell(throttled, answers, hold).await;
        let mut known = own.state();
        known.reporting = false;
        if let Some(state) = state {
            known.quiet_until = Instant::now() + Duration::from_micros(state.quiet_for_micros);
            if state.cut {
                known.tally.clear();
            }
        }
    }

    /// Makes the whole fleet rest on this connection. Best effort: who misses it is refused too.
    pub(crate) async fn rest(&self, rest: Duration) {
        self.tell(0, 0, rest).await;
    }

    async fn tell(&self, throttled: u32, answers: u32, hold: Duration) -> Option<LimitState> {
        let own = self.own();
        let report = ThrottleReport {
            scope: own.scope.clone(),
            per_second: own.per_second,
            throttled,
            answers,
            hold_millis: u64::try_from(hold.as_millis()).unwrap_or(u64::MAX),
        };
        let state = match self.limits.ledger.throttled(&report).await {
            Ok(state) => state,
            Err(error) => {
                self.limits.metrics.ledger_errors.inc();
                tracing::warn!("report of a limit: {error}");
                return None;
            }
        };
        if state.cut || !hold.is_zero() {
            let held = Duration::from_micros(state.held_for_micros);
            let before = own.rate();
            own.narrowed(state.per_second, held);
            tracing::warn!(
                provider = self.provider,
                throttled,
                answers,
                ?held,
                per_second = state.per_second,
                configured = state.configured,
                "limit narrowed"
            );
            // The others hear of a small step with their next lease.
            if !held.is_zero() || state.per_second < before * 0.9 {
                self.nudge(&state).await;
            }
        }
        Some(state)
    }

    async fn nudge(&self, state: &LimitState) {
        let Some(connection) = self.own().scope.connection_id() else {
            return;
        };
        let narrowed = Narrowed {
            connection: connection.to_owned(),
            per_second: state.per_second,
            held_for_millis: state.held_for_micros / 1_000,
        };
        let Ok(body) = serde_json::to_vec(&narrowed) else {
            return;
        };
        let route = Route::Topic(Topic::Control, NUDGES.to_owned());
        let nudge = Outgoing::new(route, NUDGES, body);
        if let Err(error) = self.limits.bus.publish(vec![nudge]).await {
            tracing::debug!("nudge not published: {error}");
        }
    }
}
