//! The requests that some messages make.

use std::{collections::VecDeque, time::Duration};

use providers::{MtMessage, Provider, Submission, SubmitMode, Unsendable, check_message};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    Answer, Options, connection, members,
    messages::{self, Given, Mode},
    wire,
};

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    provider: String,
    connection: Map<String, Value>,
    messages: Vec<Given>,
    #[serde(default)]
    public_url: Option<String>,
    #[serde(default)]
    organization: Option<String>,
    #[serde(default)]
    validity_seconds: Option<u64>,
    #[serde(default)]
    mode: Option<Mode>,
    /// Stands in the requests of providers that want one.
    #[serde(default)]
    access_token: Option<String>,
    /// Seconds since 1970; the clock if the question does not say.
    #[serde(default)]
    now: Option<f64>,
}

/// Where nobody's callbacks come.
const PUBLIC_URL: &str = "https://sms.example.net";

pub(crate) fn inspect(question: Question, options: Options) -> anyhow::Result<Answer> {
    let provider = connection::provider(&question.provider)?;
    anyhow::ensure!(
        question.connection.contains_key("sender"),
        "connection.sender is missing: expected {}",
        provider.form().sender_hint
    );
    not_empty(provider, &question.connection)?;
    let named = connection::read(
        provider,
        question.connection,
        question.organization.as_deref(),
    )?;
    let connection = &named.connection;
    let public_url = question
        .public_url
        .or_else(|| named.public_urls.into_iter().next())
        .unwrap_or_else(|| PUBLIC_URL.to_owned());
    let validity = Duration::from_secs(
        question
            .validity_seconds
            .unwrap_or(messages::VALIDITY_SECONDS),
    );

    let (good, bad): (Vec<Given>, Vec<Given>) = question
        .messages
        .into_iter()
        .partition(|one| messages::number(one).is_some());
    let mut refused: Vec<Value> = bad
        .iter()
        .map(|one| json!({ "reference": one.reference, "reason": "invalid_recipient" }))
        .collect();
    let texts = messages::texts(&good);
    let mut together = Vec::new();
    let mut alone = Vec::new();
    for message in messages::borrowed(&good, &texts, validity)? {
        match check_message(provider, connection, &message) {
            Err(refusal) => refused.push(json!({
                "reference": message.reference,
                "reason": refusal.reason.as_str(),
                "code": refusal.code,
            })),
            Ok(()) if provider.goes_alone(&message) => alone.push(message),
            Ok(()) => together.push(message),
        }
    }
    let most = match question.mode {
        Some(Mode::Single) => 1,
        Some(Mode::Batch) => provider.capabilities().messages_per_request,
        None => provider.messages_per_request(connection),
    };
    let shared = together
        .chunks(most.max(1))
        .map(|chunk| (chunk, Mode::of(question.mode, chunk.len())));
    let single = alone.chunks(1).map(|one| (one, SubmitMode::Single));
    let now = crate::at(question.now);
    let mut requests = Vec::new();
    let access_token = provider
        .access_tokens()
        .map(|_| question.access_token.as_deref().unwrap_or("ACCESS_TOKEN"));
    let mut waiting: VecDeque<(&[MtMessage<'_>], SubmitMode)> = shared.chain(single).collect();
    while let Some((chunk, mode)) = waiting.pop_front() {
        let submission = Submission {
            messages: chunk,
            mode,
            public_url: public_url.trim_end_matches('/'),
            access_token,
            now,
        };
        let request = match provider.build_request(connection, &submission) {
            // The body would be too long: the worker submits them in halves.
            Err(Unsendable::Count { max, .. }) if max > 0 && chunk.len() > 1 => {
                let (one, other) = chunk.split_at(chunk.len() / 2);
                waiting.push_front((other, mode));
                waiting.push_front((one, mode));
                continue;
            }
            built => built?,
        };
        let mut shown = wire::shown(&request, options);
        let covers: Vec<&str> = chunk.iter().map(|message| message.reference).collect();
        shown.insert("covers".to_owned(), covers.into());
        requests.push(Value::Object(shown));
    }
    let mut answer = members(json!({ "requests": requests, "refused": refused }));
    if let Some(tokens) = provider.access_tokens() {
        let request = tokens.build_request(connection)?;
        answer.insert(
            "token_request".to_owned(),
            wire::shown(&request, options).into(),
        );
    }
    if !named.unknown_fields.is_empty() {
        answer.insert("unknown_fields".to_owned(), named.unknown_fields.into());
    }
    Ok(answer)
}

/// A field that must be filled in and stands there empty was meant to be filled in.
fn not_empty(provider: &dyn Provider, given: &Map<String, Value>) -> anyhow::Result<()> {
    let required = provider.form().fields().filter(|field| field.required);
    let keys = required.map(|field| (field.key, field.hint));
    for (key, hint) in keys.chain([("sender", provider.form().sender_hint)]) {
        let is_empty = given.get(key).and_then(Value::as_str) == Some("");
        anyhow::ensure!(!is_empty, "connection.{key} is empty: expected {hint}");
    }
    Ok(())
}
