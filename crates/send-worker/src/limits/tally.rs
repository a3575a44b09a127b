//! What a provider answered within the last half second: how many, and how many of them said "too
//! fast".

use std::time::Duration;

use tokio::time::Instant;

const HALF: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub(super) struct Tally {
    since: Instant,
    /// Throttled and all answers, of the running quarter second and of the one before.
    current: (u32, u32),
    before: (u32, u32),
    /// The longest wait that a provider asked for and nobody was told yet.
    hold: Duration,
}

impl Tally {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            current: (0, 0),
            before: (0, 0),
            hold: Duration::ZERO,
        }
    }

    pub(super) fn count(&mut self, now: Instant, throttled: u32, answers: u32, hold: Duration) {
        let passed = now.duration_since(self.since);
        if passed >= HALF {
            self.before = if passed < HALF * 2 {
                self.current
            } else {
                (0, 0)
            };
            (self.current, self.since) = ((0, 0), now);
        }
        self.current.0 += throttled;
        self.current.1 += answers;
        self.hold = self.hold.max(hold);
    }

    /// Throttled answers, all answers, and how long to hold.
    pub(super) fn told(&mut self) -> (u32, u32, Duration) {
        let hold = std::mem::take(&mut self.hold);
        let (now, before) = (self.current, self.before);
        (now.0 + before.0, now.1 + before.1, hold)
    }

    /// The limit was narrowed for what is counted here.
    pub(super) fn clear(&mut self) {
        (self.current, self.before) = ((0, 0), (0, 0));
    }
}
