//! Connections to providers that are kept open between requests. A thread sends all it sends through one
//! pool, so there is a list per origin and nothing else: hyper-util's pool does more than is wanted (it
//! races a new connection against one that may come back, repeats by itself, speaks HTTP/2).

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tower::{BoxError, ServiceExt as _};

use crate::submit::{NoAnswer, Resolver};

type Sender = SendRequest<Full<Bytes>>;

/// How long a connection may need to become ready for its next request. Its answer has been read, so it is
/// ready at once, unless the provider answered early and leaves the rest of the request unread.
const READY_WITHIN: Duration = Duration::from_millis(250);

pub(crate) struct Pool {
    connector: Connector,
    /// How long a connection may be without a request: below what the provider allows, so that no
    /// request meets a closing one.
    idle_timeout: Duration,
    /// Idle connections of one origin, at most.
    idle_max: usize,
    origins: Arc<Mutex<Origins>>,
}

/// Idle connections by where they lead to, each with the one that was used last at the end.
type Origins = HashMap<Origin, Vec<Idle>>;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Origin(Scheme, Authority);

struct Idle {
    sender: Sender,
    since: Instant,
}

/// A connection whose answer is being read.
pub(crate) struct Busy {
    origin: Origin,
    sender: Sender,
}

impl Pool {
    pub(crate) fn new(connector: Connector, idle_timeout: Duration, idle_max: usize) -> Self {
        Self {
            connector,
            idle_timeout,
            idle_max,
            origins: Arc::default(),
        }
    }

    /// Sends `request` once. The connection is to be [kept](Self::keep) when the answer has been read whole.
    ///
    /// # Errors
    /// [`NoAnswer::NotSent`] only if not a byte of it was written.
    pub(crate) async fn send(
        &self,
        mut request: Box<Request<Full<Bytes>>>,
    ) -> Result<(Response<Incoming>, Busy), NoAnswer> {
        let origin = to_origin_form(&mut request)?;
        // Each turn takes an idle connection out of the list, so there is an end to them.
        while let Some(mut sender) = self.take(&origin) {
            if !is_ready(&mut sender).await {
                continue; // closed, or stuck: another one serves
            }
            match sender.try_send_request(*request).await {
                Ok(response) => return Ok((response, Busy { origin, sender })),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => *request = unsent,
                    None => return Err(NoAnswer::Unknown("connection_lost")),
                },
            }
        }
        // Boxed, because it is rare and large: a request's future is moved about for every message.
        let mut sender = Box::pin(self.connect(&origin)).await?;
        match sender.try_send_request(*request).await {
            Ok(response) => Ok((response, Busy { origin, sender })),
            Err(error) if error.message().is_some() => Err(NoAnswer::NotSent("connect")),
            Err(_) => Err(NoAnswer::Unknown("connection_lost")),
        }
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, Busy { origin, sender }: Busy) {
        if sender.is_closed() {
            return;
        }
        let idle = Idle {
            sender,
            since: Instant::now(),
        };
        let mut origins = lock(&self.origins);
        match origins.entry(origin) {
            Entry::Occupied(mut known) => {
                if known.get().len() < self.idle_max {
                    known.get_mut().push(idle);
                }
            }
            Entry::Vacant(new) => {
                let sweep = sweep(
                    Arc::downgrade(&self.origins),
                    new.key().clone(),
                    self.idle_timeout,
                );
                tokio::spawn(sweep);
                new.insert(vec![idle]);
            }
        }
    }

    fn take(&self, origin: &Origin) -> Option<Sender> {
        let mut origins = lock(&self.origins);
        let Idle { sender, since } = origins.get_mut(origin)?.pop()?;
        (since.elapsed() < self.idle_timeout).then_some(sender)
    }

    async fn connect(&self, Origin(scheme, authority): &Origin) -> Result<Sender, NoAnswer> {
        let failed = |_| NoAnswer::NotSent("connect");
        let to = Uri::builder()
            .scheme(scheme.clone())
            .authority(authority.clone())
            .path_and_query(PathAndQuery::from_static("/"))
            .build();
        let stream = self.connector.connect(to.map_err(|_| BAD_URL)?).await;
        let (sender, connection) = handshake(stream.map_err(failed)?)
            .await
            .map_err(|_| NoAnswer::NotSent("connect"))?;
        // It ends when the provider closes it or its sender is dropped; what it met, its request hears.
        tokio::spawn(connection);
        Ok(sender)
    }
}

