//! Reading: the app with its queue, messages, batches.
//!
//! Source: `shared/providers/sinch.md`, sections 3.2, 5 and 9. A message can be read only if the app keeps messages at all,
//! and only in the dispatch source; its `message_status` is null, as in the only public sample. In which form a search for
//! batches answers is unconfirmed; here it is a list under `batches`.

use std::time::Instant;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::accounts::Account;
use super::api::Twin;
use super::caller::{Caller, authenticate};
use super::errors::{Refusal, answer};
use super::receipts::{identity_of, metadata_of, seconds};
use super::{Details, Sinch};
use crate::engine::phone::digits;
use crate::engine::{Engine, Provider, View};

/// Requests a second that Sinch takes for a project.
const PROJECT_PER_SECOND: u32 = 800;
/// Inbound messages and callbacks of an app, a second. Shown only: the twin does not hold callbacks back.
const WEBHOOKS_PER_SECOND: u32 = 25;
const PAGE_SIZE: usize = 10;
const PAGE_SIZE_MAX: usize = 1_000;

/// `GET apps/{app}`.
pub(crate) async fn app(
    State(twin): State<Twin>,
    Path((project, app)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let caller = authenticate(&twin, &headers, &project);
    match caller.and_then(|caller| caller.app(&app)) {
        Ok(account) => visited(&twin, account, || Ok(app_json(&twin, account))).await,
        Err(refusal) => refusal.answer(),
    }
}

/// `GET apps`.
pub(crate) async fn apps(
    State(twin): State<Twin>,
    Path(project): Path<String>,
    headers: HeaderMap,
) -> Response {
    let look = |caller: &Caller<'_>| {
        let apps = caller
            .accounts
            .iter()
            .map(|account| app_json(&twin, account));
        Ok(json!({"apps": apps.collect::<Vec<_>>()}))
    };
    asked(&twin, &headers, &project, look).await
}

/// `GET messages/{id}`, where the id may also be a batch's.
pub(crate) async fn read(
    State(twin): State<Twin>,
    Path((project, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Query::read(query.as_deref().unwrap_or_default());
    let look = |caller: &Caller<'_>| {
        let run = twin.messages().run;
        let batches = &twin.provider.batches;
        if let Some(batch) = batches.find(&caller.numbers(), run, &id, Instant::now()) {
            return Ok(batch);
        }
        let mut accounts = caller
            .accounts
            .iter()
            .filter(|account| query.reaches(account));
        accounts
            .find_map(|account| twin.find(account, &id))
            .map(|message| message_json(&message))
            .ok_or_else(|| Refusal::not_found("no such message"))
    };
    asked(&twin, &headers, &project, look).await
}

/// `GET messages`: messages, or with `metadataKey` batches.
pub(crate) async fn list(
    State(twin): State<Twin>,
    Path(project): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Query::read(query.as_deref().unwrap_or_default());
    let look = |caller: &Caller<'_>| {
        if let Some((key, value)) = &query.metadata {
            let run = twin.messages().run;
            let sought = (key.as_str(), value.as_str());
            let batches = &twin.provider.batches;
            let found = batches.with_metadata(&caller.numbers(), run, sought, Instant::now());
            return Ok(json!({"batches": found}));
        }
        let account = match &query.app_id {
            Some(id) => Some(caller.app(id)?),
            None => caller.accounts.first().copied(),
        };
        let account = account.filter(|account| query.reaches(account));
        Ok(account.map_or_else(
            || json!({"messages": [], "next_page_token": ""}),
            |account| page(&twin, account, &query),
        ))
    };
    asked(&twin, &headers, &project, look).await
}

