//! A TCP proxy between the fleet and RabbitMQ, Redis or the provider that can be cut, stalled and
//! healed: an outage for this fleet alone, because the services behind it are shared.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How the line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Line {
    /// Bytes pass.
    Healthy,
    /// Connections stay open and nothing passes: a peer that hangs.
    Stalled,
    /// Connections are gone and new ones refused: a peer that died.
    Cut,
}

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Bytes moved at once.
const BUFFER: usize = 64 * 1024;
/// Between two tries to take the port again, which an old connection may still hold.
const BIND_PAUSE: Duration = Duration::from_millis(20);

impl Proxy {
    /// Listens on a free port of loopback and connects to `target`, `host:port`.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn to(target: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("bind a proxy to loopback")?;
        let address = listener.local_addr().context("a proxy's own address")?;
        let (line, seen) = watch::channel(Line::Healthy);
        let task = tokio::spawn(serve(listener, address, target.to_owned(), seen));
        Ok(Self {
            address,
            line,
            task,
        })
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how the line is, at once and for open connections too.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn serve(
    first: TcpListener,
    address: SocketAddr,
    target: String,
    mut line: watch::Receiver<Line>,
) {
    let mut listener = Some(first);
    let mut connections = JoinSet::new();
    loop {
        let now = *line.borrow_and_update();
        if now == Line::Cut {
            // Closing the listener is what makes the kernel refuse.
            listener = None;
            connections.shutdown().await;
        } else if listener.is_none() {
            match TcpListener::bind(address).await {
                Ok(again) => listener = Some(again),
                Err(_) => {
                    tokio::time::sleep(BIND_PAUSE).await;
                    continue;
                }
            }
        }
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await.ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accept => if let Some((inbound, _)) = accepted {
                connections.spawn(pass(inbound, target.clone(), line.clone()));
            },
            changed = line.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(inbound: TcpStream, target: String, line: watch::Receiver<Line>) {
    let Ok(outbound) = TcpStream::connect(&target).await else {
        return;
    };
    // A proxy that waits for more bytes would add 40 ms to every answer.
    let _ = (inbound.set_nodelay(true), outbound.set_nodelay(true));
    let (from_client, to_client) = inbound.into_split();
    let (from_server, to_server) = outbound.into_split();
    // Either side's end is the end of both.
    tokio::select! {
        () = copy(from_client, to_server, line.clone()) => {}
        () = copy(from_server, to_client, line) => {}
    }
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if line.wait_for(|line| *line != Line::Stalled).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        address
    }

    async fn says_back(stream: &mut TcpStream) -> std::io::Result<bool> {
        stream.write_all(b"hello").await?;
        let mut heard = [0; 5];
        match tokio::time::timeout(Duration::from_millis(300), stream.read_exact(&mut heard)).await
        {
            Ok(read) => read.map(|_| true),
            Err(_) => Ok(false),
        }
    }

    #[tokio::test]
    async fn a_cut_line_refuses_and_a_healed_one_serves_again_on_the_same_port() {
        let proxy = Proxy::to(&echo().await.to_string()).await.expect("starts");
        let mut stream = TcpStream::connect(proxy.address()).await.expect("accepts");
        assert!(says_back(&mut stream).await.expect("healthy"));
        proxy.set(Line::Cut);
        let cut = async || says_back(&mut stream).await.is_err().then_some(());
        crate::wait::until("the connection is gone", crate::wait::PATIENCE, cut)
            .await
            .expect("cut");
        let refused = async || {
            TcpStream::connect(proxy.address())
                .await
                .is_err()
                .then_some(())
        };
        crate::wait::until("refused", crate::wait::PATIENCE, refused)
            .await
            .expect("cut");
        proxy.set(Line::Healthy);
        let again = async || {
            let mut stream = TcpStream::connect(proxy.address()).await.ok()?;
            says_back(&mut stream).await.ok().filter(|heard| *heard)
        };
        crate::wait::until("served again", crate::wait::PATIENCE, again)
            .await
            .expect("healed");
    }

    #[tokio::test]
    async fn a_stalled_line_keeps_what_was_said_until_it_is_healed() {
        let proxy = Proxy::to(&echo().await.to_string()).await.expect("starts");
        let mut stream = TcpStream::connect(proxy.address()).await.expect("accepts");
        assert!(says_back(&mut stream).await.expect("healthy"));
        proxy.set(Line::Stalled);
        assert!(!says_back(&mut stream).await.expect("still open"));
        proxy.set(Line::Healthy);
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.expect("healed");
        assert_eq!(&heard, b"hello");
    }
}
