//! Everything a test of the whole fleet needs, put together: a corner of the services, the six
//! processes, a scheduler, ears on the topics, and organisations, each with an account at a twin of
//! its provider, a connection to it and the API. Most tests need one, which is Twilio's.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::ensure;
use provider_sim::{RunningTwin, TwinBehaviour};
use serde_json::{Map, Value};

use crate::api::Api;
use crate::checker::{Allowed, HandedOver, History, Verdict, check};
use crate::fleet::{API_TOKEN, Fleet, Service, Settings, text};
use crate::organization::{self, Account, Organization};
use crate::proxy::Proxy;
use crate::scheduler::{Ear, Scheduler};
use crate::site::Site;
use crate::wait;

/// Whose mailings these are, where there is one organisation.
pub const ORGANIZATION: &str = "ORG_e2e";
/// Who its messages are from.
pub const SENDER: &str = "+12025550100";
/// The provider of an organisation, unless a test wants another.
const TWILIO: &str = "twilio-sms";

/// What a scene is set up with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Providers: an organisation for each.
    pub providers: Vec<String>,
    /// Special settings of the accounts at these providers.
    pub accounts: BTreeMap<String, Map<String, Value>>,
    /// How the twins behave at first.
    pub twin: TwinBehaviour,
    /// The rate of each connection.
    pub segments_per_second: f64,
    /// Settings beyond what the harness needs, as TOML values.
    pub settings: Settings,
    /// Puts proxies between the fleet and RabbitMQ, Redis and the first twin.
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
            providers: vec![TWILIO.to_owned()],
            accounts: BTreeMap::new(),
            twin,
            segments_per_second: 2_000.0,
            settings: Settings::new(),
            proxies: false,
        }
    }
}

impl Options {
    /// The default with an organisation for each of these providers.
    #[must_use]
    pub fn of(providers: &[&str]) -> Self {
        Self {
            providers: providers.iter().map(|slug| (*slug).to_owned()).collect(),
            ..Self::default()
        }
    }

    /// The same with special settings of the account at `provider`; `settings` is a JSON object.
    #[must_use]
    pub fn with_account(mut self, provider: &str, settings: Value) -> Self {
        let settings = settings.as_object().cloned().unwrap_or_default();
        self.accounts.insert(provider.to_owned(), settings);
        self
    }

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
    /// To the first twin.
    pub provider: Proxy,
}

/// See the module. Fields are dropped in their order: first the processes, last the corner.
#[derive(Debug)]
pub struct Scene {
    /// The processes.
    pub fleet: Fleet,
    /// The proxies, if there are.
    pub lines: Option<Lines>,
    /// The organisations, in the order of the options.
    pub organizations: Vec<Organization>,
    /// The scheduler.
    pub scheduler: Scheduler,
    /// What was heard on `sms.events`.
    pub events: Ear,
    /// What was heard on `sms.replies`.
    pub replies: Ear,
    _site: Site,
}

/// The twins and a fleet that is configured and does not run yet.
#[derive(Debug)]
pub struct Stage {
    /// The processes to be.
    pub fleet: Fleet,
    /// The proxies, if there are.
    pub lines: Option<Lines>,
    accounts: Vec<(String, Account)>,
    site: Site,
    segments_per_second: f64,
}

/// The name of the organisation with this provider.
fn organization_of(provider: &str) -> String {
    match provider {
        TWILIO => ORGANIZATION.to_owned(),
        other => format!("{ORGANIZATION}_{other}"),
    }
}

