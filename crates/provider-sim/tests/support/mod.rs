//! A twin, a customer's webhook that remembers what it was sent, and a client.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part; a failed unwrap is a failed test

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use provider_sim::{RunningTwin, TwilioAccount, TwilioTwin, TwinBehaviour, TwinSettings};
use serde_json::Value;

pub const SID: &str = "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e";
pub const TOKEN: &str = "3f1c8e2ab94d47d0a6e5c7b1928d4f60";
pub const SENDER: &str = "+12025550101";
pub const SERVICE: &str = "MG2f0c7e9a2d4b36815ce0f4a7d9023e11";
pub const PERSON: &str = "+33639980001";

/// One request that the webhook received.
#[derive(Clone, Debug)]
pub struct Call {
    pub target: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Call {
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.body.as_bytes());
        pairs.find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
    }
}

#[derive(Default)]
pub struct Hook {
    pub calls: Mutex<Vec<Call>>,
    /// Answers to give before the usual 200.
    pub answers: Mutex<VecDeque<u16>>,
    pub url: String,
}

impl Hook {
    pub async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let hook = Arc::new(Self {
            url,
            ..Self::default()
        });
        let router = Router::new().fallback(called).with_state(Arc::clone(&hook));
        tokio::spawn(async move { axum::serve(listener, router).await });
        hook
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// `MessageStatus` of all status callbacks, in the order of arrival.
    pub fn statuses(&self) -> Vec<String> {
        self.calls()
            .iter()
            .filter_map(|call| call.parameter("MessageStatus"))
            .collect()
    }

    pub fn status_url(&self, reference: &str) -> String {
        format!("{}/status/twilio-sms/ORG_1?m={reference}", self.url)
    }
}

async fn called(
    State(hook): State<Arc<Hook>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    hook.calls.lock().unwrap().push(Call {
        target: uri.to_string(),
        headers,
        body,
    });
    let status = hook.answers.lock().unwrap().pop_front().unwrap_or(200);
    let kind = [(http::header::CONTENT_TYPE, "text/xml")];
    (StatusCode::from_u16(status).unwrap(), kind, "<Response/>").into_response()
}

/// Receipts soon, but far enough apart that a busy machine does not swap them.
pub fn quick() -> TwinBehaviour {
    TwinBehaviour {
        receipt_delay: Duration::from_millis(400),
        receipt_jitter: Duration::ZERO,
        ..TwinBehaviour::default()
    }
}

pub fn account(hook: &Hook) -> TwilioAccount {
    TwilioAccount {
        inbound_webhook: Some(format!("{}/message/twilio-sms/ORG_1", hook.url)),
        ..TwilioAccount::new(SID, TOKEN)
    }
}

pub async fn twin(account: TwilioAccount, behaviour: TwinBehaviour) -> RunningTwin {
    let settings = TwinSettings {
        accounts: vec![account],
        behaviour,
        ..TwinSettings::default()
    };
    TwilioTwin::start(settings).await.unwrap()
}

pub fn messages_url(twin: &RunningTwin) -> String {
    format!(
        "{}/2010-04-01/Accounts/{SID}/Messages.json",
        twin.base_url()
    )
}

pub fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .retry(reqwest::retry::never())
        .build()
        .unwrap()
}

/// Sends as the fleet would.
pub async fn post(
    twin: &RunningTwin,
    pairs: &[(&str, &str)],
) -> reqwest::Result<reqwest::Response> {
    client()
        .post(messages_url(twin))
        .basic_auth(SID, Some(TOKEN))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(pairs))
        .send()
        .await
}

/// Sends `text` to `to` under `reference`; status and body of the answer.
pub async fn send(twin: &RunningTwin, hook: &Hook, to: &str, reference: &str) -> (u16, Value) {
    let callback = hook.status_url(reference);
    let pairs = [
        ("To", to),
        ("From", SENDER),
        ("Body", "Bonjour"),
        ("StatusCallback", callback.as_str()),
    ];
    read(post(twin, &pairs).await.unwrap()).await
}

pub async fn get(url: &str) -> (u16, Value) {
    read(
        client()
            .get(url)
            .basic_auth(SID, Some(TOKEN))
            .send()
            .await
            .unwrap(),
    )
    .await
}

pub async fn read(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}
