//! The cells of the limits, in the process.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{Lease, LeaseRequest, gcra::Cell};

/// Cells by scope. One for each connection that ever sent: few, and small.
pub(super) struct Limits {
    cells: HashMap<String, Cell>,
    started: Instant,
}

/// Where the clock starts: behind zero, because zero means "no such time" in a cell.
const START: Duration = Duration::from_secs(1);

impl Default for Limits {
    fn default() -> Self {
        Self {
            cells: HashMap::new(),
            started: Instant::now(),
        }
    }
}

impl Limits {
    pub(super) fn lease(&mut self, lease: &LeaseRequest) -> Lease {
        let now = self.now();
        let grant = self
            .cell(&lease.scope)
            .lease(now, lease.per_second, lease.burst, lease.want);
        Lease {
            granted: grant.tokens,
            retry_after_millis: grant.wait.div_ceil(1_000),
        }
    }

    pub(super) fn hold_back(&mut self, scope: &str, for_millis: u64) {
        let until = self.now().saturating_add(for_millis.saturating_mul(1_000));
        self.cell(scope).hold_until(until);
    }

    fn cell(&mut self, scope: &str) -> &mut Cell {
        self.cells.entry(scope.to_owned()).or_default()
    }

    /// Microseconds of a clock that nobody sets.
    fn now(&self) -> u64 {
        u64::try_from((START + self.started.elapsed()).as_micros()).unwrap_or(u64::MAX)
    }
}