impl Stage {
    /// Sets the stage; nothing, said once, if there are no services and none are required.
    ///
    /// # Errors
    /// If something can not be set up.
    pub async fn open(mut options: Options) -> anyhow::Result<Option<Self>> {
        let Some(site) = Site::open()? else {
            return Ok(None);
        };
        let mut fleet = Fleet::new()?;
        let ingress = fleet.url("ingress.listen");
        let mut accounts = Vec::new();
        for provider in &options.providers {
            let id = organization_of(provider);
            let special = options.accounts.remove(provider).unwrap_or_default();
            let behaviour = options.twin.clone();
            let account = Account::open(provider, &id, &ingress, behaviour, special).await?;
            accounts.push((id, account));
        }
        let lines = match accounts.first_mut() {
            Some((_, account)) if options.proxies => Some(lines(&site, account).await?),
            _ => None,
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
            accounts,
            site,
            segments_per_second: options.segments_per_second,
        }))
    }

    /// Starts all six services, adds the connections and begins to listen.
    ///
    /// # Errors
    /// If one of them does not come up.
    pub async fn start(mut self) -> anyhow::Result<Scene> {
        self.fleet.start_all().await?;
        let control = self.fleet.url("control.listen");
        let mut organizations = Vec::new();
        for (id, account) in self.accounts {
            let api = Api::new(control.clone(), API_TOKEN, &id)?;
            let rate = self.segments_per_second;
            organizations.push(Organization::connect(id, account, api, rate).await?);
        }
        // Straight to the broker: what a test does to the fleet's line is not done to its witness.
        let scheduler = Scheduler::connect(self.site.amqp_url()).await?;
        Ok(Scene {
            events: scheduler.listen("sms.events").await?,
            replies: scheduler.listen("sms.replies").await?,
            fleet: self.fleet,
            lines: self.lines,
            organizations,
            scheduler,
            _site: self.site,
        })
    }
}

/// Proxies, over which the fleet will find the provider of `account` too.
async fn lines(site: &Site, account: &mut Account) -> anyhow::Result<Lines> {
    let twin = account.twin.base_url();
    let provider = Proxy::to(twin.strip_prefix("http://").unwrap_or(&twin)).await?;
    for value in account.form.fields.values_mut() {
        if *value == twin {
            *value = format!("http://{}", provider.address());
        }
    }
    Ok(Lines {
        amqp: Proxy::to(&site.amqp_address()).await?,
        redis: Proxy::to(&site.redis_address()).await?,
        provider,
    })
}

