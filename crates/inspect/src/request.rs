//! The requests that some messages make.

use std::time::Duration;

use providers::{MtMessage, Submission, SubmitMode};
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
        match provider.check_message(connection, &message) {
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
    for (chunk, mode) in shared.chain(single) {
        let request = provider.build_request(
            connection,
            &Submission {
                messages: chunk,
                mode,
                public_url: public_url.trim_end_matches('/'),
                access_token,
                now,
            },
        )?;
        let mut shown = wire::shown(&request, options);
        let covers: Vec<&str> = chunk
            .iter()
            .map(|message: &MtMessage<'_>| message.reference)
            .collect();
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
