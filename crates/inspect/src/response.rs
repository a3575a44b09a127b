//! What a provider's answer to a submission means for each of its messages.

use std::time::Duration;

use providers::{Hint, SubmitClass, date_if_missing};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    Answer, connection, members,
    messages::{self, Given, Mode},
    some,
    wire::GivenResponse,
};

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    provider: String,
    #[serde(default)]
    connection: Map<String, Value>,
    messages: Vec<Given>,
    response: GivenResponse,
    #[serde(default)]
    mode: Option<Mode>,
    /// When the answer came, in seconds since 1970; the clock if the question does not say.
    #[serde(default)]
    now: Option<f64>,
}

pub(crate) fn inspect(question: Question) -> anyhow::Result<Answer> {
    let provider = connection::provider(&question.provider)?;
    connection::read(provider, question.connection, None)?;
    let texts = messages::texts(&question.messages);
    let validity = Duration::from_secs(messages::VALIDITY_SECONDS);
    let asked = messages::borrowed(&question.messages, &texts, validity)?;
    let mode = Mode::of(question.mode, asked.len());
    let mut response = question.response.read()?;
    // A `Retry-After` that is a date counts from the answer's own, or else from when it came.
    date_if_missing(&mut response, crate::at(question.now));
    let answer = provider.read_response(&asked, mode, &response);
    let outcomes: Vec<Value> = asked
        .iter()
        .zip(&answer.outcomes)
        .map(|(message, outcome)| {
            let retry_after = match outcome.class {
                SubmitClass::Throttled { retry_after } => retry_after,
                _ => None,
            };
            json!({
                "reference": message.reference,
                "class": outcome.class.as_str(),
                "provider_message_id": some(&outcome.provider_message_id),
                "reason": outcome.class.reason().map(|reason| reason.as_str()),
                "retry_after_seconds": retry_after.map(seconds),
                "code": some(&outcome.code),
                "part_ids": outcome.part_ids,
            })
        })
        .collect();
    let hint = answer.hint.and_then(|hint| match hint {
        Hint::Split => Some("split"),
        Hint::RefreshToken => Some("refresh_token"),
        // The classes say it: the culprits are rejected, the others go again.
        Hint::Resubmit => None,
    });
    Ok(members(json!({ "outcomes": outcomes, "hint": hint })))
}

/// Whole seconds as such.
fn seconds(wait: Duration) -> Value {
    if wait.subsec_nanos() == 0 {
        wait.as_secs().into()
    } else {
        wait.as_secs_f64().into()
    }
}
