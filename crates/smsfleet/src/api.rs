//! The control API, seen from the command line.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, anyhow};
use message::Secret;
use reqwest::{Client, Method, Url};
use serde_json::Value;

use crate::{
    exit::{Failure, OrUsage as _},
    output,
};

/// How the API is reached.
#[derive(Debug, Clone, clap::Args)]
pub struct ApiArgs {
    /// The control API.
    #[arg(
        long,
        env = "SMSFLEET_API_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        global = true
    )]
    pub api: Url,
    /// Its bearer token. Better in the environment, or in a file: a command line can be seen by others.
    #[arg(
        long,
        env = "SMSFLEET_API_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        global = true
    )]
    pub token: Option<String>,
    /// A file that holds the token.
    #[arg(
        long,
        env = "SMSFLEET_API_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "token",
        global = true
    )]
    pub token_file: Option<PathBuf>,
}

/// A client of one API.
#[derive(Debug, Clone)]
pub struct Api {
    base: Url,
    token: Option<Secret>,
    client: Client,
}

/// A batch of ten thousand takes well under a second; a proxy in between may take its time.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// More of an answer is not read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Items asked for at once.
const PAGE: u32 = 500;

impl Api {
    /// A client for `arguments`.
    ///
    /// # Errors
    /// If the token file can not be read.
    pub fn new(arguments: &ApiArgs) -> Result<Self, Failure> {
        let token = match (&arguments.token, &arguments.token_file) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(path)) => {
                let read = std::fs::read_to_string(path);
                let text = read.with_context(|| format!("token file {}", path.display()));
                Some(text.or_usage()?.trim().to_owned())
            }
            (None, None) => None,
        };
        Self::at(arguments.api.clone(), token.map(Secret::new)).map_err(Failure::Failed)
    }

    /// A client for `base`.
    ///
    /// # Errors
    /// If the HTTP client can not be set up.
    pub fn at(base: Url, token: Option<Secret>) -> anyhow::Result<Self> {
        let mut client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if base.host_str().is_some_and(is_this_machine) {
            client = client.no_proxy();
        }
        Ok(Self {
            base,
            token,
            client: client.build().context("set up the HTTP client")?,
        })
    }

    /// Reads something.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.call(Method::GET, path, query, None).await
    }

    /// Makes or does something.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn post(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: &impl serde::Serialize,
    ) -> Result<Value, Failure> {
        self.call(Method::POST, path, query, Some(bytes(body)?))
            .await
    }

    /// Sets something.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn put(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        body: &impl serde::Serialize,
    ) -> Result<Value, Failure> {
        self.call(Method::PUT, path, query, Some(bytes(body)?))
            .await
    }

    /// Removes something.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn delete(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.call(Method::DELETE, path, query, None).await
    }

    /// Up to `limit` items of a list, page by page.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn items(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        limit: usize,
    ) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        while items.len() < limit {
            let size = (limit - items.len()).min(PAGE as usize).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &size));
            if let Some(cursor) = &cursor {
                query.push(("cursor", cursor));
            }
            let mut page = self.get(path, &query).await?;
            let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) else {
                return Err(not_ours(anyhow!("a list without `items`")));
            };
            items.extend(found);
            let next = page.get("next_cursor").and_then(Value::as_str);
            match next {
                Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
                _ => break,
            }
        }
        items.truncate(limit);
        Ok(items)
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Value, Failure> {
        let url = self.url(path, query)?;
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        if let Some(body) = body {
            request = request
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let unreachable = |error: reqwest::Error| {
            let error = anyhow::Error::from(error.without_url());
            Failure::Unreachable(error.context(format!("no answer from {}", self.base)))
        };
        let mut answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut read = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(unreachable)? {
            if read.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(not_ours(anyhow!(
                    "an answer of more than {ANSWER_BYTES_MAX} bytes"
                )));
            }
            read.extend_from_slice(&part);
        }
        if status.is_success() {
            if read.is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(&read)
                .map_err(|_| not_ours(anyhow!("an answer that is not JSON")));
        }
        let status = status.as_u16();
        let why = said(&read);
        Err(match status {
            400..500 => Failure::Refused { status, why },
            _ => Failure::Unreachable(anyhow!("{} answered {status}: {why}", self.base)),
        })
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("`{}` is not an HTTP URL", self.base))
            .or_usage()?
            .pop_if_empty()
            .push("v1")
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

/// Something answers there, and it is not this API.
fn not_ours(error: anyhow::Error) -> Failure {
    Failure::Unreachable(error.context("this is not the control API of smsfleet"))
}

fn bytes(body: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    Ok(serde_json::to_vec(body).context("write the request")?)
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// `code: message`, and every detail on a line of its own.
fn said(body: &[u8]) -> String {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return "no reason given".to_owned();
    };
    let cell = |key| output::cell(&answer, key);
    let mut text = format!("{}: {}", cell("error.code"), cell("error.message"));
    if let Some(details) = answer.pointer("/error/details").and_then(Value::as_array) {
        for detail in details {
            let (field, problem) = (
                output::cell(detail, "field"),
                output::cell(detail, "problem"),
            );
            text.push_str(&format!("\n  - {field}: {problem}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(base: &str) -> Api {
        Api::at(base.parse().expect("a URL"), None).expect("a client")
    }

    #[test]
    fn what_users_type_into_a_path_stays_in_its_segment() {
        let url = api("https://sms.example.org/control/")
            .url(&["opt-outs", "+33/6?x"], &[("organization_id", "A&B")])
            .expect("a URL");
        assert_eq!(
            url.as_str(),
            "https://sms.example.org/control/v1/opt-outs/+33%2F6%3Fx?organization_id=A%26B"
        );
    }

    #[test]
    fn all_faults_of_a_form_are_shown_each_on_a_line() {
        let body = br#"{"error":{"code":"invalid_connection","message":"2 faults",
            "details":[{"field":"sender","problem":"expected a number"},{"field":"fields.auth_token","problem":"is missing"}]}}"#;
        assert_eq!(
            said(body),
            "invalid_connection: 2 faults\n  - sender: expected a number\n  - fields.auth_token: is missing"
        );
        assert_eq!(said(b"<html>"), "no reason given");
    }

    #[tokio::test]
    async fn an_api_that_is_not_there_is_unreachable_and_not_a_refusal() {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let failure = api(&format!("http://{address}"))
            .get(&["providers"], &[])
            .await;
        assert_eq!(failure.expect_err("nobody there").code(), 4);
    }
}