/// A batch of the first organisation as JSON, where that is Twilio's.
#[must_use]
pub fn batch(distribution: &str, batch_id: &str, numbers: &[String]) -> Value {
    organization::batch(ORGANIZATION, distribution, batch_id, numbers)
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

    /// The first organisation, which most tests have alone.
    #[must_use]
    pub fn first(&self) -> &Organization {
        &self.organizations[0]
    }

    /// The first organisation's provider.
    #[must_use]
    pub fn twin(&self) -> &RunningTwin {
        self.first().twin()
    }

    /// The API as the first organisation uses it.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.first().api
    }

    /// The organisation with this provider.
    ///
    /// # Panics
    /// If the scene has none.
    #[must_use]
    pub fn with(&self, provider: &str) -> &Organization {
        let found = self
            .organizations
            .iter()
            .find(|it| it.provider() == provider);
        found.unwrap_or_else(|| panic!("nobody in this scene has {provider}"))
    }

    /// Notes a batch of the first organisation for the books.
    pub fn note(&mut self, batch: HandedOver) {
        self.organizations[0].note(batch);
    }

    /// Hands a batch of good numbers of the first organisation over by AMQP and notes it for the books.
    ///
    /// # Errors
    /// If it is not confirmed.
    pub async fn mail(
        &mut self,
        distribution: &str,
        batch_id: &str,
        numbers: &[String],
    ) -> anyhow::Result<Value> {
        let json = self.first().batch(distribution, batch_id, numbers);
        self.hand_over(0, &json).await?;
        Ok(json)
    }

    /// The same for all organisations.
    ///
    /// # Errors
    /// If one is not confirmed.
    pub async fn mail_all(
        &mut self,
        distribution: &str,
        batch_id: &str,
        numbers: &[String],
    ) -> anyhow::Result<()> {
        for at in 0..self.organizations.len() {
            let json = self.organizations[at].batch(distribution, batch_id, numbers);
            self.hand_over(at, &json).await?;
        }
        Ok(())
    }

    /// Hands a batch of good rows of an organisation over by AMQP and notes it for its books.
    ///
    /// # Errors
    /// If it is not confirmed.
    pub async fn hand_over(&mut self, organization: usize, batch: &Value) -> anyhow::Result<()> {
        self.scheduler.hand_over(batch).await?;
        let text = |key: &str| batch[key].as_str().unwrap_or_default();
        let recipients = batch["recipients"].as_array().into_iter().flatten();
        let numbers: Vec<String> = recipients
            .filter_map(|row| row["to"].as_str().map(str::to_owned))
            .collect();
        let noted = HandedOver::new(
            text("organization_id"),
            text("distribution_id"),
            text("batch_id"),
            &numbers,
        )?;
        self.organizations[organization].note(noted);
        Ok(())
    }

    /// Waits until every row of every organisation is in the ledger and none is under way: the
    /// counters say so and have stopped to move, and so have the topics.
    ///
    /// # Errors
    /// If that does not come about within `patience`.
    pub async fn settle(&mut self, patience: Duration) -> anyhow::Result<()> {
        const CALM: Duration = Duration::from_secs(2);
        let wanted: u64 = self
            .organizations
            .iter()
            .map(Organization::rows_handed_over)
            .sum();
        let what = format!("{wanted} rows settle");
        let settled = wait::until_calm(&what, CALM, patience, async || {
            let mut counts = Vec::with_capacity(self.organizations.len());
            for organization in &self.organizations {
                // Not done is no end to be calm about, whatever it looks like.
                counts.push(organization.settled().await?);
            }
            Some((counts, self.events.len(), self.replies.len()))
        })
        .await;
        self.fleet.all_alive()?;
        let Err(mut error) = settled else {
            return Ok(());
        };
        for organization in &self.organizations {
            if organization.settled().await.is_none() {
                error = error.context(format!(
                    "{}: {:?}, {:?}; the twin: {:?}",
                    organization.id,
                    organization.counts().await,
                    organization.twin().waiting(),
                    organization.twin().audit_summary().totals
                ));
            }
        }
        Err(error)
    }

    /// What all witnesses say of the first organisation now.
    ///
    /// # Errors
    /// If the API does not answer.
    pub async fn history(&self, allowed: Allowed) -> anyhow::Result<History> {
        let (events, replies) = (self.events.bodies(), self.replies.bodies());
        self.first().history(&events, &replies, allowed).await
    }

    /// Settles, and compares what all witnesses say of the first organisation.
    ///
    /// # Errors
    /// If it does not settle.
    pub async fn books(&mut self, patience: Duration, allowed: Allowed) -> anyhow::Result<Verdict> {
        self.settle(patience).await?;
        Ok(check(&self.history(allowed).await?))
    }

    /// What the books of every organisation say, without waiting for anything.
    ///
    /// # Errors
    /// If the API does not answer.
    pub async fn all_books(
        &self,
        allowed: Allowed,
    ) -> anyhow::Result<Vec<(&'static str, Verdict)>> {
        let (events, replies) = (self.events.bodies(), self.replies.bodies());
        let mut verdicts = Vec::with_capacity(self.organizations.len());
        for organization in &self.organizations {
            let history = organization.history(&events, &replies, allowed).await?;
            verdicts.push((organization.provider(), check(&history)));
        }
        Ok(verdicts)
    }

    /// Settles an undisturbed run, and insists on the books of every organisation.
    ///
    /// # Errors
    /// If some do not balance.
    pub async fn balance_all(&mut self) -> anyhow::Result<Vec<(&'static str, Verdict)>> {
        self.settle(wait::PATIENCE).await?;
        let verdicts = self.all_books(Allowed::default()).await?;
        let wrong: Vec<String> = verdicts
            .iter()
            .filter(|(_, verdict)| !verdict.balanced())
            .map(|(provider, verdict)| format!("{provider}\n{verdict}"))
            .collect();
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(verdicts)
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
        for number in self.organizations.iter().flat_map(Organization::recipients) {
            // However it is written, the subscriber's own digits are in it.
            needles.insert(number.trim_start_matches("+33").to_owned());
        }
        let mut secrets = vec![API_TOKEN.to_owned(), crate::fleet::SEALING_KEY.to_owned()];
        secrets.extend(
            self.organizations
                .iter()
                .flat_map(|it| it.account.secrets()),
        );
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
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
