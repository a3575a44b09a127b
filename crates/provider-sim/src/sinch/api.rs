//! The APIs on one address, told apart by their paths, and the two ways to send.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::accounts::Account;
use super::batch::{self, Batch, Checked, Entry};
use super::caller::Request;
use super::definition::{self, Definition};
use super::errors::{Refusal, answer};
use super::queue::Queues;
use super::receipts::milliseconds;
use super::sending::{Content, enqueue, pass_on};
use super::{Details, FromBatch, Sinch, lookup, token, ulid};
use crate::engine::{Asked, Call, Engine, Provider, Trouble, View};
use crate::segments;

/// Sinch names no limit; a client that keeps to 1 MiB is never over this one.
const BODY_BYTES_MAX: usize = 1024 * 1024;

pub(crate) type Twin = Arc<Engine<Sinch>>;

pub(crate) fn routes(twin: Twin) -> Router {
    let messages = "/v1/projects/{project}/messages";
    let message = "/v1/projects/{project}/messages/{id}";
    Router::new()
        .route("/oauth2/token", post(token::token).fallback(wrong_method))
        // The colon is literal.
        .route(
            "/v1/projects/{project}/messages:send",
            post(send).fallback(wrong_method),
        )
        .route(
            messages,
            post(send_batch).get(lookup::list).fallback(wrong_method),
        )
        .route(message, get(lookup::read).fallback(wrong_method))
        .route(
            "/v1/projects/{project}/apps",
            get(lookup::apps).fallback(wrong_method),
        )
        .route(
            "/v1/projects/{project}/apps/{app}",
            get(lookup::app).fallback(wrong_method),
        )
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(twin)
}

async fn send(
    State(twin): State<Twin>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request = match Request::read(&twin, &headers, &project, body) {
        Ok(request) => request,
        Err(refusal) => return stranger(&twin, &refusal),
    };
    let asked = request.json.as_ref().map(|json| {
        let at = |pointer| {
            json.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        Asked {
            recipient: definition::recipient_if_any(json),
            reference: at("/message_metadata").into(),
            segments: segments::count(at("/message/text_message/text")),
        }
    });
    let decide = |call: &mut Call<'_, Sinch>| match take(call, request.json.as_ref()) {
        Ok(message) => {
            let body = json!({
                "message_id": Sinch::IDS.write(message.number),
                "accepted_time": milliseconds(call.at),
            });
            answer(StatusCode::OK, body.to_string())
        }
        Err(refusal) => refuse_all(call, &refusal),
    };
    twin.serve(request.account, asked.into_iter().collect(), decide)
        .await
}

fn take(call: &mut Call<'_, Sinch>, json: Option<&Value>) -> Result<View<Details>, Refusal> {
    let root = definition::root(json)?;
    let definition = Definition::check(root, false)?;
    definition::metadata(root)?;
    let to = definition::recipient(root)?;
    let wait = enqueue(call, 1)?.wait(0);
    let content = Content {
        text: definition.text.clone(),
        sender: definition.sender.clone(),
        batch: None,
        complete: true,
    };
    pass_on(call, 0, to, &definition, content, wait)
        .ok_or_else(|| Refusal::invalid("recipient: identity is not a phone number"))
}

async fn send_batch(
    State(twin): State<Twin>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request = match Request::read(&twin, &headers, &project, body) {
        Ok(request) => request,
        Err(refusal) => return stranger(&twin, &refusal),
    };
    let entries = request
        .json
        .as_ref()
        .map(batch::entries)
        .unwrap_or_default();
    let asked = |entry: &Entry| Asked {
        recipient: entry.recipient,
        reference: entry.reference.as_str().into(),
        segments: segments::count(&entry.text),
    };
    let asked = entries.iter().map(asked).collect();
    let decide = |call: &mut Call<'_, Sinch>| {
        let root = definition::root(request.json.as_ref());
        let checked = root.and_then(|root| batch::check(root, OffsetDateTime::from(call.at)));
        match checked.and_then(|checked| take_batch(call, entries, checked)) {
            Ok(body) => answer(StatusCode::OK, body.to_string()),
            Err(refusal) => refuse_all(call, &refusal),
        }
    };
    twin.serve(request.account, asked, decide).await
}

fn take_batch(
    call: &mut Call<'_, Sinch>,
    entries: Vec<Entry>,
    checked: Checked,
) -> Result<Value, Refusal> {
    let later = !checked.delay.is_zero();
    let places = if later {
        Queues::alone(call.account).after(checked.delay)
    } else {
        enqueue(call, entries.len())?
    };
    let id = ulid();
    let (run, now) = (call.engine.messages().run, Instant::now());
    let remembered = Batch {
        run,
        account: call.account.number,
        metadata: checked.metadata,
        send_after: milliseconds(checked.send_after.into()),
        starts: now + checked.delay,
        done: now + places.wait(entries.len().saturating_sub(1)),
    };
    let body = json!({"batch_id": &id, "send_after": &remembered.send_after});
    call.engine
        .provider
        .batches
        .remember(id.clone(), remembered);
    for (index, (entry, to)) in entries.into_iter().zip(checked.recipients).enumerate() {
        let unprocessed = (!entry.complete).then_some(index);
        let content = Content {
            text: entry.text,
            sender: entry.sender,
            batch: Some(FromBatch {
                id: id.clone(),
                rest: entry.rest,
                unprocessed,
            }),
            complete: entry.complete,
        };
        pass_on(
            call,
            index,
            to,
            &checked.definition,
            content,
            places.wait(index),
        );
    }
    Ok(body)
}

fn refuse_all(call: &mut Call<'_, Sinch>, refusal: &Refusal) -> Response {
    if refusal.status == StatusCode::TOO_MANY_REQUESTS {
        call.throttle_all();
        return trouble(call.account, Trouble::Throttled);
    }
    call.refuse_all(refusal.word());
    refusal.answer()
}

fn stranger(twin: &Twin, refusal: &Refusal) -> Response {
    twin.refuse_stranger(refusal.word());
    refusal.answer()
}

/// Sinch's answer to a request that is throttled or fails.
pub(crate) fn trouble(account: &Account, trouble: Trouble) -> Response {
    let (status, message) = match trouble {
        Trouble::Throttled => (
            StatusCode::TOO_MANY_REQUESTS,
            "rate limit or queue exceeded",
        ),
        Trouble::Error500 => (StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        Trouble::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "service unavailable"),
    };
    let mut response = Refusal::new(status, message).answer();
    let wait = account.settings.limits.retry_after_seconds();
    if let Some(seconds) = wait.filter(|_| trouble == Trouble::Throttled) {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

async fn nothing_here() -> Response {
    Refusal::not_found("no such resource").answer()
}

async fn wrong_method() -> Response {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed").answer()
}