async fn is_ready(sender: &mut Sender) -> bool {
    // Mostly: without a timer then.
    sender.is_ready() || matches!(timeout(READY_WITHIN, sender.ready()).await, Ok(Ok(())))
}

const BAD_URL: NoAnswer = NoAnswer::NotSent("bad_url");

/// Makes of a request to an URL what is written to a connection that leads there.
fn to_origin_form(request: &mut Request<Full<Bytes>>) -> Result<Origin, NoAnswer> {
    let uri = std::mem::take(request.uri_mut()).into_parts();
    let (Some(scheme), Some(authority)) = (uri.scheme, uri.authority) else {
        return Err(BAD_URL);
    };
    let path = uri.path_and_query;
    *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    let usual_port = if scheme == Scheme::HTTPS { 443 } else { 80 };
    let host = match authority.port_u16() {
        Some(port) if port != usual_port => with_port(authority.host(), port)?,
        _ => HeaderValue::from_str(authority.host()).map_err(|_| BAD_URL)?,
    };
    request.headers_mut().entry(header::HOST).or_insert(host);
    Ok(Origin(scheme, authority))
}

fn with_port(host: &str, port: u16) -> Result<HeaderValue, NoAnswer> {
    HeaderValue::from_maybe_shared(Bytes::from(format!("{host}:{port}"))).map_err(|_| BAD_URL)
}

/// Closes what has been idle for too long, and ends when nothing is left.
async fn sweep(origins: Weak<Mutex<Origins>>, origin: Origin, idle_timeout: Duration) {
    loop {
        tokio::time::sleep(idle_timeout).await;
        let Some(origins) = origins.upgrade() else {
            return;
        };
        let mut origins = lock(&origins);
        let Some(idle) = origins.get_mut(&origin) else {
            return;
        };
        idle.retain(|it| it.since.elapsed() < idle_timeout && !it.sender.is_closed());
        if idle.is_empty() {
            origins.remove(&origin);
            return;
        }
    }
}

fn lock(origins: &Mutex<Origins>) -> std::sync::MutexGuard<'_, Origins> {
    origins.lock().unwrap_or_else(PoisonError::into_inner)
}

/// TCP and TLS within one time.
pub(crate) struct Connector {
    inner: HttpsConnector<HttpConnector<Resolver>>,
    timeout: Duration,
}

impl Connector {
    pub(crate) fn new(inner: HttpsConnector<HttpConnector<Resolver>>, timeout: Duration) -> Self {
        Self { inner, timeout }
    }

