//! What a run has shown: figures by name, series for the plots, books that balance or do not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::meter::Sample;
use crate::scenario::Target;

/// One run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// What sets this run apart from the scenario's others.
    pub variant: Option<String>,
    /// What it shows.
    pub about: String,
    /// The command that repeats it.
    pub command: String,
    /// When it ended, seconds since 1970.
    pub ended_at: u64,
    /// Where.
    pub machine: Machine,
    /// Figures by name: `rate`, `cpu.send-worker`, `rss.redis`, …
    pub figures: BTreeMap<String, f64>,
    /// Messages in each tenth of a second.
    pub throughput: Vec<u32>,
    /// Messages in each whole second, where a limit is looked at.
    #[serde(default)]
    pub per_second: Vec<u32>,
    /// That limit.
    #[serde(default)]
    pub limit: Option<f64>,
    /// CPU and memory over time.
    pub samples: Vec<Sample>,
    /// Redis commands by name.
    pub redis_commands: BTreeMap<String, u64>,
    /// How long messages waited: upper bounds in seconds, and how many.
    pub waits: Vec<(f64, u64)>,
    /// What is wrong with the books; empty if they balance.
    pub faults: Vec<String>,
    /// Wanted figures beside measured ones.
    pub targets: Vec<Met>,
}

/// A target and what was measured.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Met {
    /// The figure's name.
    pub figure: String,
    /// `≤ 0.21` or `≥ 97`.
    pub wanted: String,
    /// Nothing if it was not measured.
    pub measured: Option<f64>,
    /// Whether it is met.
    pub met: bool,
}

impl Outcome {
    /// Puts targets beside what was measured.
    pub fn judge(&mut self, targets: &[Target]) {
        self.targets = targets
            .iter()
            .map(|target| {
                let measured = self.figures.get(&target.figure).copied();
                let below = |most: f64| measured.is_some_and(|value| value <= most);
                let above = |least: f64| measured.is_some_and(|value| value >= least);
                let bounds = [
                    target.at_least.map(|least| format!("≥ {least}")),
                    target.at_most.map(|most| format!("≤ {most}")),
                ];
                Met {
                    figure: target.figure.clone(),
                    wanted: bounds.into_iter().flatten().collect::<Vec<_>>().join(", "),
                    measured,
                    met: target.at_most.is_none_or(below) && target.at_least.is_none_or(above),
                }
            })
            .collect();
    }

    /// Whether the books balance.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.faults.is_empty()
    }

    /// The name of the run.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.variant {
            None => self.scenario.clone(),
            Some(variant) => format!("{} ({variant})", self.scenario),
        }
    }

    /// Writes `folder/NAME.json`, or `folder/NAME@VARIANT.json`.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).context("a folder for the figures")?;
        let plain = |it: char| {
            let kept = it.is_ascii_alphanumeric() || ".-".contains(it);
            if kept { it } else { '_' }
        };
        let variant: String = self
            .variant
            .iter()
            .flat_map(|it| it.chars())
            .map(plain)
            .collect();
        let at = if variant.is_empty() { "" } else { "@" };
        let path = folder.join(format!("{}{at}{variant}.json", self.scenario));
        let json = serde_json::to_vec_pretty(self).context("write figures")?;
        std::fs::write(&path, json).with_context(|| format!("write {}", path.display()))
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If it is not there, or is something else.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let json = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&json).with_context(|| path.display().to_string())
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("{}: {}\n", self.title(), self.about);
        for (name, value) in &self.figures {
            let _ = writeln!(text, "  {name:<40} {:>14}", figure(*value));
        }
        if !self.redis_commands.is_empty() {
            let commands = self.redis_commands.iter();
            let commands: Vec<String> = commands
                .map(|(name, calls)| format!("{name} {calls}"))
                .collect();
            let _ = writeln!(text, "  Redis commands: {}", commands.join(", "));
        }
        for met in &self.targets {
            let measured = met
                .measured
                .map_or_else(|| "not measured".to_owned(), figure);
            let mark = if met.met { "met" } else { "MISSED" };
            let _ = writeln!(
                text,
                "  target {} {}: {measured}, {mark}",
                met.figure, met.wanted
            );
        }
        match self.faults.as_slice() {
            [] => text.push_str("  the books balance\n"),
            faults => {
                for fault in faults {
                    let _ = writeln!(text, "  THE BOOKS: {fault}");
                }
            }
        }
        text
    }
}

/// As many digits as say something.
#[must_use]
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_was_not_measured_misses_its_target() {
        let mut outcome = Outcome {
            figures: [("rate".to_owned(), 100.0)].into(),
            ..Outcome::default()
        };
        let target = |figure: &str, at_most, at_least| Target {
            figure: figure.to_owned(),
            at_most,
            at_least,
        };
        outcome.judge(&[
            target("rate", Some(100.0), Some(50.0)),
            target("rate", None, Some(101.0)),
            target("cpu", Some(1.0), None),
        ]);
        let met: Vec<bool> = outcome.targets.iter().map(|target| target.met).collect();
        assert_eq!(met, [true, false, false]);
        assert_eq!(outcome.targets[0].wanted, "≥ 50, ≤ 100");
    }
}
