//! A client of the control API, raw JSON in and out.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::checker::LedgerRow;

/// Longer than any answer takes, short enough to see a hang.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Items asked for at once.
const PAGE: &str = "1000";

/// The API of one fleet, as one organisation uses it.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    token: String,
    organization: String,
    client: Client,
}

/// What the API answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null if it was no JSON.
    pub body: Value,
}

impl Answer {
    /// The body of a 2xx.
    ///
    /// # Errors
    /// If it is none.
    pub fn success(self) -> anyhow::Result<Value> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        bail!("the API answered {}: {}", self.status, self.body)
    }
}

/// An HTTP client that speaks to this machine only.
///
/// # Errors
/// If it can not be set up.
pub fn http_client() -> anyhow::Result<Client> {
    Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("set up an HTTP client")
}

impl Api {
    /// A client.
    ///
    /// # Errors
    /// If it can not be set up.
    pub fn new(base: String, token: &str, organization: &str) -> anyhow::Result<Self> {
        Ok(Self {
            base,
            token: token.to_owned(),
            organization: organization.to_owned(),
            client: http_client()?,
        })
    }

    /// One call; the path begins behind `/v1`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> anyhow::Result<Answer> {
        let mut url = url::Url::parse(&format!("{}/v1{path}", self.base)).context("an API path")?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("call {path}"))?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.context("read an answer")?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Answer { status, body })
    }

    async fn about(&self, method: Method, path: &str) -> anyhow::Result<Answer> {
        let query = [("organization_id", self.organization.as_str())];
        let body = (method == Method::POST).then(|| b"{}".to_vec());
        self.call(method, path, &query, body).await
    }

    /// Adds a connection; its id.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn add_connection(
        &self,
        connection: &provider_sim::customers::ConnectionForm,
        segments_per_second: f64,
    ) -> anyhow::Result<String> {
        let body = json!({
            "organization_id": self.organization,
            "provider": connection.provider,
            "name": "the twin",
            "sender": connection.sender,
            "segments_per_second": segments_per_second,
            "fields": connection.fields,
        });
        let body = serde_json::to_vec(&body).context("write a connection")?;
        let answer = self
            .call(Method::POST, "/connections", &[], Some(body))
            .await?
            .success()
            .context("add a connection")?;
        let id = answer["id"]
            .as_str()
            .context("a connection without an id")?;
        Ok(id.to_owned())
    }

    /// Removes a connection.
    ///
    /// # Errors
    /// If there is no answer, or an error.
    pub async fn remove_connection(&self, id: &str) -> anyhow::Result<Value> {
        let path = format!("/connections/{id}");
        let answer = self.about(Method::DELETE, &path).await?;
        answer.success().context("remove a connection")
    }

    /// `POST /v1/batches`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post_batch(&self, batch: &Value) -> anyhow::Result<Answer> {
        let body = serde_json::to_vec(batch).context("write a batch")?;
        self.call(Method::POST, "/batches", &[], Some(body)).await
    }

    /// A distribution as the API shows it; nothing if it does not know it.
    ///
    /// # Errors
    /// If there is no answer, or an error.
    pub async fn distribution(&self, distribution: &str) -> anyhow::Result<Option<Value>> {
        let answer = self
            .about(Method::GET, &format!("/distributions/{distribution}"))
            .await?;
        if answer.status == 404 {
            return Ok(None);
        }
        answer.success().map(Some)
    }

    /// How many messages of a distribution are in each state; empty for one that is not known yet.
    ///
    /// # Errors
    /// If there is no answer, or it has no counts.
    pub async fn counts(&self, distribution: &str) -> anyhow::Result<BTreeMap<String, u64>> {
        let Some(shown) = self.distribution(distribution).await? else {
            return Ok(BTreeMap::new());
        };
        let counts = shown["counts"]
            .as_object()
            .with_context(|| format!("a distribution without counts: {shown}"))?;
        Ok(counts
            .iter()
            .map(|(state, count)| (state.clone(), count.as_u64().unwrap_or_default()))
            .collect())
    }

    /// `pause`, `resume` or `cancel`.
    ///
    /// # Errors
    /// If there is no answer, or an error.
    pub async fn decide(&self, distribution: &str, verb: &str) -> anyhow::Result<Value> {
        let path = format!("/distributions/{distribution}/{verb}");
        let answer = self.about(Method::POST, &path).await?;
        answer.success().with_context(|| verb.to_owned())
    }

    /// Every message of a distribution, page by page.
    ///
    /// # Errors
    /// If a page fails, or lacks what a page has.
    pub async fn rows(&self, distribution: &str) -> anyhow::Result<Vec<LedgerRow>> {
        let path = format!("/distributions/{distribution}/messages");
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = vec![
                ("organization_id", self.organization.as_str()),
                ("limit", PAGE),
            ];
            if let Some(cursor) = &cursor {
                query.push(("cursor", cursor));
            }
            let page = self
                .call(Method::GET, &path, &query, None)
                .await?
                .success()
                .context("a page of messages")?;
            let items = page["items"].as_array().context("a page without items")?;
            rows.extend(items.iter().map(row));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(rows),
            }
        }
    }
}

fn row(item: &Value) -> LedgerRow {
    let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
    LedgerRow {
        reference: text("reference"),
        state: text("status"),
        attempt: item["attempt"].as_u64().unwrap_or_default(),
        code: text("error_code"),
    }
}
