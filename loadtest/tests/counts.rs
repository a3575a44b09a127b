//! Counts that do not depend on the clock: what one message costs in commands, AMQP messages and
//! system calls stays below `counts.toml`.

use std::path::Path;
use std::process::Command;

use loadtest::outcome::Outcome;
use loadtest::system_calls;
use serde::Deserialize;

/// See the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    redis_commands: f64,
    amqp_received: f64,
    amqp_delivered: f64,
    amqp_acknowledged: f64,
    system_calls: f64,
}

const MESSAGES: &str = "work.messages=2000";

fn bounds() -> Bounds {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.toml");
    let text = std::fs::read_to_string(path).expect("the bounds");
    toml::from_str(&text).expect("bounds")
}

/// Whether there are services; without them the test is skipped, unless they are required.
fn services() -> bool {
    let given = |name| std::env::var_os(name).is_some();
    if given("SMSFLEET_AMQP_URL") && given("SMSFLEET_REDIS_URL") {
        return true;
    }
    assert!(
        !given("SMSFLEET_REQUIRE_SERVICES"),
        "SMSFLEET_REQUIRE_SERVICES is set, but SMSFLEET_AMQP_URL and SMSFLEET_REDIS_URL are not"
    );
    eprintln!(
        "skipped: SMSFLEET_AMQP_URL and SMSFLEET_REDIS_URL are not set (see deploy/dev/services)"
    );
    false
}

fn run(more: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["run", "send-single", "--set", MESSAGES, "--out"])
        .arg(folder.path())
        .args(more)
        .output()
        .expect("load");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
    Outcome::read(&folder.path().join("send-single.json")).expect("figures")
}

#[test]
fn a_message_costs_no_more_commands_and_calls_than_was_agreed() {
    if !services() {
        return;
    }
    let bounds = bounds();
    let strace = system_calls::missing();
    if let Some(why) = &strace {
        eprintln!("system calls are not counted: {why}");
    }
    let outcome = match strace {
        None => run(&["--system-calls"]),
        Some(_) => run(&[]),
    };
    let wanted = [
        ("redis.commands_per_message", bounds.redis_commands),
        ("amqp.received_per_message", bounds.amqp_received),
        ("amqp.delivered_per_message", bounds.amqp_delivered),
        ("amqp.acknowledged_per_message", bounds.amqp_acknowledged),
        ("system_calls_per_message", bounds.system_calls),
    ];
    // What somebody else's broker or a missing strace does not say is not held.
    let counted: Vec<(&str, f64, f64)> = wanted
        .into_iter()
        .filter_map(|(name, bound)| Some((name, *outcome.figures.get(name)?, bound)))
        .collect();
    println!("{counted:?}");
    assert!(
        counted.iter().any(|(name, ..)| name.starts_with("redis")),
        "{:?}",
        outcome.figures
    );
    let over: Vec<_> = counted
        .iter()
        .filter(|(_, measured, bound)| measured > bound)
        .collect();
    assert!(
        over.is_empty(),
        "above loadtest/counts.toml: {over:?}\n{}",
        outcome.table()
    );
}
