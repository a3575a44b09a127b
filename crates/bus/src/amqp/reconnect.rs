//! How long to wait before the next attempt to connect.
//!
//! The only place that knows the `backoff` crate (RUSTSEC-2025-0012: unmaintained). Only its
//! interval generator is used; its loops and its clock are not.

use std::time::Duration;

use backoff::{ExponentialBackoff, backoff::Backoff};

/// Growing pauses, each up to a half longer or shorter than planned, so that a fleet that lost
/// its broker does not come back in one step.
pub(super) struct Pauses {
    intervals: ExponentialBackoff,
    pause_max: Duration,
}

impl Pauses {
    pub(super) fn up_to(pause_max: Duration) -> Self {
        let initial_interval = Duration::from_millis(100).min(pause_max);
        Self {
            intervals: ExponentialBackoff {
                initial_interval,
                current_interval: initial_interval,
                randomization_factor: 0.5,
                multiplier: 2.0,
                max_interval: pause_max,
                // Its default gives up after a quarter of an hour; an outage may last longer.
                max_elapsed_time: None,
                ..ExponentialBackoff::default()
            },
            pause_max,
        }
    }

    pub(super) fn next(&mut self) -> Duration {
        self.intervals
            .next_backoff()
            .unwrap_or(self.pause_max)
            .min(self.pause_max)
    }

    pub(super) fn reset(&mut self) {
        self.intervals.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_start_short_grow_and_never_pass_their_bound() {
        let bound = Duration::from_secs(2);
        let mut pauses = Pauses::up_to(bound);
        let all: Vec<_> = (0..1000).map(|_| pauses.next()).collect();
        assert!(all[0] <= Duration::from_millis(151), "{:?}", all[0]);
        assert!(all.iter().all(|pause| *pause <= bound));
        assert!(all[100..].iter().all(|pause| *pause >= bound / 2));
        pauses.reset();
        assert!(pauses.next() <= Duration::from_millis(151));
    }
}
