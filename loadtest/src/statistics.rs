//! Medians, percentiles, and how much passed in the busiest second.

use crate::stub::Arrival;

/// The middle one; of an even number the mean of both. 0 if there is none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => (sorted[even / 2 - 1] + sorted[even / 2]) / 2.0,
    }
}

/// The value that `share` of all do not exceed. 0 if there is none.
#[must_use]
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(rank.saturating_sub(1).min(last))
        .copied()
        .unwrap_or_default()
}

/// Microseconds in the second that slides.
const SECOND_US: u64 = 1_000_000;

/// Messages in the busiest second, wherever it begins.
#[must_use]
pub fn busiest_second(arrivals: &[Arrival]) -> u64 {
    let (mut first, mut inside, mut most) = (0, 0, 0);
    for arrival in arrivals {
        inside += u64::from(arrival.messages);
        while arrival.at_us - arrivals[first].at_us >= SECOND_US {
            inside -= u64::from(arrivals[first].messages);
            first += 1;
        }
        most = most.max(inside);
    }
    most
}

/// Messages in each whole second, from the first arrival on.
#[must_use]
pub fn per_second(arrivals: &[Arrival]) -> Vec<u64> {
    let mut seconds = Vec::new();
    let Some(first) = arrivals.first() else {
        return seconds;
    };
    for arrival in arrivals {
        let second = (arrival.at_us.saturating_sub(first.at_us) / SECOND_US) as usize;
        if seconds.len() <= second {
            seconds.resize(second + 1, 0);
        }
        seconds[second] += u64::from(arrival.messages);
    }
    seconds
}

/// Upper bounds of a histogram of waits, in seconds: three to a factor of ten.
const BOUNDS: [f64; 19] = [
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    20.0,
    50.0,
    100.0,
    200.0,
    500.0,
    f64::MAX,
];

/// How many waits there are up to each bound, and not up to the one before.
#[must_use]
pub fn histogram(seconds: &[f64]) -> Vec<(f64, u64)> {
    let mut bars: Vec<(f64, u64)> = BOUNDS.iter().map(|bound| (*bound, 0)).collect();
    for wait in seconds {
        if let Some(bar) = bars.iter_mut().find(|(bound, _)| wait <= bound) {
            bar.1 += 1;
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(at_ms: &[u64]) -> Vec<Arrival> {
        let arrival = |at: &u64| Arrival {
            at_us: 7_000_000 + at * 1_000,
            batch: 1,
            messages: 1,
        };
        at_ms.iter().map(arrival).collect()
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_ones() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.99), 99.0);
        assert_eq!(percentile(&values, 1.0), 100.0);
        assert_eq!(percentile(&[5.0], 0.5), 5.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn the_busiest_second_may_begin_anywhere() {
        // Two in each whole second, three in the second from 900 on.
        let arrivals = arrivals(&[0, 900, 1_100, 1_899, 2_100]);
        assert_eq!(per_second(&arrivals), [2, 2, 1]);
        assert_eq!(busiest_second(&arrivals), 3);
    }

    #[test]
    fn a_second_is_half_open() {
        assert_eq!(busiest_second(&arrivals(&[0, 1_000])), 1);
        assert_eq!(busiest_second(&[]), 0);
    }

    #[test]
    fn every_wait_is_in_one_bar() {
        let bars = histogram(&[0.0, 0.001, 0.0011, 1e9]);
        assert_eq!(bars.iter().map(|(_, count)| count).sum::<u64>(), 4);
        assert_eq!((bars[0].1, bars[1].1, bars[18].1), (2, 1, 1));
    }
}
