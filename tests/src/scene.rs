//! Everything a test of the whole fleet needs, put together: a corner of the services, the twin, the
//! six processes, a scheduler, ears on the topics, the API, and a connection at the twin.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::{Context, ensure};
use provider_sim::{RunningTwin, TwilioAccount, TwilioTwin, TwinBehaviour, TwinSettings};
use serde_json::{Value, json};

use crate::api::Api;
use crate::checker::{Allowed, HandedOver, History, Verdict, check};
use crate::fleet::{API_TOKEN, Fleet, Service, Settings, text};
use crate::proxy::Proxy;
use crate::scheduler::{Ear, Scheduler};
use crate::site::Site;
use crate::wait;

/// Whose mailings these are.
pub const ORGANIZATION: &str = "ORG_e2e";
/// Who the messages are from.
pub const SENDER: &str = "+12025550101";
/// The account at the twin.
pub const ACCOUNT_SID: &str = "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e";
/// Its secret; easy to search the logs for.
pub const AUTH_TOKEN: &str = "canary-auth-token-3f1c8e2ab94d47d0";

/// What a scene is set up with.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the twin behaves at first.
    pub twin: TwinBehaviour,
    /// The connection's rate.
    pub segments_per_second: f64,
    /// Settings beyond what the harness needs, as TOML values.
    pub settings: Settings,
    /// Puts proxies between the fleet and RabbitMQ, Redis and the twin.
    pub proxies: bool,
}

impl Default for Options {
    fn default() -> Self {
        let twin = TwinBehaviour {
            receipt_delay: Duration::from_millis(200),
            receipt_jitter: Duration::from_millis(200),
            ..TwinBehaviour::default()
        };
        Self {
            twin,
            segments_per_second: 2_000.0,
            settings: Settings::new(),
            proxies: false,
        }
    }
}

impl Options {
    /// The same with a setting.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// Proxies between the fleet and what it stands on.
#[derive(Debug)]
pub struct Lines {
    /// To RabbitMQ.
    pub amqp: Proxy,
    /// To Redis.
    pub redis: Proxy,
    /// To the twin.
    pub provider: Proxy,
}

/// See the module. Fields are dropped in their order: first the processes, last the corner.
#[derive(Debug)]
pub struct Scene {
    /// The processes.
    pub fleet: Fleet,
    /// The proxies, if there are.
    pub lines: Option<Lines>,
    /// The provider.
    pub twin: RunningTwin,
    /// The scheduler.
    pub scheduler: Scheduler,
    /// What was heard on `sms.events`.
    pub events: Ear,
    /// What was heard on `sms.replies`.
    pub replies: Ear,
    /// The API.
    pub api: Api,
    /// The connection's id.
    pub connection_id: String,
    handed_over: Vec<HandedOver>,
    distributions: Vec<String>,
    _site: Site,
}

/// The twin and a fleet that is configured and does not run yet.
#[derive(Debug)]
pub struct Stage {
    /// The processes to be.
    pub fleet: Fleet,
    /// The proxies, if there are.
    pub lines: Option<Lines>,
    /// The provider.
    pub twin: RunningTwin,
    /// The corner.
    pub site: Site,
    segments_per_second: f64,
}

/// The twin's account.
#[must_use]
pub fn account(ingress: &str) -> TwilioAccount {
    let webhook = format!(
        "{ingress}/distribution-providers/v1/receive/distribution/message/twilio-sms/{ORGANIZATION}"
    );
    TwilioAccount {
        senders: vec![SENDER.to_owned()],
        // Twilio's overrides, as an administrator is told to paste them: a restart is bridged.
        inbound_webhook: Some(format!("{webhook}#rc=4&rp=all")),
        ..TwilioAccount::new(ACCOUNT_SID, AUTH_TOKEN)
    }
}

impl Stage {
    /// Sets the stage; nothing, said once, if there are no services and none are required.
    ///
    /// # Errors
    /// If something can not be set up.
    pub async fn open(options: Options) -> anyhow::Result<Option<Self>> {
        let Some(site) = Site::open()? else {
            return Ok(None);
        };
        let mut fleet = Fleet::new()?;
        let ingress = fleet.url("ingress.listen");
        let twin = TwilioTwin::start(TwinSettings {
            accounts: vec![account(&ingress)],
            behaviour: options.twin,
            ..TwinSettings::default()
        })
        .await?;
        let lines = if options.proxies {
            let twin = twin.base_url();
            let twin = twin.strip_prefix("http://").unwrap_or(&twin);
            Some(Lines {
                amqp: Proxy::to(&site.amqp_address()).await?,
                redis: Proxy::to(&site.redis_address()).await?,
                provider: Proxy::to(twin).await?,
            })
        } else {
            None
        };
        let (amqp, redis) = match &lines {
            Some(lines) => (
                site.amqp_url_via(lines.amqp.address()),
                site.redis_url_via(lines.redis.address()),
            ),
            None => (site.amqp_url().to_owned(), site.redis_url().to_owned()),
        };
        fleet.set("amqp.url", text(&amqp));
        fleet.set("redis.url", text(&redis));
        fleet.set("redis.key_prefix", text(site.key_prefix()));
        fleet.set("public.urls", format!("[{}]", text(&ingress)));
        for (key, value) in options.settings {
            fleet.set(&key, value);
        }
        Ok(Some(Self {
            fleet,
            lines,
            twin,
            site,
            segments_per_second: options.segments_per_second,
        }))
    }

