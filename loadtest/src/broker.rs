//! What RabbitMQ counts, asked without its management plugin. Each question starts an Erlang of its
//! own, so it is asked before and after what is measured, never meanwhile.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, ensure};
use smsfleet_tests::site::root;

/// `deploy/dev/services` sets it if the broker is its own: only then may it be asked.
const PROCESS_ID: &str = "SMSFLEET_DEV_RABBIT_PID";

/// Adds up the global counters over protocols and queue types.
const COUNTERS: &str = "maps:put(list_to_atom(\"version_\" ++ rabbit_misc:version()), 1, maps:fold(fun(_, M, A) -> maps:fold(fun(K, V, B) -> \
    maps:update_with(K, fun(X) -> X + V end, V, B) end, A, M) end, #{}, rabbit_global_counters:overview())).";

const VERSION_IS: &str = "version_";
static VERSION: OnceLock<String> = OnceLock::new();

/// Messages by what happened to them: received, routed, confirmed, delivered, acknowledged.
pub type Counters = BTreeMap<String, u64>;

/// The broker's process, if it is ours.
#[must_use]
pub fn process_id() -> Option<u32> {
    std::env::var(PROCESS_ID).ok()?.parse().ok()
}

/// The counters now; nothing if the broker is somebody else's.
///
/// # Errors
/// If it does not answer.
pub fn counters() -> anyhow::Result<Option<Counters>> {
    if process_id().is_none() {
        return Ok(None);
    }
    let mut counters = read(&rabbitmqctl(&["eval", COUNTERS])?);
    // It comes with the counters, because a question of its own would take a second.
    counters.retain(|name, _| match name.strip_prefix(VERSION_IS) {
        Some(version) => {
            VERSION.get_or_init(|| version.to_owned());
            false
        }
        None => true,
    });
    Ok(Some(counters))
}

/// The broker's version, once its counters have been asked for; nothing if it is somebody else's.
#[must_use]
pub fn version() -> Option<String> {
    VERSION.get().cloned()
}

fn rabbitmqctl(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(root().join("deploy/dev/services"))
        .arg("rabbitmqctl")
        .args(arguments)
        .output()
        .context("run deploy/dev/services rabbitmqctl")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "rabbitmqctl: {said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

/// `#{messages_routed_total => 12,…}`
fn read(term: &str) -> Counters {
    let pairs = term.split(['{', ',', '}']);
    let pair = |text: &str| {
        let (name, value) = text.split_once("=>")?;
        let name = name.trim().trim_matches('\'').trim_end_matches("_total");
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    pairs.filter_map(pair).collect()
}

/// What came after `before`.
#[must_use]
pub fn since(before: &Counters, after: &Counters) -> Counters {
    let more = after.iter().map(|(name, value)| {
        let earlier = before.get(name).copied().unwrap_or_default();
        (name.clone(), value.saturating_sub(earlier))
    });
    more.filter(|(_, value)| *value > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erlang_map_is_read() {
        let counters =
            read("#{consumers => 1,messages_acknowledged_total => 40,\n  publishers => 0}\n");
        assert_eq!(counters["messages_acknowledged"], 40);
        assert_eq!(counters["consumers"], 1);
        assert_eq!(since(&counters, &counters), Counters::new());
    }
}
