//! The generic cell rate algorithm, pure: time is an argument. `redis/lua/lease.lua` says the same.
//!
//! A cell is one point in time, the theoretical arrival of the next token if tokens came evenly. It
//! may run ahead of now by `burst` tokens; each token granted moves it by one interval. So over any
//! span of `t` seconds at most `rate × t + burst` tokens are granted.

/// A limit's state; the times are microseconds of one clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// When the next token is due if they came evenly.
    pub(crate) due: u64,
    /// Nobody gets tokens before; 0 for no such time.
    pub(crate) held_until: u64,
}

/// What was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) tokens: u32,
    /// If none: microseconds until there is one.
    pub(crate) wait: u64,
}

/// How long to wait where the rate allows nothing at all.
const NEVER_MICROS: u64 = 1_000_000;

impl Cell {
    /// Takes up to `want` tokens at `now`.
    ///
    /// Microseconds of Unix time are below 2^51, so that `f64` is exact to a quarter of one; what
    /// is stored is rounded up, in favour of the limit.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation
    )]
    pub(crate) fn lease(&mut self, now: u64, per_second: f64, burst: f64, want: u32) -> Grant {
        if !(per_second.is_finite() && per_second > 0.0) {
            return Grant {
                tokens: 0,
                wait: NEVER_MICROS,
            };
        }
        let interval = 1_000_000.0 / per_second;
        let tolerance = interval * burst.max(1.0);
        let at = now as f64;
        let mut due = (self.due as f64).max(at);
        if self.held_until > 0 {
            // When the hold ends there is one token, not a burst: the provider has just said 429.
            due = due.max(self.held_until as f64 + tolerance - interval);
        }
        let available = ((at + tolerance - due) / interval + ROUNDING)
            .floor()
            .max(0.0);
        let tokens = available.min(f64::from(want)) as u32;
        if tokens > 0 {
            self.due = (due + f64::from(tokens) * interval).ceil() as u64;
            return Grant { tokens, wait: 0 };
        }
        let wait = (due + interval - tolerance - at).ceil().max(1.0);
        Grant {
            tokens: 0,
            wait: wait as u64,
        }
    }

    /// Nobody gets tokens before `until`.
    pub(crate) fn hold_until(&mut self, until: u64) {
        self.held_until = self.held_until.max(until);
    }
}

/// A thousandth of a token, so that a wait rounded to whole microseconds does not end one too early.
const ROUNDING: f64 = 0.001;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A second in the middle of 2026, so that the arithmetic meets the magnitudes it runs with.
    const START: u64 = 1_780_000_000_000_000;

    /// The same limit as a bucket of tokens, filled evenly: the textbook's other form.
    struct Bucket {
        tokens: f64,
        at: u64,
    }

    impl Bucket {
        #[allow(clippy::cast_precision_loss)]
        fn available(&mut self, now: u64, per_second: f64, burst: f64) -> f64 {
            let grown = (now - self.at) as f64 * per_second / 1_000_000.0;
            self.tokens = (self.tokens + grown).min(burst);
            self.at = now;
            self.tokens
        }
    }

    proptest! {
        #[test]
        fn a_cell_grants_what_a_bucket_of_tokens_would(
            per_second in 0.5f64..5_000.0,
            burst in 1.0f64..500.0,
            steps in prop::collection::vec((0u64..2_000_000, 1u32..300), 1..60),
        ) {
            let mut cell = Cell::default();
            let mut bucket = Bucket { tokens: burst, at: START };
            let mut now = START;
            for (pause, want) in steps {
                now += pause;
                let fair = bucket.available(now, per_second, burst).min(want.into());
                let granted = f64::from(cell.lease(now, per_second, burst, want).tokens);
                // Rounding may move the last token of a step to the next one.
                prop_assert!(granted <= fair + 0.05 && granted >= fair.floor() - 1.0, "{granted} of {fair}");
                bucket.tokens -= granted;
            }
        }

        #[test]
        fn no_span_of_time_gets_more_than_rate_and_burst(
            per_second in 0.5f64..5_000.0,
            burst in 1.0f64..500.0,
            steps in prop::collection::vec((0u64..200_000, 1u32..300), 1..60),
        ) {
            let mut cell = Cell::default();
            let mut now = START;
            let mut grants = Vec::new();
            for (pause, want) in steps {
                now += pause;
                grants.push((now, cell.lease(now, per_second, burst, want).tokens));
            }
            for (i, (from, _)) in grants.iter().enumerate() {
                let mut sum = 0.0;
                for (to, tokens) in &grants[i..] {
                    sum += f64::from(*tokens);
                    #[allow(clippy::cast_precision_loss)]
                    let allowed = (to - from) as f64 / 1_000_000.0 * per_second + burst;
                    prop_assert!(sum <= allowed + 0.1, "{sum} > {allowed}");
                }
            }
        }

        #[test]
        fn after_the_wait_there_is_a_token(
            per_second in 0.5f64..5_000.0, burst in 1.0f64..100.0, held_micros in 0u64..10_000_000,
        ) {
            let mut cell = Cell::default();
            cell.lease(START, per_second, burst, u32::MAX);
            cell.hold_until(START + held_micros);
            let grant = cell.lease(START + 1, per_second, burst, 1);
            if grant.tokens == 0 {
                prop_assert_eq!(cell.lease(START + 1 + grant.wait, per_second, burst, 1).tokens, 1);
            }
        }
    }

    #[test]
    fn a_hold_ends_with_one_token_and_not_with_a_burst() {
        let mut cell = Cell::default();
        cell.hold_until(START + 1_000_000);
        assert_eq!(
            cell.lease(START, 10.0, 50.0, 50),
            Grant {
                tokens: 0,
                wait: 1_000_000
            }
        );
        assert_eq!(cell.lease(START + 1_000_000, 10.0, 50.0, 50).tokens, 1);
        assert_eq!(cell.lease(START + 1_300_000, 10.0, 50.0, 50).tokens, 3);
    }

    #[test]
    fn a_rate_of_nothing_grants_nothing() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Cell::default().lease(START, rate, 10.0, 5).tokens, 0);
        }
    }
}
