//! What a run needs before it begins: a corner of the broker and of Redis, the fleet's processes, the
//! stub, an organisation with a connection for each of its accounts. All of it ends with the stage.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::json;
use smsfleet_tests::api::{Api, http_client};
use smsfleet_tests::fleet::{API_TOKEN, Fleet, Service, text};
use smsfleet_tests::process::{Process, tail};
use smsfleet_tests::scheduler::{Ear, Scheduler};
use smsfleet_tests::site::Site;
use smsfleet_tests::wait;

use crate::callback::{ACCOUNT_SID, AUTH_TOKEN, SENDER};
use crate::meter::Meter;
use crate::redis::Counter;
use crate::scenario::{Scenario, Slug};
use crate::stub::Arrival;
use crate::stub_client::{self, Started, StubClient, StubProcess};
use crate::work::{Order, distribution, organization};
use crate::{broker, machine::Machine};

/// How long a process may take to be ready.
const READY: Duration = Duration::from_secs(60);

/// One process of the fleet.
#[derive(Debug)]
pub struct Member {
    process: Process,
    ops: String,
}

/// See the module. Fields end in their order: first the processes, last the corner.
#[derive(Debug)]
pub struct Stage {
    members: BTreeMap<String, Member>,
    leaving: Vec<Process>,
    stub_process: StubProcess,
    /// What the stub has counted.
    pub stub: StubClient,
    /// CPU and memory of everybody.
    pub meter: Meter,
    /// What Redis counts.
    pub redis: Counter,
    /// Whether system calls of the first worker are counted.
    pub system_calls: bool,
    /// A scheduler's line to the broker.
    pub scheduler: Scheduler,
    ear: Option<Ear>,
    apis: Vec<Api>,
    handed_over_us: HashMap<u64, u64>,
    client: reqwest::Client,
    fleet: Fleet,
    certificate: Option<PathBuf>,
    provider_url: String,
    site: Site,
}

impl Stage {
    /// Starts the stub and what hands messages over; workers come later.
    ///
    /// # Errors
    /// If something is not there or does not start.
    pub async fn open(scenario: &Scenario) -> anyhow::Result<Self> {
        let site = Site::open()?.context("RabbitMQ and Redis are needed")?;
        let mut fleet = Fleet::new()?;
        fleet.set("amqp.url", text(site.amqp_url()));
        fleet.set("redis.url", text(site.redis_url()));
        fleet.set("redis.key_prefix", text(site.key_prefix()));
        fleet.set(
            "public.urls",
            format!("[{}]", text(&fleet.url("ingress.listen"))),
        );
        for (key, value) in &scenario.settings {
            fleet.set(key, value.to_string());
        }
        let config = fleet.write_config()?;
        let certificate = scenario
            .provider
            .tls
            .then(|| config.with_file_name("stub.pem"));
        let provider = &scenario.provider;
        let wanted = stub_client::Wanted {
            latency: provider.latency,
            certificate: certificate.clone(),
            audit: provider.audit,
            arrivals: provider.arrivals,
            callbacks: provider.callbacks.then(|| fleet.url("ingress.listen")),
            callback_connections: provider.callback_connections,
        };
        let Started {
            process: stub_process,
            client: stub,
            port,
        } = stub_client::start(&wanted).await?;
        let scheme = if certificate.is_some() {
            "https"
        } else {
            "http"
        };
        // By its name, as a provider has one: the certificate is for that.
        let provider_url = format!("{scheme}://localhost:{port}");
        let meter = Meter::default();
        meter.watch("stub", stub_process.id());
        meter.watch("load", std::process::id());
        let mut redis = Counter::connect(site.redis_url())?;
        if let Some(id) = redis.process_id()? {
            meter.watch("redis", id);
        }
        if let Some(id) = broker::process_id() {
            meter.watch("rabbitmq", id);
        }
        let scheduler = Scheduler::connect(site.amqp_url()).await?;
        Ok(Self {
            members: BTreeMap::new(),
            leaving: Vec::new(),
            stub_process,
            stub,
            meter,
            redis,
            system_calls: false,
            scheduler,
            ear: None,
            apis: Vec::new(),
            handed_over_us: HashMap::new(),
            client: http_client()?,
            fleet,
            certificate,
            provider_url,
            site,
        })
    }

    /// Machine and versions.
    ///
    /// # Errors
    /// If the services do not say theirs.
    pub fn machine(&mut self) -> anyhow::Result<Machine> {
        let rabbitmq = broker::version().unwrap_or_else(|| "not ours".to_owned());
        Ok(Machine::this(rabbitmq, self.redis.version()?))
    }

