//! `load report`: all figures of a folder as one page that needs nothing else, or as the tables of
//! `loadtest/RESULTS.md`.

mod html;
mod markdown;
mod plot;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;

use crate::compare::Comparison;
use crate::outcome::Outcome;

/// What is written.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The folder with the figures.
    #[arg(long, default_value = "target/load")]
    pub from: PathBuf,
    /// Writes tables for `RESULTS.md` instead of a page.
    #[arg(long)]
    pub markdown: bool,
    /// The file; `report.html` beside the figures, or `loadtest/RESULTS.md`, if left out.
    #[arg(long)]
    pub to: Option<PathBuf>,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    outcomes: Vec<Outcome>,
    comparisons: Vec<Comparison>,
}

/// Writes the report.
///
/// # Errors
/// If there are no figures, or they can not be read.
pub fn main(arguments: &Arguments) -> anyhow::Result<()> {
    let measured = read(arguments)?;
    let (text, default) = if arguments.markdown {
        let file = smsfleet_tests::site::root().join("loadtest/RESULTS.md");
        (markdown::write(&measured), file)
    } else {
        (html::write(&measured), arguments.from.join("report.html"))
    };
    let path = arguments.to.clone().unwrap_or(default);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

fn read(arguments: &Arguments) -> anyhow::Result<Measured> {
    let folder = &arguments.from;
    let files = std::fs::read_dir(folder)
        .with_context(|| format!("no figures in {}: load run first", folder.display()))?;
    let mut paths = Vec::new();
    for file in files {
        let path = file.context("a file of figures")?.path();
        if path.extension().is_some_and(|it| it == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    ensure!(
        !paths.is_empty(),
        "no figures in {}: load run first",
        folder.display()
    );
    let mut measured = Measured::default();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("compare-") {
            let json = std::fs::read(&path).with_context(|| path.display().to_string())?;
            let comparison = serde_json::from_slice(&json);
            measured
                .comparisons
                .push(comparison.with_context(|| path.display().to_string())?);
        } else {
            measured.outcomes.push(Outcome::read(&path)?);
        }
    }
    // Runs that differ in one key are read in the order in which they were run.
    measured.outcomes.sort_by(|one, other| {
        (&one.scenario, one.ended_at).cmp(&(&other.scenario, other.ended_at))
    });
    Ok(measured)
}

/// Figures of a run that belong into a table, the others being for those who look closer.
const SHOWN: [&str; 14] = [
    "rate",
    "cpu.send-worker",
    "cpu.ingress",
    "cpu.receipt-ingest",
    "cpu.batch-intake",
    "cpu.peer",
    "cpu.rabbitmq",
    "cpu.redis",
    "cpu.total",
    "cpu.stub",
    "redis.commands_per_message",
    "rss.send-worker",
    "wait.p99_seconds",
    "cores.others",
];

impl Measured {
    /// Runs of one scenario that differ in something.
    fn scaling(&self) -> Vec<Vec<&Outcome>> {
        let mut groups: Vec<Vec<&Outcome>> = Vec::new();
        for outcome in self.outcomes.iter().filter(|it| it.variant.is_some()) {
            match groups.last_mut() {
                Some(group) if group[0].scenario == outcome.scenario => group.push(outcome),
                _ => groups.push(vec![outcome]),
            }
        }
        groups
    }
}

/// The columns that some of `outcomes` have something in.
fn columns(outcomes: &[&Outcome]) -> Vec<&'static str> {
    let has = |name: &&str| outcomes.iter().any(|it| it.figures.contains_key(*name));
    SHOWN.into_iter().filter(|name| has(name)).collect()
}