async fn asked(
    twin: &Twin,
    headers: &HeaderMap,
    project: &str,
    look: impl FnOnce(&Caller<'_>) -> Result<Value, Refusal>,
) -> Response {
    let caller = match authenticate(twin, headers, project) {
        Ok(caller) => caller,
        Err(refusal) => return refusal.answer(),
    };
    match caller.accounts.first() {
        Some(account) => visited(twin, account, || look(&caller)).await,
        None => Refusal::not_found("no such project").answer(),
    }
}

async fn visited(
    twin: &Twin,
    account: &Account,
    look: impl FnOnce() -> Result<Value, Refusal>,
) -> Response {
    let _visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    match look() {
        Ok(found) => answer(StatusCode::OK, found.to_string()),
        Err(refusal) => refusal.answer(),
    }
}

fn app_json(twin: &Engine<Sinch>, account: &Account) -> Value {
    let settings = &account.settings;
    let run = twin.messages().run;
    // Without a drain rate nothing waits, so what comes in also goes out.
    let outbound = settings
        .drain_per_second
        .or(settings.limits.per_second)
        .map_or(PROJECT_PER_SECOND, u32::from);
    json!({
        "id": settings.app_id,
        "display_name": settings.app_id,
        "channel_credentials": [],
        "processing_mode": "DISPATCH",
        "rate_limits": {
            "inbound": WEBHOOKS_PER_SECOND,
            "outbound": outbound,
            "webhooks": WEBHOOKS_PER_SECOND,
        },
        "queue_stats": {
            "outbound_size": twin.provider.queues.size(account, run, Instant::now()),
            "outbound_limit": settings.queue_limit,
        },
    })
}

fn page(twin: &Engine<Sinch>, account: &Account, query: &Query) -> Value {
    let before = query
        .page_token
        .as_deref()
        .and_then(|token| twin.find(account, token));
    let messages = twin.messages();
    let mut found: Vec<Value> = messages
        .newest_first(account.number, query.to, before.map(|message| message.id))
        .filter_map(|id| messages.view(id))
        .take(query.page_size + 1)
        .map(|message| message_json(&message))
        .collect();
    let more = found.len() > query.page_size;
    found.truncate(query.page_size);
    let last = found.last().filter(|_| more).map(|last| last["id"].clone());
    json!({"messages": found, "next_page_token": last.unwrap_or_else(|| "".into())})
}

fn message_json(message: &View<Details>) -> Value {
    json!({
        "id": Sinch::IDS.write(message.number),
        "direction": "TO_CONTACT",
        "app_message": {"text_message": {"text": &*message.text}},
        "channel_identity": {"channel": "SMS", "identity": identity_of(message), "app_id": ""},
        "conversation_id": "",
        "contact_id": "",
        "metadata": metadata_of(message),
        "accept_time": seconds(message.created),
        "sender_id": &*message.sender,
        "processing_mode": "DISPATCH",
        "injected": false,
        "message_status": null,
    })
}

/// The query of a look-up. What cannot be read is ignored, as unknown parameters are.
#[derive(Debug, Default)]
struct Query {
    metadata: Option<(String, String)>,
    app_id: Option<String>,
    to: Option<u64>,
    dispatch: bool,
    page_size: usize,
    page_token: Option<String>,
}

impl Query {
    fn read(text: &str) -> Self {
        let mut query = Self {
            page_size: PAGE_SIZE,
            ..Self::default()
        };
        let (mut key, mut sought) = (None, String::new());
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "metadataKey" => key = Some(value.into_owned()),
                "metadataValue" => sought = value.into_owned(),
                "app_id" => query.app_id = Some(value.into_owned()),
                "channel_identity" => {
                    let number = value.strip_prefix('+').unwrap_or(&value);
                    query.to = Some(digits(number).unwrap_or_default());
                }
                "messages_source" => query.dispatch = value == "DISPATCH_SOURCE",
                "page_size" => {
                    query.page_size = value.parse().unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE_MAX);
                }
                "page_token" if !value.is_empty() => query.page_token = Some(value.into_owned()),
                _ => {}
            }
        }
        query.metadata = key.map(|key| (key, sought));
        query
    }

    /// Whether the account has messages where the query looks. The default source is the conversation, which the messages
    /// of an app in DISPATCH mode never enter.
    fn reaches(&self, account: &Account) -> bool {
        self.dispatch && account.settings.retention_days.is_some()
    }
}
