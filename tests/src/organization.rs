//! One organisation of a scene: an account at a twin of its provider, the connection that the fleet has for it, the API
//! as it uses it, and everything that was handed over in its name.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provider_sim::customers::{self, Connected, ConnectionForm, Customer};
use provider_sim::{AccountLimits, AuditReport, RunningTwin, TwinBehaviour};
use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::checker::{Allowed, HandedOver, History};

/// Fields of a form that are a user and a password: together they travel as one base64 text.
const BASIC: [(&str, &str); 4] = [
    ("username", "password"),
    ("webhook_username", "webhook_password"),
    ("client_id", "client_secret"),
    ("account_sid", "auth_token"),
];

/// An account at a new twin, and the connection to it; the fleet does not know of it yet.
#[derive(Debug)]
pub struct Account {
    /// The provider.
    pub twin: RunningTwin,
    /// The connection as the API takes it.
    pub form: ConnectionForm,
    /// What must not be in any log: every secret of the account has it in it.
    pub canary: String,
}

impl Account {
    /// Opens an account for `organization` at a new twin of `provider`, whose webhooks point at `ingress`.
    ///
    /// # Errors
    /// If there is no such provider, or the account has no such special setting.
    pub async fn open(
        provider: &str,
        organization: &str,
        ingress: &str,
        behaviour: TwinBehaviour,
        special: Map<String, Value>,
    ) -> anyhow::Result<Self> {
        let canary = format!("canary{:016x}", fastrand::u64(..));
        let customer = Customer {
            organization: organization.to_owned(),
            ingress_url: ingress.to_owned(),
            secret: canary.clone(),
            limits: AccountLimits::default(),
        };
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let opened =
            customers::connect_with(provider, anywhere, &customer, behaviour, special).await;
        let Connected { twin, connection } = opened.with_context(|| provider.to_owned())?;
        Ok(Self {
            twin,
            form: connection,
            canary,
        })
    }

    /// What must not be in any log.
    pub fn secrets(&self) -> Vec<String> {
        let field = |key: &str| self.form.fields.get(key);
        let basic = BASIC.iter().filter_map(|(user, password)| {
            let pair = format!("{}:{}", field(user)?, field(password)?);
            Some(STANDARD.encode(pair))
        });
        basic.chain([self.canary.clone()]).collect()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Organization {
    /// Its name.
    pub id: String,
    /// Its account.
    pub account: Account,
    /// The API as it uses it.
    pub api: Api,
    /// The id of its connection.
    pub connection_id: String,
    handed_over: Vec<HandedOver>,
    distributions: Vec<String>,
}

impl Organization {
    /// Adds the connection over the API.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn connect(
        id: String,
        account: Account,
        api: Api,
        segments_per_second: f64,
    ) -> anyhow::Result<Self> {
        let connection_id = api
            .add_connection(&account.form, segments_per_second)
            .await
            .with_context(|| account.form.provider)?;
        Ok(Self {
            id,
            account,
            api,
            connection_id,
            handed_over: Vec::new(),
            distributions: Vec::new(),
        })
    }

    /// Its provider's twin.
    pub fn twin(&self) -> &RunningTwin {
        &self.account.twin
    }

    /// Its provider's slug.
    pub fn provider(&self) -> &'static str {
        self.account.form.provider
    }

    /// A batch of its own as JSON.
    #[must_use]
    pub fn batch(&self, distribution: &str, batch_id: &str, numbers: &[String]) -> Value {
        batch(&self.id, distribution, batch_id, numbers)
    }

    /// Notes a batch for the books.
    pub fn note(&mut self, batch: HandedOver) {
        if !self.distributions.contains(&batch.distribution) {
            self.distributions.push(batch.distribution.clone());
        }
        self.handed_over.push(batch);
    }

    /// A person writes to the number that the messages come from; the status is what the ingress answered.
    ///
    /// # Errors
    /// If it did not answer.
    pub async fn hears(&self, from: &str, text: &str) -> anyhow::Result<u16> {
        let to = &self.account.form.number;
        self.twin().send_inbound(from, to, text).await
    }

    /// The rows that were handed over.
    #[must_use]
    pub fn rows_handed_over(&self) -> u64 {
        let batches = self.handed_over.iter();
        batches.map(|batch| batch.recipients.len() as u64).sum()
    }

    /// Everybody who was to be texted.
    pub fn recipients(&self) -> impl Iterator<Item = &String> {
        let batches = self.handed_over.iter();
        batches.flat_map(|batch| batch.recipients.iter().flatten())
    }

    /// The counters of all its distributions, added; nothing if the API does not answer.
    pub async fn counts(&self) -> Option<BTreeMap<String, u64>> {
        let mut all = BTreeMap::new();
        for distribution in &self.distributions {
            for (state, count) in self.api.counts(distribution).await.ok()? {
                *all.entry(state).or_default() += count;
            }
        }
        Some(all)
    }

    /// The counters, if every row is in the ledger and none is under way. Messages in doubt, and those whose receipt the
    /// provider gave up to deliver, stay as they are.
    pub async fn settled(&self) -> Option<BTreeMap<String, u64>> {
        let counts = self.counts().await?;
        let of = |state: &str| counts.get(state).copied().unwrap_or_default();
        let AuditReport { totals, .. } = self.twin().audit_summary();
        let failed: u64 = totals.callbacks.failed.values().sum();
        let waiting = self.twin().waiting();
        let known: u64 = counts.values().sum();
        let done = known == self.rows_handed_over()
            && of("queued") + of("sending") == 0
            && of("accepted") + of("sent") <= failed + totals.callbacks.lost
            && waiting.due + waiting.in_flight == 0;
        done.then_some(counts)
    }

    /// What all witnesses say now, of whom the scheduler heard these events and replies.
    ///
    /// # Errors
    /// If the API does not answer.
    pub async fn history(
        &self,
        events: &[Value],
        replies: &[Value],
        allowed: Allowed,
    ) -> anyhow::Result<History> {
        let mut rows = Vec::new();
        for distribution in &self.distributions {
            rows.extend(self.api.rows(distribution).await?);
        }
        let ours = |said: &&Value| said["organization_id"] == self.id.as_str();
        Ok(History {
            provider: self.provider(),
            batches: self.handed_over.clone(),
            twin: self.twin().audit(),
            rows,
            counts: self.counts().await.context("read the counters")?,
            events: events.iter().filter(ours).cloned().collect(),
            replies: replies.iter().filter(ours).cloned().collect(),
            allowed,
        })
    }
}

/// A batch of `organization` as JSON.
#[must_use]
pub fn batch(organization: &str, distribution: &str, batch_id: &str, numbers: &[String]) -> Value {
    let recipients: Vec<Value> = numbers
        .iter()
        .enumerate()
        .map(|(row, number)| json!({"to": number, "fields": {"first_name": format!("P{row}")}}))
        .collect();
    json!({
        "organization_id": organization,
        "distribution_id": distribution,
        "batch_id": batch_id,
        "method": "invite",
        "text": "Hi {{first_name}}, how was it? https://example.org/s",
        "recipients": recipients,
        "on_doubt": "hold",
    })
}