    async fn connect(&self, to: Uri) -> Result<MaybeHttpsStream<TokioIo<TcpStream>>, BoxError> {
        timeout(self.timeout, self.inner.clone().oneshot(to)).await?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use http_body_util::BodyExt;
    use hyper_rustls::HttpsConnectorBuilder;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// What a provider does with a request.
    #[derive(Clone, Copy)]
    enum Then {
        Answer,
        AnswerAndClose,
        /// Answers without reading more than the head, and stays there.
        AnswerEarly,
        Close,
    }

    #[derive(Default)]
    struct Seen {
        connections: AtomicUsize,
        open: AtomicUsize,
        requests: Mutex<Vec<String>>,
    }

    impl Seen {
        fn requests(&self) -> Vec<String> {
            self.requests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        }
    }

    async fn provider(then: Then) -> (String, Arc<Seen>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1/send?x=1", listener.local_addr().expect("it"));
        let seen = Arc::new(Seen::default());
        let counts = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counts.connections.fetch_add(1, SeqCst);
                counts.open.fetch_add(1, SeqCst);
                let counts = counts.clone();
                tokio::spawn(async move {
                    serve(stream, then, &counts).await;
                    counts.open.fetch_sub(1, SeqCst);
                });
            }
        });
        (url, seen)
    }

    async fn serve(mut stream: TcpStream, then: Then, seen: &Seen) {
        let mut read = Vec::new();
        loop {
            let early = matches!(then, Then::AnswerEarly);
            let is_read = |read: &[u8]| match early {
                true => read.windows(4).any(|four| four == b"\r\n\r\n"),
                false => read.ends_with(b"\r\n\r\nbody"),
            };
            while !is_read(&read) {
                match stream.read_buf(&mut read).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
            let request = String::from_utf8_lossy(&read).into_owned();
            read.clear();
            seen.requests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(request);
            if matches!(then, Then::Close) {
                return;
            }
            let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok";
            if stream.write_all(answer).await.is_err() || matches!(then, Then::AnswerAndClose) {
                return;
            }
            if early {
                std::future::pending::<()>().await;
            }
        }
    }

    fn pool(idle_timeout: Duration) -> Pool {
        let mut tcp = HttpConnector::new_with_resolver(Resolver {
            allow_private_hosts: true,
        });
        tcp.enforce_http(false);
        let tls = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .expect("roots")
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Pool::new(
            Connector::new(tls, Duration::from_secs(5)),
            idle_timeout,
            10,
        )
    }

    async fn post(pool: &Pool, url: &str) -> Result<Bytes, NoAnswer> {
        post_body(pool, url, Bytes::from("body")).await
    }

    async fn post_body(pool: &Pool, url: &str, body: Bytes) -> Result<Bytes, NoAnswer> {
        let request = Request::post(url).body(Full::from(body)).expect("valid");
        let (answer, busy) = pool.send(Box::new(request)).await?;
        let body = answer.into_body().collect().await.expect("whole");
        pool.keep(busy);
        Ok(body.to_bytes())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_connection_serves_one_request_after_the_other() {
        let (url, seen) = provider(Then::Answer).await;
        let pool = pool(LONG);
        for _ in 0..20 {
            assert_eq!(post(&pool, &url).await, Ok(Bytes::from("ok")));
        }
        assert_eq!(seen.connections.load(SeqCst), 1);
        let requests = seen.requests();
        assert_eq!(requests.len(), 20);
        let host = url.split('/').nth(2).expect("a host");
        assert!(
            requests[0].starts_with("POST /v1/send?x=1 HTTP/1.1\r\n"),
            "{}",
            requests[0]
        );
        assert!(
            requests[0].contains(&format!("host: {host}\r\n")),
            "{}",
            requests[0]
        );
    }

    #[tokio::test]
    async fn a_provider_that_closes_after_each_answer_is_sent_nothing_twice() {
        let (url, seen) = provider(Then::AnswerAndClose).await;
        let pool = pool(LONG);
        let mut answered = 0;
        for _ in 0..50 {
            // Whether the end has been seen before the next request is a race, and must not matter.
            match post(&pool, &url).await {
                Ok(_) => answered += 1,
                Err(error) => assert_eq!(error, NoAnswer::Unknown("connection_lost")),
            }
        }
        let seen = seen.requests().len();
        assert!(
            (answered..=50).contains(&seen),
            "{answered} <= {seen} <= 50"
        );
    }

    #[tokio::test]
    async fn a_request_whose_connection_ends_unanswered_is_in_doubt_and_not_repeated() {
        let (url, seen) = provider(Then::Close).await;
        let answer = post(&pool(LONG), &url).await;
        assert_eq!(answer, Err(NoAnswer::Unknown("connection_lost")));
        assert_eq!(seen.requests().len(), 1);
    }

    #[tokio::test]
    async fn a_connection_whose_request_is_still_being_written_does_not_hold_up_the_next_one() {
        let (url, seen) = provider(Then::AnswerEarly).await;
        let pool = pool(LONG);
        let long = Bytes::from(vec![b'x'; 32 << 20]); // more than sockets hold
        post_body(&pool, &url, long).await.expect("answered early");
        let next = timeout(Duration::from_secs(30), post(&pool, &url)).await;
        assert_eq!(next, Ok(Ok(Bytes::from("ok"))));
        assert_eq!(seen.connections.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn nobody_listening_means_not_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("it"));
        drop(listener);
        assert_eq!(
            post(&pool(LONG), &url).await,
            Err(NoAnswer::NotSent("connect"))
        );
    }

    #[tokio::test]
    async fn what_has_been_idle_for_too_long_is_closed_and_forgotten() {
        let (url, seen) = provider(Then::Answer).await;
        let pool = pool(Duration::from_millis(20));
        post(&pool, &url).await.expect("answered");
        while seen.open.load(SeqCst) > 0 || !lock(&pool.origins).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        post(&pool, &url).await.expect("answered");
        assert_eq!(seen.connections.load(SeqCst), 2);
    }
}
