//! Celery 5 with requests and redis-py: a task for each message, acknowledged late.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, ensure};
use smsfleet_tests::site::root;

use super::ring::{PEER, Ring};
use crate::outcome::Outcome;

/// The Python that `loadtest/peers/install` sets up.
fn python() -> PathBuf {
    root().join("target/peers/venv/bin/python")
}

/// Why it can not run here.
pub(super) fn missing() -> Option<String> {
    (!python().is_file()).then(|| "Celery is not installed: loadtest/peers/install".to_owned())
}

/// The script that fills the queue and starts the worker, ended by closing its input.
struct Script {
    child: Child,
    tell: Option<ChildStdin>,
}

impl Drop for Script {
    fn drop(&mut self) {
        self.tell.take();
        // It ends its worker first, and then itself.
        let _ = self.child.wait();
    }
}

pub(super) async fn run(
    ring: &mut Ring,
    arguments: &super::Arguments,
    pool: &str,
    concurrency: u32,
) -> anyhow::Result<Outcome> {
    ring.fill_opt_outs()?;
    let folder = root().join("loadtest/peers");
    let mut child = Command::new(python())
        .arg(folder.join("celery_peer.py"))
        .args([
            arguments.messages.to_string(),
            pool.to_owned(),
            concurrency.to_string(),
        ])
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PEER_AMQP", ring.site.amqp_url())
        .env("PEER_REDIS", ring.site.redis_url())
        .env("PEER_KEY_PREFIX", ring.site.key_prefix())
        .env("PEER_STUB", format!("http://127.0.0.1:{}", ring.stub_port))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start Celery's script")?;
    let tell = child.stdin.take();
    let mut heard = BufReader::new(child.stdout.take().context("its output")?);
    let mut script = Script { child, tell };
    let mut line = String::new();
    heard.read_line(&mut line).context("hear it")?;
    let worker = line.trim().strip_prefix("ready ");
    let worker: u32 = worker
        .and_then(|id| id.parse().ok())
        .with_context(|| format!("expected \"ready PID\", heard {line:?}"))?;
    ring.meter.watch_tree(PEER, worker);
    let mark = ring.mark()?;
    use std::io::Write as _;
    let tell = script.tell.as_mut().context("its input")?;
    writeln!(tell, "go")
        .and_then(|()| tell.flush())
        .context("tell it to go")?;
    ring.sent(arguments.messages).await?;
    let outcome = ring.outcome(mark, arguments.messages).await?;
    ensure!(
        outcome.get(&format!("cpu.{PEER}")) > 0.0,
        "its processes were not found"
    );
    Ok(outcome)
}