    /// Starts all six services, adds the connection and begins to listen.
    ///
    /// # Errors
    /// If one of them does not come up.
    pub async fn start(mut self) -> anyhow::Result<Scene> {
        self.fleet.start_all().await?;
        let api = Api::new(self.fleet.url("control.listen"), API_TOKEN, ORGANIZATION)?;
        let provider = match &self.lines {
            Some(lines) => format!("http://{}", lines.provider.address()),
            None => self.twin.base_url(),
        };
        let account = account(&self.fleet.url("ingress.listen"));
        let connection_id = api
            .add_connection(&account, SENDER, &provider, self.segments_per_second)
            .await?;
        // Straight to the broker: what a test does to the fleet's line is not done to its witness.
        let scheduler = Scheduler::connect(self.site.amqp_url()).await?;
        Ok(Scene {
            events: scheduler.listen("sms.events").await?,
            replies: scheduler.listen("sms.replies").await?,
            fleet: self.fleet,
            lines: self.lines,
            twin: self.twin,
            scheduler,
            api,
            connection_id,
            handed_over: Vec::new(),
            distributions: Vec::new(),
            _site: self.site,
        })
    }
}

/// A batch as JSON.
#[must_use]
pub fn batch(distribution: &str, batch_id: &str, numbers: &[String]) -> Value {
    let recipients: Vec<Value> = numbers
        .iter()
        .enumerate()
        .map(|(row, number)| json!({"to": number, "fields": {"first_name": format!("P{row}")}}))
        .collect();
    json!({
        "organization_id": ORGANIZATION,
        "distribution_id": distribution,
        "batch_id": batch_id,
        "method": "invite",
        "text": "Hi {{first_name}}, how was it? https://example.org/s",
        "recipients": recipients,
        "on_doubt": "hold",
    })
}

impl Scene {
    /// Opens a scene with all services up; nothing, said once, if there are no services.
    ///
    /// # Errors
    /// If something does not come up.
    pub async fn open(options: Options) -> anyhow::Result<Option<Self>> {
        match Stage::open(options).await? {
            Some(stage) => stage.start().await.map(Some),
            None => Ok(None),
        }
    }

    /// Notes a batch for the books.
    pub fn note(&mut self, batch: HandedOver) {
        if !self.distributions.contains(&batch.distribution) {
            self.distributions.push(batch.distribution.clone());
        }
        self.handed_over.push(batch);
    }

    /// Hands a batch of good numbers over by AMQP and notes it for the books.
    ///
    /// # Errors
    /// If it is not confirmed.
    pub async fn mail(
        &mut self,
        distribution: &str,
        batch_id: &str,
        numbers: &[String],
    ) -> anyhow::Result<Value> {
        let json = batch(distribution, batch_id, numbers);
        self.scheduler.hand_over(&json).await?;
        let noted = HandedOver::new(ORGANIZATION, distribution, batch_id, numbers)?;
        self.note(noted);
        Ok(json)
    }

    /// The counters of all distributions, added; nothing if the API does not answer.
    pub async fn counts(&self) -> Option<BTreeMap<String, u64>> {
        let mut all = BTreeMap::new();
        for distribution in &self.distributions {
            for (state, count) in self.api.counts(distribution).await.ok()? {
                *all.entry(state).or_default() += count;
            }
        }
        Some(all)
    }

