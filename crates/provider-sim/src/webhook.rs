//! Calls the customer's webhooks, with the provider's patience and retries.

use std::time::{Duration, Instant};

use anyhow::Context;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};

use crate::report::PostTotals;

/// More of an answer than this is not read: it is thrown away anyway, and the webhook may be hostile.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// When a callback is repeated and when it is given up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct RetryPolicy {
    /// Attempts after the first.
    pub retries: u8,
    /// Repeats if no connection came about or it broke.
    pub on_connect: bool,
    /// Repeats if the answer did not come in time.
    pub on_timeout: bool,
    /// Repeats after a 429, whatever it does after another 4xx.
    pub on_429: bool,
    /// Repeats after a 4xx.
    pub on_4xx: bool,
    /// Repeats after a 5xx.
    pub on_5xx: bool,
    /// For one attempt.
    pub attempt_timeout: Duration,
    /// For all of them.
    pub total_timeout: Duration,
    /// Whether each pause is twice the one before. How long the first one is says the behaviour, not the provider.
    pub doubling: bool,
    /// Whether a 2xx without a body counts as no success, and is repeated.
    pub wants_a_body: bool,
}

/// A callback, ready to go.
#[derive(Debug)]
pub(crate) struct Callback {
    pub method: Method,
    /// With its query, where the provider calls with GET.
    pub url: String,
    /// `Content-Type` and signature included.
    pub headers: HeaderMap,
    pub body: String,
    /// Added to every attempt but the first.
    pub retry_headers: HeaderMap,
    pub policy: RetryPolicy,
}

/// How a callback ended.
#[derive(Debug)]
pub(crate) struct Posted {
    /// The last attempt.
    pub outcome: Result<Answer, PostFailed>,
    /// Attempts beyond the first.
    pub retries: u64,
    success: bool,
}

/// What a webhook answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// No answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PostFailed {
    /// Nobody there, or the connection broke.
    Connect,
    /// Too slow.
    Timeout,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Posted {
    /// Whether the webhook took it.
    pub fn is_success(&self) -> bool {
        self.success
    }

    /// Adds this post, which carried so many reports, to the figures.
    pub fn count(&self, reports: u64, totals: &mut PostTotals) {
        totals.retries += self.retries;
        let failed = match &self.outcome {
            Ok(_) if self.success => {
                totals.ok += reports;
                return;
            }
            Ok(answer) => answer.status.to_string(),
            Err(PostFailed::Connect) => "connect".to_owned(),
            Err(PostFailed::Timeout) => "timeout".to_owned(),
        };
        *totals.failed.entry(failed).or_default() += reports;
    }
}

/// Posts over kept-alive connections.
#[derive(Debug)]
pub(crate) struct Poster {
    client: reqwest::Client,
}

impl Poster {
    /// `in_flight_max` connections stay open between callbacks, else every burst would begin with handshakes.
    pub fn new(in_flight_max: u16) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(usize::from(in_flight_max))
            .build()
            .context("build the HTTP client of the callbacks")?;
        Ok(Self { client })
    }

    /// Posts until it succeeds, or the policy has had enough. `pause` is the first one.
    pub async fn post(&self, callback: &Callback, mut pause: Duration) -> Posted {
        let policy = &callback.policy;
        let deadline = Instant::now() + policy.total_timeout;
        let mut retries = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = policy.attempt_timeout.min(left);
            let outcome = self.attempt(callback, retries > 0, timeout).await;
            let success = outcome.as_ref().is_ok_and(|answer| {
                answer.is_success() && !(policy.wants_a_body && answer.body.is_empty())
            });
            let again = match &outcome {
                Ok(answer) => match answer.status {
                    200..=299 => !success,
                    429 => policy.on_429 || policy.on_4xx,
                    400..=499 => policy.on_4xx,
                    500..=599 => policy.on_5xx,
                    _ => false,
                },
                Err(PostFailed::Connect) => policy.on_connect,
                Err(PostFailed::Timeout) => policy.on_timeout,
            };
            let in_time = Instant::now() + pause < deadline;
            if !again || retries >= u64::from(policy.retries) || !in_time {
                return Posted {
                    outcome,
                    retries,
                    success,
                };
            }
            retries += 1;
            tokio::time::sleep(pause).await;
            if policy.doubling {
                pause *= 2;
            }
        }
    }

    async fn attempt(
        &self,
        callback: &Callback,
        again: bool,
        timeout: Duration,
    ) -> Result<Answer, PostFailed> {
        let mut request = self
            .client
            .request(callback.method.clone(), &callback.url)
            .headers(callback.headers.clone())
            .body(callback.body.clone())
            .timeout(timeout);
        if again {
            request = request.headers(callback.retry_headers.clone());
        }
        let mut response = request.send().await.map_err(failure)?;
        let status = response.status().as_u16();
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let mut body = Vec::new();
        // Reading to the end is what makes the connection fit for the next callback.
        while body.len() < ANSWER_BYTES_MAX {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(failure(error)),
            }
        }
        Ok(Answer {
            status,
            content_type,
            body,
        })
    }
}

fn failure(error: reqwest::Error) -> PostFailed {
    let failed = if error.is_timeout() && !error.is_connect() {
        PostFailed::Timeout
    } else {
        PostFailed::Connect
    };
    // Without the URL: its query may carry what should not be in a log.
    tracing::debug!(error = %error.without_url(), ?failed, "a callback was not answered");
    failed
}
