//! How a provider is asked what became of messages, and what its answer says.

use anyhow::Context as _;
use message::Msisdn;
use providers::{Found, Sought};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Answer, Options, callback::receipt, connection, members, some, wire};

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    provider: String,
    connection: Map<String, Value>,
    messages: Vec<Asked>,
    /// Without it the question is what would be asked.
    #[serde(default)]
    response: Option<wire::GivenResponse>,
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    reference: String,
    #[serde(default)]
    provider_message_id: String,
    to: String,
}

pub(crate) fn inspect(question: Question, options: Options) -> anyhow::Result<Answer> {
    let provider = connection::provider(&question.provider)?;
    let look_up = provider
        .status_look_up()
        .with_context(|| format!("{} has no status look-up", provider.slug()))?;
    let named = connection::read(provider, question.connection, None)?;
    let sought = question
        .messages
        .iter()
        .map(|one| {
            Ok(Sought {
                reference: &one.reference,
                provider_message_id: &one.provider_message_id,
                to: Msisdn::parse(one.to.trim()).context("messages[].to")?,
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let Some(response) = question.response else {
        let requests = sought
            .chunks(look_up.messages_per_request().max(1))
            .map(|some| {
                Ok(Value::Object(wire::shown(
                    &look_up.build_request(&named.connection, some)?,
                    options,
                )))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        return Ok(members(json!({ "requests": requests })));
    };
    Ok(members(
        match look_up.read_response(&sought, &response.read()?) {
            Ok(found) => {
                let found: Vec<Value> = found
                    .iter()
                    .map(|one| match one {
                        Found::Receipt(one) => receipt(one),
                        Found::Unknown => Value::Null,
                    })
                    .collect();
                json!({ "found": found })
            }
            Err(refused) => json!({ "class": refused.class.as_str(), "code": some(&refused.code) }),
        },
    ))
}
