//! What a lane asks before it launches: how many segments may leave now. A message leaves only when
//! all limits of its connection let it: the connection's own, its sender's where the provider
//! documents one, and the provider's where the operator set one for the fleet.

use std::{sync::Arc, time::Duration};

use ledger::LedgerError;
use message::Connection;
use tokio::{sync::Notify, time::Instant};

use crate::limits::{ConnectionLimits, Limits, Taken, whole};

/// Segments are let go in portions of what is due within this time: one look at the limits for all
/// of them, and small enough that a second has at most a hundredth more than its rate.
const PORTION: Duration = Duration::from_millis(5);

/// Somebody else asks for the tokens of a shared limit: how often to look whether they came.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) struct Pacing {
    limits: Arc<ConnectionLimits>,
    /// Where the last portion came from, by limit.
    taken: Vec<Taken>,
    heard: Arc<Notify>,
}

impl Pacing {
    pub(crate) fn new(limits: &Arc<Limits>, connection: &Connection) -> Self {
        Self {
            limits: limits.of(connection),
            taken: Vec::new(),
            heard: Arc::default(),
        }
    }

    /// For those who hear what the provider answers.
    pub(crate) fn limits(&self) -> &Arc<ConnectionLimits> {
        &self.limits
    }

    /// Segments of a portion: who can send them one by one and asks for `least` of that many keeps
    /// its limit best.
    pub(crate) fn portion(&self) -> u32 {
        self.due_within(PORTION)
    }

    /// Segments that the tightest limit lets go within that time, at least one.
    pub(crate) fn due_within(&self, time: Duration) -> u32 {
        let rates = self.limits.all.iter().map(|limit| limit.rate());
        whole(rates.fold(f64::MAX, f64::min) * time.as_secs_f64()).max(1)
    }

    /// Waits until at least `least` segments may leave and returns how many may, up to `most`; zero
    /// if `until` comes first. Cancel safe: what was leased stays in hand.
    ///
    /// # Errors
    /// Those of the ledger: without it nothing may leave.
    pub(crate) async fn take(
        &mut self,
        least: u32,
        most: u32,
        until: Instant,
    ) -> Result<u32, LedgerError> {
        let least = least.max(1);
        let most = most.max(least);
        let mut gathered = false;
        loop {
            let now = Instant::now();
            let failure = self
                .limits
                .all
                .iter()
                .find_map(|limit| limit.take_failure());
            if let Some(failure) = failure {
                return Err(failure);
            }
            let all = self.limits.all.iter();
            let available = all.map(|limit| limit.available(now, least)).min();
            let available = available.unwrap_or(0).min(most);
            self.ask(now, least, most);
            let portion = self.portion().clamp(least, most);
            let mut wake = if available < least {
                self.next(now)
            } else if available < portion && !gathered {
                gathered = true;
                now + PORTION.min(until.saturating_duration_since(now))
            } else {
                let own = self.limits.all.iter().map(|limit| limit.gate(available));
                match own.max() {
                    None | Some(Duration::ZERO) => return Ok(self.spend(now, available)),
                    Some(wait) => now + wait,
                }
            };
            if now >= until {
                return Ok(0);
            }
            wake = wake.min(until);
            tokio::select! {
                () = tokio::time::sleep_until(wake) => {}
                () = self.heard.notified() => {}
            }
        }
    }

    /// Returns segments of the last portion that were not needed after all.
    pub(crate) fn give_back(&mut self, segments: u32) {
        for (limit, taken) in self.limits.all.iter().zip(&mut self.taken) {
            limit.put_back(taken, segments);
        }
    }

    fn spend(&mut self, now: Instant, segments: u32) -> u32 {
        let all = self.limits.all.iter();
        self.taken = all.map(|limit| limit.take(now, segments)).collect();
        segments
    }

    /// Asks for tokens where they run out, for all limits at once.
    fn ask(&self, now: Instant, least: u32, most: u32) {
        let all = self.limits.all.iter();
        let asked: Vec<_> = all
            .filter_map(|limit| Some((limit.clone(), limit.wants(now, least, most)?)))
            .collect();
        if !asked.is_empty() {
            self.limits.limits().lease(asked, self.heard.clone());
        }
    }

    /// When there may be more than now: an answer wakes the waiting one anyway.
    fn next(&self, now: Instant) -> Instant {
        let known = self.limits.all.iter().filter_map(|limit| limit.next(now));
        let shared = self.limits.all.len() > 1;
        let look = if shared {
            LOOK
        } else {
            Duration::from_millis(50)
        };
        known
            .min()
            .unwrap_or(now + look)
            .max(now + Duration::from_micros(500))
    }
}
