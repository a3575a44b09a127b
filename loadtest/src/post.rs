//! Posts prepared requests over a few connections with keep-alive, one at a time on each, as a
//! provider does: a request that is not answered with success is posted again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use memchr::memmem;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A pause before a request that was not taken is posted again.
const AGAIN: Duration = Duration::from_millis(200);
/// Longer than any answer to a callback.
const ANSWER_BYTES: usize = 4 << 10;

/// What waits to be posted, and what became of the rest.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: RefCell<VecDeque<Vec<u8>>>,
    more: Notify,
    counts: RefCell<Counts>,
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Answered with success.
    pub taken: u64,
    /// Answered otherwise, or not at all; posted again.
    pub again: u64,
}

impl Outbox {
    /// One more.
    pub fn push(&self, request: Vec<u8>) {
        self.waiting.borrow_mut().push_back(request);
        self.more.notify_one();
    }

    /// What became of those that were posted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Starts so many connections on the local set. They end with it.
    pub fn post_to(self: &Rc<Self>, to: SocketAddr, connections: usize) {
        for _ in 0..connections {
            let outbox = Rc::clone(self);
            tokio::task::spawn_local(async move { outbox.talk(to).await });
        }
    }

    async fn next(&self) -> Vec<u8> {
        loop {
            if let Some(request) = self.waiting.borrow_mut().pop_front() {
                return request;
            }
            self.more.notified().await;
        }
    }

    async fn talk(&self, to: SocketAddr) {
        let mut stream = None;
        let mut answer = Vec::with_capacity(ANSWER_BYTES);
        loop {
            let request = self.next().await;
            // Somebody else may have been woken for it, while more is waiting.
            if !self.waiting.borrow().is_empty() {
                self.more.notify_one();
            }
            match posted(&mut stream, to, &request, &mut answer).await {
                Ok(true) => self.counts.borrow_mut().taken += 1,
                Ok(false) | Err(_) => {
                    self.counts.borrow_mut().again += 1;
                    stream = None;
                    self.waiting.borrow_mut().push_back(request);
                    tokio::time::sleep(AGAIN).await;
                    self.more.notify_one();
                }
            }
        }
    }
}

/// The address of a URL of this machine, such as `http://127.0.0.1:8081`.
///
/// # Errors
/// If it is none.
pub fn address(url: &str) -> anyhow::Result<SocketAddr> {
    let address = url
        .strip_prefix("http://")
        .and_then(|text| text.parse().ok());
    address.with_context(|| format!("{url}: expected http:// and an address"))
}

/// Whether it was answered with success.
async fn posted(
    stream: &mut Option<TcpStream>,
    to: SocketAddr,
    request: &[u8],
    answer: &mut Vec<u8>,
) -> std::io::Result<bool> {
    let stream = match stream {
        Some(stream) => stream,
        None => {
            let new = TcpStream::connect(to).await?;
            new.set_nodelay(true)?;
            stream.insert(new)
        }
    };
    stream.write_all(request).await?;
    answer.clear();
    loop {
        if let Some(end) = memmem::find(answer, b"\r\n\r\n") {
            let body = content_length(&answer[..end]);
            if answer.len() >= end + 4 + body {
                return Ok(answer.starts_with(b"HTTP/1.1 2"));
            }
        }
        if stream.read_buf(answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = text.split("content-length:").nth(1);
    let digits = value.and_then(|rest| rest.lines().next());
    digits
        .and_then(|digits| digits.trim().parse().ok())
        .unwrap_or_default()
}
