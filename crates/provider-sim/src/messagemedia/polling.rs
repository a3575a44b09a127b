//! Polling: the oldest reports and replies that nobody has confirmed, and confirming them.
//!
//! Pushed or not, they stay until they are confirmed; see the page of the twin. Source:
//! `shared/providers/messagemedia.md`, section 9.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::accounts::{Account, authenticate};
use super::api::Twin;
use super::receipts;
use super::refusal::{Refusal, answer};

/// Per answer, and per confirmation.
const PAGE: usize = 100;

pub(crate) async fn reports(State(twin): State<Twin>, headers: HeaderMap) -> Response {
    list(&twin, &headers, |account| {
        let run = twin.messages().run;
        let listed = twin.provider.books.open(run).reports(account.number, PAGE);
        let shown = listed.iter().filter_map(|report| {
            let message = twin.find(account, &report.message_id)?;
            Some(receipts::report(&account.settings, &message, report))
        });
        json!({ "delivery_reports": shown.collect::<Vec<Value>>() })
    })
    .await
}

pub(crate) async fn replies(State(twin): State<Twin>, headers: HeaderMap) -> Response {
    list(&twin, &headers, |account| {
        let run = twin.messages().run;
        let replies = twin.provider.books.open(run).replies(account.number, PAGE);
        json!({ "replies": replies })
    })
    .await
}

pub(crate) async fn confirm_reports(
    State(twin): State<Twin>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    confirm(
        &twin,
        &headers,
        &body,
        "delivery_report_ids",
        |account, ids| {
            let run = twin.messages().run;
            let mut books = twin.provider.books.open(run);
            books.confirm_reports(account.number, ids);
        },
    )
    .await
}

pub(crate) async fn confirm_replies(
    State(twin): State<Twin>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    confirm(&twin, &headers, &body, "reply_ids", |account, ids| {
        let run = twin.messages().run;
        let mut books = twin.provider.books.open(run);
        books.confirm_replies(account.number, ids);
    })
    .await
}

async fn list(twin: &Twin, headers: &HeaderMap, body: impl FnOnce(&Account) -> Value) -> Response {
    let Some(account) = authenticate(&twin.accounts, headers) else {
        return Refusal::unauthenticated().answer();
    };
    match twin.visit(account).await {
        Ok(_visit) => answer(StatusCode::OK, &body(account)),
        Err(too_many) => *too_many,
    }
}

/// Ids that name nothing are confirmed as well, which is not documented.
async fn confirm(
    twin: &Twin,
    headers: &HeaderMap,
    body: &[u8],
    field: &str,
    confirmed: impl FnOnce(&Account, &[String]),
) -> Response {
    let Some(account) = authenticate(&twin.accounts, headers) else {
        return Refusal::unauthenticated().answer();
    };
    let _visit = match twin.visit(account).await {
        Ok(visit) => visit,
        Err(too_many) => return *too_many,
    };
    let Ok(mut body) = serde_json::from_slice::<HashMap<String, Vec<String>>>(body) else {
        return Refusal::unreadable().answer();
    };
    let ids = body.remove(field).unwrap_or_default();
    if ids.is_empty() || ids.len() > PAGE {
        let detail = format!("/{field}: size must be between 1 and {PAGE}");
        return Refusal::invalid(vec![detail], Vec::new()).answer();
    }
    confirmed(account, &ids);
    answer(StatusCode::ACCEPTED, &json!({}))
}
