//! A provider that costs nearly nothing, so that what is measured is the fleet: HTTP/1.1 with
//! keep-alive on one thread, no router, no JSON parser, answers put together from prepared parts.
//!
//! - `POST …/Messages.json`: Twilio's 201 with a sid that nobody else has;
//! - `POST /sms/3/messages`: Infobip's 200 with an entry for every message, its id echoed;
//! - `POST /batch`: an entry for each `"to":` of the body, for peers without a provider's format;
//! - `GET /stats`, `/histogram`, `/arrivals`, `/callbacks`, `/reset`: what was counted;
//! - `GET /hold`, `/release`: answers are kept back in between, so that a peer can be filled first.
//!
//! It checks no number and no credentials: it counts.

mod answers;
mod http;
mod tally;
mod tls;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use self::answers::{Kind, Sids};
use self::tally::Tally;
use crate::callback;
use crate::post::{self, Outbox};

pub use self::tally::{Arrival, Stats, arrivals_from_bytes};

/// How the stub is started.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:9900")]
    pub listen: SocketAddr,
    /// How long an answer takes.
    #[arg(long, default_value = "0ms")]
    pub latency: humantime::Duration,
    /// Speaks TLS with a certificate of its own, written as PEM to this file.
    #[arg(long)]
    pub tls: Option<PathBuf>,
    /// Keeps what each message was called, to find those that came twice.
    #[arg(long)]
    pub audit: bool,
    /// Keeps when each request came, for limits and waiting times.
    #[arg(long)]
    pub arrivals: bool,
    /// Reports every message as delivered, signed, to the ingress at this URL.
    #[arg(long, value_name = "URL")]
    pub callbacks: Option<String>,
    /// Connections that callbacks go over.
    #[arg(long, default_value_t = 64)]
    pub callback_connections: usize,
}

/// Callers that wait to be accepted.
const BACKLOG: u32 = 4096;
/// Longer than any request of one message, headers included.
const INBOX_BYTES: usize = 16 << 10;
/// A request longer than this is nobody's we know.
const REQUEST_BYTES_MAX: usize = 8 << 20;

struct Stub {
    latency: Duration,
    tally: RefCell<Tally>,
    sids: Cell<Sids>,
    held: watch::Sender<bool>,
    callbacks: Option<Callbacks>,
}

/// Callbacks to be posted, and the URL they are signed with.
struct Callbacks {
    public_url: String,
    outbox: Rc<Outbox>,
}

impl Callbacks {
    fn new(url: &str, connections: usize) -> anyhow::Result<Self> {
        let outbox = Rc::<Outbox>::default();
        outbox.post_to(post::address(url)?, connections);
        Ok(Self {
            public_url: url.to_owned(),
            outbox,
        })
    }

    /// The message was delivered at once: what is measured is not the network.
    fn report(&self, body: &[u8]) {
        let Some((target, sid)) = answers::status_callback(body, &self.public_url) else {
            return;
        };
        let request = callback::request(&self.public_url, &target, &sid, "delivered");
        self.outbox.push(request);
    }
}

/// Serves until the process is ended.
///
/// # Errors
/// If the address can not be had.
pub fn main(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a runtime")?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(arguments))
}

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let tls = arguments.tls.as_deref().map(tls::acceptor).transpose()?;
    let listener = listen(arguments.listen)?;
    let stub = Rc::new(Stub {
        latency: arguments.latency.into(),
        tally: RefCell::new(Tally::new(arguments.audit, arguments.arrivals)),
        sids: Cell::default(),
        held: watch::Sender::new(false),
        callbacks: match &arguments.callbacks {
            Some(url) => Some(Callbacks::new(url, arguments.callback_connections)?),
            None => None,
        },
    });
    loop {
        let (stream, _) = listener.accept().await.context("accept")?;
        stream.set_nodelay(true).context("no delay")?;
        let (stub, tls) = (Rc::clone(&stub), tls.clone());
        stub.tally.borrow_mut().connections += 1;
        tokio::task::spawn_local(async move {
            // A caller that hangs up is no news.
            let _ = match tls {
                None => stub.talk(stream).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => {
                        stub.tally.borrow_mut().handshakes += 1;
                        stub.talk(stream).await
                    }
                    Err(error) => Err(error),
                },
            };
        });
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.context("a socket")?;
    socket.set_reuseaddr(true).context("reuse the address")?;
    socket
        .bind(address)
        .with_context(|| format!("bind {address}"))?;
    socket.listen(BACKLOG).context("listen")
}

impl Stub {
    /// One caller, request after request.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> std::io::Result<()> {
        let mut inbox = Vec::with_capacity(INBOX_BYTES);
        let mut outbox = Vec::with_capacity(INBOX_BYTES);
        loop {
            let request = loop {
                if let Some(request) = http::Request::read(&inbox)
                    && inbox.len() >= request.end
                {
                    break request;
                }
                if inbox.len() > REQUEST_BYTES_MAX || stream.read_buf(&mut inbox).await? == 0 {
                    return Ok(());
                }
            };
            outbox.clear();
            let end = request.end;
            let submits = self.answer(&request, &inbox, &mut outbox);
            if end == inbox.len() {
                inbox.clear();
            } else {
                inbox.drain(..end);
            }
            if submits {
                if !self.latency.is_zero() {
                    tokio::time::sleep(self.latency).await;
                }
                if *self.held.borrow() {
                    // The sender is part of `self`, so this ends with a value.
                    let _ = self.held.subscribe().wait_for(|held| !held).await;
                }
            }
            stream.write_all(&outbox).await?;
            stream.flush().await?;
        }
    }

    /// Puts the answer into `outbox`; whether this was a submission.
    fn answer(&self, request: &http::Request, inbox: &[u8], outbox: &mut Vec<u8>) -> bool {
        let path = &inbox[request.path.clone()];
        let body = &inbox[request.body..request.end];
        let mut tally = self.tally.borrow_mut();
        match path {
            b"/stats" => answers::json(outbox, &tally.stats()),
            b"/callbacks" => {
                let counts = self.callbacks.as_ref().map(|it| it.outbox.counts());
                answers::json(outbox, &counts.unwrap_or_default());
            }
            b"/histogram" => answers::json(outbox, &tally.histogram()),
            b"/arrivals" => answers::bytes(outbox, &tally.arrivals_as_bytes()),
            b"/reset" => {
                tally.reset();
                answers::json(outbox, &());
            }
            b"/hold" | b"/release" => {
                self.held.send_replace(path == b"/hold");
                answers::json(outbox, &());
            }
            _ => {
                let mut sids = self.sids.get();
                let kind = Kind::of(path);
                kind.answer(body, &mut sids, &mut tally, outbox);
                self.sids.set(sids);
                if let Some(callbacks) = &self.callbacks {
                    callbacks.report(body);
                }
                return true;
            }
        }
        false
    }
}
