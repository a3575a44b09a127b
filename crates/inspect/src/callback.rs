//! Whether a callback is genuine, and what it says.

use message::{event::Keyword, opt_out::OptOutKind};
use providers::{CallbackKind, Inbound, OptOutScope, Reading, Receipt};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Answer, connection, members, some, wire::GivenRequest};

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    /// The slug in the path.
    provider: String,
    /// The connection's own provider, where another one's path is used for its callbacks.
    #[serde(default)]
    connection_provider: Option<String>,
    kind: Kind,
    connection: Map<String, Value>,
    request: GivenRequest,
    /// Seconds since 1970; the clock if the question does not say.
    #[serde(default)]
    now: Option<f64>,
    #[serde(default)]
    seen_nonces: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Status,
    Message,
}

pub(crate) fn inspect(question: Question) -> anyhow::Result<Answer> {
    let path = connection::provider(&question.provider)?;
    let provider = match &question.connection_provider {
        Some(slug) => connection::provider(slug)?,
        None => path,
    };
    let named = connection::read(provider, question.connection, None)?;
    let (request, origin) = question.request.read()?;
    let now = crate::at(question.now);
    let kind = match question.kind {
        Kind::Status => CallbackKind::Status,
        Kind::Message => CallbackKind::Message,
    };
    let public_urls = if named.public_urls.is_empty() {
        vec![origin]
    } else {
        named.public_urls
    };
    let mut said = Said::default();
    let slugs = provider.capabilities().callback_slugs;
    if !slugs.contains(&path.slug()) {
        let why = format!(
            "callbacks of {} do not come under {}",
            provider.slug(),
            path.slug()
        );
        return Ok(said.rejected(&why));
    }
    let capabilities = provider.capabilities();
    let verified = capabilities
        .check_callback(
            request.method(),
            request.headers(),
            !request.body().is_empty(),
        )
        .and_then(|()| provider.verify_callback(&named.connection, &request, &public_urls, now));
    let verified = match verified {
        Ok(verified) => verified,
        Err(why) => return Ok(said.rejected(&why.to_string())),
    };
    let replayed = verified
        .nonce()
        .is_some_and(|nonce| question.seen_nonces.iter().any(|seen| seen == nonce));
    if !replayed {
        match provider.read_callback(verified, kind) {
            Ok(readings) => readings.iter().for_each(|reading| said.hear(reading)),
            Err(why) => said.malformed = Some(why.why),
        }
    }
    let mut answer = said.accepted();
    if replayed {
        answer.insert("replayed".to_owned(), true.into());
    }
    if !named.unknown_fields.is_empty() {
        answer.insert("unknown_fields".to_owned(), named.unknown_fields.into());
    }
    Ok(answer)
}

/// What was read.
#[derive(Default)]
struct Said {
    malformed: Option<&'static str>,
    receipts: Vec<Value>,
    messages: Vec<Value>,
    opt_outs: Vec<Value>,
    unrecognised: Vec<String>,
}

impl Said {
    fn hear(&mut self, reading: &Reading) {
        match reading {
            Reading::Receipt(one) => self.receipts.push(receipt(one)),
            Reading::Inbound(inbound) => {
                self.messages.push(message(inbound));
                let kind = match inbound.provider_verdict {
                    Some(Keyword::OptOut) => Some(OptOutKind::OptOut),
                    Some(Keyword::OptIn) => Some(OptOutKind::OptIn),
                    Some(Keyword::Help | Keyword::None) | None => None,
                };
                if let Some(kind) = kind {
                    let scope = OptOutScope::Organization;
                    self.opt_out(&inbound.from, kind, scope, "provider_verdict");
                }
            }
            Reading::OptOut(signal) => {
                self.opt_out(
                    &signal.number.e164(),
                    signal.kind,
                    signal.scope,
                    &signal.code,
                );
            }
            Reading::Unrecognised { status } => self.unrecognised.push(status.clone()),
            Reading::Ignored => {}
        }
    }

    /// An event that is both a message and a signal is one opt-out.
    fn opt_out(&mut self, number: &str, kind: OptOutKind, scope: OptOutScope, source: &str) {
        let kind = match kind {
            OptOutKind::OptOut => "opt_out",
            OptOutKind::OptIn => "opt_in",
        };
        let known = |one: &Value| one["number"] == number && one["kind"] == kind;
        if !self.opt_outs.iter().any(known) {
            self.opt_outs.push(json!({
                "number": number, "kind": kind, "scope": scope.as_str(), "source": source,
            }));
        }
    }

    fn accepted(self) -> Answer {
        let mut answer = members(json!({
            "auth": "ok",
            "malformed": self.malformed.is_some(),
            "receipts": self.receipts,
            "messages": self.messages,
            "opt_outs": self.opt_outs,
        }));
        if let Some(why) = self.malformed {
            answer.insert("why".to_owned(), why.into());
        }
        if !self.unrecognised.is_empty() {
            answer.insert("unrecognised".to_owned(), self.unrecognised.into());
        }
        answer
    }

    fn rejected(self, why: &str) -> Answer {
        members(json!({
            "auth": "rejected", "why": why,
            "malformed": false, "receipts": [], "messages": [], "opt_outs": [],
        }))
    }
}

/// Also for look-ups, which tell the same.
pub(crate) fn receipt(receipt: &Receipt) -> Value {
    json!({
        "reference": receipt.reference,
        "provider_message_id": receipt.provider_message_id,
        "status": receipt.status.as_str(),
        "error_code": some(&receipt.error_code),
        "part": receipt.part,
        "parts": receipt.part.and(receipt.parts),
        "account_fault": receipt.account_fault,
    })
}

fn message(inbound: &Inbound) -> Value {
    json!({
        "provider_message_id": inbound.provider_message_id,
        "from": inbound.from,
        "to": inbound.to,
        "text": inbound.text,
        "part": inbound.part.as_ref().map(|part| part.number),
        "parts": inbound.part.as_ref().map(|part| part.total),
        "part_reference": inbound.part.as_ref().map(|part| &part.reference),
        "media": inbound.media,
        "answers": inbound.answers,
    })
}
