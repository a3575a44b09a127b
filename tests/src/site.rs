//! A corner of the broker and of Redis for one run. The fleet's queue names are fixed, so isolation
//! on the broker is a virtual host; in Redis it is the key prefix. Both are removed afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use url::Url;

/// Where the services of one run keep their things.
#[derive(Debug)]
pub struct Site {
    amqp: Url,
    redis: Url,
    key_prefix: String,
    vhost: Option<String>,
}

impl Site {
    /// A new corner; `None`, said once, if there are no services and none are required.
    ///
    /// # Errors
    /// If they are required, or there are and can not be used.
    pub fn open() -> anyhow::Result<Option<Self>> {
        let found = (
            std::env::var("SMSFLEET_AMQP_URL"),
            std::env::var("SMSFLEET_REDIS_URL"),
        );
        let (Ok(amqp), Ok(redis)) = found else {
            ensure!(
                std::env::var("SMSFLEET_REQUIRE_SERVICES").as_deref() != Ok("1"),
                "SMSFLEET_REQUIRE_SERVICES is 1, but SMSFLEET_AMQP_URL and SMSFLEET_REDIS_URL are not both set"
            );
            eprintln!(
                "skipped: SMSFLEET_AMQP_URL and SMSFLEET_REDIS_URL are not set (see deploy/dev/services)"
            );
            return Ok(None);
        };
        let mut amqp = Url::parse(&amqp).context("SMSFLEET_AMQP_URL")?;
        let redis = Url::parse(&redis).context("SMSFLEET_REDIS_URL")?;
        let name = format!("e2e-{:08x}", fastrand::u32(..));
        // Somebody else's broker is not reconfigured: there the runs share its virtual host, which is
        // harmless as long as they follow one another, because no fleet knows another's queues.
        let ours = std::env::var_os("SMSFLEET_DEV_RABBIT_PID").is_some();
        if ours {
            add_vhost(&name, amqp.username())?;
            amqp.set_path(&name);
        }
        Ok(Some(Self {
            amqp,
            redis,
            key_prefix: format!("{name}:"),
            vhost: ours.then_some(name),
        }))
    }

    /// The broker's URL, virtual host included.
    #[must_use]
    pub fn amqp_url(&self) -> &str {
        self.amqp.as_str()
    }

    /// The same over another address.
    #[must_use]
    pub fn amqp_url_via(&self, address: std::net::SocketAddr) -> String {
        via(&self.amqp, address)
    }

    /// `host:port` of the broker.
    #[must_use]
    pub fn amqp_address(&self) -> String {
        address(&self.amqp, 5672)
    }

    /// Redis' URL.
    #[must_use]
    pub fn redis_url(&self) -> &str {
        self.redis.as_str()
    }

    /// The same over another address.
    #[must_use]
    pub fn redis_url_via(&self, address: std::net::SocketAddr) -> String {
        via(&self.redis, address)
    }

    /// `host:port` of Redis.
    #[must_use]
    pub fn redis_address(&self) -> String {
        address(&self.redis, 6379)
    }

    /// What stands in front of this run's keys.
    #[must_use]
    pub fn key_prefix(&self) -> &str {
        &self.key_prefix
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Leftovers are only untidy: the broker and Redis are thrown away with the last run.
        if let Some(vhost) = &self.vhost
            && let Err(error) = rabbit(&["delete_vhost", vhost])
        {
            eprintln!("the virtual host {vhost} stays behind: {error:#}");
        }
        if let Err(error) = forget_keys(self.redis.as_str(), &self.key_prefix) {
            eprintln!("keys {}* stay behind: {error:#}", self.key_prefix);
        }
    }
}

fn via(url: &Url, address: std::net::SocketAddr) -> String {
    let mut url = url.clone();
    // Neither fails on a URL that has a host, and both URLs were parsed as such.
    let _ = url.set_ip_host(address.ip());
    let _ = url.set_port(Some(address.port()));
    url.into()
}

fn address(url: &Url, port: u16) -> String {
    let host = url.host_str().unwrap_or("127.0.0.1");
    format!("{host}:{}", url.port().unwrap_or(port))
}

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// One call of `rabbitmqctl` takes most of a second (it starts an Erlang), so both steps are one.
fn add_vhost(name: &str, user: &str) -> anyhow::Result<()> {
    let quoted = |text: &str| format!("<<\"{}\">>", text.replace(['"', '\\'], ""));
    let (vhost, user, all) = (quoted(name), quoted(user), quoted(".*"));
    let script = format!(
        "ok = rabbit_vhost:add({vhost}, <<\"e2e\">>), ok = rabbit_auth_backend_internal:set_permissions(\
         {user}, {vhost}, {all}, {all}, {all}, <<\"e2e\">>)."
    );
    rabbit(&["eval", &script])
}

fn rabbit(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(root().join("deploy/dev/services"))
        .arg("rabbitmqctl")
        .args(arguments)
        .output()
        .context("run deploy/dev/services rabbitmqctl")?;
    if !output.status.success() {
        bail!(
            "rabbitmqctl {}: {} {}",
            arguments.first().copied().unwrap_or_default(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn forget_keys(url: &str, prefix: &str) -> anyhow::Result<()> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let mut cursor = 0_u64;
    loop {
        let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{prefix}*"))
            .arg("COUNT")
            .arg(1000)
            .query(&mut connection)?;
        if !keys.is_empty() {
            let _: u64 = redis::cmd("UNLINK").arg(keys).query(&mut connection)?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}
