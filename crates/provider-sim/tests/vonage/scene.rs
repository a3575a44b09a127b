//! A Vonage twin, a client, and what a customer knows about Vonage's webhooks.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Digest;
use provider_sim::{
    RunningTwin, TwinBehaviour, TwinSettings, VonageAccount, VonageApi, VonageSignature, VonageTwin,
};
use serde_json::Value;
use sha2::Sha256;

use crate::support::{Call, Hook, client, form, read};

pub const KEY: &str = "a1b2c3d4";
pub const SECRET: &str = "q7Xw0ZtVbn31LpKe";
pub const SIGNING: &str = "Kx7-vonage-signing-secret-42";
pub const SENDER: &str = "35312345678";
pub const PERSON: &str = "353861234567";

/// An account whose webhooks are signed and go to the hook.
pub fn account(hook: &Hook) -> VonageAccount {
    VonageAccount {
        signature_secret: Some(SIGNING.into()),
        status_webhook: Some(format!("{}/status", hook.url)),
        inbound_webhook: Some(format!("{}/message", hook.url)),
        ..VonageAccount::new(KEY, SECRET)
    }
}

/// The same with the webhooks of the Messages API.
pub fn messages_account(hook: &Hook) -> VonageAccount {
    VonageAccount {
        api: VonageApi::Messages,
        ..account(hook)
    }
}

pub async fn twin(account: VonageAccount, behaviour: TwinBehaviour) -> RunningTwin {
    let settings = TwinSettings {
        accounts: vec![account],
        behaviour,
        ..TwinSettings::default()
    };
    VonageTwin::start(settings).await.unwrap()
}

/// Posts a form as the fleet would.
pub async fn post(twin: &RunningTwin, pairs: &[(&str, &str)]) -> (u16, Value) {
    read(try_post(twin, pairs).await.unwrap()).await
}

pub async fn try_post(
    twin: &RunningTwin,
    pairs: &[(&str, &str)],
) -> reqwest::Result<reqwest::Response> {
    client()
        .post(format!("{}/sms/json", twin.base_url()))
        .basic_auth(KEY, Some(SECRET))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(pairs))
        .send()
        .await
}

/// The status of each part of an answer.
pub fn statuses(answer: &Value) -> Vec<&str> {
    let entries = answer["messages"].as_array().unwrap().iter();
    entries.map(|e| e["status"].as_str().unwrap()).collect()
}

/// A message that asks for receipts, with what a test changes about it.
pub fn message<'a>(change: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("from", SENDER),
        ("to", PERSON),
        ("text", "Votre avis compte"),
        ("status-report-req", "1"),
        ("client-ref", "r-1"),
    ];
    let kept = usual
        .into_iter()
        .filter(|(name, _)| change.iter().all(|(changed, _)| changed != name));
    kept.chain(change.iter().copied()).collect()
}

pub async fn post_json(twin: &RunningTwin, path: &str, body: &Value) -> (u16, Value) {
    let request = client()
        .post(format!("{}{path}", twin.base_url()))
        .basic_auth(KEY, Some(SECRET))
        .header("content-type", "application/json")
        .body(body.to_string());
    read(request.send().await.unwrap()).await
}

pub async fn get(twin: &RunningTwin, path: &str) -> (u16, Value) {
    let request = client()
        .get(format!("{}{path}", twin.base_url()))
        .basic_auth(KEY, Some(SECRET));
    read(request.send().await.unwrap()).await
}

/// The parameters of a webhook in whichever of the three formats it came.
pub fn parameters(call: &Call) -> BTreeMap<String, String> {
    let kind = call
        .headers
        .get("content-type")
        .map(|v| v.to_str().unwrap());
    match kind {
        Some("application/json") => serde_json::from_str(&call.body).unwrap(),
        Some("application/x-www-form-urlencoded; charset=UTF-8") => read_form(&call.body),
        None => read_form(call.target.split_once('?').unwrap().1),
        Some(other) => panic!("no format of Vonage's: {other}"),
    }
}

fn read_form(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

/// One parameter of each webhook, in the order of arrival.
pub fn all(hook: &Hook, name: &str) -> Vec<String> {
    let calls = hook.calls();
    let found = calls
        .iter()
        .filter_map(|call| parameters(call).remove(name));
    found.collect()
}

/// What `sig` has to be, in lower case, computed as the page tells its readers.
pub fn expected_sig(method: VonageSignature, parameters: &BTreeMap<String, String>) -> String {
    let text: String = parameters
        .iter()
        .filter(|(name, _)| *name != "sig")
        .map(|(name, value)| format!("&{name}={}", value.replace(['&', '='], "_")))
        .collect();
    let bytes = match method {
        VonageSignature::Md5hash => md5::Md5::digest(text + SIGNING).to_vec(),
        VonageSignature::Md5 => mac::<Hmac<md5::Md5>>(&text),
        VonageSignature::Sha1 => mac::<Hmac<sha1::Sha1>>(&text),
        VonageSignature::Sha256 => mac::<Hmac<Sha256>>(&text),
        VonageSignature::Sha512 => mac::<Hmac<sha2::Sha512>>(&text),
    };
    hex(&bytes)
}

pub fn is_signed(method: VonageSignature, call: &Call) -> bool {
    let parameters = parameters(call);
    parameters["sig"].to_lowercase() == expected_sig(method, &parameters)
}

/// The claims of a webhook's token, if its signature and the hash of the body are right.
pub fn claims(call: &Call) -> Option<Value> {
    let header = call.headers.get("authorization")?.to_str().unwrap();
    let token = header.strip_prefix("Bearer ").unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let head: Value = serde_json::from_slice(&decode(head)).unwrap();
    assert_eq!(head["alg"], "HS256");
    let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
    let right = decode(signature) == mac::<Hmac<Sha256>>(signed)
        && claims["payload_hash"] == hex(&Sha256::digest(&call.body));
    right.then_some(claims)
}

fn mac<M: Mac + KeyInit>(text: &str) -> Vec<u8> {
    let mac = <M as KeyInit>::new_from_slice(SIGNING.as_bytes()).unwrap();
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