    /// Starts a service and waits until it is ready. Further ones of the same kind get an address of
    /// their own for `/metrics`.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start(&mut self, service: Service) -> anyhow::Result<()> {
        let name = self.spawn(service)?;
        self.ready(&name).await
    }

    /// Starts a service without waiting; its name among the members.
    ///
    /// # Errors
    /// If it does not start.
    pub fn spawn(&mut self, service: Service) -> anyhow::Result<String> {
        let config = self.fleet.write_config()?;
        let kind = service.binary();
        let name = (0..)
            .map(|index| format!("{kind}/{index}"))
            .find(|name| !self.members.contains_key(name))
            .context("a name")?;
        let port = stub_client::free_port()?;
        let variable = format!("SMSFLEET_{}_OPS_LISTEN", service.section().to_uppercase());
        let mut extra = vec![(variable, format!("127.0.0.1:{port}"))];
        if let Some(certificate) = &self.certificate {
            extra.push(("SSL_CERT_FILE".into(), certificate.display().to_string()));
        }
        let log = config.with_file_name(format!("{}.log", name.replace('/', "-")));
        let process = Process::start(kind, &config, &extra, &log)?;
        self.meter.watch(kind, process.id());
        let ops = format!("http://127.0.0.1:{port}");
        self.members.insert(name.clone(), Member { process, ops });
        Ok(name)
    }

    /// The process id of a member.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<u32> {
        self.members.get(name).map(|member| member.process.id())
    }

    /// Waits until a member is ready.
    ///
    /// # Errors
    /// If it ends, or takes too long.
    pub async fn ready(&mut self, name: &str) -> anyhow::Result<()> {
        let client = self.client.clone();
        let member = self.members.get_mut(name).context("no such member")?;
        let (url, process) = (format!("{}/readyz", member.ops), &mut member.process);
        let what = format!("{name} is ready");
        let seen = wait::until(&what, READY, async || {
            if let Ok(Some(status)) = process.ended() {
                return Some(Err(anyhow::anyhow!("it ended: {status}")));
            }
            let answer = client.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(Ok(()))
        });
        let seen = seen.await.and_then(|found| found);
        seen.with_context(|| format!("{name} said:\n{}", tail(&member.process.log())))
    }

    /// The names of the members of a kind.
    #[must_use]
    pub fn members(&self, service: Service) -> Vec<String> {
        let prefix = format!("{}/", service.binary());
        let names = self.members.keys();
        names
            .filter(|name| name.starts_with(&prefix))
            .cloned()
            .collect()
    }

    /// Adds an organisation with its connection.
    ///
    /// # Errors
    /// If the connection is refused.
    pub async fn add_organization(
        &mut self,
        scenario: &Scenario,
        index: u32,
        segments_per_second: f64,
    ) -> anyhow::Result<()> {
        let id = organization(index);
        let api = Api::new(self.fleet.url("control.listen"), API_TOKEN, &id)?;
        let (provider, sender, fields) = match scenario.provider.slug {
            Slug::TwilioSms => (
                "twilio-sms",
                format!("+{SENDER}"),
                json!({
                    "account_sid": ACCOUNT_SID,
                    "auth_token": AUTH_TOKEN,
                    "base_url": self.provider_url,
                }),
            ),
            Slug::InfobipSms => (
                "infobip-sms",
                SENDER.to_owned(),
                json!({
                    "api_key": AUTH_TOKEN,
                    "base_url": "stub.api.infobip.com",
                    "webhook_username": "load",
                    "webhook_password": AUTH_TOKEN,
                    "max_messages_per_request": scenario.provider.messages_per_request.to_string(),
                    "test_base_url": self.provider_url,
                }),
            ),
        };
        let mut fields = fields;
        fields["requests_in_flight"] = json!(scenario.provider.requests_in_flight.to_string());
        let body = json!({
            "organization_id": id,
            "provider": provider,
            "name": "the stub",
            "sender": sender,
            "segments_per_second": segments_per_second,
            "fields": fields,
        });
        let body = serde_json::to_vec(&body).context("write a connection")?;
        let answer = api.call(Method::POST, "/connections", &[], Some(body));
        answer.await?.success().context("add a connection")?;
        self.apis.push(api);
        Ok(())
    }

    /// Hears the events from now on, as a service downstream does.
    ///
    /// # Errors
    /// If the exchange is not there yet.
    pub async fn hear_events(&mut self) -> anyhow::Result<()> {
        self.ear = Some(self.scheduler.listen("sms.events").await?);
        Ok(())
    }

    /// Hands batches over, `per_second` messages at most; 0 for all at once.
    ///
    /// # Errors
    /// If the broker does not take one.
    pub async fn hand_over(&mut self, orders: &[Order], per_second: f64) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut before = 0.0;
        for order in orders {
            let json = order.json();
            if per_second > 0.0 {
                let due = began + Duration::from_secs_f64(before / per_second);
                tokio::time::sleep_until(due.into()).await;
                before += f64::from(order.count);
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now_us = now.unwrap_or_default().as_micros() as u64;
            self.scheduler.hand_over_bytes(&json).await?;
            self.handed_over_us.insert(order.key(), now_us);
        }
        Ok(())
    }

    /// When a batch was handed over, microseconds since 1970.
    #[must_use]
    pub fn handed_over_us(&self, order: &Order) -> Option<u64> {
        self.handed_over_us.get(&order.key()).copied()
    }

    /// How long messages waited from the hand-over of their batch to their request, in seconds.
    #[must_use]
    pub fn waits(&self, arrivals: &[Arrival]) -> Vec<f64> {
        let mut waits = Vec::new();
        for arrival in arrivals {
            if let Some(since) = self.handed_over_us.get(&arrival.batch) {
                let wait = arrival.at_us.saturating_sub(*since) as f64 / 1e6;
                waits.extend(std::iter::repeat_n(wait, arrival.messages as usize));
            }
        }
        waits
    }

    /// Where the ingress listens.
    #[must_use]
    pub fn ingress_url(&self) -> String {
        self.fleet.url("ingress.listen")
    }

    /// Pauses or resumes a distribution.
    ///
    /// # Errors
    /// If it is not known.
    pub async fn decide(&self, of: u32, number: u32, verb: &str) -> anyhow::Result<()> {
        let api = self.apis.get(of as usize).context("no such organisation")?;
        api.decide(&distribution(number), verb).await.map(drop)
    }

    /// Messages of a distribution by their state.
    ///
    /// # Errors
    /// If the API does not answer.
    pub async fn counts(&self, of: u32, number: u32) -> anyhow::Result<BTreeMap<String, u64>> {
        let api = self.apis.get(of as usize).context("no such organisation")?;
        api.counts(&distribution(number)).await
    }

    /// The sum of a series over all members of a kind, of the lines that have all `labels`.
    ///
    /// # Errors
    /// If one does not answer.
    pub async fn metric(
        &self,
        service: Service,
        series: &str,
        labels: &str,
    ) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for name in self.members(service) {
            let url = format!("{}/metrics", self.members[&name].ops);
            let answer = self.client.get(url).send().await;
            let text = answer.with_context(|| name.clone())?.text().await?;
            sum += value(&text, series, labels);
        }
        Ok(sum)
    }

    /// Ends a member with SIGTERM and waits until it is gone.
    ///
    /// # Errors
    /// If it does not end in time.
    pub async fn terminate(&mut self, name: &str) -> anyhow::Result<()> {
        let member = self.members.remove(name).context("no such member")?;
        member.process.terminate(Duration::from_secs(45)).await?;
        Ok(())
    }

    /// SIGTERM without waiting; it is no member any more, and killed at the stage's end at the latest.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn ask_to_stop(&mut self, name: &str) -> anyhow::Result<()> {
        let member = self.members.remove(name).context("no such member")?;
        member.process.signal("TERM")?;
        self.leaving.push(member.process);
        Ok(())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// If it had ended before.
    pub fn kill9(&mut self, name: &str) -> anyhow::Result<()> {
        let member = self.members.remove(name).context("no such member")?;
        member.process.kill()
    }

    /// Makes sure that nobody has ended unnoticed.
    ///
    /// # Errors
    /// If somebody has, with the end of what it said.
    pub fn all_alive(&mut self) -> anyhow::Result<()> {
        for (name, member) in &mut self.members {
            if let Some(status) = member.process.ended()? {
                bail!(
                    "{name} ended by itself: {status}\n{}",
                    tail(&member.process.log())
                );
            }
        }
        self.stub_process.alive()
    }

    /// Where configuration and logs are kept beyond this stage's life.
    pub fn keep_files(&mut self) -> Option<PathBuf> {
        self.fleet.keep_files()
    }

    /// What stands in front of this run's keys.
    #[must_use]
    pub fn key_prefix(&self) -> &str {
        self.site.key_prefix()
    }
}

/// Adds up the lines of a series that have `labels` in them.
fn value(metrics: &str, series: &str, labels: &str) -> f64 {
    let lines = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(series)?;
        let (name, value) = rest.rsplit_once(' ')?;
        let whole = name.is_empty() || name.starts_with('{');
        (whole && name.contains(labels)).then_some(value)
    });
    lines.filter_map(|value| value.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_added_up_by_its_labels() {
        let text =
            "# HELP a b\na_total{state=\"x\"} 3\na_total{state=\"y\"} 4\na_total_more 9\nb 1.5\n";
        assert_eq!(value(text, "a_total", ""), 7.0);
        assert_eq!(value(text, "a_total", "state=\"x\""), 3.0);
        assert_eq!(value(text, "b", ""), 1.5);
    }
}
