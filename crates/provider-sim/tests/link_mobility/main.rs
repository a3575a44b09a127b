//! The LINK Mobility twin over real HTTP: sends, refusals and limits, delivery reports, replies, the gate look-up.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

#[path = "../support/mod.rs"]
mod support;

mod api;
mod callbacks;
mod refusals;
mod replies;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use provider_sim::{
    LinkMobilityAccount, LinkMobilityTwin, RunningTwin, TwinBehaviour, TwinSettings,
};
use serde_json::{Value, json};
use support::{Call, Hook, client, read};

const USER: &str = "acme_sms";
const PASSWORD: &str = "Pa55w0rd!";
/// The page's header for them.
const BASIC: &str = "Basic YWNtZV9zbXM6UGE1NXcwcmQh";
const PERSON: &str = "+4741560099";
const SENDER: &str = "+35312345678";

fn account(hook: &Hook) -> LinkMobilityAccount {
    LinkMobilityAccount {
        status_url: Some(format!("{}/status/link-mobility/ORG_1", hook.url)),
        message_url: Some(format!("{}/message/link-mobility/ORG_1", hook.url)),
        ..LinkMobilityAccount::new(USER, PASSWORD)
    }
}

async fn twin(account: LinkMobilityAccount, behaviour: TwinBehaviour) -> RunningTwin {
    let settings = TwinSettings {
        accounts: vec![account],
        behaviour,
        ..TwinSettings::default()
    };
    LinkMobilityTwin::start(settings).await.unwrap()
}

fn entry(to: &str, reference: &str, text: &str) -> Value {
    json!({"source": SENDER, "sourceTON": "MSISDN", "destination": to, "destinationTON": "MSISDN",
           "userData": text, "dcs": "TEXT", "refId": reference})
}

/// A single send, with the fields of `more` put over it; a `null` leaves a field out.
fn message(to: &str, reference: &str, more: Value) -> Value {
    let mut body = entry(to, reference, "Hei Ada, to spørsmål");
    merge(
        &mut body,
        &json!({"platformId": "COMMON_API", "platformPartnerId": "30978", "useDeliveryReport": true,
                "deliveryReportGates": ["BVldZyQt"], "relativeValidityTime": 172_800_000, "ignoreResponse": false}),
    );
    merge(&mut body, &more);
    body
}

fn batch(entries: Vec<Value>, more: Value) -> Value {
    let mut body = json!({"platformId": "COMMON_API", "platformPartnerId": "30978", "useDeliveryReport": true,
                          "deliveryReportGates": ["BVldZyQt"], "relativeValidityTime": 172_800_000,
                          "ignoreResponse": false, "sendRequestMessages": entries});
    merge(&mut body, &more);
    body
}

fn merge(body: &mut Value, more: &Value) {
    let body = body.as_object_mut().unwrap();
    for (name, value) in more.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(body.remove(name)),
            value => drop(body.insert(name.clone(), value.clone())),
        }
    }
}

async fn post(twin: &RunningTwin, path: &str, body: &Value) -> reqwest::Response {
    client()
        .post(format!("{}{path}", twin.base_url()))
        .header(AUTHORIZATION, BASIC)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(body.to_string())
        .send()
        .await
        .unwrap()
}

async fn send(twin: &RunningTwin, body: &Value) -> (u16, Value) {
    read(post(twin, "/sms/send", body).await).await
}

async fn send_batch(twin: &RunningTwin, body: &Value) -> (u16, Value) {
    read(post(twin, "/sms/sendbatch", body).await).await
}

fn json_of(call: &Call) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

/// `(id, resultCode)` of all reports so far, in the order of arrival.
fn reports(hook: &Hook) -> Vec<(String, u64)> {
    let bodies = hook.calls().into_iter().map(|call| json_of(&call));
    bodies
        .filter_map(|body| {
            let id = body["id"].as_str()?.to_owned();
            Some((id, body["resultCode"].as_u64()?))
        })
        .collect()
}
