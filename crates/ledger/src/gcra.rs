//! The rule of a limit, pure: time is an argument. `redis/lua/cell.lua`, `lease.lua` and
//! `throttled.lua` say the same.
//!
//! A limit is a timetable. The generic cell rate algorithm keeps one point in time, when the next
//! token is due if tokens come evenly; a lease takes the next tokens off that timetable, a [`Slice`]
//! of it, with the time at which each is due. Nobody else gets those, so workers that spend every
//! token between its time and a little later keep the limit together, however many they are and
//! whatever becomes of them. A token whose time has passed is gone: nothing is saved up, so neither a
//! pause nor a new rate ends in a burst.
//!
//! A fast limit has several timetables side by side ([`TRACK_PER_SECOND`]), so that a worker which
//! can not use the whole rate takes a part of it for some time and leaves the others theirs.
//!
//! A provider that throttles narrows the limit: what it refused is taken off the rate at once (at most
//! half, and at most once per [`REACTION_MICROS`]), and comes back evenly ([`RECOVERY_PER_SECOND`]).

use std::cmp::Ordering;

use crate::limit::{Lease, LimitState, Slice};

/// The share of a rate that is aimed at. Half a percent is left for what comes late: a message that arrives
/// 14 ms after its time then keeps every second below 101 % of the rate.
const AIM: f64 = 0.995;

/// A timetable that nobody asked for goes on this long before now, so that the round trip of a
/// single worker leaves no gap.
const GRACE_MICROS: f64 = 5_000.0;

/// How far ahead of now tokens are given away. Workers that share a slow limit wait for their slices
/// with the slice in hand instead of asking again and again.
const HORIZON_MICROS: f64 = 2_000_000.0;

/// Tokens of one message or request, at most, that may be due behind [`HORIZON_MICROS`]. More than
/// this is a clock that was set back.
const AHEAD_TOKENS_MAX: f64 = 1_024.0;

/// What one lease covers: short, so that little is lost with a worker and a new rate is felt soon;
const BLOCK_SECONDS: f64 = 0.05;
/// but as many tokens as make a lease cheap,
const BLOCK_TOKENS_MIN: f64 = 25.0;
/// within this time.
const BLOCK_SECONDS_MAX: f64 = 0.25;

/// What a timetable carries at least before a limit gets another.
const TRACK_PER_SECOND: f64 = 1_000.0;
const TRACKS_MAX: f64 = 16.0;

/// The time between two cuts: the answers to what was sent before the first one are in by then.
const REACTION_MICROS: f64 = 500_000.0;
/// The share of the configured rate that comes back in a second.
const RECOVERY_PER_SECOND: f64 = 0.05;
/// What a cut leaves at least of the rate.
const CUT_MIN: f64 = 0.5;
/// What all cuts leave at least of the configured rate.
const FLOOR: f64 = 0.01;
/// One refusal alone is weighed as if it were one of so many: a provider that refuses one in a
/// hundred for no reason costs next to nothing.
const SAMPLE_MIN: f64 = 20.0;

/// How long to wait where the rate allows nothing at all.
const NEVER_MICROS: u64 = 1_000_000;

/// A limit's state; the times are microseconds of one clock, 0 for no such time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Cell {
    /// When the next token of each timetable is due.
    due: Vec<f64>,
    /// Nobody gets tokens before.
    held_until: f64,
    /// The rate that an operator set instead of the one that comes with a request.
    set: Option<f64>,
    /// The narrowed rate and when it was true.
    narrowed: Option<(f64, f64)>,
    /// The latest cut.
    cut_at: f64,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// The rate where no operator set another.
    pub(crate) per_second: f64,
    /// Tokens wanted at most, as far as a block has them.
    pub(crate) want: u32,
    /// Tokens without which the others are of no use.
    pub(crate) least: u32,
}

/// What a provider answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answers {
    /// How often it throttled,
    pub(crate) throttled: u32,
    /// of how many answers.
    pub(crate) of: u32,
    /// It said how long to wait; 0 where it did not.
    pub(crate) hold_micros: u64,
}

