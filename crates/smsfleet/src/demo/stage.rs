//! The stage of a demo: the bus, the ledger, the fleet, and for each provider a twin with an account
//! of an organisation of its own. All of it in this process, and all talking over loopback.

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
};

use anyhow::{Context as _, anyhow};
use bus::{Bus, EmbeddedBus};
use ledger::{EmbeddedLedger, Ledger};
use message::{OrganizationId, Secret};
use provider_sim::{
    AccountLimits, CountedIn, FaultRates, Replies, ReplyScript, RunningTwin, TwinBehaviour,
    customers::{self, ConnectionForm, Customer},
};
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
    /// The services.
    pub services: Services,
    /// An organisation's account at each provider.
    pub accounts: Vec<Account>,
    /// The public door.
    pub api: Api,
    urls: Vec<(String, String)>,
}

/// An organisation's account at a provider.
#[derive(Debug)]
pub struct Account {
    /// The provider's slug.
    pub provider: &'static str,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The number that messages come from and that people write back to; reserved for examples.
    pub number: String,
    /// The provider.
    pub twin: RunningTwin,
}

/// The services, until they were drained.
pub struct Services(Option<Fleet>);

impl Stage {
    /// Starts everything and adds the organisations' connections over the API.
    ///
    /// # Errors
    /// If something does not start.
    pub async fn set(demo: &Demo, people: usize) -> Result<Self, Failure> {
        let token = random_token()?;
        let listeners = Listeners {
            ingress: free_port().await?,
            control: free_port().await?,
            ops: free_port().await?,
        };
        let ingress_url = url_of(&listeners.ingress)?;
        let control_url = url_of(&listeners.control)?;
        let ops_url = url_of(&listeners.ops)?;

        let bus = EmbeddedBus::new();
        let ledger = EmbeddedLedger::new();
        let config = config(demo, &ingress_url, &token)?;
        let fleet = Fleet::start(&config, bus.clone(), ledger.clone(), listeners)?;
        let base = control_url.parse().map_err(|_| anyhow!("own URL"))?;
        let api = Api::at(base, Some(Secret::new(token.clone())))?;
        let mut urls: Vec<(String, String)> = vec![
            (
                "control API".into(),
                format!("{control_url}/v1  (Authorization: Bearer {token})"),
            ),
            ("metrics".into(), format!("{ops_url}/metrics")),
            ("ingress".into(), ingress_url.clone()),
        ];
        let providers = demo.providers();
        let people = people as f64 / providers.len() as f64;
        let mut accounts = Vec::with_capacity(providers.len());
        for provider in providers {
            let account = open_account(demo, provider, people, &ingress_url, &api).await?;
            let base_url = account.twin.base_url();
            urls.push((
                format!("{provider} twin"),
                format!("{base_url}  (its audit: {base_url}/_twin/audit?summary=1)"),
            ));
            accounts.push(account);
        }
        Ok(Self {
            bus,
            ledger,
            services: Services(Some(fleet)),
            accounts,
            api,
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
            text.push_str(&format!("\n  {what:<18} {url}"));
        }
        text
    }

    /// Drains the fleet and stops the twins.
    ///
    /// # Errors
    /// If a service does not drain.
    pub async fn strike(mut self) -> anyhow::Result<()> {
        let drained = self.services.freeze().await;
        for account in self.accounts {
            account.twin.stop().await;
        }
        self.bus.close().await;
        drained
    }
}

impl Services {
    /// Whether they are at work.
    #[must_use]
    pub fn are_running(&self) -> bool {
        self.0.is_some()
    }

    /// Waits for a service to end although nobody asked it to.
    pub async fn failed(&mut self) -> anyhow::Error {
        match &mut self.0 {
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
        match self.0.take() {
            Some(fleet) => fleet.drain().await,
            None => Ok(()),
        }
    }
}

/// Opens an account at a new twin, and adds the connection to it as an administrator would.
async fn open_account(
    demo: &Demo,
    provider: &'static str,
    people: f64,
    ingress_url: &str,
    api: &Api,
) -> Result<Account, Failure> {
    let organization = OrganizationId::new(&format!("demo-{provider}"))
        .context("the name of a demo's organisation")?;
    let customer = Customer {
        organization: organization.to_string(),
        ingress_url: ingress_url.to_owned(),
        secret: random_token()?,
        limits: AccountLimits {
            // The account's own limit, a little above what the fleet was told to keep.
            per_second: NonZeroU32::new((demo.rate * 1.1).ceil() as u32 + 1),
            counted_in: CountedIn::Segments,
            ..AccountLimits::default()
        },
    };
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let connected =
        customers::connect(provider, anywhere, &customer, behaviour(demo, people)).await?;
    add_connection(api, demo, &organization, &connected.connection).await?;
    Ok(Account {
        provider,
        organization,
        number: connected.connection.number,
        twin: connected.twin,
    })
}

async fn add_connection(
    api: &Api,
    demo: &Demo,
    organization: &OrganizationId,
    form: &ConnectionForm,
) -> Result<(), Failure> {
    let connection = json!({
        "organization_id": organization,
        "provider": form.provider,
        "name": "demo account",
        "sender": form.sender,
        "segments_per_second": demo.rate,
        "fields": form.fields,
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
    // The twins' 429s say nothing about when, and are decided by chance rather than by load.
    config.set("send_worker.throttled_rest", "5ms");
    // As many requests as are under way at this rate and latency, twice over.
    let at_once = (demo.rate * demo.latency.as_secs_f64() * 2.0).clamp(100.0, 2_000.0);
    config.set("send_worker.requests_in_flight_max", at_once as i64);
    config.set("shutdown.deadline", "10s");
    Ok(config)
}

/// What a provider does, and who of its `people` write back.
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
pub fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
