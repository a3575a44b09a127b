//! The REST API: its routes, taking a message, reading one, the balance.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::accounts::{Account, authenticate};
use super::errors::{Problem, Refusal};
use super::listing::Query;
use super::resource::{Group, Item, Resource};
use super::submission::{Request, Submission};
use super::{Details, MessageBird};
use crate::engine::{Call, Engine, NewMessage, Phase, Trouble};

const BODY_BYTES_MAX: usize = 256 * 1024;
/// What an account has whose settings name no amount.
const PLENTY: f64 = 1_000.0;

type Twin = Arc<Engine<MessageBird>>;

pub(crate) fn routes(twin: Twin) -> Router {
    let wrong_method = || async { StatusCode::METHOD_NOT_ALLOWED };
    Router::new()
        .route("/messages", post(create).get(list).fallback(wrong_method))
        .route("/messages/{id}", get(read).fallback(wrong_method))
        .route("/balance", get(balance).fallback(wrong_method))
        .fallback(|| async { Refusal::no_such_api().answer() })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(twin)
}

async fn create(State(twin): State<Twin>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(account) = authenticate(&twin.accounts, &headers) else {
        let refusal = Refusal::wrong_key();
        twin.refuse_stranger(&refusal.code());
        return refusal.answer();
    };
    let request = Request::read(&headers, &body);
    let decide = |call: &mut Call<'_, MessageBird>| {
        let checked = request.check(account).and_then(|submission| {
            let broke = account.settings.is_broke();
            (!broke)
                .then_some(submission)
                .ok_or_else(Refusal::not_enough_balance)
        });
        match checked {
            Ok(submission) => {
                let resource = take(call, submission, request.reference());
                answer(StatusCode::CREATED, resource.json())
            }
            Err(refusal) => {
                call.refuse_all(&refusal.code());
                refusal.answer()
            }
        }
    };
    twin.serve(account, request.asked(), decide).await
}

/// Takes the message for each recipient. A number that is no number is left out, one that is named twice gets the text
/// once, and who has failed already has an item that says so.
fn take(call: &mut Call<'_, MessageBird>, submission: Submission, reference: Arc<str>) -> Resource {
    let account = call.account;
    let mut seen = HashSet::new();
    let mut chosen = Vec::with_capacity(submission.recipients.len());
    for (index, recipient) in submission.recipients.iter().enumerate() {
        match *recipient {
            None => call.refuse(index, "9"),
            Some(person) if !seen.insert(person) => call.repeated(index),
            Some(person) => {
                let failure = failure(call, person, &submission.originator);
                chosen.push((index, person, failure));
            }
        }
    }
    let at_once =
        |failure: Option<&'static str>| failure.filter(|_| account.settings.fails_at_once);
    let alone = chosen.len() == 1 && at_once(chosen[0].2).is_none();
    let group = (!alone).then(|| {
        let recipients = chosen
            .iter()
            .map(|&(_, person, failure)| (person, at_once(failure)));
        Group::new(recipients.collect())
    });
    let mut id = group.as_ref().map(Group::id).unwrap_or_default();
    let created = unix_seconds(call);
    let parts = submission.parts();
    let mut items = Vec::with_capacity(chosen.len());
    for (index, person, failure) in chosen {
        if let Some(code) = at_once(failure) {
            call.refuse(index, code);
            items.push(Item::failed(person, code, created, parts));
            continue;
        }
        let new = NewMessage {
            to: person,
            sender: submission.originator.clone(),
            text: submission.body.clone(),
            segments: parts,
            first: Phase::Queued,
            details: Details {
                coding: submission.coding,
                flash: submission.flash,
                validity_seconds: submission.validity_seconds,
                report_url: submission.report_url.clone(),
                group: group.clone(),
            },
            validity: submission.validity(),
            end: failure.map(|code| (Phase::Rejected, code)),
            dry: account.settings.is_test(),
        };
        if let Some(view) = call.take(index, new) {
            id = super::resource::id_of(&view);
            items.push(Item::of(&view));
        }
    }
    Resource {
        id,
        originator: submission.originator.into(),
        body: submission.body.into(),
        reference,
        coding: submission.coding,
        flash: submission.flash,
        validity_seconds: submission.validity_seconds,
        created,
        items,
    }
}

/// Why a recipient will not get what this originator sends, if that is certain.
fn failure(call: &Call<'_, MessageBird>, person: u64, originator: &str) -> Option<&'static str> {
    let unregistered = &call.account.settings.unregistered_senders;
    if call.is_blocked(person, originator) {
        Some("103")
    } else {
        let unknown = unregistered.iter().any(|one| one == originator);
        unknown.then_some("104")
    }
}

fn unix_seconds(call: &Call<'_, MessageBird>) -> u32 {
    let since = call.at.duration_since(std::time::UNIX_EPOCH);
    // Until 2106.
    u32::try_from(since.unwrap_or_default().as_secs()).unwrap_or(u32::MAX)
}

async fn read(State(twin): State<Twin>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let Some(account) = authenticate(&twin.accounts, &headers) else {
        return Refusal::wrong_key().answer();
    };
    let _visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    // With a test key nothing was ever sent.
    let found = (!account.settings.is_test())
        .then(|| Resource::find(&twin, account.number, &id))
        .flatten();
    match found {
        Some(resource) => answer(StatusCode::OK, resource.json()),
        None => Refusal::message_not_found().answer(),
    }
}

async fn list(State(twin): State<Twin>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(account) = authenticate(&twin.accounts, &headers) else {
        return Refusal::wrong_key().answer();
    };
    let _visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    match Query::read(query.as_deref().unwrap_or_default()) {
        Ok(query) => answer(StatusCode::OK, query.page(&twin, account)),
        Err(parameter) => {
            let description = format!("{parameter} is invalid");
            Refusal::of(vec![Problem::invalid(parameter, description)]).answer()
        }
    }
}

async fn balance(State(twin): State<Twin>, headers: HeaderMap) -> Response {
    let Some(account) = authenticate(&twin.accounts, &headers) else {
        return Refusal::wrong_key().answer();
    };
    let _visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    let amount = account.settings.balance.unwrap_or(PLENTY);
    let balance = json!({"payment": "prepaid", "type": "euros", "amount": amount});
    answer(StatusCode::OK, balance.to_string())
}

/// MessageBird's answer to a request that is throttled or fails. Its 503 comes from a machine in front of the API.
pub(crate) fn trouble(account: &Account, trouble: Trouble) -> Response {
    let mut response = match trouble {
        Trouble::Throttled => Refusal::too_many_requests().answer(),
        Trouble::Error500 => return Refusal::internal_error().answer(),
        Trouble::Unavailable => {
            let page = "<html><body><h1>503 Service Unavailable</h1></body></html>";
            let kind = [(CONTENT_TYPE, "text/html")];
            (StatusCode::SERVICE_UNAVAILABLE, kind, page).into_response()
        }
    };
    if let Some(seconds) = account.settings.limits.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn answer(status: StatusCode, json: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], json).into_response()
}
