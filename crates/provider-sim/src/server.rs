//! The twin's HTTP server: axum's router on an accept loop of its own, because a twin has to be able to do what a server
//! framework prevents, namely to cut a connection in the middle of a request.

use std::convert::Infallible;
use std::future::poll_fn;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(15);
const STOP_GRACE: Duration = Duration::from_secs(2);
/// After a failed accept, usually for want of file descriptors: trying again at once would only burn the core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug)]
struct Cut;

/// A response that is never written: the connection is reset instead.
pub(crate) fn reset_connection() -> Response {
    let mut response = ().into_response();
    response.extensions_mut().insert(Cut);
    response
}

#[derive(Debug)]
struct ConnectionCut;

impl std::fmt::Display for ConnectionCut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the twin cuts this connection on purpose")
    }
}

impl std::error::Error for ConnectionCut {}

/// Serves until `stop`, then lets the requests in flight end, for a moment.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, router.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "the twin cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    if tokio::time::timeout(STOP_GRACE, connections.wait())
        .await
        .is_err()
    {
        tracing::debug!("the twin stops with requests in flight");
    }
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Answers are small; waiting for more to send would cost 40 ms each.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut router = router.clone();
        // Boxed, because only a connection with movable parts gives its socket back.
        Box::pin(async move {
            let Ok(response): Result<Response, Infallible> =
                router.call(request.map(Body::new)).await;
            match response.extensions().get::<Cut>() {
                Some(Cut) => Err(ConnectionCut),
                None => Ok(response),
            }
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
        () = stop.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await
        }
    };
    let mut stream = connection.into_parts().io.into_inner();
    match ended {
        // With linger 0 closing sends RST rather than FIN, as a crashed load balancer does.
        Err(error) if error.is_user() => drop(stream.set_zero_linger()),
        _ => drop(tokio::io::AsyncWriteExt::shutdown(&mut stream).await),
    }
}
