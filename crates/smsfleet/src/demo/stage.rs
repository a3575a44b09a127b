//! The stage of a demo: the bus, the ledger, the fleet, the provider's twin and an organisation
//! with an account there, all in this process and all talking over loopback.

use std::{io::Read as _, net::Ipv4Addr, num::NonZeroU32, sync::Arc};

use anyhow::{Context as _, anyhow};
use bus::{Bus, EmbeddedBus};
use ledger::{EmbeddedLedger, Ledger};
use message::{OrganizationId, Secret};
use provider_sim::{
    FaultRates, Replies, ReplyScript, RunningTwin, TwilioAccount, TwilioTwin, TwinBehaviour,
    TwinSettings,
};
use providers::{CallbackKind, callback_path};
use runtime::Config;
use serde_json::json;
use tokio::net::TcpListener;

use super::Demo;
use crate::{
    api::Api,
    exit::Failure,
    fleet::{Fleet, Listeners},
    output::cell,
};

/// Everything that is at work during a demo.
pub struct Stage {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The ledger, for reading the books.
    pub ledger: Arc<dyn Ledger>,
    /// The services, until they were drained.
    fleet: Option<Fleet>,
    /// The provider.
    pub twin: RunningTwin,
    /// The public door.
    pub api: Api,
    /// Whose mailing it is.
    pub organization: OrganizationId,
    urls: Vec<(&'static str, String)>,
}

/// The demo's customer.
pub const ORGANIZATION: &str = "demo";
/// The number that messages come from and that people write back to; reserved for examples.
pub const SENDER: &str = "+12025550100";
const PROVIDER: &str = "twilio-sms";
const ACCOUNT_SID: &str = "AC00000000000000000000000000000000";

impl Stage {
    /// Starts everything and adds the organisation's connection over the API.
    ///
    /// # Errors
    /// If something does not start.
    pub async fn set(demo: &Demo, people: usize) -> Result<Self, Failure> {
        let organization = OrganizationId::new(ORGANIZATION).context("the demo's organisation")?;
        let (token, account_token) = (random_token()?, random_token()?);
        let listeners = Listeners {
            ingress: free_port().await?,
            control: free_port().await?,
            ops: free_port().await?,
        };
        let ingress_url = url_of(&listeners.ingress)?;
        let control_url = url_of(&listeners.control)?;
        let ops_url = url_of(&listeners.ops)?;
        let inbound = callback_path(CallbackKind::Message, PROVIDER, &organization);
        let mut account = TwilioAccount::new(ACCOUNT_SID, &account_token);
        account.senders = vec![SENDER.to_owned()];
        account.inbound_webhook = Some(format!("{ingress_url}{inbound}"));
        // The account's own limit, a little above what the fleet was told to keep.
        account.limits.per_second = NonZeroU32::new((demo.rate * 1.1).ceil() as u32 + 1);
        account.limits.counted_in = provider_sim::CountedIn::Segments;
        let twin = TwilioTwin::start(TwinSettings {
            accounts: vec![account],
            behaviour: behaviour(demo, people as f64),
            ..TwinSettings::default()
        })
        .await?;

        let bus = EmbeddedBus::new();
        let ledger = EmbeddedLedger::new();
        let config = config(demo, &ingress_url, &token)?;
        let fleet = Fleet::start(&config, bus.clone(), ledger.clone(), listeners)?;
        let base = control_url.parse().map_err(|_| anyhow!("own URL"))?;
        let api = Api::at(base, Some(Secret::new(token.clone())))?;
        let base_url = twin.base_url();
        add_connection(&api, demo, &base_url, &account_token).await?;
        let urls = vec![
            (
                "control API",
                format!("{control_url}/v1  (Authorization: Bearer {token})"),
            ),
            ("metrics", format!("{ops_url}/metrics")),
            ("ingress", ingress_url),
            ("provider twin", base_url.clone()),
            ("its audit", format!("{base_url}/_twin/audit?summary=1")),
        ];
        Ok(Self {
            bus,
            ledger,
            fleet: Some(fleet),
            twin,
            api,
            organization,
            urls,
        })
    }

    /// Where everything is.
    #[must_use]
    pub fn urls(&self) -> String {
        let mut text = String::from(
            "Everything keeps running; Ctrl-C ends it. The API's token is made for this run alone.",
        );
        for (what, url) in &self.urls {
            text.push_str(&format!("\n  {what:<14} {url}"));
        }
        text
    }

