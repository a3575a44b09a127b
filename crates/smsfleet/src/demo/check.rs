//! One check of the books, as the report shows it.

use serde::Serialize;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What must hold.
    pub what: &'static str,
    /// How many things were looked at.
    pub looked_at: u64,
    /// How many were wrong.
    pub wrong: u64,
    /// The first of them, masked.
    pub examples: Vec<String>,
}

impl Check {
    /// Nothing looked at yet.
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            looked_at: 0,
            wrong: 0,
            examples: Vec::new(),
        }
    }

    /// Looks at one thing.
    pub(super) fn look(&mut self, holds: bool, example: impl FnOnce() -> String) {
        self.looked_at += 1;
        if !holds {
            self.wrong += 1;
            if self.examples.len() < EXAMPLES_MAX {
                self.examples.push(example());
            }
        }
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.wrong == 0
    }
}

const EXAMPLES_MAX: usize = 5;