// Microseconds of Unix time are below 2^51, so that `f64` is exact to a quarter of one. Counts are
// clamped before they become integers.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation
)]
impl Cell {
    /// The next tokens of the timetable.
    pub(crate) fn lease(&mut self, now: u64, ask: Ask) -> Lease {
        let now = now as f64;
        let configured = self.configured(ask.per_second);
        let per_second = self.effective(now, configured);
        if !is_rate(per_second) {
            return Lease {
                retry_after_micros: NEVER_MICROS,
                ..Lease::default()
            };
        }
        let pace = per_second * AIM;
        let tracks = (configured / TRACK_PER_SECOND)
            .floor()
            .clamp(1.0, TRACKS_MAX);
        let interval = tracks * 1_000_000.0 / pace;
        self.lay(tracks as usize);
        let block = (pace * BLOCK_SECONDS)
            .max(BLOCK_TOKENS_MIN)
            .min(pace * BLOCK_SECONDS_MAX)
            .floor()
            .max(1.0);
        let least = f64::from(ask.least).max(1.0);
        let per_track = (block / tracks).ceil().max((least / tracks).ceil());
        let mut left = f64::from(ask.want).max(least).min(block.max(least));
        let latest = now + HORIZON_MICROS + AHEAD_TOKENS_MAX * interval;
        let earliest = (now - GRACE_MICROS).max(self.held_until);
        let mut lease = Lease {
            slices: Vec::new(),
            interval_micros: interval,
            per_second,
            configured,
            retry_after_micros: 0,
        };
        while left > 0.0 {
            let Some(track) = self.soonest() else { break };
            let starts = track.min(latest).max(earliest);
            if lease.slices.is_empty() && starts > now + HORIZON_MICROS {
                lease.retry_after_micros = (starts - HORIZON_MICROS - now).ceil() as u64;
                break;
            }
            let tokens = left.min(per_track);
            left -= tokens;
            *track = (starts + tokens * interval).ceil();
            lease.slices.push(Slice {
                starts_in_micros: (starts - now) as i64,
                tokens: tokens as u32,
            });
        }
        lease
    }

    /// Narrows the limit by what a provider answered.
    pub(crate) fn throttled(&mut self, now: u64, per_second: f64, answers: Answers) -> LimitState {
        let at = now as f64;
        let configured = self.configured(per_second);
        let since_cut = at - self.cut_at;
        let may_cut = !(0.0..REACTION_MICROS).contains(&since_cut);
        let cut = answers.throttled > 0 && may_cut && is_rate(configured);
        if cut {
            let throttled = f64::from(answers.throttled);
            let of = f64::from(answers.of).max(throttled);
            let share = throttled
                / if throttled > 1.0 {
                    of
                } else {
                    of.max(SAMPLE_MIN)
                };
            let left = self.effective(at, configured) * (1.0 - share).max(CUT_MIN);
            self.narrowed = Some((left.max(configured * FLOOR), at));
            self.cut_at = at;
        }
        if answers.hold_micros > 0 {
            self.held_until = self.held_until.max(at + answers.hold_micros as f64);
        }
        LimitState {
            cut,
            ..self.state(now, per_second)
        }
    }

    /// Sets the rate, or leaves it to those who ask. What is due stays due.
    pub(crate) fn set(&mut self, per_second: Option<f64>) {
        self.set = per_second;
    }

    /// How it stands.
    pub(crate) fn state(&self, now: u64, per_second: f64) -> LimitState {
        let now = now as f64;
        let configured = self.configured(per_second);
        let since_cut = now - self.cut_at;
        let quiet = if (0.0..REACTION_MICROS).contains(&since_cut) {
            REACTION_MICROS - since_cut
        } else {
            0.0
        };
        LimitState {
            set: self.set,
            configured,
            per_second: self.effective(now, configured),
            held_for_micros: (self.held_until - now).max(0.0) as u64,
            quiet_for_micros: quiet as u64,
            cut: false,
        }
    }

    fn configured(&self, asked: f64) -> f64 {
        self.set.unwrap_or(asked)
    }

    fn effective(&self, now: f64, configured: f64) -> f64 {
        let Some((rate, at)) = self.narrowed else {
            return configured;
        };
        let back = configured * RECOVERY_PER_SECOND * (now - at).max(0.0) / 1_000_000.0;
        configured.min(rate + back)
    }

    /// Makes as many timetables as the rate has now. New ones begin where all others end.
    fn lay(&mut self, tracks: usize) {
        if self.due.len() != tracks {
            let end = self.due.iter().copied().fold(0.0, f64::max);
            self.due.clear();
            self.due.resize(tracks, end);
        }
    }

    /// The timetable with the earliest next token, the first of several.
    fn soonest(&mut self) -> Option<&mut f64> {
        let earlier = |a: &&mut f64, b: &&mut f64| a.partial_cmp(b).unwrap_or(Ordering::Equal);
        self.due.iter_mut().min_by(earlier)
    }
}

