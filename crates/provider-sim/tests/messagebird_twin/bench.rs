//! A twin, a webhook that remembers how it was called, and a verifier of the signatures.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, StatusCode};
use provider_sim::{MessageBirdAccount, MessageBirdTwin, RunningTwin, TwinBehaviour, TwinSettings};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use crate::support::{client, quick, read};

pub const KEY: &str = "live_our-own-key-000000001";
pub const SIGNING_KEY: &str = "ourOwnSigningKey0123456789abcdef";
pub const SENDER: &str = "3197001234567";
pub const PERSON: &str = "31612340009";
/// A person in the United States, where a STOP is handled by the provider.
pub const AMERICAN: &str = "12025550101";

/// One request that the webhook received.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    /// The URL as the twin was told it, with the query that came.
    pub url: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Call {
    /// Names and values in their order, from the query, the form or the JSON object.
    pub fn pairs(&self) -> Vec<(String, String)> {
        if self.body.starts_with('{') {
            let object: BTreeMap<String, String> = serde_json::from_str(&self.body).unwrap();
            return object.into_iter().collect();
        }
        let text = if self.body.is_empty() {
            &self.query
        } else {
            &self.body
        };
        form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect()
    }

    pub fn get(&self, name: &str) -> Option<String> {
        let pairs = self.pairs();
        pairs.into_iter().rfind(|(n, _)| n == name).map(|(_, v)| v)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Checks the token as section 8 of the page says; its claims.
    pub fn claims(&self) -> Value {
        let token = self.header("messagebird-signature-jwt");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mac = hmac(signed.as_bytes());
        assert_eq!(URL_SAFE_NO_PAD.encode(mac), signature);
        let (header, claims) = signed.split_once('.').unwrap();
        let json = |part| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(json(header), json!({"alg": "HS256", "typ": "JWT"}));
        let claims = json(claims);
        assert_eq!(claims["iss"], "MessageBird");
        assert_eq!(claims["url_hash"], sha256(&self.url), "{}", self.url);
        if self.body.is_empty() {
            assert_eq!(claims["payload_hash"], Value::Null);
        } else {
            assert_eq!(claims["payload_hash"], sha256(&self.body));
        }
        let lifetime = claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap();
        assert_eq!(lifetime, 60);
        claims
    }

    /// Whether the older signature is right.
    pub fn has_good_stamp(&self) -> bool {
        let mut pairs: Vec<_> = form_urlencoded::parse(self.query.as_bytes()).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let stamp = self.header("messagebird-request-timestamp");
        let mut text = format!("{stamp}\n{query}\n").into_bytes();
        text.extend_from_slice(&Sha256::digest(&self.body));
        STANDARD.encode(hmac(&text)) == self.header("messagebird-signature")
    }
}

fn hmac(text: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(SIGNING_KEY.as_bytes()).unwrap();
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Default)]
pub struct Hook {
    pub url: String,
    calls: Mutex<Vec<Call>>,
    /// Answers to give before the usual 200.
    pub answers: Mutex<VecDeque<u16>>,
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

    /// `status` of all reports, in the order of arrival.
    pub fn statuses(&self) -> Vec<String> {
        self.calls()
            .iter()
            .filter_map(|call| call.get("status"))
            .collect()
    }
}

async fn called(
    State(hook): State<Arc<Hook>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    hook.calls.lock().unwrap().push(Call {
        method,
        url: format!("{}{uri}", hook.url),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let status = hook.answers.lock().unwrap().pop_front().unwrap_or(200);
    (StatusCode::from_u16(status).unwrap(), "OK").into_response()
}

pub fn account(hook: &Hook) -> MessageBirdAccount {
    MessageBirdAccount {
        status_webhook: Some(format!("{}/status/twilio-sms/UR_1", hook.url)),
        inbound_webhook: Some(format!("{}/message/twilio-sms/UR_1", hook.url)),
        ..MessageBirdAccount::new("bird", KEY, SIGNING_KEY)
    }
}

pub async fn twin(account: MessageBirdAccount, behaviour: TwinBehaviour) -> RunningTwin {
    let settings = TwinSettings {
        accounts: vec![account],
        behaviour,
        ..TwinSettings::default()
    };
    MessageBirdTwin::start(settings).await.unwrap()
}

/// A usual message; tests change what they are about.
pub fn message(reference: &str) -> Value {
    json!({"originator": SENDER, "recipients": [PERSON], "body": "Bedankt!", "reference": reference,
           "datacoding": "auto"})
}

/// A usual message to somebody else.
pub fn message_to(person: &str, reference: &str) -> Value {
    let mut message = message(reference);
    message["recipients"] = json!([person]);
    message
}

pub async fn try_post(twin: &RunningTwin, body: &Value) -> reqwest::Result<reqwest::Response> {
    client()
        .post(format!("{}/messages", twin.base_url()))
        .header("authorization", format!("AccessKey {KEY}"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
}

pub async fn post(twin: &RunningTwin, body: &Value) -> (u16, Value) {
    read(try_post(twin, body).await.unwrap()).await
}

pub async fn get(twin: &RunningTwin, path: &str) -> (u16, Value) {
    let request = client()
        .get(format!("{}{path}", twin.base_url()))
        .header("authorization", format!("AccessKey {KEY}"));
    read(request.send().await.unwrap()).await
}
