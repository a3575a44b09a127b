//! What the checker found, for people and for an exit code.

use std::fmt;

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What is counted.
    pub name: String,
    /// How many.
    pub count: u64,
    /// The same by another witness, where there is one.
    pub other: Option<(String, u64)>,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Its class: `lost`, `doubled`, …
    pub class: &'static str,
    /// How often.
    pub count: u64,
    /// What exactly.
    pub what: String,
    /// A few names; references, never numbers.
    pub examples: Vec<String>,
}

/// Everything the checker has to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// All figures, in the order of a message's way.
    pub figures: Vec<Figure>,
    /// Empty if the books balance.
    pub problems: Vec<Problem>,
}

impl Verdict {
    /// Whether the books balance.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many of a class were found.
    #[must_use]
    pub fn count_of(&self, class: &str) -> u64 {
        let of_class = self.problems.iter().filter(|p| p.class == class);
        of_class.map(|p| p.count).sum()
    }

    /// The figure called `name`, zero if there is none.
    #[must_use]
    pub fn figure(&self, name: &str) -> u64 {
        let found = self.figures.iter().find(|figure| figure.name == name);
        found.map_or(0, |figure| figure.count)
    }

    pub(super) fn tell(&mut self, name: impl Into<String>, count: u64) {
        self.figures.push(Figure {
            name: name.into(),
            count,
            other: None,
        });
    }

    /// A figure that another witness has to confirm exactly.
    pub(super) fn compare(
        &mut self,
        name: impl Into<String>,
        count: u64,
        witness: impl Into<String>,
        other: u64,
    ) {
        let (name, witness) = (name.into(), witness.into());
        if count != other {
            self.problems.push(Problem {
                class: "figures differ",
                count: count.abs_diff(other),
                what: format!("{name}: {count}, but {witness}: {other}"),
                examples: Vec::new(),
            });
        }
        self.figures.push(Figure {
            name,
            count,
            other: Some((witness, other)),
        });
    }

    /// A class that must be empty.
    pub(super) fn forbid(&mut self, class: &'static str, what: &str, found: Vec<String>) {
        const EXAMPLES: usize = 5;
        if found.is_empty() {
            return;
        }
        self.problems.push(Problem {
            class,
            count: found.len() as u64,
            what: what.to_owned(),
            examples: found.into_iter().take(EXAMPLES).collect(),
        });
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.figures.iter().map(|figure| figure.name.len()).max();
        let width = width.unwrap_or_default();
        for figure in &self.figures {
            write!(f, "  {:<width$}  {:>9}", figure.name, figure.count)?;
            if let Some((witness, other)) = &figure.other {
                let same = if *other == figure.count { "=" } else { "≠" };
                write!(f, "  {same} {other:>9}  {witness}")?;
            }
            writeln!(f)?;
        }
        for problem in &self.problems {
            write!(
                f,
                "  {}: {} × {}",
                problem.class, problem.count, problem.what
            )?;
            if !problem.examples.is_empty() {
                write!(f, " (such as {})", problem.examples.join(", "))?;
            }
            writeln!(f)?;
        }
        let said = if self.balanced() {
            "the books balance"
        } else {
            "THE BOOKS DO NOT BALANCE"
        };
        write!(f, "  {said}")
    }
}
