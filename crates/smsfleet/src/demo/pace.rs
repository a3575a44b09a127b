//! How fast a mailing went.

use std::time::{Duration, Instant};

/// How fast the provider took messages: how many were taken by when.
#[derive(Debug, Clone, Default)]
pub struct Pace(Vec<(Instant, u64)>);

/// The last few messages wait for their next attempt while nothing else is sent; the pace of the
/// mailing is that of the others.
pub const STEADY_SHARE: f64 = 0.95;

impl Pace {
    /// Notes how many were taken by now.
    pub fn note(&mut self, now: Instant, accepted: u64) {
        let known = self.0.last().map_or(0, |(_, known)| *known);
        if accepted > known {
            self.0.push((now, accepted));
        }
    }

    /// From the first message to the one that completes this share of all, and how many they are.
    pub fn span(&self, share: f64) -> (Duration, u64) {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return (Duration::ZERO, 0);
        };
        let wanted = (last.1 as f64 * share) as u64;
        let until = self
            .0
            .iter()
            .find(|(_, taken)| *taken >= wanted)
            .unwrap_or(last);
        (until.0 - first.0, until.1.saturating_sub(first.1))
    }

    /// Messages a second in that time.
    pub fn per_second(&self, share: f64) -> f64 {
        let (span, taken) = self.span(share);
        rounded(taken as f64 / span.as_secs_f64().max(0.001))
    }
}

/// Two decimals are enough for people.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_leaves_out_what_waited_for_another_attempt() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for (second, accepted) in [(0, 100), (1, 1_100), (2, 2_000), (3, 2_000), (7, 2_010)] {
            pace.note(start + Duration::from_secs(second), accepted);
        }
        assert_eq!(pace.span(1.0), (Duration::from_secs(7), 1_910));
        assert_eq!(pace.per_second(STEADY_SHARE), 950.0);
        assert_eq!(Pace::default().span(1.0), (Duration::ZERO, 0));
    }
}
