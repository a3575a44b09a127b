//! Where a figure was measured: a figure without it says nothing.

use std::process::Command;

use serde::{Deserialize, Serialize};
use smsfleet_tests::site::root;

/// A machine and what ran on it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Its cores.
    pub cores: usize,
    /// Memory.
    pub memory_gb: f64,
    /// The kernel's version.
    pub kernel: String,
    /// The commit that was built, `+` behind it if files had been changed since.
    pub commit: String,
    /// The profile that was built: cargo puts its programs into a folder of that name.
    pub build: String,
    /// RabbitMQ's version.
    pub rabbitmq: String,
    /// Redis' version.
    pub redis: String,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn this(rabbitmq: String, redis: String) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let memory = read("/proc/meminfo");
        let kilobytes: f64 = word_behind(&memory, "MemTotal:")
            .parse()
            .unwrap_or_default();
        Self {
            processor: read("/proc/cpuinfo")
                .lines()
                .find_map(|line| line.strip_prefix("model name"))
                .map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned())
                .unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gb: (kilobytes / 1e5).round() / 10.0,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            commit: commit(),
            build: profile().unwrap_or_default(),
            rabbitmq,
            redis,
        }
    }
}

fn profile() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    Some(
        program
            .parent()?
            .file_name()?
            .to_string_lossy()
            .into_owned(),
    )
}

fn word_behind<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or_default()
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .current_dir(root())
            .args(arguments)
            .output();
        let text = output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
        text.unwrap_or_default()
    };
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"]).is_empty();
    let mark = if changed { "+" } else { "" };
    format!("{}{mark}", git(&["rev-parse", "--short", "HEAD"]))
}
