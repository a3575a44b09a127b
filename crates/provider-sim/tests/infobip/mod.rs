//! What the tests share: an account, requests in the forms of the API, reports read back from the webhook.

mod inbound;
mod logs;
mod refusals;
mod reports;
mod send;

use provider_sim::{InfobipAccount, InfobipTwin, RunningTwin, TwinBehaviour, TwinSettings};
use serde_json::{Value, json};

use crate::support::{Call, Hook, client, read};

pub const KEY: &str = "b7e1-own-example-key";
pub const SENDER: &str = "868686";
pub const PERSON: &str = "353861112233";
pub const HOOK_USER: &str = "smsfleet-hook";
pub const HOOK_PASSWORD: &str = "p:a:ss:word";

pub fn account(hook: &Hook) -> InfobipAccount {
    InfobipAccount {
        status_webhook: Some(format!("{}/status/infobip-sms/ORG_1", hook.url)),
        inbound_webhook: Some(format!("{}/message/infobip-sms/ORG_1", hook.url)),
        webhook_username: HOOK_USER.into(),
        webhook_password: HOOK_PASSWORD.into(),
        ..InfobipAccount::new("example", KEY)
    }
}

pub async fn twin(account: InfobipAccount, behaviour: TwinBehaviour) -> RunningTwin {
    let settings = TwinSettings {
        accounts: vec![account],
        behaviour,
        ..TwinSettings::default()
    };
    InfobipTwin::start(settings).await.unwrap()
}

/// A message of version 3.
pub fn message(to: &str, id: &str, text: &str) -> Value {
    json!({"sender": SENDER, "destinations": [{"to": to, "messageId": id}], "content": {"text": text}})
}

pub fn request(twin: &RunningTwin, path: &str, body: &Value) -> reqwest::RequestBuilder {
    client()
        .post(format!("{}{path}", twin.base_url()))
        .header("authorization", format!("App {KEY}"))
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// Sends these messages in one request; status and body of the answer.
pub async fn send(twin: &RunningTwin, messages: &[Value]) -> (u16, Value) {
    let body = json!({ "messages": messages });
    let sent = request(twin, "/sms/3/messages", &body).send().await;
    read(sent.unwrap()).await
}

/// Status ids of an answer's entries.
pub fn ids(body: &Value) -> Vec<u64> {
    let entries = body["messages"].as_array().unwrap();
    let id = |entry: &Value| entry["status"]["id"].as_u64().unwrap();
    entries.iter().map(id).collect()
}

/// The webhook's calls to this path.
pub fn calls_to(hook: &Hook, path: &str) -> Vec<Call> {
    let calls = hook.calls().into_iter();
    calls.filter(|call| call.target.starts_with(path)).collect()
}

/// `results` of all calls to this path, in the order of arrival.
pub fn results(hook: &Hook, path: &str) -> Vec<Value> {
    let bodies = calls_to(hook, path);
    let results = |call: &Call| {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        body["results"].as_array().unwrap().clone()
    };
    bodies.iter().flat_map(results).collect()
}

pub fn basic(password: &str) -> String {
    use base64::Engine;
    let pair = format!("{HOOK_USER}:{password}");
    let pair = base64::engine::general_purpose::STANDARD.encode(pair);
    format!("Basic {pair}")
}
