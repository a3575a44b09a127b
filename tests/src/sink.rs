//! A webhook of the test's own: takes every callback and keeps it, so that a test can hand it to the fleet when and as
//! often as it wants, whole or changed.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A callback as it came.
#[derive(Clone, Debug, Default)]
pub struct Caught {
    /// The path with its query.
    pub target: String,
    /// The headers, but for those of the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

/// See the module. Stops when dropped.
#[derive(Debug)]
pub struct Sink {
    url: String,
    caught: Arc<Mutex<Vec<Caught>>>,
    task: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    /// Listens on a port of its own.
    ///
    /// # Errors
    /// If none is free.
    pub async fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("a port for a webhook")?;
        let url = format!("http://{}", listener.local_addr()?);
        let caught = Arc::<Mutex<Vec<Caught>>>::default();
        let kept = Arc::clone(&caught);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    // A caller that breaks off is no callback.
                    if let Ok(one) = take(stream).await {
                        kept.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(one);
                    }
                });
            }
        });
        Ok(Self { url, caught, task })
    }

    /// Where it listens; no slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Everything so far.
    #[must_use]
    pub fn caught(&self) -> Vec<Caught> {
        let caught = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        caught.clone()
    }
}

/// Reads one request, answers it, and ends the connection.
async fn take(stream: TcpStream) -> anyhow::Result<Caught> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut headers, mut length) = (HeaderMap::new(), 0);
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "content-length" => length = value.parse().context("a length")?,
            "host" | "connection" => {}
            name => {
                let name = HeaderName::from_bytes(name.as_bytes())?;
                headers.append(name, HeaderValue::from_str(value)?);
            }
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    stream.write_all(answer.as_bytes()).await?;
    Ok(Caught {
        target,
        headers,
        body: String::from_utf8(body)?,
    })
}
