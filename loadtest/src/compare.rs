//! `load compare`: ours and the peers in turns, round after round, because a machine is never the same
//! twice. What counts is the median of the runs that were disturbed least.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::figures::FOREIGN;
use crate::meter::machine_busy_seconds;
use crate::outcome::{Outcome, figure};
use crate::peers::Peer;
use crate::statistics::median;

/// How ours and the peers are compared.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// What is compared.
    #[arg(value_enum, default_values_t = [Group::Single, Group::Bulk])]
    pub groups: Vec<Group>,
    /// How often each one runs.
    #[arg(long, default_value_t = 5)]
    pub rounds: u32,
    /// The longest wait for a quiet machine before each run.
    #[arg(long, default_value = "20s")]
    pub quiet: humantime::Duration,
    /// Messages of ours and of the fast peers; the slow ones send less.
    #[arg(long)]
    pub messages: Option<u64>,
    /// Only these peers.
    #[arg(long, value_enum)]
    pub peer: Vec<Peer>,
    /// Changes a key of our scenario.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Counts system calls of ours and of the ideal, once each.
    #[arg(long)]
    pub system_calls: bool,
    /// Where the figures go.
    #[arg(long, default_value = "target/load")]
    pub out: PathBuf,
}

/// What is compared.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// One message per POST.
    Single,
    /// 100 messages per POST.
    Bulk,
}

impl Group {
    const fn scenario(self) -> &'static str {
        match self {
            Self::Single => "send-single",
            Self::Bulk => "send-bulk",
        }
    }

    const fn messages(self) -> u64 {
        match self {
            Self::Single => 50_000,
            Self::Bulk => 300_000,
        }
    }

    const fn peers(self) -> &'static [Peer] {
        match self {
            Self::Single => &[
                Peer::Ideal,
                Peer::IdealBitmap,
                Peer::Naive,
                Peer::Kannel,
                Peer::KannelLive,
                Peer::Celery,
                Peer::CeleryGevent,
            ],
            Self::Bulk => &[Peer::IdealBulk, Peer::IdealBulkBitmap, Peer::Kannel],
        }
    }
}

/// The least that a peer has to send for a figure that says something, in a time that can be waited.
fn messages(peer: Peer, of_ours: u64) -> u64 {
    match peer {
        Peer::Celery | Peer::CeleryGevent => of_ours.min(3_000),
        Peer::Naive | Peer::Kannel | Peer::KannelLive => of_ours.min(20_000),
        _ => of_ours,
    }
}

/// What was compared.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Comparison {
    /// What.
    pub group: Group,
    /// How often each ran.
    pub rounds: u32,
    /// Ours first.
    pub rows: Vec<Row>,
    /// Peers that did not run, and why.
    pub skipped: Vec<(String, String)>,
}

/// One of those compared: medians of its quietest runs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Row {
    /// Who.
    pub name: String,
    /// Runs that counted.
    pub runs: usize,
    /// Cores that others took meanwhile.
    pub foreign: f64,
    /// Messages a second.
    pub rate: f64,
    /// CPU seconds of its processes per 10,000 messages.
    pub cpu_process: f64,
    /// The same with broker and Redis.
    pub cpu_total: f64,
    /// Those of RabbitMQ alone.
    pub cpu_rabbitmq: f64,
    /// Those of Redis alone.
    pub cpu_redis: f64,
    /// System calls of its processes per message, if they were counted.
    pub system_calls: Option<f64>,
}

/// Ours among the figures.
const OURS: &str = "smsfleet";
/// So many cores of others do not disturb.
const FOREIGN_MAX: f64 = 0.4;
/// As few runs as a median needs.
const RUNS_MIN: usize = 3;

