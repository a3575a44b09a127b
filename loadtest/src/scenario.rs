//! What a run is: a TOML file. What it leaves out has the defaults below, what it names wrongly is an
//! error with the file and the key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use toml::{Table, Value};

/// A run.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, the file's.
    #[serde(skip)]
    pub name: String,
    /// What it shows, one sentence.
    pub about: String,
    /// What is done.
    pub kind: Kind,
    /// After this the run has failed.
    #[serde(with = "humantime_serde", default = "time_max_default")]
    pub time_max: Duration,
    /// What is handed over.
    #[serde(default)]
    pub work: Work,
    /// The provider's stub and the connections to it.
    #[serde(default)]
    pub provider: Provider,
    /// The workers.
    #[serde(default)]
    pub workers: Workers,
    /// The part of the run that counts, if it is not the whole.
    #[serde(default)]
    pub measure: Measure,
    /// In `fair`: the distributions.
    #[serde(default)]
    pub part: Vec<Part>,
    /// Settings of the fleet: dotted keys.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// The same run several times with something changed.
    #[serde(default)]
    pub vary: Option<Vary>,
    /// Figures that are wanted.
    #[serde(default)]
    pub target: Vec<Target>,
}

fn time_max_default() -> Duration {
    Duration::from_secs(300)
}

/// What is done in a run.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Queues are filled first, then workers empty them.
    Drain,
    /// Batches are handed over while workers run.
    Live,
    /// The same while workers start, stop and die: what they send together stays within the limit.
    Limits,
    /// Some distributions alone, then the same beside others.
    Fair,
    /// Nothing is to be sent; there are only many queues.
    Idle,
    /// Signed callbacks for messages that were sent before.
    WayBack,
    /// Batches wait; then intake takes them.
    Intake,
}

/// What is handed over.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// Messages in all.
    pub messages: u64,
    /// Recipients of a batch, at most.
    pub batch: u32,
    /// Distributions they are spread over.
    pub distributions: u32,
    /// Organisations these are spread over, each with a connection of its own.
    pub organizations: u32,
    /// Distributions beside them that have sent all they had, a message each.
    pub idle_distributions: u32,
    /// Messages handed over a second; 0 for all at once.
    pub per_second: f64,
    /// Whether somebody hears the events.
    pub events_heard: bool,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            messages: 10_000,
            batch: 10_000,
            distributions: 1,
            organizations: 1,
            idle_distributions: 0,
            per_second: 0.0,
            events_heard: false,
        }
    }
}

/// The provider's stub and the connections to it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// Whose form is spoken.
    pub slug: Slug,
    /// Messages in a request, where the provider takes many.
    pub messages_per_request: u32,
    /// How long an answer takes.
    #[serde(with = "humantime_serde")]
    pub latency: Duration,
    /// The connection's rate.
    pub segments_per_second: f64,
    /// Requests that the connection's form says the account may have in flight; 20 is what the page of Twilio suggests.
    pub requests_in_flight: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Keeps every message's name, to find doubles. Costs the stub memory.
    pub audit: bool,
    /// Keeps when every request came.
    pub arrivals: bool,
    /// Whether every message is reported as delivered.
    pub callbacks: bool,
    /// Connections that callbacks come over.
    pub callback_connections: u32,
}

/// The most that a connection's form takes: no limit for practical purposes.
const UNLIMITED: f64 = 100_000.0;

impl Default for Provider {
    fn default() -> Self {
        Self {
            slug: Slug::TwilioSms,
            messages_per_request: 1,
            latency: Duration::ZERO,
            segments_per_second: UNLIMITED,
            requests_in_flight: 20,
            tls: false,
            audit: true,
            arrivals: false,
            callbacks: false,
            callback_connections: 64,
        }
    }
}

/// The providers the stub can answer as.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Slug {
    /// One message a request.
    TwilioSms,
    /// Many.
    InfobipSms,
}

/// The workers.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    /// How many.
    pub count: u32,
    /// In `limits`: after so long the next one is started, stopped or killed.
    #[serde(with = "humantime_serde")]
    pub change_every: Duration,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            count: 1,
            change_every: Duration::from_secs(2),
        }
    }
}

