//! What Redis counts: commands by name, bytes of memory.

use std::collections::BTreeMap;

use ::redis as client;
use anyhow::Context;

/// Calls and microseconds by the name of the command. What a script calls is counted too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// By the name of the command.
    pub commands: BTreeMap<String, (u64, f64)>,
    /// Memory of all keys and of Redis itself.
    pub used_memory_bytes: u64,
    /// Bytes read from clients and written to them.
    pub net_bytes: u64,
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counter")
    }
}

/// Reads the counters.
pub struct Counter {
    connection: client::Connection,
}

impl Counter {
    /// Connects.
    ///
    /// # Errors
    /// If Redis does not answer.
    pub fn connect(url: &str) -> anyhow::Result<Self> {
        let opened = client::Client::open(url).context("Redis' URL")?;
        let connection = opened.get_connection().context("connect to Redis")?;
        Ok(Self { connection })
    }

    fn info(&mut self, section: &str) -> anyhow::Result<String> {
        client::cmd("INFO")
            .arg(section)
            .query(&mut self.connection)
            .with_context(|| format!("INFO {section}"))
    }

    /// The server's process, if it is on this machine.
    ///
    /// # Errors
    /// If it does not say.
    pub fn process_id(&mut self) -> anyhow::Result<Option<u32>> {
        let info = self.info("server")?;
        Ok(field(&info, "process_id").and_then(|text| text.parse().ok()))
    }

    /// Its version.
    ///
    /// # Errors
    /// If it does not say.
    pub fn version(&mut self) -> anyhow::Result<String> {
        let info = self.info("server")?;
        Ok(field(&info, "redis_version")
            .unwrap_or("unknown")
            .to_owned())
    }

    /// The counters now.
    ///
    /// # Errors
    /// If it does not say.
    pub fn now(&mut self) -> anyhow::Result<Counters> {
        let number = |info: &str, name: &str| {
            let value: Option<u64> = field(info, name).and_then(|text| text.parse().ok());
            value.unwrap_or_default()
        };
        let commands = commands(&self.info("commandstats")?);
        let (memory, stats) = (self.info("memory")?, self.info("stats")?);
        Ok(Counters {
            commands,
            used_memory_bytes: number(&memory, "used_memory"),
            net_bytes: number(&stats, "total_net_input_bytes")
                + number(&stats, "total_net_output_bytes"),
        })
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// `cmdstat_hset:calls=21,usec=150,…`
fn commands(info: &str) -> BTreeMap<String, (u64, f64)> {
    let read = |line: &str| {
        let (name, fields) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let of = |key: &str| {
            let mut pairs = fields.split(',');
            pairs.find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
        };
        let calls = of("calls")?.parse().ok()?;
        let usec = of("usec")?.parse().ok()?;
        Some((name.to_owned(), (calls, usec)))
    };
    info.lines().filter_map(read).collect()
}

impl Counters {
    /// What came after `before`, without this very asking.
    #[must_use]
    pub fn since(&self, before: &Self) -> BTreeMap<String, (u64, f64)> {
        let later = self.commands.iter().map(|(name, (calls, usec))| {
            let (calls_before, usec_before) =
                before.commands.get(name).copied().unwrap_or_default();
            let more = (calls.saturating_sub(calls_before), usec - usec_before);
            (name.clone(), more)
        });
        later
            .filter(|(name, (calls, _))| *calls > 0 && name != "info")
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Commandstats\r\ncmdstat_hset:calls=21,usec=150,usec_per_call=7.14\r\ncmdstat_config|get:calls=1,usec=2,usec_per_call=2.00\r\n";

    #[test]
    fn calls_are_read_by_the_name_of_the_command() {
        let commands = commands(INFO);
        assert_eq!(commands["hset"], (21, 150.0));
        assert_eq!(commands["config|get"], (1, 2.0));
    }

    #[test]
    fn only_what_came_later_counts() {
        let before = Counters {
            commands: commands(INFO),
            ..Counters::default()
        };
        let mut after = before.clone();
        after.commands.insert("hset".into(), (25, 160.0));
        after.commands.insert("get".into(), (2, 1.0));
        let since = after.since(&before);
        assert_eq!(since.len(), 2);
        assert_eq!(since["hset"], (4, 10.0));
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        assert_eq!(
            field("used_memory_rss:5\r\nused_memory:3\r\n", "used_memory"),
            Some("3")
        );
    }
}