/// Compares, prints and writes.
///
/// # Errors
/// If one of ours does not come to its end.
pub fn main(arguments: &Arguments) -> anyhow::Result<bool> {
    crate::run::with_services()?;
    for group in &arguments.groups {
        let comparison = compare(*group, arguments)?;
        print!("{}", comparison.table());
        std::fs::create_dir_all(&arguments.out).context("a folder for the figures")?;
        let path = arguments.out.join(format!("compare-{}.json", group.name()));
        let json = serde_json::to_vec_pretty(&comparison).context("write figures")?;
        std::fs::write(&path, json).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(true)
}

impl Group {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

fn compare(group: Group, arguments: &Arguments) -> anyhow::Result<Comparison> {
    let folder = tempfile::tempdir().context("a folder")?;
    let of_ours = arguments.messages.unwrap_or(group.messages());
    let mut contestants = vec![(OURS.to_owned(), ours(group, arguments, of_ours))];
    let mut skipped = Vec::new();
    let wanted = |peer: &&Peer| arguments.peer.is_empty() || arguments.peer.contains(peer);
    for peer in group.peers().iter().filter(wanted) {
        match peer.missing() {
            Some(why) => skipped.push((peer.name(), why)),
            None => contestants.push((peer.name(), theirs(*peer, messages(*peer, of_ours)))),
        }
    }
    let mut runs: BTreeMap<&str, Vec<Outcome>> = BTreeMap::new();
    for round in 1..=arguments.rounds {
        for (name, words) in &contestants {
            wait_for_quiet(arguments.quiet.into());
            eprintln!("load: round {round} of {}: {name}", arguments.rounds);
            match once(words, folder.path()) {
                Ok(outcome) => runs.entry(name).or_default().push(outcome),
                Err(error) if name != OURS => {
                    eprintln!("load: {name}: {error:#}");
                }
                Err(error) => return Err(error),
            }
        }
    }
    let mut rows = Vec::new();
    for (name, words) in &contestants {
        let Some(outcomes) = runs.get_mut(name.as_str()) else {
            skipped.push((name.clone(), "it did not come to its end".to_owned()));
            continue;
        };
        let mut row = Row::of(name, outcomes);
        let counted = name == OURS || name.starts_with("ideal");
        if arguments.system_calls && counted {
            let mut words = words.clone();
            words.push("--system-calls".to_owned());
            let outcome = once(&words, folder.path())?;
            row.system_calls = outcome.figures.get("system_calls_per_message").copied();
        }
        rows.push(row);
    }
    Ok(Comparison {
        group,
        rounds: arguments.rounds,
        rows,
        skipped,
    })
}

fn ours(group: Group, arguments: &Arguments, messages: u64) -> Vec<String> {
    let mut words = vec!["run".to_owned(), group.scenario().to_owned()];
    let change = format!("work.messages={messages}");
    for change in arguments.set.iter().cloned().chain([change]) {
        words.extend(["--set".to_owned(), change]);
    }
    words
}

fn theirs(peer: Peer, messages: u64) -> Vec<String> {
    let messages = messages.to_string();
    let words = [
        "peer".to_owned(),
        peer.name(),
        "--messages".to_owned(),
        messages,
    ];
    words.into()
}

/// Runs this program and reads the figures that it wrote.
fn once(words: &[String], folder: &Path) -> anyhow::Result<Outcome> {
    let out = tempfile::tempdir_in(folder).context("a folder")?;
    let this = std::env::current_exe().context("this program's own path")?;
    let status = Command::new(this)
        .args(words)
        .arg("--out")
        .arg(out.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("run this program")?;
    ensure!(
        status.success(),
        "load {} ended with {status}",
        words.join(" ")
    );
    let mut files = std::fs::read_dir(out.path()).context("the figures")?;
    let file = files.next().context("no figures")?.context("the figures")?;
    Outcome::read(&file.path())
}

/// Waits until the others have taken less than a quarter of a core for a while, or patience ends.
pub fn wait_for_quiet(patience: Duration) {
    const LOOK: Duration = Duration::from_millis(400);
    const BUSY_MAX: f64 = 0.25;
    let began = Instant::now();
    while began.elapsed() < patience {
        let (before, since) = (machine_busy_seconds(), Instant::now());
        std::thread::sleep(LOOK);
        let busy = machine_busy_seconds() - before;
        if busy / since.elapsed().as_secs_f64() < BUSY_MAX {
            return;
        }
    }
}

impl Row {
    fn of(name: &str, outcomes: &mut [Outcome]) -> Self {
        outcomes.sort_by(|one, other| one.get(FOREIGN).total_cmp(&other.get(FOREIGN)));
        let undisturbed = outcomes
            .iter()
            .filter(|it| it.get(FOREIGN) < FOREIGN_MAX)
            .count();
        let least = RUNS_MIN.max(outcomes.len().div_ceil(2)).min(outcomes.len());
        let counted = &outcomes[..undisturbed.max(least)];
        let of = |figure: &str| {
            let values: Vec<f64> = counted.iter().map(|it| it.get(figure)).collect();
            median(&values)
        };
        let process = if name == OURS {
            "cpu.send-worker"
        } else {
            "cpu.peer"
        };
        let (cpu_process, cpu_rabbitmq, cpu_redis) =
            (of(process), of("cpu.rabbitmq"), of("cpu.redis"));
        Self {
            name: name.to_owned(),
            runs: counted.len(),
            foreign: of(FOREIGN),
            rate: of("rate"),
            cpu_process,
            cpu_total: cpu_process + cpu_rabbitmq + cpu_redis,
            cpu_rabbitmq,
            cpu_redis,
            system_calls: None,
        }
    }
}

impl Comparison {
    /// For people: each row, and ours in relation to it.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} POST, medians of {} interleaved rounds\n",
            self.group.name(),
            self.rounds
        );
        let _ = writeln!(
            text,
            "  {:<18} {:>4} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8} {:>7}   ours: rate ×, CPU ×, total ×",
            "", "runs", "others", "msg/s", "process", "total", "rabbit", "redis", "calls"
        );
        let ours = self.rows.first().cloned().unwrap_or_default();
        for row in &self.rows {
            let calls = row.system_calls.map_or_else(|| "-".to_owned(), figure);
            let _ = writeln!(
                text,
                "  {:<18} {:>4} {:>7} {:>9.0} {:>8} {:>8} {:>8} {:>8} {:>7}   {:.3} {:.3} {:.3}",
                row.name,
                row.runs,
                figure(row.foreign),
                row.rate,
                figure(row.cpu_process),
                figure(row.cpu_total),
                figure(row.cpu_rabbitmq),
                figure(row.cpu_redis),
                calls,
                ours.rate / row.rate,
                ours.cpu_process / row.cpu_process,
                ours.cpu_total / row.cpu_total,
            );
        }
        for (name, why) in &self.skipped {
            let _ = writeln!(text, "  {name:<18} skipped: {why}");
        }
        text.push_str("  CPU seconds per 10,000 messages\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(foreign: f64, rate: f64) -> Outcome {
        Outcome {
            figures: [(FOREIGN.to_owned(), foreign), ("rate".to_owned(), rate)].into(),
            ..Outcome::default()
        }
    }

    #[test]
    fn only_the_runs_that_were_disturbed_least_count() {
        let mut outcomes = [
            outcome(1.9, 1.0),
            outcome(0.1, 10.0),
            outcome(1.5, 2.0),
            outcome(0.2, 12.0),
            outcome(0.3, 11.0),
        ];
        let row = Row::of("ideal", &mut outcomes);
        assert_eq!((row.runs, row.rate), (3, 11.0));
    }

    #[test]
    fn on_a_busy_machine_half_of_the_runs_count_at_least() {
        let mut outcomes: Vec<Outcome> =
            (0..8).map(|it| outcome(1.0 + f64::from(it), 1.0)).collect();
        assert_eq!(Row::of("ideal", &mut outcomes).runs, 4);
        assert_eq!(Row::of("ideal", &mut outcomes[..2]).runs, 2);
    }
}
