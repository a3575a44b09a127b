//! `POST /sms/json`: one recipient and one text, answered with an entry for each part.
//!
//! Source: `shared/providers/vonage.md`, sections 2 to 5.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde_json::Value;

use super::accounts::VonageApi;
use super::check::{Refusal, Wanted};
use super::parameters::Parameters;
use super::parts::{self, Encoding};
use super::{Details, OPTED_OUT, Vonage, credentials, ids, statuses};
use crate::engine::phone::digits;
use crate::engine::{Asked, Call, Engine, NewMessage, OverLimit, Phase};

const TEXT_CHARACTERS_MAX: usize = 3_200;
const CALLBACK_CHARACTERS_MAX: usize = 100;
const TTL_MILLISECONDS: std::ops::RangeInclusive<u64> = 20_000..=604_800_000;

pub(super) async fn send(
    State(twin): State<Arc<Engine<Vonage>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let parameters = Parameters::read(&headers, &body);
    let account = match credentials::of_sms(&twin.accounts, &headers, &parameters) {
        Ok(account) => account,
        Err(denied) => {
            twin.refuse_stranger(&denied.code());
            return denied.answer();
        }
    };
    let text = parameters.get("text").unwrap_or_default();
    let encoding = encoding(&parameters).unwrap_or(Encoding::Gsm);
    let asked = Asked {
        recipient: parameters.get("to").and_then(digits),
        reference: parameters.get("client-ref").unwrap_or_default().into(),
        segments: u32::try_from(parts::cut(text, encoding).len()).unwrap_or(u32::MAX),
    };
    let decide = |call: &mut Call<'_, Vonage>| match take(call, &parameters) {
        Ok(entries) => statuses::answer(entries),
        Err(refusal) => {
            call.refuse_all(&refusal.status.to_string());
            statuses::answer(vec![statuses::refused(refusal)])
        }
    };
    let answer = twin.serve(account, vec![asked], decide).await;
    // A limit is told in a status; a 429 comes from in front of the API, for no reason that it knows.
    match answer.extensions().get::<OverLimit>() {
        Some(&over) => statuses::over_limit(over),
        None => answer,
    }
}

/// Takes the message; the entries of its parts.
fn take(call: &mut Call<'_, Vonage>, parameters: &Parameters) -> Result<Vec<Value>, Refusal> {
    let account = &call.account.settings;
    let get = |name| parameters.get(name).unwrap_or_default();
    let invalid = |about| Refusal { status: 3, about };
    let (sender, reference) = (get("from"), get("client-ref"));
    let wanted = Wanted {
        to: get("to"),
        from: sender,
        text: get("text"),
        text_characters_max: TEXT_CHARACTERS_MAX,
        reference,
        encoding: Some(encoding(parameters).ok_or(invalid("type"))?),
        validity: parameters.get("ttl").map(validity),
        callback: get("callback"),
        callback_characters_max: CALLBACK_CHARACTERS_MAX,
    };
    let reports = reports(parameters).ok_or(invalid("status-report-req"))?;
    let submission = wanted.check(call.account)?;
    let mut parts = submission.parts;
    let all = parts.len();
    if account.cut_off_recipients.iter().any(|to| to == wanted.to) {
        parts.truncate(1);
    }
    let callback = parameters.get("callback").map(str::to_owned);
    let blocked = account.opt_out_assist && call.is_blocked(submission.to, sender);
    let new = NewMessage {
        to: submission.to,
        sender: sender.to_owned(),
        text: parts.concat(),
        segments: u32::try_from(parts.len()).unwrap_or(u32::MAX),
        details: Details {
            api: VonageApi::Sms,
            callback: callback
                .or_else(|| account.status_webhook.clone())
                .filter(|_| reports),
        },
        validity: wanted.validity.flatten(),
        first: Phase::Queued,
        end: blocked.then_some((Phase::Rejected, OPTED_OUT)),
        dry: false,
    };
    let view = call.take(0, new).ok_or(invalid("to"))?;
    let form = ids::form(account, VonageApi::Sms);
    let entries = (0..all).map(|part| match u8::try_from(part) {
        Ok(number) if part < parts.len() => {
            let id = form.write(view.number.part(number));
            statuses::taken(submission.to, id, reference)
        }
        _ => statuses::refused(Refusal::new(1)),
    });
    Ok(entries.collect())
}

/// `type`; `None` for one that the twin does not know, which has no binary messages.
fn encoding(parameters: &Parameters) -> Option<Encoding> {
    match parameters.get("type") {
        None | Some("text") => Some(Encoding::Gsm),
        Some("unicode") => Some(Encoding::Unicode),
        Some(_) => None,
    }
}

fn validity(ttl: &str) -> Option<Duration> {
    let milliseconds = ttl.parse().ok()?;
    TTL_MILLISECONDS
        .contains(&milliseconds)
        .then(|| Duration::from_millis(milliseconds))
}

/// Whether receipts are asked for. The page names no default, so who does not ask gets none. Python's SDK writes `True`.
fn reports(parameters: &Parameters) -> Option<bool> {
    let asked = parameters.get("status-report-req").unwrap_or("0");
    match asked.to_ascii_lowercase().as_str() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}
