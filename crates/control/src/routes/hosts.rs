//! Hosts that customers name. The fleet sends requests there with credentials, so they must be
//! public and encrypted; the worker's resolver checks again whenever it connects.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use message::address::is_public;
use url::{Host, Url};

const RESOLVE_FOR: Duration = Duration::from_secs(5);

/// What is wrong with `text` as a base URL, if anything.
pub(super) async fn fault(text: &str, allow_private: bool) -> Option<&'static str> {
    let url = match checked(text, allow_private) {
        Ok(url) => url,
        Err(fault) => return Some(fault),
    };
    if allow_private {
        return None;
    }
    match url.host() {
        Some(Host::Ipv4(v4)) => not_public([IpAddr::V4(v4)]),
        Some(Host::Ipv6(v6)) => not_public([IpAddr::V6(v6)]),
        Some(Host::Domain(name)) => {
            let port = url.port_or_known_default().unwrap_or(443);
            let look_up = tokio::net::lookup_host((name, port));
            match tokio::time::timeout(RESOLVE_FOR, look_up).await {
                Ok(Ok(found)) => not_public(found.map(|at: SocketAddr| at.ip())),
                Ok(Err(_)) | Err(_) => Some("expected a host that resolves"),
            }
        }
        None => Some("expected a host"),
    }
}

fn checked(text: &str, allow_private: bool) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "expected a URL, `https://host`")?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err("expected `https`"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected no user name or password in the URL");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected no query and no fragment");
    }
    Ok(url)
}

/// One private address among several is enough: a resolver picks any.
fn not_public(addresses: impl IntoIterator<Item = IpAddr>) -> Option<&'static str> {
    let mut any = false;
    for address in addresses {
        any = true;
        if !is_public(address) {
            return Some("expected a public address");
        }
    }
    (!any).then_some("expected a host that resolves")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_host_is_refused_in_every_spelling() {
        for url in [
            "https://127.0.0.1",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://localhost:8443",
            "http://93.184.216.34",
            "https://user:password@93.184.216.34",
            "https://93.184.216.34/?a=b",
            "ftp://93.184.216.34",
            "file:///etc/passwd",
            "//93.184.216.34",
            "",
        ] {
            assert!(fault(url, false).await.is_some(), "{url}");
        }
        assert_eq!(fault("https://93.184.216.34/base", false).await, None);
    }

    #[tokio::test]
    async fn a_twin_on_loopback_is_allowed_where_the_operator_says_so() {
        assert_eq!(fault("http://127.0.0.1:4000", true).await, None);
        assert!(fault("gopher://127.0.0.1", true).await.is_some());
    }
}
