//! The API: its routes, taking messages, reading and cancelling one, and what is answered when nothing works.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::accounts::{Account, authenticate};
use super::refusal::{Refusal, answer};
use super::request::Request;
use super::resource::Wire;
use super::{IDS, MessageMedia, field, key_api, numbers, polling, receipts};
use crate::engine::{Call, Engine, NewMessage, Phase, Trouble};
use crate::segments;

/// Not documented; room for 100 messages of 5,000 characters, however they are escaped.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
const DUPLICATE_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) type Twin = Arc<Engine<MessageMedia>>;

pub(crate) fn routes(twin: Twin) -> Router {
    let blacklist = "/v1/number_authorisation/mt/blacklist";
    Router::new()
        .route("/v1/messages", post(send))
        .route("/v1/messages/{message_id}", get(read).put(cancel))
        .route("/v1/delivery_reports", get(polling::reports))
        .route(
            "/v1/delivery_reports/confirmed",
            post(polling::confirm_reports),
        )
        .route("/v1/replies", get(polling::replies))
        .route("/v1/replies/confirmed", post(polling::confirm_replies))
        .route(
            "/v1/number_authorisation/is_authorised/{numbers}",
            get(numbers::are_authorised),
        )
        .route(blacklist, get(numbers::list).post(numbers::add))
        .route(&format!("{blacklist}/{{number}}"), delete(numbers::remove))
        .route("/v1/iam/signature_keys", post(key_api::create))
        .route(
            "/v1/iam/signature_keys/enabled",
            get(key_api::enabled).merge(patch(key_api::enable)),
        )
        .fallback(async || Refusal::not_found().answer())
        .method_not_allowed_fallback(async || Refusal::wrong_method().answer())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(twin)
}

async fn send(
    State(twin): State<Twin>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let refuse_stranger = |refusal: Refusal| {
        twin.refuse_stranger(refusal.status.as_str());
        refusal.answer()
    };
    let Some(account) = authenticate(&twin.accounts, &headers) else {
        return refuse_stranger(Refusal::unauthenticated());
    };
    let Ok(body) = body else {
        return refuse_stranger(Refusal::too_large());
    };
    let request = Request::read(&headers, &body);
    twin.serve(account, request.asked(), |call| {
        match request.check(account.settings.old_tls) {
            Err(refusal) => {
                for (index, field) in &refusal.culprits {
                    call.refuse(*index, &format!("400 {field}"));
                }
                call.refuse_all(refusal.status.as_str());
                refusal.answer()
            }
            Ok(messages) => {
                let messages = messages.into_iter().enumerate();
                let taken = messages.filter_map(|(index, message)| take(call, index, message));
                let taken: Vec<_> = taken.map(|message| message.json()).collect();
                answer(StatusCode::ACCEPTED, &json!({ "messages": taken }))
            }
        }
    })
    .await
}

/// Takes a message that was checked, and gives it back completed.
fn take(call: &mut Call<'_, MessageMedia>, index: usize, message: Wire) -> Option<Wire> {
    let to = field::recipient(message.destination())?;
    let sender = match &message.source_number {
        Some(source) => source.clone(),
        None => call.account.settings.default_number().to_owned(),
    };
    let expiry = message.message_expiry_timestamp.as_deref();
    let scheduled = message.scheduled.as_deref().and_then(field::utc);
    let later = scheduled.is_some_and(|at| at > call.at);
    let mut details = message.details();
    if !later {
        // A time that has passed is no schedule.
        details.scheduled = None;
    }
    let new = NewMessage {
        to,
        text: message.text().to_owned(),
        segments: segments::count(message.text()),
        validity: expiry
            .and_then(field::utc)
            .map(|end| field::until(end, call.at)),
        end: end(call, to, &sender, message.text()).map(|code| (Phase::Rejected, code)),
        sender,
        details,
        first: Phase::Accepted,
        dry: later,
    };
    let view = call.take(index, new)?;
    Some(message.taken(IDS.write(view.number), receipts::status(&view)))
}