    /// Whether the services are at work.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.fleet.is_some()
    }

    /// Waits for a service to end although nobody asked it to.
    pub async fn failed(&mut self) -> anyhow::Error {
        match &mut self.fleet {
            Some(fleet) => fleet.failed().await,
            None => std::future::pending().await,
        }
    }

    /// Stops every service and leaves the books as they are: while messages move, two books can
    /// not be compared.
    ///
    /// # Errors
    /// If a service does not drain.
    pub async fn freeze(&mut self) -> anyhow::Result<()> {
        match self.fleet.take() {
            Some(fleet) => fleet.drain().await,
            None => Ok(()),
        }
    }

    /// Drains the fleet and stops the twin.
    ///
    /// # Errors
    /// If a service does not drain.
    pub async fn strike(self) -> anyhow::Result<()> {
        let drained = match self.fleet {
            Some(fleet) => fleet.drain().await,
            None => Ok(()),
        };
        self.twin.stop().await;
        self.bus.close().await;
        drained
    }
}

/// Adds the connection as an administrator would.
async fn add_connection(
    api: &Api,
    demo: &Demo,
    base_url: &str,
    token: &str,
) -> Result<(), Failure> {
    let connection = json!({
        "organization_id": ORGANIZATION,
        "provider": PROVIDER,
        "name": "demo account",
        "sender": SENDER,
        "segments_per_second": demo.rate,
        "fields": { "account_sid": ACCOUNT_SID, "auth_token": token, "base_url": base_url },
    });
    let answer = api.post(&["connections"], &[], &connection).await?;
    if cell(&answer, "id").is_empty() {
        return Err(Failure::Failed(anyhow!("the API added no connection")));
    }
    Ok(())
}

/// The defaults, and what is different on one machine. The environment is left out on purpose: a
/// demo is the same everywhere.
fn config(demo: &Demo, ingress_url: &str, token: &str) -> anyhow::Result<Config> {
    let mut config = Config::load(None, std::iter::empty())?;
    config.set("public.urls", vec![ingress_url.to_owned()]);
    config.set("control.tokens", vec![format!("demo={token}")]);
    config.set("control.allow_private_hosts", true);
    config.set("send_worker.allow_private_hosts", true);
    // The twin's 429s say nothing about when, and are decided by chance rather than by load.
    config.set("send_worker.throttled_rest", "5ms");
    // As many requests as are under way at this rate and latency, twice over.
    let at_once = (demo.rate * demo.latency.as_secs_f64() * 2.0).clamp(100.0, 2_000.0);
    config.set("send_worker.requests_in_flight_max", at_once as i64);
    config.set("shutdown.deadline", "10s");
    Ok(config)
}

/// What the provider does, and who writes back.
fn behaviour(demo: &Demo, people: f64) -> TwinBehaviour {
    // Spread over the whole run: only a part of those who could reply does.
    let some = |count: f64| Replies {
        fraction: (count * 4.0 / people).min(1.0),
        count: Some(count as u64),
        words: Vec::new(),
    };
    TwinBehaviour {
        seed: demo.seed,
        latency: demo.latency,
        latency_jitter: demo.latency / 4,
        undelivered_rate: demo.fail_rate / 2.0,
        failed_rate: demo.fail_rate / 2.0,
        duplicate_receipt_rate: 0.02,
        reorder_rate: 0.02,
        fault_rates: FaultRates {
            throttle_429: demo.fail_rate,
            http_500: demo.doubt_rate / 2.0,
            http_500_but_taken: demo.doubt_rate / 2.0,
            ..FaultRates::default()
        },
        replies: ReplyScript {
            delay: std::time::Duration::from_millis(200),
            stop: some((people / 1_000.0).clamp(1.0, 20.0)),
            start: some((people / 2_000.0).clamp(1.0, 5.0)),
            help: some((people / 2_000.0).clamp(1.0, 5.0)),
            text: some((people / 200.0).clamp(1.0, 50.0)),
        },
        ..TwinBehaviour::default()
    }
}

async fn free_port() -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    bound.context("take a free port on loopback")
}

fn url_of(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!(
        "http://{}",
        listener.local_addr().context("read our own address")?
    ))
}

/// 128 bits that nobody else on this machine can guess.
fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