/// The part of a run that counts.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Measure {
    /// Messages that are sent before it begins.
    pub skip: u64,
    /// Messages in it; 0 for all that are left.
    pub messages: u64,
}

/// A distribution of a `fair` run.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Whose; those of one organisation share its connection.
    pub organization: u32,
    /// Its messages.
    pub messages: u64,
    /// The rate of its organisation's connection.
    pub segments_per_second: f64,
    /// Whether it is the one that must not suffer; the others are handed over before it.
    #[serde(default)]
    pub measured: bool,
}

/// The same run with something changed.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Vary {
    /// The key, such as `workers.count`; without one each value is a table of keys.
    #[serde(default)]
    pub key: Option<String>,
    /// What is set, one run each.
    pub values: Vec<Value>,
}

impl Vary {
    /// The changes of each run.
    fn changes(&self) -> anyhow::Result<Vec<Vec<String>>> {
        let of = |value: &Value| match (&self.key, value) {
            (Some(key), value) => Ok(vec![format!("{key}={value}")]),
            (None, Value::Table(keys)) => Ok(keys
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect()),
            (None, _) => bail!("vary.values: expected tables, as there is no vary.key"),
        };
        self.values.iter().map(of).collect()
    }
}

/// A figure that is wanted.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name.
    pub figure: String,
    /// The most it may be.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// The least it may be.
    #[serde(default)]
    pub at_least: Option<f64>,
}

impl Scenario {
    /// Reads a file, with `changes` such as `work.messages=2000` on top.
    ///
    /// # Errors
    /// If it can not be read, or is no scenario; the error names the file and the key.
    pub fn read(path: &Path, changes: &[String]) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read the scenario {}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::from_text(&name, &text, changes).with_context(|| path.display().to_string())
    }

    fn from_text(name: &str, text: &str, changes: &[String]) -> anyhow::Result<Self> {
        let mut table: Table = text.parse().context("not TOML")?;
        for change in changes {
            let (key, value) = change
                .split_once('=')
                .with_context(|| format!("{change:?}: expected KEY=VALUE"))?;
            set(&mut table, key.trim(), parsed(value.trim()))?;
        }
        Self::from_table(name, table)
    }

    fn from_table(name: &str, table: Table) -> anyhow::Result<Self> {
        let scenario: Self = serde_path_to_error::deserialize(table).map_err(|error| {
            let key = error.path().to_string();
            anyhow::anyhow!("{key}: {}", error.into_inner().message())
        })?;
        let scenario = Self {
            name: name.to_owned(),
            ..scenario
        };
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> anyhow::Result<()> {
        let counts = [
            ("work.messages", self.work.messages),
            ("work.batch", self.work.batch.into()),
            ("work.distributions", self.work.distributions.into()),
            ("work.organizations", self.work.organizations.into()),
            ("workers.count", self.workers.count.into()),
        ];
        for (key, count) in counts {
            ensure!(count > 0, "{key}: expected at least 1");
        }
        ensure!(
            self.work.batch <= 10_000,
            "work.batch: expected at most 10000"
        );
        ensure!(
            self.work.organizations <= self.work.distributions,
            "work.distributions: expected at least work.organizations"
        );
        ensure!(
            self.provider.segments_per_second > 0.0,
            "provider.segments_per_second: expected more than 0"
        );
        ensure!(
            (self.kind == Kind::Fair) != self.part.is_empty(),
            "part: expected for kind \"fair\", and only there"
        );
        ensure!(
            self.kind != Kind::Fair || self.part.iter().any(|part| part.measured),
            "part.measured: expected for one part at least"
        );
        let twilio = self.provider.slug == Slug::TwilioSms;
        ensure!(
            twilio || !(self.provider.callbacks || self.kind == Kind::WayBack),
            "provider.slug: callbacks are Twilio's"
        );
        for target in &self.target {
            ensure!(
                target.at_least.is_some() || target.at_most.is_some(),
                "target {}: expected at_most or at_least",
                target.figure
            );
        }
        Ok(())
    }

    /// The runs: this one, or one for each value, with what sets it apart.
    ///
    /// # Errors
    /// If a value does not fit its key.
    pub fn runs(path: &Path, changes: &[String]) -> anyhow::Result<Vec<(Option<String>, Self)>> {
        let whole = Self::read(path, changes)?;
        let Some(vary) = &whole.vary else {
            return Ok(vec![(None, whole)]);
        };
        let runs = vary.changes()?.into_iter().map(|more| {
            // What is asked for on the command line outranks the file.
            let given = |change: &String| {
                let key = change.split('=').next();
                changes.iter().any(|other| other.split('=').next() == key)
            };
            let more: Vec<String> = more.into_iter().filter(|it| !given(it)).collect();
            let all: Vec<String> = more.iter().chain(changes).cloned().collect();
            Ok((Some(more.join(" ")), Self::read(path, &all)?))
        });
        let mut runs: Vec<(Option<String>, Self)> = runs.collect::<anyhow::Result<_>>()?;
        // Without what was varied some are the same.
        runs.dedup_by(|one, other| one.0 == other.0);
        for (variant, _) in &mut runs {
            variant.take_if(|it| it.is_empty());
        }
        Ok(runs)
    }
}

