//! The Sinch twin over real HTTP.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod api;
mod batch;
mod callbacks;
mod consent;
mod limits;
#[path = "../support/mod.rs"]
mod support;
mod token;

use std::sync::Arc;

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use provider_sim::{RunningTwin, SinchAccount, SinchTwin, TwinBehaviour, TwinSettings};
use serde_json::{Value, json};
use support::{Call, Hook, client, read};

pub(crate) const PROJECT: &str = "5b1c6f0e-92a4-4d0a-8d8e-3a8f0d6f7c11";
pub(crate) const APP: &str = "01JB2Q7V9W3X5Y6Z7A8B9C0D1E";
pub(crate) const CLIENT: &str = "9f1d2c3b-0000-4000-8000-a1b2c3d4e5f6";
pub(crate) const SECRET: &str = "key:with:colons";
pub(crate) const HOOK_SECRET: &str = "c2VjcmV0LWtleS0xMjM0NTY3OA==";
pub(crate) const SENDER: &str = "442079460001";
pub(crate) const PERSON: &str = "+33199000001";

/// A twin, its customer's webhook, and a token.
pub(crate) struct World {
    pub(crate) hook: Arc<Hook>,
    pub(crate) twin: RunningTwin,
    pub(crate) token: String,
}

pub(crate) fn account() -> SinchAccount {
    SinchAccount {
        webhook_secret: HOOK_SECRET.into(),
        ..SinchAccount::new(PROJECT, APP, CLIENT, SECRET)
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(account(), support::quick()).await
    }

    pub(crate) async fn with(account: SinchAccount, behaviour: TwinBehaviour) -> Self {
        Self::with_all(vec![account], behaviour).await
    }

    /// The first account has the webhooks, and the token.
    pub(crate) async fn with_all(
        mut accounts: Vec<SinchAccount>,
        behaviour: TwinBehaviour,
    ) -> Self {
        let hook = Hook::start().await;
        accounts[0].status_webhook = Some(format!("{}/status/sinch/ORG_1", hook.url));
        accounts[0].inbound_webhook = Some(format!("{}/message/sinch/ORG_1", hook.url));
        let settings = TwinSettings {
            accounts,
            behaviour,
            ..TwinSettings::default()
        };
        let twin = SinchTwin::start(settings).await.unwrap();
        let (status, body) = read(ask_token(&twin, CLIENT, SECRET).await).await;
        assert_eq!(status, 200);
        let token = body["access_token"].as_str().unwrap().to_owned();
        Self { hook, twin, token }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v1/projects/{PROJECT}/{path}", self.twin.base_url())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = client().post(self.url(path)).bearer_auth(&self.token);
        let request = request.header("content-type", "application/json");
        read(request.body(body.to_string()).send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let request = client().get(self.url(path)).bearer_auth(&self.token);
        read(request.send().await.unwrap()).await
    }

    pub(crate) async fn send(&self, to: &str, reference: &str) -> (u16, Value) {
        self.post("messages:send", &message(to, reference)).await
    }

    /// The events that the webhook received, each with a good signature.
    pub(crate) fn events(&self) -> Vec<Value> {
        let calls = self.hook.calls();
        assert!(calls.iter().all(is_signed), "{calls:?}");
        calls.iter().map(event).collect()
    }

    /// Status, and the reason if there is one, of the delivery reports, in order.
    pub(crate) fn reports(&self) -> Vec<(String, Option<String>)> {
        let events = self.events();
        let reports = events.iter().map(|event| &event["message_delivery_report"]);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        reports
            .filter(|report| report.is_object())
            .map(|report| {
                let code = text(&report["reason"]["code"]);
                (text(&report["status"]).unwrap(), code)
            })
            .collect()
    }
}

pub(crate) fn message(to: &str, reference: &str) -> Value {
    json!({
        "app_id": APP,
        "recipient": {"identified_by": {"channel_identities": [{"channel": "SMS", "identity": to}]}},
        "message": {"text_message": {"text": "Bonjour"}},
        "channel_priority_order": ["SMS"],
        "channel_properties": {"SMS_SENDER": SENDER},
        "message_metadata": reference,
        "ttl": "172800s",
    })
}

pub(crate) async fn ask_token(twin: &RunningTwin, user: &str, password: &str) -> reqwest::Response {
    let request = client()
        .post(format!("{}/oauth2/token", twin.base_url()))
        .basic_auth(user, Some(password))
        .header("content-type", "application/x-www-form-urlencoded");
    request
        .body("grant_type=client_credentials")
        .send()
        .await
        .unwrap()
}

pub(crate) fn event(call: &Call) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

/// Whether the headers hold what the page says, computed here a second time.
pub(crate) fn is_signed(call: &Call) -> bool {
    let header = |suffix: &str| {
        let name = format!("x-sinch-webhook-signature{suffix}");
        call.headers.get(name).map(|value| value.to_str().unwrap())
    };
    let (Some(nonce), Some(timestamp)) = (header("-nonce"), header("-timestamp")) else {
        return false;
    };
    let mac = Hmac::<sha2::Sha256>::new_from_slice(HOOK_SECRET.as_bytes()).unwrap();
    let mac = mac.chain_update(format!("{}.{nonce}.{timestamp}", call.body));
    let wanted = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    header("-algorithm") == Some("HmacSHA256") && header("") == Some(&wanted)
}
