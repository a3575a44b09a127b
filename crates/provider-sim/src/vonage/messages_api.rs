//! `POST /v1/messages`: one recipient and one text, answered with one id for all parts.
//!
//! Source: `shared/providers/vonage.md`, section 13.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::accounts::VonageApi;
use super::check::{Refusal, Wanted};
use super::parts::{self, Encoding};
use super::problems::{problem, unauthorized, with_json};
use super::{Details, OPTED_OUT, Vonage, credentials, ids};
use crate::engine::phone::digits;
use crate::engine::{Asked, Call, Engine, NewMessage, Phase};

/// The page has a larger figure, too; the twin keeps to the smaller one.
const TEXT_CHARACTERS_MAX: usize = 1_000;
/// No length is known; this one bounds what the twin stores.
const CALLBACK_CHARACTERS_MAX: usize = 2_000;
const TTL_SECONDS: std::ops::RangeInclusive<u64> = 20..=604_800;

pub(super) async fn send(
    State(twin): State<Arc<Engine<Vonage>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(account) = credentials::by_header(&twin.accounts, &headers) else {
        twin.refuse_stranger("401");
        return unauthorized();
    };
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = string(&request, "text");
    let encoding = encoding(&request).flatten().unwrap_or(Encoding::of(text));
    let asked = Asked {
        recipient: digits(string(&request, "to")),
        reference: string(&request, "client_ref").into(),
        segments: u32::try_from(parts::cut(text, encoding).len()).unwrap_or(u32::MAX),
    };
    let decide = |call: &mut Call<'_, Vonage>| match take(call, &request) {
        Ok(id) => with_json(
            StatusCode::ACCEPTED,
            json!({ "message_uuid": id }).to_string(),
        ),
        Err(refusal) => {
            let (status, kind, title) = wording(refusal);
            let code = match kind.split_once('#') {
                Some((_, code)) if status == StatusCode::UNPROCESSABLE_ENTITY => code,
                _ => status.as_str(),
            };
            call.refuse_all(code);
            problem(status, kind, title, "The request was refused.")
        }
    };
    twin.serve(account, vec![asked], decide).await
}

/// Takes the message; its name.
fn take(call: &mut Call<'_, Vonage>, request: &Value) -> Result<String, Refusal> {
    let account = &call.account.settings;
    let invalid = |about| Refusal { status: 3, about };
    for (name, wanted) in [("channel", "sms"), ("message_type", "text")] {
        if string(request, name) != wanted {
            return Err(invalid(name));
        }
    }
    if !matches!(string(request, "webhook_version"), "" | "v1") {
        return Err(invalid("webhook_version"));
    }
    let sender = string(request, "from");
    let wanted = Wanted {
        to: string(request, "to"),
        from: sender,
        text: string(request, "text"),
        text_characters_max: TEXT_CHARACTERS_MAX,
        reference: string(request, "client_ref"),
        encoding: encoding(request).ok_or(invalid("encoding_type"))?,
        validity: request.get("ttl").map(|ttl| {
            let seconds = ttl.as_u64().filter(|ttl| TTL_SECONDS.contains(ttl));
            seconds.map(Duration::from_secs)
        }),
        callback: string(request, "webhook_url"),
        callback_characters_max: CALLBACK_CHARACTERS_MAX,
    };
    let submission = wanted.check(call.account)?;
    let callback = (!wanted.callback.is_empty()).then(|| wanted.callback.to_owned());
    let blocked = account.opt_out_assist && call.is_blocked(submission.to, sender);
    let new = NewMessage {
        to: submission.to,
        sender: sender.to_owned(),
        text: submission.parts.concat(),
        segments: u32::try_from(submission.parts.len()).unwrap_or(u32::MAX),
        details: Details {
            api: VonageApi::Messages,
            callback: callback.or_else(|| account.status_webhook.clone()),
        },
        validity: wanted.validity.flatten(),
        first: Phase::Queued,
        end: blocked.then_some((Phase::Rejected, OPTED_OUT)),
        dry: false,
    };
    let view = call.take(0, new).ok_or(invalid("to"))?;
    Ok(ids::form(account, VonageApi::Messages).write(view.number))
}

fn string<'v>(request: &'v Value, name: &str) -> &'v str {
    let value = request.get(name).and_then(Value::as_str);
    value.unwrap_or_default()
}

/// `sms.encoding_type`; `None` for an unknown one, and inside for one that the text decides.
fn encoding(request: &Value) -> Option<Option<Encoding>> {
    let options = request.get("sms").unwrap_or(&Value::Null);
    match string(options, "encoding_type") {
        "" | "auto" => Some(None),
        "text" => Some(Some(Encoding::Gsm)),
        "unicode" => Some(Some(Encoding::Unicode)),
        _ => None,
    }
}

/// HTTP status, type and title of what the SMS API would say by a status.
fn wording(refusal: Refusal) -> (StatusCode, &'static str, &'static str) {
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    let (kind, title) = match (refusal.status, refusal.about) {
        (5, _) => {
            let kind = "api-errors#internal-error";
            return (StatusCode::INTERNAL_SERVER_ERROR, kind, "Internal Error");
        }
        (8, _) => {
            let kind = "api-errors#account-suspended";
            return (StatusCode::FORBIDDEN, kind, "Account Suspended");
        }
        (9, _) => {
            let kind = "api-errors#low-balance";
            return (StatusCode::PAYMENT_REQUIRED, kind, "Low Balance");
        }
        (11, _) => {
            let kind = "api-errors#unprovisioned";
            return (StatusCode::FORBIDDEN, kind, "Unprovisioned");
        }
        (15, _) | (2 | 3, "from") => ("api-errors/messages#1120", "Illegal sender"),
        (33, _) | (2 | 3, "to") => ("api-errors/messages#1170", "Invalid or missing recipient"),
        (6, _) => ("api-errors/messages#1040", "Unknown recipient"),
        (7, _) => ("api-errors/messages#1050", "Number barred"),
        (12, _) => ("api-errors/messages#1090", "Message too long"),
        (29, _) => (
            "api-errors/messages#1160",
            "Destination not on the white list",
        ),
        _ => ("api-errors/messages#invalid-params", "Invalid params"),
    };
    (unprocessable, kind, title)
}
