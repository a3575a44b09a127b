//! How exactly a limit was kept: the busiest second, wherever it begins, and how much of it was used.

use crate::outcome::Outcome;
use crate::scenario::Scenario;
use crate::statistics::{busiest_second, per_second};
use crate::stub::Arrival;

/// Figures of the limit of one connection; every message is one segment.
pub(super) fn figures(outcome: &mut Outcome, scenario: &Scenario, arrivals: &[Arrival]) {
    let limit = scenario.provider.segments_per_second * f64::from(scenario.work.organizations);
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
        return;
    };
    let busiest = busiest_second(arrivals) as f64;
    outcome.set("limit.busiest_second", busiest);
    outcome.set("limit.over_percent", percent(busiest, limit));
    let messages: u64 = arrivals.iter().map(|it| u64::from(it.messages)).sum();
    let took = last.at_us.saturating_sub(first.at_us) as f64 / 1e6;
    let ideal = messages as f64 / limit;
    outcome.set("limit.later_than_ideal_seconds", took - ideal);
    outcome.set(
        "limit.mean_rate_percent",
        100.0 * messages as f64 / took.max(1e-9) / limit,
    );
    // The last one is not whole.
    let seconds = per_second(arrivals);
    if let Some((_, whole)) = seconds.split_last()
        && !whole.is_empty()
    {
        let used = whole.iter().sum::<u64>() as f64 / whole.len() as f64;
        outcome.set("limit.used_percent", 100.0 * used / limit);
    }
    let per_second = seconds.iter().map(|count| *count as u32);
    outcome.per_second = per_second.collect();
    outcome.limit = Some(limit);
}

/// By how much `value` is above `limit`; 0 if it is not.
fn percent(value: f64, limit: f64) -> f64 {
    (100.0 * (value / limit - 1.0)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evenly(count: u64, every_us: u64) -> Vec<Arrival> {
        let arrival = |index| Arrival {
            at_us: 1_000_000 + index * every_us,
            batch: 1,
            messages: 1,
        };
        (0..count).map(arrival).collect()
    }

    fn scenario() -> Scenario {
        let file = crate::scenario::folder().join("paced-1000.toml");
        Scenario::read(&file, &[]).expect("a scenario")
    }

    #[test]
    fn an_even_flow_is_not_over_its_limit() {
        let mut outcome = Outcome::default();
        figures(&mut outcome, &scenario(), &evenly(5_000, 1_000));
        assert_eq!(outcome.get("limit.over_percent"), 0.0);
        assert_eq!(outcome.get("limit.used_percent"), 100.0);
        assert!(outcome.get("limit.later_than_ideal_seconds").abs() < 0.01);
    }

    #[test]
    fn a_burst_between_two_whole_seconds_is_seen() {
        let mut arrivals = evenly(3_000, 1_000);
        for arrival in &mut arrivals[1_500..1_600] {
            arrival.at_us = arrivals_at(1_500);
        }
        for arrival in &mut arrivals[1_400..1_500] {
            arrival.messages = 2;
        }
        let mut outcome = Outcome::default();
        figures(&mut outcome, &scenario(), &arrivals);
        assert!(outcome.get("limit.over_percent") > 9.0);
    }

    fn arrivals_at(index: u64) -> u64 {
        1_000_000 + index * 1_000
    }
}