/// Why a message will be rejected, if that is known already.
fn end(call: &Call<'_, MessageMedia>, to: u64, sender: &str, text: &str) -> Option<&'static str> {
    let account = call.account;
    let settings = &account.settings;
    let run = call.engine.messages().run;
    let (before, listed) = {
        let mut books = call.engine.provider.books.open(run);
        let before = books.count(account.number);
        (before, books.is_blocked(account.number, to))
    };
    if settings.usage_max.is_some_and(|max| before >= max) {
        Some(receipts::USAGE_REACHED)
    } else if listed && !settings.handles_opt_outs_itself {
        Some(receipts::DESTINATION_BLOCKED)
    } else if !account.owns(sender) {
        Some(receipts::SOURCE_BLOCKED)
    } else if settings.de_duplication && is_known(call, to, text) {
        Some(receipts::DUPLICATE)
    } else {
        None
    }
}

/// Whether the account asked for the same text to the same number within a day. One that was withheld counts again, which
/// is not documented.
fn is_known(call: &Call<'_, MessageMedia>, to: u64, text: &str) -> bool {
    let messages = call.engine.messages();
    let earliest = call.at.checked_sub(DUPLICATE_WITHIN);
    let earliest = earliest.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    let earliest = earliest.unwrap_or_default().as_secs();
    messages
        .newest_first(call.account.number, Some(to), None)
        .filter_map(|id| messages.view(id))
        .take_while(|message| u64::from(message.created) >= earliest)
        .any(|message| &*message.text == text)
}

async fn read(
    State(twin): State<Twin>,
    Path(message_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(account) = authenticate(&twin.accounts, &headers) else {
        return Refusal::unauthenticated().answer();
    };
    let _visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    match found(&twin, account, &message_id) {
        Some(message) => answer(StatusCode::OK, &message.json()),
        None => Refusal::not_found().answer(),
    }
}

fn found(twin: &Twin, account: &Account, message_id: &str) -> Option<Wire> {
    let message = twin.find(account, message_id)?;
    let books = twin.provider.books.open(message.number.run);
    Some(Wire::of(&message, books.is_cancelled(message_id)))
}

#[derive(Deserialize)]
struct Change {
    status: String,
}

/// Cancels what is still scheduled. How MessageMedia refuses the rest is not documented.
async fn cancel(
    State(twin): State<Twin>,
    Path(message_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(account) = authenticate(&twin.accounts, &headers) else {
        return Refusal::unauthenticated().answer();
    };
    let _visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    let Some(message) = twin.find(account, &message_id) else {
        return Refusal::not_found().answer();
    };
    let change = serde_json::from_slice::<Change>(&body).ok();
    let cancels = change.is_some_and(|change| change.status == "cancelled");
    if !cancels || receipts::status(&message) != "scheduled" {
        let detail = "/status: only a scheduled message can be cancelled".to_owned();
        return Refusal::invalid(vec![detail], Vec::new()).answer();
    }
    let mut books = twin.provider.books.open(message.number.run);
    books.cancel(message_id);
    answer(StatusCode::OK, &Wire::of(&message, true).json())
}

/// The answer to a request that is throttled or fails. MessageMedia documents no 429, so it is an edge proxy's, in HTML;
/// its 500 has no body at all.
pub(crate) fn trouble(account: &Account, trouble: Trouble) -> Response {
    match trouble {
        Trouble::Throttled => {
            let page = "<html><body><h1>429 Too Many Requests</h1></body></html>";
            let html = [(CONTENT_TYPE, "text/html")];
            let mut answer = (StatusCode::TOO_MANY_REQUESTS, html, page).into_response();
            if let Some(seconds) = account.settings.limits.retry_after_seconds() {
                answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            answer
        }
        Trouble::Error500 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Trouble::Unavailable => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "message": "The server is currently unavailable" }),
        ),
    }
}
