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

/// The same check of every provider's books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summed {
    /// What must hold.
    pub what: &'static str,
    /// How many things were looked at, at all providers.
    pub looked_at: u64,
    /// How many were wrong.
    pub wrong: u64,
    /// The providers at which something was.
    pub wrong_at: Vec<&'static str>,
    /// The first of what was wrong at each of them, masked.
    pub examples: Vec<String>,
}

/// Sums up every provider's checks. All have the same ones in the same order.
pub fn sum_up<'a>(providers: impl IntoIterator<Item = (&'static str, &'a [Check])>) -> Vec<Summed> {
    let mut sums: Vec<Summed> = Vec::new();
    for (provider, checks) in providers {
        for check in checks {
            let at = sums.iter().position(|sum| sum.what == check.what);
            let at = at.unwrap_or_else(|| {
                sums.push(Summed {
                    what: check.what,
                    looked_at: 0,
                    wrong: 0,
                    wrong_at: Vec::new(),
                    examples: Vec::new(),
                });
                sums.len() - 1
            });
            let sum = &mut sums[at];
            sum.looked_at += check.looked_at;
            sum.wrong += check.wrong;
            if !check.holds() {
                sum.wrong_at.push(provider);
                let examples = check.examples.iter();
                sum.examples
                    .extend(examples.map(|example| format!("{provider}: {example}")));
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_says_how_many_were_looked_at_and_which_provider_fails() {
        let check = |holds: &[bool]| {
            let mut check = Check::new("holds");
            for (n, holds) in holds.iter().enumerate() {
                check.look(*holds, || format!("number {n}"));
            }
            vec![check]
        };
        let (good, bad) = (check(&[true; 3]), check(&[true, false]));
        let sums = sum_up([("sinch", &good[..]), ("messagebird", &bad[..])]);
        assert_eq!(sums.len(), 1);
        assert_eq!((sums[0].looked_at, sums[0].wrong), (5, 1));
        assert_eq!(sums[0].wrong_at, ["messagebird"]);
        assert_eq!(sums[0].examples, ["messagebird: number 1"]);
    }
}
