//! `load all`: every scenario, each in such a size that the set takes about twenty minutes on two cores, then
//! the peers and the report. One that fails does not stop the others.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use clap::Args;

/// What is run.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Where the figures go.
    #[arg(long, default_value = "target/load")]
    pub out: PathBuf,
    /// Rounds of the comparison with the peers; 0 for none.
    #[arg(long, default_value_t = 5)]
    pub rounds: u32,
}

/// The scenarios, and what is smaller in the set.
const SET: [(&str, &[&str]); 17] = [
    ("send-single", &[]),
    ("send-bulk", &[]),
    ("paced-1000", &["work.messages=10000"]),
    ("paced-5000", &["work.messages=40000"]),
    ("fast-10000", &["work.messages=50000"]),
    ("tls", &["work.messages=30000"]),
    ("way-back", &["work.messages=30000"]),
    ("whole-life", &["work.messages=30000"]),
    ("intake-1m", &[]),
    ("scale-workers", &["work.messages=30000"]),
    ("scale-distributions", &[]),
    ("scale-backlog", &["measure.messages=30000"]),
    ("scale-organizations", &[]),
    ("limits-8-workers", &[]),
    ("fair-small-behind-huge", &[]),
    ("fair-neighbour", &[]),
    ("idle-2000-queues", &[]),
];

/// Runs the set; whether all of it came to its end with books that balance.
///
/// # Errors
/// If this program can not start itself.
pub fn main(arguments: &Arguments) -> anyhow::Result<bool> {
    crate::run::with_services()?;
    let mut failed = Vec::new();
    for (scenario, changes) in SET {
        let mut words = vec!["run", scenario];
        words.extend(changes.iter().flat_map(|change| ["--set", change]));
        if !load(&words, &arguments.out)? {
            failed.push(scenario);
        }
    }
    if arguments.rounds > 0 {
        let rounds = arguments.rounds.to_string();
        if !load(
            &["compare", "--rounds", &rounds, "--system-calls"],
            &arguments.out,
        )? {
            failed.push("compare");
        }
    }
    let page = Command::new(this()?)
        .arg("report")
        .arg("--from")
        .arg(&arguments.out)
        .status();
    page.context("run this program")?;
    if !failed.is_empty() {
        eprintln!("load: failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

fn load(words: &[&str], out: &Path) -> anyhow::Result<bool> {
    let status = Command::new(this()?)
        .args(words)
        .arg("--out")
        .arg(out)
        .status();
    Ok(status.context("run this program")?.success())
}

fn this() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program's own path")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenario, folder};

    #[test]
    fn every_scenario_is_in_the_set_and_takes_its_changes() {
        for (name, changes) in SET {
            let changes: Vec<String> = changes.iter().map(|it| (*it).to_owned()).collect();
            let path = folder().join(name).with_extension("toml");
            Scenario::runs(&path, &changes).expect(name);
        }
        let files = std::fs::read_dir(folder()).expect("the folder").count();
        assert_eq!(files, SET.len());
    }
}