/// A word that is no TOML value is a text.
fn parsed(text: &str) -> Value {
    let table: Result<Table, _> = format!("value = {text}").parse();
    table
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// `settings.` is followed by a key that has dots of its own.
fn set(table: &mut Table, key: &str, value: Value) -> anyhow::Result<()> {
    let Some((first, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return Ok(());
    };
    let inner = table
        .entry(first)
        .or_insert_with(|| Value::Table(Table::new()));
    let Value::Table(inner) = inner else {
        bail!("{first}: expected a table");
    };
    if first == "settings" {
        inner.insert(rest.to_owned(), value);
        return Ok(());
    }
    set(inner, rest, value)
}

/// The folder with the scenarios that belong to the project.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// A scenario by its path or by its name.
#[must_use]
pub fn find(given: &Path) -> PathBuf {
    let named = folder().join(given).with_extension("toml");
    if !given.exists() && named.exists() {
        named
    } else {
        given.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "about = 'a test'\nkind = 'drain'\n";

    fn read(more: &str, changes: &[&str]) -> anyhow::Result<Scenario> {
        let changes: Vec<String> = changes.iter().map(|text| (*text).to_owned()).collect();
        Scenario::from_text("small", &format!("{SMALL}{more}"), &changes)
    }

    fn fault(more: &str) -> String {
        format!("{:#}", read(more, &[]).expect_err("a fault"))
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let scenario = read("", &[]).expect("a scenario");
        assert_eq!(scenario.work, Work::default());
        assert_eq!(scenario.name, "small");
    }

    #[test]
    fn a_wrong_key_is_named() {
        assert!(fault("[work]\nmesages = 1\n").contains("work"));
        assert!(fault("[work]\nmesages = 1\n").contains("mesages"));
        assert!(fault("[provider]\nlatency = 3\n").starts_with("provider.latency"));
        assert!(fault("[work]\nmessages = 0\n").starts_with("work.messages"));
    }

    #[test]
    fn the_file_is_named() {
        let error = Scenario::read(Path::new("nowhere.toml"), &[]).expect_err("no file");
        assert!(format!("{error:#}").contains("nowhere.toml"));
    }

    #[test]
    fn a_key_is_changed_from_the_command_line() {
        let changes = [
            "work.messages=7",
            "provider.latency=5ms",
            "settings.amqp.queue_type=classic",
        ];
        let scenario = read("", &changes).expect("a scenario");
        assert_eq!(scenario.work.messages, 7);
        assert_eq!(scenario.provider.latency, Duration::from_millis(5));
        assert_eq!(
            scenario.settings["amqp.queue_type"].as_str(),
            Some("classic")
        );
    }

    #[test]
    fn every_scenario_of_the_project_can_be_read() {
        let files = std::fs::read_dir(folder()).expect("the folder");
        let mut count = 0;
        for file in files {
            let path = file.expect("a file").path();
            let runs = Scenario::runs(&path, &[]).expect("a scenario");
            assert!(!runs.is_empty(), "{}", path.display());
            count += 1;
        }
        assert!(count > 0);
    }
}
