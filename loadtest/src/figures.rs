//! Figures out of what was counted at the beginning and at the end of a run.

use crate::broker;
use crate::meter::Sample;
use crate::outcome::Outcome;
use crate::redis::Counters;

/// Processes that are part of the measuring, not of what is measured.
const OURS: [&str; 2] = ["load", "stub"];
/// Cores that others took meanwhile: above 0.4 the time a run took says little.
pub const FOREIGN: &str = "cores.others";
/// CPU is given for so many messages.
const PER: f64 = 10_000.0;

fn each(messages: u64) -> f64 {
    1.0 / (messages as f64).max(1.0)
}

impl Outcome {
    /// Sets a figure.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        self.figures.insert(name.into(), value);
    }

    /// A figure; 0 if it was not measured.
    #[must_use]
    pub fn get(&self, name: &str) -> f64 {
        self.figures.get(name).copied().unwrap_or_default()
    }

    /// How much in how long.
    pub fn measured(&mut self, messages: u64, seconds: f64) {
        self.set("messages", messages as f64);
        self.set("seconds", seconds);
        self.set("rate", messages as f64 / seconds.max(1e-9));
    }

    /// CPU and memory of every process; `samples` are there already.
    pub fn used(&mut self, before: &Sample, after: &Sample, messages: u64) {
        let stretch = (after.at_seconds - before.at_seconds).max(1e-9);
        let (mut total, mut known) = (0.0, 0.0);
        for (name, usage) in &after.usages {
            let earlier = before.usages.get(name).copied().unwrap_or_default();
            let cpu = usage.cpu_seconds - earlier.cpu_seconds;
            self.set(format!("cpu.{name}"), cpu * PER * each(messages));
            self.set(format!("cores.{name}"), cpu / stretch);
            let of = |sample: &Sample| sample.usages.get(name).map_or(0.0, |it| it.rss_mb);
            let most = self.samples.iter().map(of).fold(0.0, f64::max);
            self.set(format!("rss.{name}"), most);
            known += cpu;
            if !OURS.contains(&name.as_str()) {
                total += cpu;
            }
        }
        self.set("cpu.total", total * PER * each(messages));
        let foreign = after.busy_seconds - before.busy_seconds - known;
        self.set(FOREIGN, foreign.max(0.0) / stretch);
    }

    /// Redis commands and what they cost Redis.
    pub fn redis(&mut self, before: &Counters, after: &Counters, messages: u64) {
        let commands = after.since(before);
        let calls: u64 = commands.values().map(|(calls, _)| calls).sum();
        let usec: f64 = commands.values().map(|(_, usec)| usec).sum();
        let bytes = after.net_bytes.saturating_sub(before.net_bytes);
        let grown = after.used_memory_bytes as f64 - before.used_memory_bytes as f64;
        self.set("redis.commands_per_message", calls as f64 * each(messages));
        self.set("redis.usec_per_message", usec * each(messages));
        self.set("redis.net_bytes_per_message", bytes as f64 * each(messages));
        self.set("redis.memory_growth_per_message", grown * each(messages));
        let calls = commands.into_iter().map(|(name, (calls, _))| (name, calls));
        self.redis_commands = calls.collect();
    }

    /// System calls, and the most frequent ones by name.
    pub fn system_calls(&mut self, calls: &[(String, u64)], messages: u64) {
        const NAMED: usize = 8;
        let sum: u64 = calls.iter().map(|(_, count)| count).sum();
        self.set("system_calls_per_message", sum as f64 * each(messages));
        let mut most = calls.to_vec();
        most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (name, count) in most.iter().take(NAMED) {
            self.set(
                format!("system_calls.{name}"),
                *count as f64 * each(messages),
            );
        }
    }

    /// What the broker did with AMQP messages.
    pub fn broker(&mut self, before: &broker::Counters, after: &broker::Counters, messages: u64) {
        for (name, count) in broker::since(before, after) {
            if let Some(name) = name.strip_prefix("messages_") {
                self.set(
                    format!("amqp.{name}_per_message"),
                    count as f64 * each(messages),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Usage;

    fn sample(at_seconds: f64, cpu_seconds: f64) -> Sample {
        let usage = Usage {
            cpu_seconds,
            rss_mb: 10.0,
        };
        let usages = ["send-worker", "stub"].map(|name| (name.to_owned(), usage));
        Sample {
            at_seconds,
            usages: usages.into(),
            busy_seconds: 4.0 * at_seconds,
        }
    }

    #[test]
    fn cpu_is_given_per_ten_thousand_messages_and_the_stub_is_not_in_the_total() {
        let mut outcome = Outcome::default();
        let (before, after) = (sample(0.0, 1.0), sample(2.0, 2.0));
        outcome.samples = vec![before.clone(), after.clone()];
        outcome.used(&before, &after, 20_000);
        assert_eq!(outcome.get("cpu.send-worker"), 0.5);
        assert_eq!(outcome.get("cpu.total"), 0.5);
        assert_eq!(outcome.get("cores.stub"), 0.5);
        assert_eq!(outcome.get(FOREIGN), 3.0);
        assert_eq!(outcome.get("rss.stub"), 10.0);
    }
}
