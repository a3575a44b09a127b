//! One process of the fleet: its log in a file, its end in our hands.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::wait;

/// How a process ended, and how long that took.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its exit code; nothing if a signal ended it.
    pub code: Option<i32>,
    /// From being asked to being gone.
    pub took: Duration,
}

/// A process, killed when dropped, on a panic too.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The folder with the fleet's binaries: that of the profile this very program was built in.
///
/// # Errors
/// If they have not been built.
pub fn binaries() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("this program's own path")?;
    this.ancestors()
        .skip(1)
        .find(|folder| folder.join("batch-intake").is_file())
        .map(Path::to_owned)
        .with_context(|| {
            format!(
                "no folder above {} has the fleet's binaries: cargo build --workspace --bins first",
                this.display()
            )
        })
}

/// A command of the fleet that inherits no setting: variables outrank the file a test has written.
///
/// # Errors
/// If it has not been built.
pub fn command(binary: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(binaries()?.join(binary));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SMSFLEET_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

impl Process {
    /// Starts `binary` with `--config config`; what it says is appended to `log`.
    ///
    /// # Errors
    /// If it is not there or can not be started.
    pub fn start(
        binary: &str,
        config: &Path,
        extra: &[(String, String)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let open = || {
            File::options()
                .create(true)
                .append(true)
                .open(log)
                .with_context(|| format!("open {}", log.display()))
        };
        let child = command(binary)?
            .arg("--config")
            .arg(config)
            .envs(extra.iter().cloned())
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            .spawn()
            .with_context(|| format!("start {binary}"))?;
        Ok(Self {
            name: binary.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it and its predecessors have said.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("look after {}", self.name))
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// If it had ended before: a crash that nobody ordered.
    pub fn kill(mut self) -> anyhow::Result<()> {
        if let Some(status) = self.ended()? {
            bail!(
                "{} had already ended by itself: {status}\n{}",
                self.name,
                tail(&self.log())
            );
        }
        self.child.kill().context("kill")?;
        self.child.wait().context("wait for the killed")?;
        Ok(())
    }

    /// Sends a signal by name, `TERM` or `STOP`.
    ///
    /// # Errors
    /// If it is not there any more.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id().to_string())
            .status()
            .context("run kill")?;
        anyhow::ensure!(
            status.success(),
            "{} is not there to be told {name}",
            self.name
        );
        Ok(())
    }

    /// SIGTERM, and waits until it has drained.
    ///
    /// # Errors
    /// If it is still there after `patience`; then it is killed.
    pub async fn terminate(self, patience: Duration) -> anyhow::Result<Ended> {
        self.signal("TERM")?;
        self.join(patience).await
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it is still there after `patience`; then it is killed.
    pub async fn join(mut self, patience: Duration) -> anyhow::Result<Ended> {
        let started = Instant::now();
        let what = format!("the end of {}", self.name);
        let status = wait::until(&what, patience, async || self.ended().transpose())
            .await
            .with_context(|| tail(&self.log()))??;
        Ok(Ended {
            code: status.code(),
            took: started.elapsed(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of a log that are shown when something went wrong.
const TAIL: usize = 40;

/// The end of a log.
#[must_use]
pub fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
