//! The limit of one connection, counted in segments. The truth is a cell in the ledger, shared by
//! all workers; this side leases what the next 100 ms need and spends it through a local limiter,
//! so that the ledger is asked a few times a second and a lease that was held up is not spent in
//! one burst.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};
use ledger::{LeaseRequest, Ledger, LedgerError};
use prometheus::IntCounter;
use tokio::time::Instant;

/// What a lease covers.
const LEASE: Duration = Duration::from_millis(100);

/// Tokens that were not spent by then lapse: the shared cell has moved on without them.
const LAPSE: Duration = Duration::from_secs(1);

/// How long to wait at most before asking again, however long the cell says: an operator may lift
/// a limit, and a stop must not wait.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The local limiter only smooths; it must never be the tighter of the two.
const LOCAL_SLACK: f64 = 1.1;

pub(crate) struct Pacing {
    scope: String,
    per_second: f64,
    local: DefaultDirectRateLimiter,
    local_burst: u32,
    stock: u32,
    leased_at: Instant,
    leases: IntCounter,
}

impl Pacing {
    pub(crate) fn new(scope: String, per_second: f64, leases: IntCounter) -> Self {
        let per_second = per_second.max(0.001);
        let burst = NonZeroU32::new(whole(per_second * LEASE.as_secs_f64() * 2.0))
            .unwrap_or(NonZeroU32::MIN);
        // A message of several segments must fit, or it could never leave.
        let burst = burst.max(NonZeroU32::new(SEGMENTS_MAX).unwrap_or(NonZeroU32::MIN));
        let period =
            Duration::from_secs_f64(1.0 / (per_second * LOCAL_SLACK)).max(Duration::from_nanos(1));
        let quota = Quota::with_period(period)
            .unwrap_or(Quota::per_second(NonZeroU32::MAX))
            .allow_burst(burst);
        let local = DefaultDirectRateLimiter::direct(quota);
        Self {
            scope,
            per_second,
            local,
            local_burst: burst.get(),
            stock: 0,
            leased_at: Instant::now(),
            leases,
        }
    }

    /// The name of the cell.
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// Waits until at least `least` segments may leave and returns how many may, up to `most`; zero
    /// if `until` comes first. Cancel safe: what was leased stays in stock.
    pub(crate) async fn take(
        &mut self,
        ledger: &Arc<dyn Ledger>,
        least: u32,
        most: u32,
        until: Instant,
    ) -> Result<u32, LedgerError> {
        while self.stock_now() < least {
            let lease = ledger.lease(&self.request(least)).await?;
            self.leases.inc();
            if lease.granted > 0 {
                self.stock += lease.granted;
                self.leased_at = Instant::now();
                continue;
            }
            let wait = Duration::from_millis(lease.retry_after_millis.max(1)).min(ASK_AGAIN);
            if Instant::now() + wait > until {
                tokio::time::sleep_until(until).await;
                return Ok(0);
            }
            tokio::time::sleep(wait).await;
        }
        let granted = self
            .stock
            .min(most.max(least))
            .min(self.local_burst.max(least));
        self.smooth(granted).await;
        self.stock = self.stock.saturating_sub(granted);
        Ok(granted)
    }

    /// Returns segments that were not needed after all.
    pub(crate) fn give_back(&mut self, segments: u32) {
        self.stock += segments;
    }

    fn stock_now(&mut self) -> u32 {
        if self.stock > 0 && self.leased_at.elapsed() > LAPSE {
            self.stock = 0;
        }
        self.stock
    }

    fn request(&self, least: u32) -> LeaseRequest {
        let ahead = self.per_second * LEASE.as_secs_f64();
        let want = whole(ahead).max(least - self.stock.min(least));
        LeaseRequest {
            scope: self.scope.clone(),
            per_second: self.per_second,
            burst: ahead.max(f64::from(want)),
            want,
        }
    }

    async fn smooth(&self, segments: u32) {
        let Some(segments) = NonZeroU32::new(segments.min(self.local_burst)) else {
            return;
        };
        let clock = DefaultClock::default();
        while let Ok(Err(not_until)) = self.local.check_n(segments) {
            tokio::time::sleep(not_until.wait_time_from(clock.now())).await;
        }
    }
}

/// The most segments one message can have.
const SEGMENTS_MAX: u32 = 255;

/// A share of a rate as whole tokens, at least one.
fn whole(tokens: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range first"
    )]
    let tokens = tokens.clamp(1.0, 1_000_000.0).floor() as u32;
    tokens
}
