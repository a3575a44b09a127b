//! The REST API: its routes, taking a message, reading and listing messages.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::accounts::Account;
use super::errors::Refusal;
use super::form::Form;
use super::resource::{self, DateFilter, Resource};
use super::{Details, Twilio};
use crate::engine::phone::e164;
use crate::engine::{Asked, Call, Engine, NewMessage, Phase, Trouble};

const CONCURRENT_REQUESTS: HeaderName = HeaderName::from_static("twilio-concurrent-requests");
const BODY_BYTES_MAX: usize = 256 * 1024;
const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1_000;

type Twin = Arc<Engine<Twilio>>;

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
    let account = match Twilio::authenticate(&twin.accounts, &headers, &sid, uri.path()) {
        Ok(account) => account,
        Err(refusal) => {
            twin.refuse_stranger(&refusal.code.to_string());
            return refused(&refusal, 1);
        }
    };
    let readable = is_form(&headers);
    let form = if readable {
        Form::read(&body)
    } else {
        Form::default()
    };
    let asked = Asked {
        recipient: form.recipient(),
        reference: form.reference().into(),
        segments: form.segments(),
    };
    let decide = |call: &mut Call<'_, Twilio>| {
        let taken = if readable {
            take(call, form)
        } else {
            Err(Refusal::new(19056, ""))
        };
        match taken {
            Ok(message) => answer(StatusCode::CREATED, message.json(), call.at_once),
            Err(refusal) => {
                call.refuse_all(&refusal.code.to_string());
                refused(&refusal, call.at_once)
            }
        }
    };
    twin.serve(account, vec![asked], decide).await
}

/// Takes the message or says why not.
fn take(call: &mut Call<'_, Twilio>, form: Form) -> Result<Resource, Refusal> {
    let account = call.account;
    let segments = form.segments();
    let submission = form.check(account)?;
    let scope = submission
        .service
        .as_deref()
        .or(account.settings.service_of(&submission.from))
        .unwrap_or(&submission.from);
    if call.is_blocked(submission.to, scope) {
        return Err(Refusal::new(21610, ""));
    }
    let new = NewMessage {
        to: submission.to,
        sender: submission.from,
        text: submission.body,
        segments,
        first: if submission.service.is_some() {
            Phase::Accepted
        } else {
            Phase::Queued
        },
        details: Details {
            service: submission.service,
            callback: submission.callback,
        },
        validity: submission.validity,
        end: None,
        dry: account.settings.test_credentials,
    };
    let view = call.take(0, new).ok_or_else(|| Refusal::new(21211, ""))?;
    Ok(Resource::new(&view, &account.settings.account_sid))
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

async fn read(
    State(twin): State<Twin>,
    Path((sid, file)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let account = match Twilio::authenticate(&twin.accounts, &headers, &sid, uri.path()) {
        Ok(account) => account,
        Err(refusal) => return refused(&refusal, 1),
    };
    let visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    let found = file
        .strip_suffix(".json")
        .and_then(|message| twin.find(account, message));
    match found {
        Some(message) => {
            let resource = Resource::new(&message, &sid);
            answer(StatusCode::OK, resource.json(), visit.at_once)
        }
        None => refused(&Refusal::new(20404, uri.path()), visit.at_once),
    }
}

async fn list(
    State(twin): State<Twin>,
    Path(sid): Path<String>,
    OriginalUri(uri): OriginalUri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let account = match Twilio::authenticate(&twin.accounts, &headers, &sid, uri.path()) {
        Ok(account) => account,
        Err(refusal) => return refused(&refusal, 1),
    };
    let visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    let query = Query::read(query.as_deref().unwrap_or_default());
    let before = query
        .token
        .as_deref()
        .and_then(|token| twin.find(account, token))
        .map(|message| message.id);
    let mut found = {
        let messages = twin.messages();
        let to = query.to.as_deref().map(|to| e164(to).unwrap_or_default());
        messages
            .newest_first(account.number, to, before)
            .filter_map(|id| messages.view(id))
            .map(|message| Resource::new(&message, &sid))
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
    answer(StatusCode::OK, page, visit.at_once)
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

    fn shows(&self, message: &Resource) -> bool {
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

/// Twilio's answer to a request that is throttled or fails.
pub(crate) fn trouble(account: &Account, at_once: u32, trouble: Trouble) -> Response {
    let code = match trouble {
        Trouble::Throttled => 20429,
        Trouble::Error500 => 20500,
        Trouble::Unavailable => 20503,
    };
    let mut response = refused(&Refusal::new(code, ""), at_once);
    let wait = account.settings.limits.retry_after_seconds();
    if let Some(seconds) = wait.filter(|_| trouble == Trouble::Throttled) {
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
