//! How a peer's process and the one that measures it agree on a beginning and an end: start-up is not
//! part of the work, and a process that has gone can not be asked what it used.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};

const READY: &str = "ready";
const GO: &str = "go";
const DONE: &str = "done";

/// In the peer: says that it is ready and waits for the word.
pub(crate) fn await_go() -> anyhow::Result<()> {
    say(READY)?;
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("the word to go")?;
    ensure!(line.trim() == GO, "expected {GO}, heard {line:?}");
    Ok(())
}

/// In the peer: says that all is done and stays until it may go.
pub(crate) fn done() -> anyhow::Result<()> {
    say(DONE)?;
    let mut rest = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut rest)
        .context("the end")?;
    Ok(())
}

fn say(word: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}")
        .and_then(|()| out.flush())
        .context("say so")
}

/// The peer's process as seen from outside; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    tell: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
}

impl Running {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let tell = child.stdin.take();
        let hear = BufReader::new(child.stdout.take().context("its output")?);
        let mut running = Self { child, tell, hear };
        running.expect(READY)?;
        Ok(running)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets it begin.
    pub(crate) fn go(&mut self) -> anyhow::Result<()> {
        let tell = self.tell.as_mut().context("it has been told to end")?;
        writeln!(tell, "{GO}")
            .and_then(|()| tell.flush())
            .context("tell it to go")
    }

    /// Waits until it says that it is done. Blocks: whoever measures has nothing else to do.
    pub(crate) fn until_done(&mut self) -> anyhow::Result<()> {
        self.expect(DONE)
    }

    fn expect(&mut self, word: &str) -> anyhow::Result<()> {
        let mut line = String::new();
        self.hear.read_line(&mut line).context("hear it")?;
        ensure!(line.trim() == word, "expected {word}, heard {line:?}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tell.take();
        // Fails only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