fn is_rate(per_second: f64) -> bool {
    per_second.is_finite() && per_second > 0.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A second in the middle of 2026, so that the arithmetic meets the magnitudes it runs with.
    const START: u64 = 1_780_000_000_000_000;

    fn ask(per_second: f64, want: u32) -> Ask {
        Ask {
            per_second,
            want,
            least: 1,
        }
    }

    /// When each token of a lease is due.
    fn times(now: u64, lease: &Lease) -> Vec<f64> {
        #[allow(clippy::cast_precision_loss)]
        let start = |slice: &Slice| now as f64 + slice.starts_in_micros as f64;
        let slices = lease.slices.iter().flat_map(|slice| {
            (0..slice.tokens).map(move |n| start(slice) + f64::from(n) * lease.interval_micros)
        });
        slices.collect()
    }

    /// The most tokens that are due within one second.
    fn busiest_second(mut due: Vec<f64>) -> usize {
        due.sort_by(f64::total_cmp);
        let mut first = 0;
        let mut most = 0;
        for last in 0..due.len() {
            while due[last] - due[first] >= 1_000_000.0 {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn no_second_has_more_tokens_than_its_rate_whoever_asks_when_for_how_many(
            per_second in 0.5f64..40_000.0,
            steps in prop::collection::vec((0u64..300_000, 1u32..2_000), 1..80),
        ) {
            let mut cell = Cell::default();
            let mut now = START;
            let mut due = Vec::new();
            for (pause, want) in steps {
                now += pause;
                due.extend(times(now, &cell.lease(now, ask(per_second, want))));
            }
            let tracks = (per_second / TRACK_PER_SECOND).floor().clamp(1.0, TRACKS_MAX);
            #[allow(clippy::cast_precision_loss)]
            let most = busiest_second(due) as f64;
            prop_assert!(most <= per_second * AIM + tracks + 0.01, "{most} of {per_second}");
        }

        #[test]
        fn whoever_comes_back_before_the_end_of_what_it_has_gets_the_whole_rate(
            per_second in 1.0f64..20_000.0,
        ) {
            let mut cell = Cell::default();
            let (mut now, mut granted) = (START, 0);
            while now < START + 3_000_000 {
                let lease = cell.lease(now, ask(per_second, u32::MAX));
                granted += lease.granted();
                now = times(now, &lease).into_iter().fold(0.0, f64::max).ceil() as u64;
            }
            #[allow(clippy::cast_precision_loss)]
            let seconds = (now - START) as f64 / 1_000_000.0;
            let fair = per_second * AIM * seconds;
            prop_assert!(f64::from(granted) >= fair * 0.99 - 1.0, "{granted} of {fair}");
        }

        #[test]
        fn a_new_rate_neither_bursts_nor_starts_anew(
            rates in prop::collection::vec(1.0f64..20_000.0, 2..6),
        ) {
            let mut cell = Cell::default();
            let (mut now, mut due) = (START, Vec::new());
            for rate in &rates {
                cell.set(Some(*rate));
                for _ in 0..30 {
                    due.extend(times(now, &cell.lease(now, ask(7.0, u32::MAX))));
                    now += 40_000;
                }
            }
            let highest = rates.iter().copied().fold(0.0, f64::max);
            #[allow(clippy::cast_precision_loss)]
            let most = busiest_second(due) as f64;
            prop_assert!(most <= highest + 16.0, "{most} of {highest}");
        }
    }

    #[test]
    fn what_nobody_took_is_gone() {
        let mut cell = Cell::default();
        cell.lease(START, ask(100.0, 25));
        let later = START + 60_000_000;
        let lease = cell.lease(later, ask(100.0, 1_000));
        assert_eq!(lease.granted(), 24);
        assert_eq!(lease.slices[0].starts_in_micros, -5_000);
        assert!(times(later, &lease)[23] > (later + 220_000) as f64);
    }

    #[test]
    fn a_lease_gets_dearer_only_below_a_hundred_a_second() {
        for (per_second, tokens) in [(0.1, 1), (10.0, 2), (100.0, 24), (1_000.0, 49)] {
            let lease = Cell::default().lease(START, ask(per_second, u32::MAX));
            assert_eq!(lease.granted(), tokens, "{per_second}");
        }
        let lease = Cell::default().lease(START, ask(100_000.0, u32::MAX));
        assert_eq!((lease.granted(), lease.slices.len()), (4_975, 16));
        let few = Cell::default().lease(START, ask(100_000.0, 7));
        assert_eq!((few.granted(), few.slices.len()), (7, 1));
        let long = Ask {
            least: 255,
            ..ask(10.0, 255)
        };
        assert_eq!(Cell::default().lease(START, long).granted(), 255);
    }

    #[test]
    fn far_ahead_nothing_is_given_away_and_the_wait_is_told() {
        let mut cell = Cell::default();
        let mut granted = 0;
        let lease = loop {
            let lease = cell.lease(START, ask(100.0, 25));
            if lease.slices.is_empty() {
                break lease;
            }
            granted += lease.granted();
        };
        assert!((199..=225).contains(&granted), "{granted}");
        let back = START + lease.retry_after_micros;
        assert!(cell.lease(back - 1, ask(100.0, 25)).slices.is_empty());
        assert!(cell.lease(back, ask(100.0, 25)).granted() > 0);
    }

    #[test]
    fn a_clock_that_is_set_does_not_stop_a_limit_and_does_not_open_it() {
        let mut cell = Cell::default();
        cell.lease(START, ask(1_000.0, 50));
        let set_back = cell.lease(START - 3_600_000_000, ask(1_000.0, 50));
        assert!(set_back.retry_after_micros < 1_100_000, "{set_back:?}");
        let set_on = cell.lease(START + 3_600_000_000, ask(1_000.0, 5_000));
        assert_eq!((set_on.granted(), set_on.slices.len()), (49, 1));
    }

    fn refused(throttled: u32, of: u32, hold_micros: u64) -> Answers {
        Answers {
            throttled,
            of,
            hold_micros,
        }
    }

    #[test]
    fn a_throttled_limit_falls_to_what_was_taken_and_recovers_by_itself() {
        let mut cell = Cell::default();
        let state = cell.throttled(START, 1_000.0, refused(10, 40, 0));
        assert!(state.cut);
        assert!((state.per_second - 750.0).abs() < 1e-6, "{state:?}");
        let again = cell.throttled(START + 499_999, 1_000.0, refused(40, 40, 0));
        assert!(!again.cut && again.quiet_for_micros == 1 && again.per_second > 750.0);
        assert!((cell.state(START + 2_000_000, 1_000.0).per_second - 850.0).abs() < 1e-6);
        let all = cell.state(START + 5_000_000, 1_000.0);
        assert!((all.per_second - 1_000.0).abs() < 1e-6);
        for n in 0..40 {
            cell.throttled(START + n * 500_000, 1_000.0, refused(40, 40, 0));
        }
        let least = cell.state(START + 39 * 500_000, 1_000.0).per_second;
        assert!((10.0..60.0).contains(&least), "{least}");
    }

    #[test]
    fn one_refusal_in_a_hundred_costs_a_few_percent() {
        for per_second in [10u32, 100, 1_000, 10_000] {
            let mut cell = Cell::default();
            let (mut sum, mut samples) = (0.0, 0.0);
            let mut every_100 = 0;
            for step in 0..1_200u64 {
                let now = START + step * 100_000;
                every_100 += per_second / 10;
                let (throttled, answers) = (every_100 / 100, per_second / 10 * 5);
                every_100 %= 100;
                let asked = f64::from(per_second);
                if throttled > 0 {
                    let of = answers.max(throttled * 100);
                    cell.throttled(now, asked, refused((of / 100).max(1), of, 0));
                }
                sum += cell.state(now, asked).per_second;
                samples += 1.0;
            }
            let share = sum / samples / f64::from(per_second);
            assert!(share > 0.97, "{share} at {per_second}/s");
        }
    }

    #[test]
    fn a_hold_ends_evenly_and_not_with_a_burst() {
        let mut cell = Cell::default();
        cell.throttled(START, 10.0, refused(0, 0, 5_000_000));
        cell.throttled(START, 10.0, refused(0, 0, 1_000_000));
        let lease = cell.lease(START, ask(10.0, 50));
        assert_eq!((lease.granted(), lease.retry_after_micros), (0, 3_000_000));
        let lease = cell.lease(START + 5_000_000, ask(10.0, 50));
        assert_eq!((lease.granted(), lease.slices[0].starts_in_micros), (2, 0));
    }

    #[test]
    fn a_rate_of_nothing_grants_nothing() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let lease = Cell::default().lease(START, ask(rate, 5));
            assert_eq!(
                (lease.granted(), lease.retry_after_micros),
                (0, NEVER_MICROS)
            );
        }
    }
}
