//! An account's limits: a token bucket for what comes in a second, a count of what is in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A bucket that fills at `per_second` and holds `burst`. Starts full.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self {
            per_second: f64::from(per_second),
            burst: f64::from(burst),
            tokens: f64::from(burst),
            filled: now,
        }
    }

    /// Takes `count` tokens, or none and says no. More than the bucket ever holds is let through when it is full, else a
    /// long text on a slow sender could never be sent at all; it is paid back before the next one.
    pub fn take(&mut self, count: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        self.filled = self.filled.max(now);
        let wanted = f64::from(count);
        // A millionth of a token is rounding, not traffic.
        if self.tokens + 1e-6 < wanted.min(self.burst) {
            return false;
        }
        self.tokens -= wanted;
        true
    }

    /// How long, after a refusal, until the next single token is there.
    pub fn wait(&self) -> Duration {
        Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.per_second)
    }
}

/// Counts the requests of an account that are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Arc<AtomicU32>);

impl InFlight {
    /// Enters; leaving is the place's `drop`, so that an aborted request leaves too.
    pub fn enter(&self) -> Place {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        Place {
            count: Arc::clone(&self.0),
            at_entry: before.saturating_add(1),
        }
    }
}

/// One request's place in the count.
#[derive(Debug)]
pub(crate) struct Place {
    count: Arc<AtomicU32>,
    /// How many there were when this one had come in, itself included.
    pub at_entry: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_lets_through_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 5, start);
        let mut taken = 0;
        for millisecond in 0..3_000 {
            if bucket.take(1, start + Duration::from_millis(millisecond)) {
                taken += 1;
            }
        }
        assert!(
            (34..=35).contains(&taken),
            "5 at once and 10 a second for 3 s, not {taken}"
        );
    }

    #[test]
    fn a_text_longer_than_the_burst_waits_for_a_full_bucket_and_is_paid_back() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1, 1, start);
        assert!(bucket.take(3, start));
        assert!(!bucket.take(1, start + Duration::from_millis(2_900)));
        assert!(bucket.take(1, start + Duration::from_millis(3_000)));
    }

    #[test]
    fn a_place_is_given_back_however_its_request_ends() {
        let in_flight = InFlight::default();
        let first = in_flight.enter();
        assert_eq!((first.at_entry, in_flight.enter().at_entry), (1, 2));
        assert_eq!(in_flight.enter().at_entry, 2);
    }
}
