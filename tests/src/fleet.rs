//! The six services as processes over one configuration file, on ports of their own.

use std::collections::{BTreeMap, HashSet};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::process::{Ended, Process, tail};
use crate::wait;

/// One service.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Service {
    /// `batch-intake`.
    BatchIntake,
    /// `send-worker`.
    SendWorker,
    /// `ingress`.
    Ingress,
    /// `receipt-ingest`.
    ReceiptIngest,
    /// `reply-router`.
    ReplyRouter,
    /// `control`.
    Control,
}

impl Service {
    /// All six.
    pub const ALL: [Self; 6] = [
        Self::BatchIntake,
        Self::SendWorker,
        Self::Ingress,
        Self::ReceiptIngest,
        Self::ReplyRouter,
        Self::Control,
    ];

    /// The program.
    #[must_use]
    pub const fn binary(self) -> &'static str {
        match self {
            Self::BatchIntake => "batch-intake",
            Self::SendWorker => "send-worker",
            Self::Ingress => "ingress",
            Self::ReceiptIngest => "receipt-ingest",
            Self::ReplyRouter => "reply-router",
            Self::Control => "control",
        }
    }

    /// Its section of the configuration.
    #[must_use]
    pub fn section(self) -> String {
        self.binary().replace('-', "_")
    }
}

/// What the fleet seals secrets with: as good as any, and easy to search the logs for.
pub const SEALING_KEY: &str = "Y2FuYXJ5LXNlYWxpbmcta2V5LW9mLTMyLWJ5dGVzISE=";
/// The bearer token of the control API.
pub const API_TOKEN: &str = "canary-api-token-8d1f0c7e9a2d4b36815c";

/// Settings as dotted keys with TOML values.
pub type Settings = BTreeMap<String, String>;

/// A TOML string.
#[must_use]
pub fn text(value: &str) -> String {
    format!("{value:?}")
}

/// The processes.
#[derive(Debug)]
pub struct Fleet {
    folder: Option<TempDir>,
    settings: Settings,
    ports: BTreeMap<String, u16>,
    running: BTreeMap<Service, Process>,
    client: reqwest::Client,
}

