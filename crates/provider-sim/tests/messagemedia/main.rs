//! The MessageMedia twin from outside: its API, its callbacks, its polling lists.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod callbacks;
mod inbound;
mod polling;
mod refusals;
mod sending;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Arc, LazyLock};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use provider_sim::{
    MessageMediaAccount, MessageMediaTwin, RunningTwin, TwinBehaviour, TwinSettings,
};
use serde_json::{Value, json};
use support::{Call, Hook, client, quick, read};

const USER: &str = "key-1";
const SECRET: &str = "secret:B2";
const SENDER: &str = "+61491570110";
const PERSON: &str = "+61491570156";

/// One key for all tests, because making one takes a while.
static ACCOUNT: LazyLock<MessageMediaAccount> = LazyLock::new(|| {
    MessageMediaAccount {
        account_id: "AcmeSurveys".into(),
        ..MessageMediaAccount::new(USER, SECRET)
    }
    .with_new_key()
    .unwrap()
});

fn account() -> MessageMediaAccount {
    ACCOUNT.clone()
}

/// A twin and the customer's webhook.
struct World {
    hook: Arc<Hook>,
    twin: RunningTwin,
}

impl World {
    async fn start(edit: impl FnOnce(&mut MessageMediaAccount, &Hook)) -> Self {
        Self::behaving(edit, quick()).await
    }

    async fn behaving(
        edit: impl FnOnce(&mut MessageMediaAccount, &Hook),
        behaviour: TwinBehaviour,
    ) -> Self {
        let hook = Hook::start().await;
        let mut account = account();
        edit(&mut account, &hook);
        let settings = TwinSettings {
            accounts: vec![account],
            behaviour,
            ..TwinSettings::default()
        };
        let twin = MessageMediaTwin::start(settings).await.unwrap();
        Self { hook, twin }
    }

    /// A message as the fleet sends it.
    fn message(&self, to: &str, reference: &str) -> Value {
        json!({
            "content": "How was your visit? https://ex.am/q1",
            "destination_number": to,
            "source_number": SENDER,
            "source_number_type": "INTERNATIONAL",
            "delivery_report": true,
            "format": "SMS",
            "metadata": { "ref": reference },
            "callback_url": self.callback_url(),
        })
    }

    fn callback_url(&self) -> String {
        format!("{}/status/messagemedia/org_1", self.hook.url)
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.request(reqwest::Method::POST, path, Some(body)).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.request(reqwest::Method::GET, path, None).await
    }

    async fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let url = format!("{}{path}", self.twin.base_url());
        let mut request = client()
            .request(method, url)
            .basic_auth(USER, Some(SECRET))
            .header("content-type", "application/json");
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        read(request.send().await.unwrap()).await
    }

    async fn send(&self, messages: &[Value]) -> (u16, Value) {
        self.post("/v1/messages", &json!({ "messages": messages }))
            .await
    }

    /// Sends one message and gives its id.
    async fn send_one(&self, to: &str, reference: &str) -> String {
        let (status, body) = self.send(&[self.message(to, reference)]).await;
        assert_eq!(status, 202, "{body}");
        body["messages"][0]["message_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The bodies of all callbacks, in the order of arrival.
    fn told(&self) -> Vec<Value> {
        self.hook.calls().iter().map(body).collect()
    }

    /// Status and code of all reports.
    fn reports(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.told()
            .iter()
            .filter(|body| body.get("delivery_report_id").is_some())
            .map(|body| (text(&body["status"]), text(&body["error_code"])))
            .collect()
    }

    /// Refusals in the audit, whose parts have to add up.
    fn refused(&self, code: &str) -> u64 {
        let totals = self.twin.audit().totals;
        let parts = totals.accepted
            + totals.refused.values().sum::<u64>()
            + totals.throttled
            + totals.ambiguous_not_taken;
        assert_eq!(totals.requests, parts, "{totals:?}");
        totals.refused.get(code).copied().unwrap_or_default()
    }
}

fn body(call: &Call) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

/// Whether a callback's SHA-256 signature is by the key of this public key, in PEM form or bare.
fn is_signed_by(public_key: &str, call: &Call) -> bool {
    let base64: String = public_key
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let key = STANDARD.decode(base64).unwrap();
    let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).unwrap();
    let header = |name: &str| {
        let value = call.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    };
    let text = format!(
        "POST {} HTTP/1.1{}{}",
        call.target,
        header("date"),
        call.body
    );
    let signature = STANDARD.decode(header("x-messagemedia-signature")).unwrap();
    key.verify_sig(text.as_bytes(), &signature).is_ok()
}

fn is_signed(call: &Call) -> bool {
    is_signed_by(&ACCOUNT.public_key().unwrap().unwrap(), call)
}
