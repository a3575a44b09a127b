//! The twin's own paths under `/_twin/`, for tests that run it as a process of its own. No provider has such paths.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Json, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, http};
use futures_util::stream;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::report::AuditReport;
use crate::running::{self, merge_behaviour};

/// Entries that are written while the audit's lock is held once.
const PAGE: usize = 1_000;
const BODY_BYTES_MAX: usize = 1024 * 1024;

type Twin = Arc<dyn running::Twin>;

pub(crate) fn routes(twin: Twin) -> Router {
    Router::new()
        .route("/_twin/audit", get(audit))
        .route("/_twin/idle", get(idle))
        .route("/_twin/inbound", post(inbound))
        .route("/_twin/behaviour", get(behaviour).post(change_behaviour))
        .route("/_twin/reset", post(reset))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(twin)
}

#[derive(Deserialize)]
struct AuditQuery {
    #[serde(default)]
    summary: u8,
}

async fn audit(State(twin): State<Twin>, Query(query): Query<AuditQuery>) -> Response {
    let summary = twin.stage().audit.summary();
    if query.summary != 0 {
        return Json(summary).into_response();
    }
    match opening(&summary) {
        Ok(opening) => {
            ([(CONTENT_TYPE, "application/json")], entries(twin, opening)).into_response()
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The report up to and including the bracket that begins its entries.
fn opening(summary: &AuditReport) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(summary)?;
    text.truncate(text.len().saturating_sub("]}".len())); // `entries` is empty and last
    Ok(text)
}

/// A million entries are 150 MB of JSON: they are written page by page, and never stand in memory as a whole.
fn entries(twin: Twin, opening: Vec<u8>) -> Body {
    let pages = stream::unfold(Some((0, opening)), move |state| {
        let twin = Arc::clone(&twin);
        async move {
            let (start, mut text) = state?;
            let page = twin.stage().audit.entries(start, PAGE);
            for (number, entry) in page.iter().enumerate() {
                if start + number > 0 {
                    text.push(b',');
                }
                if let Err(error) = serde_json::to_writer(&mut text, entry) {
                    return Some((Err(error), None));
                }
            }
            if page.len() == PAGE {
                return Some((Ok(Bytes::from(text)), Some((start + PAGE, Vec::new()))));
            }
            text.extend_from_slice(b"]}");
            Some((Ok(Bytes::from(text)), None))
        }
    });
    Body::from_stream(pages)
}

#[derive(Deserialize)]
struct IdleQuery {
    #[serde(default)]
    wait_seconds: f64,
}

async fn idle(State(twin): State<Twin>, Query(query): Query<IdleQuery>) -> Response {
    match Duration::try_from_secs_f64(query.wait_seconds) {
        Ok(wait) => {
            // Idle or out of time: the figures tell which.
            let _ = tokio::time::timeout(wait, twin.idle()).await;
            Json(twin.waiting()).into_response()
        }
        Err(error) => problem(StatusCode::BAD_REQUEST, &format!("wait_seconds: {error}")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inbound {
    from: String,
    to: String,
    body: String,
}

async fn inbound(State(twin): State<Twin>, Json(message): Json<Inbound>) -> Response {
    match twin
        .inbound(&message.from, &message.to, &message.body)
        .await
    {
        Ok(status) => Json(json!({ "answered": status })).into_response(),
        Err(error) => problem(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    }
}

async fn behaviour(State(twin): State<Twin>) -> Response {
    Json(&*twin.stage().behaviour.get()).into_response()
}

async fn change_behaviour(State(twin): State<Twin>, Json(patch): Json<Value>) -> Response {
    match merge_behaviour(&twin.stage().behaviour, &patch) {
        Ok(behaviour) => Json(behaviour).into_response(),
        Err(error) => problem(StatusCode::BAD_REQUEST, &format!("{error:#}")),
    }
}

async fn reset(State(twin): State<Twin>) -> StatusCode {
    twin.reset();
    StatusCode::NO_CONTENT
}

fn problem(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}
