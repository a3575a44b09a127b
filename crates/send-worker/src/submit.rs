//! The HTTP client towards providers: no redirect (a 307 would replay the body to another host), no
//! retry of its own, no proxy from the environment, only public addresses, answers cut at a limit.

use std::{net::SocketAddr, sync::Arc};

use bytes::{Bytes, BytesMut};
use message::address::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::settings::Settings;

pub(crate) struct Submitter {
    client: reqwest::Client,
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
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout)
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.requests_in_flight_max)
            .tcp_nodelay(true)
            .referer(false);
        if !settings.allow_private_hosts {
            client = client.dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self {
            client: client.build()?,
            answer_bytes_max: settings.answer_bytes_max,
            allow_private_hosts: settings.allow_private_hosts,
        })
    }

    pub(crate) async fn submit(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, NoAnswer> {
        let request =
            reqwest::Request::try_from(request).map_err(|_| NoAnswer::NotSent("bad_url"))?;
        if !self.allow_private_hosts && names_private_address(request.url()) {
            return Err(NoAnswer::NotSent("private_address"));
        }
        let mut answer = self
            .client
            .execute(request)
            .await
            .map_err(|error| no_answer(&error))?;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(part) = answer.chunk().await.map_err(|error| no_answer(&error))? {
            if body.len() + part.len() > self.answer_bytes_max {
                return Err(NoAnswer::Unknown("answer_too_long"));
            }
            body.extend_from_slice(&part);
        }
        let mut response = http::Response::new(body.freeze());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        providers::date_if_missing(&mut response, crate::group::now());
        Ok(response)
    }
}

/// Only failures to connect prove that nothing was written; everything else might have arrived.
fn no_answer(error: &reqwest::Error) -> NoAnswer {
    if error.is_connect() || error.is_builder() {
        NoAnswer::NotSent("connect")
    } else if error.is_timeout() {
        NoAnswer::Unknown("timeout")
    } else {
        NoAnswer::Unknown("connection_lost")
    }
}

/// A host that is an address never reaches the resolver.
fn names_private_address(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().is_ok_and(|address| !is_public(address))
}

/// Resolves names to their public addresses only; what is resolved is what is connected to, so a
/// name that changes its mind between two look-ups gains nothing.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let all = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = all.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(format!("{} has no public address", name.as_str()).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_a_private_address_is_seen_in_every_spelling() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]:8080/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert!(names_private_address(&url.parse().expect("a URL")), "{url}");
        }
        assert!(!names_private_address(
            &"https://api.twilio.com/".parse().expect("a URL")
        ));
    }
}
