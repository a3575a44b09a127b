//! The rate of a connection: how it stands, and an operator's change of it. It holds from the
//! workers' next lease on.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    extract::{Path, Query, State, rejection::BytesRejection},
};
use bytes::Bytes;
use ledger::LimitScope;
use message::{Connection, ConnectionId};
use serde::{Deserialize, Serialize};

use crate::{
    App,
    answer::{ApiError, Detail, json},
    audit::{Action, audit},
    paging::PageQuery,
    tokens::Caller,
};

#[derive(Serialize)]
pub(super) struct LimitView {
    id: ConnectionId,
    /// What the connection was added with.
    segments_per_second: f64,
    /// What an operator set instead.
    set: Option<f64>,
    /// What holds now: less where the provider throttles.
    effective: f64,
    /// Nothing is sent for so long, because the provider said so or refused the account.
    held_seconds: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLimit {
    /// Nothing: what the connection was added with.
    segments_per_second: Option<f64>,
}

const SEGMENTS_PER_SECOND_MAX: f64 = 100_000.0;

/// What is wrong with a rate.
pub(super) fn fault(rate: f64) -> Option<Detail> {
    let good = rate > 0.0 && rate <= SEGMENTS_PER_SECOND_MAX;
    let problem = || format!("expected more than 0, at most {SEGMENTS_PER_SECOND_MAX}");
    (!good).then(|| Detail::new("segments_per_second", problem()))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<LimitView>, ApiError> {
    let connection = active(&app, &caller, &id, &query).await?;
    view(&app, connection).await
}

pub(super) async fn set(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LimitView>, ApiError> {
    let new: NewLimit = json(body)?;
    if let Some(fault) = new.segments_per_second.and_then(fault) {
        let error = ApiError::bad_request("invalid_limit", "the rate has a fault");
        return Err(error.with_details(vec![fault]));
    }
    let connection = active(&app, &caller, &id, &query).await?;
    let owner = &connection.organization_id;
    let scope = LimitScope::connection(owner, &connection.id);
    app.ledger
        .set_limit(&scope, new.segments_per_second)
        .await?;
    let which = match new.segments_per_second {
        Some(rate) => format!("{}: {rate} segments per second", connection.id),
        None => format!("{}: as it was added", connection.id),
    };
    audit(&caller, Action::LimitConnection, Some(owner), &which);
    view(&app, connection).await
}

async fn active(
    app: &App,
    caller: &Caller,
    id: &str,
    query: &PageQuery,
) -> Result<Connection, ApiError> {
    let organization = caller.organization(query.organization_id.as_deref())?;
    let connections = app.ledger.connections(&organization).await?;
    let mut theirs = connections.into_iter().filter(Connection::is_active);
    theirs.find(|it| it.id.as_str() == id).ok_or_else(|| {
        let message = "the organisation has no such active connection";
        ApiError::not_found("unknown_connection", message)
    })
}

async fn view(app: &App, connection: Connection) -> Result<Json<LimitView>, ApiError> {
    let scope = LimitScope::connection(&connection.organization_id, &connection.id);
    let rate = connection.segments_per_second;
    let state = app.ledger.limit(&scope, rate).await?;
    Ok(Json(LimitView {
        id: connection.id,
        segments_per_second: rate,
        set: state.set,
        effective: state.per_second,
        held_seconds: Duration::from_micros(state.held_for_micros).as_secs_f64(),
    }))
}