impl Fleet {
    /// A fleet of which nothing runs yet.
    ///
    /// # Errors
    /// If there is no room for its files or no port is free.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("smsfleet-e2e-")
            .tempdir()
            .context("a folder for configuration and logs")?;
        let mut names: Vec<String> = Service::ALL
            .iter()
            .map(|service| format!("{}.ops_listen", service.section()))
            .collect();
        names.extend(["ingress.listen", "control.listen"].map(str::to_owned));
        let free = free_ports(names.len())?;
        let ports: BTreeMap<String, u16> = names.into_iter().zip(free).collect();
        let mut settings: Settings = ports
            .iter()
            .map(|(key, port)| (key.clone(), text(&format!("127.0.0.1:{port}"))))
            .collect();
        settings.insert(
            "secrets.keys".into(),
            format!("[{}]", text(&format!("e2e={SEALING_KEY}"))),
        );
        settings.insert(
            "control.tokens".into(),
            format!("[{}]", text(&format!("e2e={API_TOKEN}"))),
        );
        for section in ["send_worker", "control"] {
            settings.insert(format!("{section}.allow_private_hosts"), "true".into());
        }
        Ok(Self {
            folder: Some(folder),
            settings,
            ports,
            running: BTreeMap::new(),
            client: crate::api::http_client()?,
        })
    }

    /// Changes a setting for whatever starts from now on. The value is TOML.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.settings.insert(key.to_owned(), value.into());
    }

    /// `http://127.0.0.1:port` of what listens at `key`, such as `control.listen`.
    #[must_use]
    pub fn url(&self, key: &str) -> String {
        let port = self.ports.get(key).copied().unwrap_or_default();
        format!("http://127.0.0.1:{port}")
    }

    /// The address that a key is set to.
    #[must_use]
    pub fn port(&self, key: &str) -> u16 {
        self.ports.get(key).copied().unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        let folder = self.folder.as_ref().map(|folder| folder.path().to_owned());
        folder.unwrap_or_default().join(name)
    }

    /// Writes the configuration as it stands.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn write_config(&self) -> anyhow::Result<PathBuf> {
        let path = self.path("fleet.toml");
        let lines = self
            .settings
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"));
        // Renamed into place: a process that was started a moment ago may be reading it.
        let draft = self.path("fleet.toml.draft");
        std::fs::write(&draft, lines.collect::<String>()).context("write the configuration")?;
        std::fs::rename(&draft, &path).context("put the configuration in its place")?;
        Ok(path)
    }

    /// Starts a service without waiting for it.
    ///
    /// # Errors
    /// If it can not be started, or runs already.
    pub fn start(&mut self, service: Service) -> anyhow::Result<()> {
        ensure!(
            !self.running.contains_key(&service),
            "{} runs already",
            service.binary()
        );
        let config = self.write_config()?;
        let log = self.path(&format!("{}.log", service.binary()));
        let process = Process::start(service.binary(), &config, &[], &log)?;
        self.running.insert(service, process);
        Ok(())
    }

    /// Starts all and waits until all are ready.
    ///
    /// # Errors
    /// If one does not become so.
    pub async fn start_all(&mut self) -> anyhow::Result<()> {
        for service in Service::ALL {
            self.start(service)?;
        }
        for service in Service::ALL {
            self.ready(service).await?;
        }
        Ok(())
    }

    /// Waits until a service says that it is ready.
    ///
    /// # Errors
    /// If it ends, or does not say so in time.
    pub async fn ready(&mut self, service: Service) -> anyhow::Result<()> {
        let url = format!(
            "{}/readyz",
            self.url(&format!("{}.ops_listen", service.section()))
        );
        let client = self.client.clone();
        let what = format!("{} is ready", service.binary());
        let process = self.process(service)?;
        let seen = wait::until(&what, wait::PATIENCE, async || {
            if let Ok(Some(status)) = process.ended() {
                return Some(Err(anyhow::anyhow!("it ended: {status}")));
            }
            let answer = client.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(Ok(()))
        })
        .await
        .and_then(|found| found);
        let said = |process: &Process| format!("{what}, but it said:\n{}", tail(&process.log()));
        seen.with_context(|| said(process))
    }

    /// What `/readyz` answers right now.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn readiness(&self, service: Service) -> anyhow::Result<(u16, String)> {
        self.ops(service, "readyz").await
    }

    /// What `/metrics` says right now.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn metrics(&self, service: Service) -> anyhow::Result<String> {
        Ok(self.ops(service, "metrics").await?.1)
    }

    async fn ops(&self, service: Service, what: &str) -> anyhow::Result<(u16, String)> {
        let base = self.url(&format!("{}.ops_listen", service.section()));
        let answer = self.client.get(format!("{base}/{what}")).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    fn process(&mut self, service: Service) -> anyhow::Result<&mut Process> {
        self.running
            .get_mut(&service)
            .with_context(|| format!("{} does not run", service.binary()))
    }

    fn take(&mut self, service: Service) -> anyhow::Result<Process> {
        self.running
            .remove(&service)
            .with_context(|| format!("{} does not run", service.binary()))
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// If it does not run, or ended by itself before.
    pub fn kill9(&mut self, service: Service) -> anyhow::Result<()> {
        self.take(service)?.kill()
    }

    /// `kill -9`, start, and wait until it is ready; how long it was away.
    ///
    /// # Errors
    /// As [`Self::kill9`] and [`Self::ready`].
    pub async fn kill9_and_restart(&mut self, service: Service) -> anyhow::Result<Duration> {
        self.kill9(service)?;
        let away = Instant::now();
        self.start(service)?;
        self.ready(service).await?;
        Ok(away.elapsed())
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    /// If it does not end in time.
    pub async fn terminate(&mut self, service: Service) -> anyhow::Result<Ended> {
        const DEADLINE: Duration = Duration::from_secs(45);
        self.take(service)?.terminate(DEADLINE).await
    }

    /// Waits until a service ends by itself.
    ///
    /// # Errors
    /// If it does not.
    pub async fn join(&mut self, service: Service) -> anyhow::Result<Ended> {
        self.take(service)?.join(wait::PATIENCE).await
    }

    /// Makes sure that nobody crashed unnoticed.
    ///
    /// # Errors
    /// If somebody did, with the end of the log.
    pub fn all_alive(&mut self) -> anyhow::Result<()> {
        for (service, process) in &mut self.running {
            if let Some(status) = process.ended()? {
                bail!(
                    "{} ended by itself: {status}\n{}",
                    service.binary(),
                    tail(&process.log())
                );
            }
        }
        Ok(())
    }

    /// Everything a service has said, over all its lives.
    #[must_use]
    pub fn log(&self, service: Service) -> String {
        let path = self.path(&format!("{}.log", service.binary()));
        std::fs::read(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Keeps configuration and logs beyond this fleet's life, and says where.
    pub fn keep_files(&mut self) -> Option<PathBuf> {
        self.folder.take().map(TempDir::keep)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            for service in Service::ALL {
                let log = self.log(service);
                if !log.is_empty() {
                    eprintln!("--- the end of {}'s log\n{}", service.binary(), tail(&log));
                }
            }
        }
        self.running.clear();
        if failed && let Some(kept) = self.keep_files() {
            eprintln!("configuration and logs are kept in {}", kept.display());
        }
    }
}

/// Ports that were free a moment ago, all different.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    // Held together, so that no port is given twice.
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()
        .context("find free ports")?;
    let ports: HashSet<u16> = held
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<Result<_, _>>()
        .context("read the free ports")?;
    Ok(ports.into_iter().collect())
}
