//! Kannel: bearerbox and smsbox, its HTTP provider "generic". Messages are handed over as its users do
//! it, by a GET each. Drained is what was taken while the provider held its answers back; live is with
//! the durable store, while it sends.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use smsfleet_tests::site::root;
use smsfleet_tests::wait;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::payload;
use super::ring::{PEER, Ring};
use crate::outcome::Outcome;
use crate::stub_client::free_port;

/// Callers that hand messages over.
const CALLERS: u64 = 32;

/// Why it can not run here.
pub(super) fn missing() -> Option<String> {
    let there = |program: &str| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output();
        found.is_ok_and(|output| output.status.success())
    };
    (!there("bearerbox") || !there("smsbox"))
        .then(|| "Kannel is not installed: loadtest/peers/install".to_owned())
}

/// A box, ended when dropped.
struct Boxed(Child);

impl Drop for Boxed {
    fn drop(&mut self) {
        // Fails only if it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) async fn run(
    ring: &mut Ring,
    arguments: &super::Arguments,
    live: bool,
) -> anyhow::Result<Outcome> {
    let folder = tempfile::tempdir().context("a folder")?;
    let ports = [free_port()?, free_port()?, free_port()?, free_port()?];
    let config = configure(&folder, arguments, ring.stub_port, ports, live)?;
    let bearerbox = start("bearerbox", &config)?;
    answers(ports[0], "/status.txt?password=load").await?;
    let smsbox = start("smsbox", &config)?;
    answers(ports[3], "/").await?;
    for child in [&bearerbox, &smsbox] {
        ring.meter.watch(PEER, child.0.id());
    }
    let messages = arguments.messages;
    if live {
        let mark = ring.mark()?;
        hand_over(ports[3], messages).await?;
        ring.sent(messages).await?;
        return ring.outcome(mark, messages).await;
    }
    ring.stub.hold().await?;
    hand_over(ports[3], messages).await?;
    // Those that wait for their answer arrived before the clock started.
    let early = ring.stub.stats().await?.messages;
    ring.stub.reset().await?;
    let mark = ring.mark()?;
    ring.stub.release().await?;
    ring.sent(messages - early).await?;
    ring.outcome(mark, messages - early).await
}

fn configure(
    folder: &TempDir,
    arguments: &super::Arguments,
    stub_port: u16,
    ports: [u16; 4],
    live: bool,
) -> anyhow::Result<std::path::PathBuf> {
    let template = root().join("loadtest/peers/kannel.conf.in");
    let template = std::fs::read_to_string(&template)
        .with_context(|| format!("read {}", template.display()))?;
    let here = folder.path().display().to_string();
    let store = if live {
        format!("store-type = file\nstore-location = \"{here}/store\"")
    } else {
        String::new()
    };
    let words = [
        ("@DIR@", here.clone()),
        ("@STORE@", store),
        ("@STUB@", stub_port.to_string()),
        ("@PENDING@", arguments.connections.max(100).to_string()),
        ("@ADMIN@", ports[0].to_string()),
        ("@BOX@", ports[1].to_string()),
        ("@SMSC@", ports[2].to_string()),
        ("@SENDSMS@", ports[3].to_string()),
    ];
    let text = words
        .iter()
        .fold(template, |text, (word, value)| text.replace(word, value));
    let path = folder.path().join("kannel.conf");
    let mut file = std::fs::File::create(&path).context("Kannel's configuration")?;
    file.write_all(text.as_bytes())
        .context("Kannel's configuration")?;
    Ok(path)
}

fn start(program: &str, config: &Path) -> anyhow::Result<Boxed> {
    let child = Command::new(program)
        .args(["-v", "4"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {program}"))?;
    Ok(Boxed(child))
}

async fn answers(port: u16, path: &str) -> anyhow::Result<()> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let client = smsfleet_tests::api::http_client()?;
    let asked = async || client.get(&url).send().await.ok().map(drop);
    wait::until("Kannel answers", Duration::from_secs(20), asked).await
}

/// Hands messages over by a few callers with keep-alive.
async fn hand_over(port: u16, messages: u64) -> anyhow::Result<()> {
    let callers = (0..CALLERS).map(|caller| async move {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.context("smsbox")?;
        stream.set_nodelay(true).context("no delay")?;
        let mut stream = tokio::io::BufReader::new(stream);
        for index in (caller..messages).step_by(CALLERS as usize) {
            let request = format!(
                "GET /cgi-bin/sendsms?username=load&password=load&from=12025550100&to=%2B{}&text={} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                payload::number(index).trim_start_matches('+'),
                payload::TEXT.replace(' ', "+").replace(':', "%3A").replace('/', "%2F").replace('?', "%3F"),
            );
            stream.get_mut().write_all(request.as_bytes()).await.context("hand over")?;
            skip_answer(&mut stream).await?;
        }
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(callers).await.map(drop)
}

/// Reads one answer with a length.
async fn skip_answer(stream: &mut tokio::io::BufReader<TcpStream>) -> anyhow::Result<()> {
    use tokio::io::AsyncBufReadExt;
    let mut length = 0;
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line).await.context("its answer")?;
        anyhow::ensure!(read > 0, "it hung up");
        let lower = line.trim().to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().context("a length")?;
        }
        if lower.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.context("its answer")?;
    Ok(())
}
