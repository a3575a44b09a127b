//! The REST API: its routes, how a send request is answered, reading and listing messages.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Twilio;
use super::accounts::Account;
use super::errors::Refusal;
use super::form::e164;
use super::resource::{self, DateFilter};
use super::submit::Outcome;
use crate::locked;
use crate::server::reset_connection;

const CONCURRENT_REQUESTS: HeaderName = HeaderName::from_static("twilio-concurrent-requests");
const BODY_BYTES_MAX: usize = 256 * 1024;
const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1_000;

type Twin = Arc<Twilio>;

pub(crate) fn routes(twin: Twin) -> Router {
    let messages = "/2010-04-01/Accounts/{account}/Messages.json";
    let message = "/2010-04-01/Accounts/{account}/Messages/{file}";
    Router::new()
        .route(messages, post(create).get(list).fallback(wrong_method))
        .route(message, get(read).fallback(wrong_method))
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(twin)
}

async fn create(
    State(twin): State<Twin>,
    Path(sid): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let account = match twin.accounts.authenticate(&headers, &sid, uri.path()) {
        Ok(account) => account,
        Err(refusal) => {
            twin.stage.audit.count(|totals| {
                totals.requests += 1;
                *totals.refused.entry(refusal.code).or_default() += 1;
            });
            return refused(&refusal, 1);
        }
    };
    let place = account.in_flight.enter();
    let behaviour = twin.stage.behaviour.get();
    let (outcome, latency) = twin.submit(account, place.at_entry, &headers, &body, &behaviour);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match outcome {
        Outcome::Created(resource) => answer(StatusCode::CREATED, resource, place.at_entry),
        Outcome::Refused(refusal) => refused(&refusal, place.at_entry),
        Outcome::Throttled => throttled(account, place.at_entry),
        Outcome::Silence => {
            twin.stage.stop.cancelled().await;
            reset_connection()
        }
        Outcome::Reset => reset_connection(),
    }
}

async fn read(
    State(twin): State<Twin>,
    Path((sid, file)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let account = match twin.accounts.authenticate(&headers, &sid, uri.path()) {
        Ok(account) => account,
        Err(refusal) => return refused(&refusal, 1),
    };
    let place = account.in_flight.enter();
    tokio::time::sleep(twin.stage.behaviour.get().latency).await;
    if account.is_crowded(place.at_entry) {
        return throttled(account, place.at_entry);
    }
    let found = file.strip_suffix(".json").and_then(|message| {
        let store = locked(&twin.messages);
        store.resource(store.find(account.number, message)?, &sid)
    });
    match found {
        Some(resource) => answer(StatusCode::OK, resource.json(), place.at_entry),
        None => refused(&Refusal::new(20404, uri.path()), place.at_entry),
    }
}

async fn list(
    State(twin): State<Twin>,
    Path(sid): Path<String>,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let account = match twin.accounts.authenticate(&headers, &sid, uri.path()) {
        Ok(account) => account,
        Err(refusal) => return refused(&refusal, 1),
    };
    let place = account.in_flight.enter();
    tokio::time::sleep(twin.stage.behaviour.get().latency).await;
    if account.is_crowded(place.at_entry) {
        return throttled(account, place.at_entry);
    }
    let query = Query::read(query.as_deref().unwrap_or_default());
    let mut found = {
        let store = locked(&twin.messages);
        let before = query
            .token
            .as_deref()
            .and_then(|token| store.find(account.number, token));
        let to = query.to.as_deref().map(|to| e164(to).unwrap_or_default());
        store
            .newest_first(account.number, to, before)
            .filter_map(|id| store.resource(id, &sid))
            .filter(|message| query.shows(message))
            .take(query.page_size + 1)
            .collect::<Vec<_>>()
    };
    let more = found.len() > query.page_size;
    found.truncate(query.page_size);
    let token = found.last().filter(|_| more).map(|last| last.sid.clone());
    let page = resource::page(
        &found,
        uri.path(),
        &query.kept,
        query.page,
        query.page_size,
        token.as_deref(),
    );
    answer(StatusCode::OK, page, place.at_entry)
}

/// The query of the list. What cannot be read is ignored, as unknown parameters are.
#[derive(Debug, Default)]
struct Query {
    to: Option<String>,
    from: Option<String>,
    dates: Vec<DateFilter>,
    page: u32,
    page_size: usize,
    token: Option<String>,
    /// The filters, to be repeated in the links to other pages.
    kept: String,
}

impl Query {
    fn read(text: &str) -> Self {
        let mut query = Self {
            page_size: PAGE_SIZE,
            ..Self::default()
        };
        let mut kept = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "PageSize" => {
                    query.page_size = value.parse().unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE_MAX);
                    continue;
                }
                "Page" => {
                    query.page = value.parse().unwrap_or_default();
                    continue;
                }
                "PageToken" => {
                    query.token = value.strip_prefix("PA").map(str::to_owned);
                    continue;
                }
                "To" => query.to = Some(value.to_string()),
                "From" => query.from = Some(value.to_string()),
                _ => query.dates.extend(DateFilter::parse(&name, &value)),
            }
            kept.append_pair(&name, &value);
        }
        query.kept = kept.finish();
        query
    }

    fn shows(&self, message: &resource::Resource) -> bool {
        let from = self.from.is_none() || self.from == message.from;
        let date = message.listed_at();
        from && self
            .dates
            .iter()
            .all(|filter| date.is_some_and(|date| filter.lets_through(date)))
    }
}

async fn nothing_here(OriginalUri(uri): OriginalUri) -> Response {
    refused(&Refusal::new(20404, uri.path()), 1)
}

async fn wrong_method() -> Response {
    refused(&Refusal::new(20004, ""), 1)
}

fn refused(refusal: &Refusal, at_once: u32) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answer(status, refusal.body(), at_once);
    if status == StatusCode::UNAUTHORIZED {
        let realm = HeaderValue::from_static("Basic realm=\"Twilio API\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, realm);
    }
    response
}

fn throttled(account: &Account, at_once: u32) -> Response {
    let mut response = refused(&Refusal::new(20429, ""), at_once);
    if let Some(wait) = account.settings.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn answer(status: StatusCode, json: String, at_once: u32) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (
        status,
        [(CONTENT_TYPE, kind), (CONCURRENT_REQUESTS, at_once.into())],
        json,
    )
        .into_response()
}
