//! One limit in this process, shared by all who spend it.

use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use ledger::{Lease, LeaseRequest, LedgerError, LimitScope};
use tokio::time::Instant;

use super::{
    gauges::Gauge,
    hand::{Hand, Taken},
    tally::Tally,
};

/// How long to wait at most before asking again, however long the store says: an operator may lift
/// a limit, and a stop must not wait.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One limit.
pub(crate) struct Limit {
    pub(super) scope: LimitScope,
    /// The rate where no operator set another.
    pub(super) per_second: f64,
    state: Mutex<State>,
    gauge: Option<Gauge>,
}

pub(super) struct State {
    pub(super) hand: Hand,
    pub(super) tally: Tally,
    /// Reports wait until then.
    pub(super) quiet_until: Instant,
    pub(super) reporting: bool,
    asking: bool,
    not_before: Instant,
    failed: Option<LedgerError>,
    /// Segments per second of the limit now.
    rate: f64,
    gate: Gate,
}

/// This process alone never exceeds the rate, whatever it was granted: a store that lost its latest
/// writes in a failover gives the same tokens away twice.
struct Gate {
    configured: f64,
    limiter: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>,
    burst: NonZeroU32,
}

/// The runtime's monotonic clock.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Gate {
    fn new(configured: f64) -> Self {
        let burst = NonZeroU32::new(whole(configured * 0.05).max(2)).unwrap_or(NonZeroU32::MIN);
        let rate = (configured * 1.02).clamp(0.001, 1e9);
        let period = Duration::from_secs_f64(1.0 / rate).max(Duration::from_nanos(1));
        let quota = Quota::with_period(period)
            .unwrap_or(Quota::per_second(NonZeroU32::MAX))
            .allow_burst(burst);
        Self {
            configured,
            limiter: RateLimiter::direct_with_clock(quota, TokioClock(Instant::now())),
            burst,
        }
    }

    /// Zero if that many may leave now, else for how long not.
    fn check(&self, tokens: u32) -> Duration {
        let tokens = NonZeroU32::new(tokens.min(self.burst.get())).unwrap_or(NonZeroU32::MIN);
        match self.limiter.check_n(tokens) {
            Ok(Err(not_until)) => not_until.wait_time_from(self.limiter.clock().now()),
            Ok(Ok(())) | Err(_) => Duration::ZERO,
        }
    }
}

impl Limit {
    pub(super) fn new(scope: LimitScope, per_second: f64, gauge: Option<Gauge>) -> Self {
        let now = Instant::now();
        let state = State {
            hand: Hand::default(),
            tally: Tally::new(now),
            quiet_until: now,
            reporting: false,
            asking: false,
            not_before: now,
            failed: None,
            rate: per_second,
            gate: Gate::new(per_second),
        };
        Self {
            scope,
            per_second,
            state: Mutex::new(state),
            gauge,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to ask the store for, if it is time for that: then the caller asks.
    pub(crate) fn wants(&self, now: Instant, least: u32, most: u32) -> Option<LeaseRequest> {
        let mut state = self.state();
        if state.asking || now < state.not_before {
            return None;
        }
        let want = state.hand.wants(now, most.max(least))?;
        state.hand.asked();
        state.asking = true;
        Some(LeaseRequest {
            scope: self.scope.clone(),
            per_second: self.per_second,
            want,
            least,
        })
    }

    pub(crate) fn granted(&self, lease: &Lease, asked: Instant, heard: Instant) {
        let mut state = self.state();
        state.asking = false;
        state.failed = None;
        let wait = Duration::from_micros(lease.retry_after_micros).min(ASK_AGAIN);
        state.not_before = heard + wait;
        if lease.per_second > 0.0 {
            state.rate = lease.per_second;
            if state.gate.configured.to_bits() != lease.configured.to_bits() {
                state.gate = Gate::new(lease.configured);
            }
            if let Some(gauge) = &self.gauge {
                gauge.set(lease.configured, lease.per_second);
            }
        }
        state.hand.grant(lease, asked, heard);
    }

    pub(crate) fn failed(&self, error: LedgerError) {
        let mut state = self.state();
        state.asking = false;
        state.failed = Some(error);
    }

    /// The asker went away before the answer came.
    pub(crate) fn abandoned(&self) {
        self.state().asking = false;
    }

    /// Whoever is told first deals with it; others ask again.
    pub(crate) fn take_failure(&self) -> Option<LedgerError> {
        self.state().failed.take()
    }

    pub(crate) fn available(&self, now: Instant, least: u32) -> u32 {
        self.state().hand.available(now, least)
    }

    /// Segments per second now.
    pub(crate) fn rate(&self) -> f64 {
        self.state().rate
    }

    /// When there may be more than now, as far as is known.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        let state = self.state();
        let again = (state.not_before > now).then_some(state.not_before);
        state.hand.next_due(now).into_iter().chain(again).min()
    }

    /// Spends what is available, unless this process as a whole was too fast.
    pub(crate) fn take(&self, now: Instant, tokens: u32) -> Taken {
        self.state().hand.take(now, tokens)
    }

    pub(crate) fn put_back(&self, taken: &mut Taken, tokens: u32) {
        self.state().hand.put_back(taken, tokens);
    }

    /// How long this process has to wait because of its own rate.
    pub(crate) fn gate(&self, tokens: u32) -> Duration {
        self.state().gate.check(tokens)
    }

    /// The limit is narrower now, or held.
    pub(crate) fn narrowed(&self, per_second: f64, held: Duration) {
        let now = Instant::now();
        let mut state = self.state();
        if held.is_zero() {
            state.hand.narrow(now, per_second);
        } else {
            state.hand.drop_all();
            state.not_before = state.not_before.max(now + held.min(ASK_AGAIN));
        }
        state.rate = per_second;
        if let Some(gauge) = &self.gauge {
            gauge.set(state.gate.configured, per_second);
        }
    }
}

/// A number of tokens.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range first"
)]
pub(crate) fn whole(tokens: f64) -> u32 {
    tokens.clamp(0.0, 1e9).ceil() as u32
}
