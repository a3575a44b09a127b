//! A flood of refused callbacks must not become a flood of log lines.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So many lines a second; the rest is counted and named by the next line.
#[derive(Debug)]
pub(crate) struct LogBudget {
    per_second: u32,
    spent: Mutex<Spent>,
}

#[derive(Debug)]
struct Spent {
    since: Instant,
    lines: u32,
    held_back: u64,
}

impl LogBudget {
    pub(crate) fn new(per_second: u32) -> Self {
        let spent = Spent {
            since: Instant::now(),
            lines: 0,
            held_back: 0,
        };
        Self {
            per_second,
            spent: Mutex::new(spent),
        }
    }

    /// Whether a line may be written at `now`; with it, how many were held back before it.
    pub(crate) fn line(&self, now: Instant) -> Option<u64> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(spent.since) >= Duration::from_secs(1) {
            spent.since = now;
            spent.lines = 0;
        }
        if spent.lines >= self.per_second {
            spent.held_back += 1;
            return None;
        }
        spent.lines += 1;
        Some(std::mem::take(&mut spent.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_the_budget_are_counted_and_the_next_second_says_how_many() {
        let (budget, start) = (LogBudget::new(2), Instant::now());
        let lines: Vec<_> = (0..5).map(|_| budget.line(start)).collect();
        assert_eq!(lines, [Some(0), Some(0), None, None, None]);
        assert_eq!(budget.line(start + Duration::from_secs(1)), Some(3));
    }
}
