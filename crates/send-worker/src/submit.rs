//! The HTTP client towards providers: no redirect (a 307 would replay the body to another host), no
//! retry of its own, no proxy from the environment, only public addresses, answers cut at a limit.
//!
//! This is hyper, the layer below reqwest, with a pool of our own: a request through reqwest costs twice
//! as much (ARCHITECTURE.md has the figures), and nothing that it adds is wanted here.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use message::address::is_public;
use tokio::time::timeout;
use tower::Service;

use crate::{
    pool::{Connector, Pool},
    settings::Settings,
};

pub(crate) struct Submitter {
    pool: Pool,
    request_timeout: Duration,
    answer_bytes_max: usize,
    allow_private_hosts: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Nothing was written: certainly not taken.
    NotSent(&'static str),
    /// The request may have arrived.
    Unknown(&'static str),
}

impl Submitter {
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let resolver = Resolver {
            allow_private_hosts: settings.allow_private_hosts,
        };
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let tls = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let connector = Connector::new(tls, settings.connect_timeout);
        let idle_max = settings.requests_in_flight_max;
        Ok(Self {
            pool: Pool::new(connector, settings.idle_timeout, idle_max),
            request_timeout: settings.request_timeout,
            answer_bytes_max: settings.answer_bytes_max,
            allow_private_hosts: settings.allow_private_hosts,
        })
    }

    /// Hands `request` over, once.
    pub(crate) fn submit(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Bytes>, NoAnswer>> {
        let refused = if request.uri().host().is_none() {
            Some(NoAnswer::NotSent("bad_url"))
        } else if !self.allow_private_hosts && names_private_address(request.uri()) {
            Some(NoAnswer::NotSent("private_address"))
        } else {
            None
        };
        // Boxed, so that what waits for the answer is small: it is moved about for every message.
        let request = Box::new(request.map(Full::new));
        async move {
            match refused {
                Some(refused) => Err(refused),
                None => timeout(self.request_timeout, self.exchange(request))
                    .await
                    .map_err(|_| NoAnswer::Unknown("timeout"))?,
            }
        }
    }

    async fn exchange(
        &self,
        request: Box<http::Request<Full<Bytes>>>,
    ) -> Result<http::Response<Bytes>, NoAnswer> {
        let (answer, busy) = self.pool.send(request).await?;
        let (parts, body) = answer.into_parts();
        let body = self.read(body).await?;
        self.pool.keep(busy);
        let mut response = http::Response::from_parts(parts, body);
        if response.headers().contains_key(header::RETRY_AFTER) {
            providers::date_if_missing(&mut response, crate::group::now());
        }
        Ok(response)
    }

    /// An answer that came in one piece, as nearly all do, is not copied.
    async fn read(&self, mut body: Incoming) -> Result<Bytes, NoAnswer> {
        let mut first = Bytes::new();
        let mut joined = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| NoAnswer::Unknown("connection_lost"))?;
            let Ok(part) = frame.into_data() else {
                continue; // trailers
            };
            if first.len() + joined.len() + part.len() > self.answer_bytes_max {
                return Err(NoAnswer::Unknown("answer_too_long"));
            }
            if first.is_empty() && joined.is_empty() {
                first = part;
            } else {
                joined.extend_from_slice(&std::mem::take(&mut first));
                joined.extend_from_slice(&part);
            }
        }
        Ok(if joined.is_empty() {
            first
        } else {
            joined.freeze()
        })
    }
}

/// A host that is an address never reaches the resolver.
fn names_private_address(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().is_ok_and(|address| !is_public(address))
}

/// Resolves names, to their public addresses only unless private ones are allowed; what is resolved is
/// what is connected to, so a name that changes its mind between two look-ups gains nothing.
#[derive(Clone)]
pub(crate) struct Resolver {
    pub(crate) allow_private_hosts: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let all_are_welcome = self.allow_private_hosts;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let welcome: Vec<SocketAddr> = found
                .filter(|address| all_are_welcome || is_public(address.ip()))
                .collect();
            if welcome.is_empty() {
                let why = format!("{} has no public address", name.as_str());
                return Err(std::io::Error::other(why));
            }
            Ok(welcome.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_a_private_address_is_seen() {
        for url in [
            "http://127.0.0.1/",
            "http://10.1.2.3/",
            "http://[::1]:8080/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert!(names_private_address(&url.parse().expect("a URL")), "{url}");
        }
        assert!(!names_private_address(
            &"https://api.twilio.com/".parse().expect("a URL")
        ));
    }

    #[tokio::test]
    async fn other_spellings_of_a_private_address_resolve_to_nothing() {
        let mut resolver = Resolver {
            allow_private_hosts: false,
        };
        for host in ["2130706433", "0x7f.1", "127.1", "localhost"] {
            let name = host.parse().expect("a name");
            assert!(resolver.call(name).await.is_err(), "{host}");
        }
    }
}
