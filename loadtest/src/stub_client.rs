//! The stub as a process, and what it has counted.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use smsfleet_tests::wait;

use crate::stub::{Arrival, Stats, arrivals_from_bytes};

/// Asks a stub.
#[derive(Clone, Debug)]
pub struct StubClient {
    base: String,
    client: reqwest::Client,
}

impl StubClient {
    /// For the stub at `base`; its own certificate is not checked, because nothing secret is asked.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(base: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .danger_accept_invalid_certs(true)
            .build()
            .context("an HTTP client")?;
        Ok(Self { base, client })
    }

    async fn get(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}{path}", self.base);
        let answer = self.client.get(url).send().await;
        let answer = answer.with_context(|| format!("ask the stub for {path}"))?;
        let body = answer.bytes().await.context("the stub's answer")?;
        Ok(body.into())
    }

    /// What it has counted.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn stats(&self) -> anyhow::Result<Stats> {
        serde_json::from_slice(&self.get("/stats").await?).context("the stub's counters")
    }

    /// Messages in each tenth of a second since the first.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn histogram(&self) -> anyhow::Result<Vec<u32>> {
        serde_json::from_slice(&self.get("/histogram").await?).context("the stub's histogram")
    }

    /// When each request came.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn arrivals(&self) -> anyhow::Result<Vec<Arrival>> {
        Ok(arrivals_from_bytes(&self.get("/arrivals").await?))
    }

    /// Keeps answers back from now on.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn hold(&self) -> anyhow::Result<()> {
        self.get("/hold").await.map(drop)
    }

    /// Gives them.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn release(&self) -> anyhow::Result<()> {
        self.get("/release").await.map(drop)
    }

    /// Forgets what was counted.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn reset(&self) -> anyhow::Result<()> {
        self.get("/reset").await.map(drop)
    }
}

/// The stub's process, killed when dropped.
#[derive(Debug)]
pub struct StubProcess(Child);

impl StubProcess {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Makes sure that it has not ended unnoticed.
    ///
    /// # Errors
    /// If it has.
    pub fn alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.0.try_wait().context("look after the stub")? {
            bail!("the stub ended by itself: {status}");
        }
        Ok(())
    }
}

impl Drop for StubProcess {
    fn drop(&mut self) {
        // Fails only if it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A stub that answers.
#[derive(Debug)]
pub struct Started {
    /// Its process.
    pub process: StubProcess,
    /// Asks it.
    pub client: StubClient,
    /// Where it listens on this machine.
    pub port: u16,
}

/// What a stub is to be like.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// How long an answer takes.
    pub latency: Duration,
    /// Speaks TLS, and writes its certificate there.
    pub certificate: Option<PathBuf>,
    /// Finds doubles.
    pub audit: bool,
    /// Keeps when requests came.
    pub arrivals: bool,
    /// Reports every message as delivered to the ingress at this URL.
    pub callbacks: Option<String>,
    /// Over so many connections.
    pub callback_connections: u32,
}

/// Starts a stub and waits until it answers.
///
/// # Errors
/// If it does not come up.
pub async fn start(wanted: &Wanted) -> anyhow::Result<Started> {
    let port = free_port()?;
    let latency = humantime::format_duration(wanted.latency).to_string();
    let mut command = Command::new(program()?);
    command
        .args(["stub", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--latency", &latency])
        .stdin(Stdio::null());
    if let Some(certificate) = &wanted.certificate {
        command.arg("--tls").arg(certificate);
    }
    if let Some(url) = &wanted.callbacks {
        command.args(["--callbacks", url]);
        command.arg("--callback-connections");
        command.arg(wanted.callback_connections.to_string());
    }
    let flags = [("--audit", wanted.audit), ("--arrivals", wanted.arrivals)];
    command.args(
        flags
            .into_iter()
            .filter(|(_, on)| *on)
            .map(|(flag, _)| flag),
    );
    let process = StubProcess(command.spawn().context("start the stub")?);
    let scheme = if wanted.certificate.is_some() {
        "https"
    } else {
        "http"
    };
    let client = StubClient::new(format!("{scheme}://localhost:{port}"))?;
    let answers = async || client.stats().await.ok();
    wait::until("the stub answers", wait::PATIENCE, answers).await?;
    Ok(Started {
        process,
        client,
        port,
    })
}

/// `load`, which a test runs too: that is another program in a folder below.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("this program's own path")?;
    this.ancestors()
        .skip(1)
        .map(|folder| folder.join("load"))
        .find(|program| program.is_file())
        .context("the program `load` has not been built")
}

/// A port that was free a moment ago.
///
/// # Errors
/// If there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let held = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(held.local_addr().context("read the free port")?.port())
}