    /// Waits until every row is in the ledger and none is under way: the counters say so and have
    /// stopped to move, and so have the topics. Messages in doubt, and those whose receipt the
    /// provider gave up to deliver, stay as they are.
    ///
    /// # Errors
    /// If that does not come about within `patience`.
    pub async fn settle(&mut self, patience: Duration) -> anyhow::Result<BTreeMap<String, u64>> {
        const CALM: Duration = Duration::from_secs(2);
        let wanted: usize = self
            .handed_over
            .iter()
            .map(|batch| batch.recipients.len())
            .sum();
        let what = format!("{wanted} rows settle");
        let settled = wait::until_calm(&what, CALM, patience, async || {
            let counts = self.counts().await?;
            let of = |state: &str| counts.get(state).copied().unwrap_or_default();
            let failed: u64 = self
                .twin
                .audit_summary()
                .totals
                .callbacks
                .failed
                .values()
                .sum();
            let waiting = self.twin.waiting();
            let known: u64 = counts.values().sum();
            let done = known == wanted as u64
                && of("queued") + of("sending") == 0
                && of("accepted") + of("sent") <= failed
                && waiting.due + waiting.in_flight == 0;
            // Not done is no end to be calm about, whatever it looks like.
            done.then(|| (counts, self.events.len(), self.replies.len()))
        })
        .await;
        self.fleet.all_alive()?;
        match settled {
            Ok((counts, _, _)) => Ok(counts),
            Err(error) => Err(error.context(format!(
                "{:?}; the twin: {:?}",
                self.counts().await,
                self.twin.audit_summary().totals
            ))),
        }
    }

    /// What all witnesses say now.
    ///
    /// # Errors
    /// If the API does not answer.
    pub async fn history(&self, allowed: Allowed) -> anyhow::Result<History> {
        let mut rows = Vec::new();
        for distribution in &self.distributions {
            rows.extend(self.api.rows(distribution).await?);
        }
        Ok(History {
            batches: self.handed_over.clone(),
            twin: self.twin.audit(),
            rows,
            counts: self.counts().await.context("read the counters")?,
            events: self.events.bodies(),
            replies: self.replies.bodies(),
            allowed,
        })
    }

    /// Settles, and compares what all witnesses say.
    ///
    /// # Errors
    /// If it does not settle.
    pub async fn books(&mut self, patience: Duration, allowed: Allowed) -> anyhow::Result<Verdict> {
        self.settle(patience).await?;
        Ok(check(&self.history(allowed).await?))
    }

    /// Settles an undisturbed run, and insists on its books.
    ///
    /// # Errors
    /// If they do not balance.
    pub async fn balance(&mut self) -> anyhow::Result<Verdict> {
        let verdict = self.books(wait::PATIENCE, Allowed::default()).await?;
        ensure!(verdict.balanced(), "{verdict}");
        Ok(verdict)
    }

    /// Secrets and full numbers of this run that stand in logs or metrics, with where: must be empty.
    ///
    /// # Errors
    /// If a service that runs does not show its metrics.
    pub async fn leaks(&self) -> anyhow::Result<Vec<String>> {
        let mut needles: HashSet<String> = HashSet::new();
        let batches = self.handed_over.iter();
        for number in batches.flat_map(|batch| batch.recipients.iter().flatten()) {
            // However it is written, the subscriber's own digits are in it.
            needles.insert(number.trim_start_matches("+33").to_owned());
        }
        let secrets = [AUTH_TOKEN, API_TOKEN, crate::fleet::SEALING_KEY];
        let mut found = Vec::new();
        for service in Service::ALL {
            let metrics = self.fleet.metrics(service).await.unwrap_or_default();
            for (place, text) in [("log", self.fleet.log(service)), ("metrics", metrics)] {
                let mut leaks = leaks_in(&text, &needles, &secrets);
                leaks.truncate(3);
                let place = |leak| format!("{}'s {place}: {leak}", service.binary());
                found.extend(leaks.into_iter().map(place));
            }
        }
        Ok(found)
    }
}

/// Lines of `text` with a secret, or with a number among their runs of digits.
fn leaks_in(text: &str, numbers: &HashSet<String>, secrets: &[&str]) -> Vec<String> {
    let shows = |line: &&str| {
        let digits = line.split(|c: char| !c.is_ascii_digit());
        // Longer runs are the digits of some floating-point figure.
        let mut runs = digits.filter(|run| (9..=15).contains(&run.len()));
        let number = runs.any(|run| numbers.contains(&run[run.len() - 9..]));
        number || secrets.iter().any(|secret| line.contains(secret))
    };
    text.lines().filter(shows).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_in_every_spelling_and_a_masked_one_is_none() {
        let numbers = HashSet::from(["600000012".to_owned()]);
        let leaks = |text| leaks_in(text, &numbers, &["s3cret"]).len();
        assert_eq!(leaks("to=+33600000012 sent\nto=33600000012\n0600000012"), 3);
        assert_eq!(leaks("to=+3360•••••12\n600000013\ns3cre"), 0);
        assert_eq!(leaks("Bearer s3cret"), 1);
    }
}
