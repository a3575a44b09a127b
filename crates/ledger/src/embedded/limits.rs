//! The cells of the limits, in the process.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::{
    Lease, LeaseRequest, LimitScope, LimitState, ThrottleReport,
    gcra::{Answers, Ask, Cell},
};

/// Cells by scope. Two or three for each connection that ever sent: few, and small.
pub(super) struct Limits {
    cells: HashMap<LimitScope, Cell>,
    started: Instant,
}

/// Where the clock starts: far behind zero, because zero means "no such time" in a cell.
const START: Duration = Duration::from_secs(1_000);

impl Default for Limits {
    fn default() -> Self {
        Self {
            cells: HashMap::new(),
            started: Instant::now(),
        }
    }
}

impl Limits {
    pub(super) fn lease(&mut self, asked: &[LeaseRequest]) -> Vec<Lease> {
        let now = self.now();
        let mut lease = |request: &LeaseRequest| {
            let ask = Ask {
                per_second: request.per_second,
                want: request.want,
                least: request.least,
            };
            self.cell(&request.scope).lease(now, ask)
        };
        asked.iter().map(&mut lease).collect()
    }

    pub(super) fn throttled(&mut self, report: &ThrottleReport) -> LimitState {
        let now = self.now();
        let answers = Answers {
            throttled: report.throttled,
            of: report.answers,
            hold_micros: report.hold_millis.saturating_mul(1_000),
        };
        self.cell(&report.scope)
            .throttled(now, report.per_second, answers)
    }

    pub(super) fn set(&mut self, scope: &LimitScope, per_second: Option<f64>) {
        self.cell(scope).set(per_second);
    }

    pub(super) fn state(&mut self, scope: &LimitScope, per_second: f64) -> LimitState {
        let now = self.now();
        self.cell(scope).state(now, per_second)
    }

    fn cell(&mut self, scope: &LimitScope) -> &mut Cell {
        self.cells.entry(scope.clone()).or_default()
    }

    /// Microseconds of a clock that nobody sets.
    fn now(&self) -> u64 {
        u64::try_from((START + self.started.elapsed()).as_micros()).unwrap_or(u64::MAX)
    }
}
