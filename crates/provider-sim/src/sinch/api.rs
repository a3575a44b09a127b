//! The APIs on one address, told apart by their paths: who asks, and taking messages.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{HOST, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::accounts::{Account, SinchConsent};
use super::batch::{self, Batch, Checked, Entry};
use super::definition::{self, Definition, Identity};
use super::errors::{Refusal, answer, is_of_kind};
use super::queue::Queues;
use super::receipts::milliseconds;
use super::token::{self, BadToken};
use super::{Details, FromBatch, Sinch, lookup, ulid};
use crate::engine::{Asked, Call, Engine, NewMessage, Phase, Provider, Trouble, View, auth};
use crate::segments;

/// Sinch names no limit; a client that keeps to 1 MiB is never over this one.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// What a queue full of other messages does to one more.
const QUEUE_IS_FULL: &str = "the queue of the app is full";

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

/// The apps of a project that a caller may use; at least one.
pub(crate) struct Caller<'e> {
    pub accounts: Vec<&'e Account>,
}

impl<'e> Caller<'e> {
    pub fn app(&self, id: &str) -> Result<&'e Account, Refusal> {
        let found = self
            .accounts
            .iter()
            .find(|account| account.settings.app_id == id);
        found
            .copied()
            .ok_or_else(|| Refusal::not_found("no such app_id in this project and region"))
    }

    pub fn numbers(&self) -> Vec<u16> {
        self.accounts.iter().map(|account| account.number).collect()
    }
}

/// Who asks, and whether the project is theirs. HTTP Basic, which Sinch lets through a few times for tests, is refused: no
/// client in earnest may use it.
pub(crate) fn authenticate<'e>(
    twin: &'e Engine<Sinch>,
    headers: &HeaderMap,
    project: &str,
) -> Result<Caller<'e>, Refusal> {
    let token = auth::credentials(headers, "Bearer");
    let token = token.ok_or_else(|| Refusal::unauthenticated("Bearer"))?;
    let client = twin.provider.tokens.client_of(token, SystemTime::now());
    let client = client.map_err(|bad: BadToken| Refusal::unauthenticated(bad.challenge()))?;
    let region = told_region(headers);
    let here = |account: &&Account| {
        account.settings.project_id == project
            && region.is_none_or(|region| account.settings.region.label() == region)
    };
    let mut accounts: Vec<&Account> = twin.accounts.iter().filter(here).collect();
    if accounts.is_empty() {
        return Err(Refusal::not_found("no such project in this region"));
    }
    accounts.retain(|account| account.settings.client_id == client);
    if accounts.is_empty() {
        let message = "the key has no access to this project";
        return Err(Refusal::new(StatusCode::FORBIDDEN, message));
    }
    Ok(Caller { accounts })
}

/// The region in the host name, if the request was meant for one of Sinch's.
fn told_region(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let (region, rest) = host.split_once('.')?;
    matches!(
        rest,
        "conversation.api.sinch.com" | "conversationbatch.api.sinch.com"
    )
    .then_some(region)
}

/// A send request as far as it is understood before anything is decided.
struct Request<'e> {
    account: &'e Account,
    /// `None` if it is no JSON.
    json: Option<Value>,
}

impl<'e> Request<'e> {
    /// Finds the app that the request is about; one that names none is anybody's in the project, and refused later.
    fn read(
        twin: &'e Engine<Sinch>,
        headers: &HeaderMap,
        project: &str,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Self, Refusal> {
        let caller = authenticate(twin, headers, project)?;
        let body = body.map_err(|rejection| {
            let status = rejection.status();
            Refusal::new(status, "the request body is too large or incomplete")
        })?;
        if !is_of_kind(headers, "application/json") {
            let message = "the request body must be application/json";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let app_id = json.as_ref().and_then(|json| json.get("app_id")?.as_str());
        let account = match app_id.filter(|id| !id.is_empty()) {
            Some(id) => Some(caller.app(id)?),
            None => caller.accounts.first().copied(),
        };
        let account = account.ok_or_else(|| Refusal::not_found("no such app_id"))?;
        Ok(Self { account, json })
    }
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

/// What is one message's own.
struct Content {
    text: String,
    sender: Option<String>,
    batch: Option<FromBatch>,
    complete: bool,
}

/// Takes the message, whatever stage two says to it; that is told later.
fn pass_on(
    call: &mut Call<'_, Sinch>,
    index: usize,
    to: Identity,
    definition: &Definition,
    content: Content,
    wait: Duration,
) -> Option<View<Details>> {
    let account = call.account;
    let own = || account.settings.senders.first().cloned();
    let sender = content.sender.or_else(own);
    let segments = segments::count(&content.text);
    let parts = (segments, definition.parts_max);
    let objection = match content.complete {
        true => definition::objection(account, &to, sender.as_deref(), &content.text, parts),
        false => Some(definition::BAD_REQUEST),
    };
    let blocks = account.settings.consent == Some(SinchConsent::Primary);
    let blocked = || {
        // Which code a blocked message gets is undocumented; this one says it best.
        (blocks && call.is_blocked(to.digits, "")).then_some("RECIPIENT_NOT_OPTED_IN")
    };
    let mut end = objection
        .or_else(blocked)
        .map(|code| (Phase::Rejected, code));
    let mut wait = wait;
    if let Some(ttl) = definition.ttl.filter(|&ttl| end.is_none() && ttl <= wait) {
        (wait, end) = (ttl, Some((Phase::Expired, "MESSAGE_EXPIRED")));
    }
    let new = NewMessage {
        to: to.digits,
        sender: sender.unwrap_or_default(),
        text: content.text,
        segments,
        details: Details {
            batch: content.batch,
            correlation_id: definition.correlation_id.clone(),
            callback_url: definition.callback_url.clone(),
            odd_identity: to.odd,
        },
        validity: definition.ttl.map(|ttl| ttl.saturating_sub(wait)),
        first: Phase::Queued,
        end,
        dry: false,
    };
    call.take_later(index, new, wait)
}

fn enqueue(call: &Call<'_, Sinch>, count: usize) -> Result<super::queue::Places, Refusal> {
    let run = call.engine.messages().run;
    let queues = &call.engine.provider.queues;
    queues
        .enter(call.account, run, count, Instant::now())
        .ok_or_else(|| Refusal::new(StatusCode::TOO_MANY_REQUESTS, QUEUE_IS_FULL))
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
