//! System calls of a process, counted by strace. It slows the process down: what was counted holds, how
//! long it took does not.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

/// Why they can not be counted here.
#[must_use]
pub fn missing() -> Option<String> {
    let asked = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status();
    let there = asked.is_ok_and(|status| status.success());
    (!there).then(|| "strace is not installed".to_owned())
}

/// Counts from its start on.
#[derive(Debug)]
pub struct Counting {
    strace: Child,
    summary: PathBuf,
    _folder: TempDir,
}

impl Counting {
    /// Attaches to all threads of a process.
    ///
    /// # Errors
    /// If that is not possible.
    pub async fn start(process_id: u32) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a folder")?;
        let summary = folder.path().join("calls");
        let strace = Command::new("strace")
            .args(["-c", "-f", "-q", "-p", &process_id.to_string(), "-o"])
            .arg(&summary)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start strace")?;
        let traced = async || {
            let status = std::fs::read_to_string(format!("/proc/{process_id}/status")).ok()?;
            let tracer = status
                .lines()
                .find_map(|line| line.strip_prefix("TracerPid:"))?;
            (tracer.trim() != "0").then_some(())
        };
        smsfleet_tests::wait::until("strace is attached", Duration::from_secs(10), traced).await?;
        Ok(Self {
            strace,
            summary,
            _folder: folder,
        })
    }

    /// Detaches; how many calls there were, by name.
    ///
    /// # Errors
    /// If strace has nothing to say.
    pub fn finish(mut self) -> anyhow::Result<Vec<(String, u64)>> {
        let told = Command::new("kill")
            .args(["-INT", &self.strace.id().to_string()])
            .status();
        ensure!(told.context("run kill")?.success(), "strace is gone");
        self.strace.wait().context("wait for strace")?;
        let summary = std::fs::read_to_string(&self.summary).context("what strace counted")?;
        let calls = read(&summary);
        ensure!(!calls.is_empty(), "strace counted nothing: {summary}");
        Ok(calls)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        // Fails only if it is gone already.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// Share, seconds, microseconds a call, calls, errors if there were, name.
fn read(summary: &str) -> Vec<(String, u64)> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (name, calls) = (fields.last()?, fields.get(3)?);
        (fields.len() >= 5 && *name != "total").then_some(())?;
        Some(((*name).to_owned(), calls.parse().ok()?))
    };
    summary.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_with_and_without_errors() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
             60.00    0.000600           6       100         5 recvfrom\n\
             40.00    0.000400           4        90           sendto\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.001000           5       190         5 total\n";
        let calls = read(summary);
        assert_eq!(
            calls,
            [("recvfrom".to_owned(), 100), ("sendto".to_owned(), 90)]
        );
    }
}
