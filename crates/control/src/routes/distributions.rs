//! Distributions: listed, accounted for, paused and resumed.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use ledger::{BatchRecord, Counts, DistributionRecord, DistributionState};
use message::{
    BatchId, BatchKey, ConnectionId, DistributionId, MessageState, OrganizationId, Timestamp,
};
use serde::Serialize;

use super::{batches::BatchState, nudge};
use crate::{
    App,
    answer::ApiError,
    audit::{Action, audit},
    paging::{LIMIT_MAX, Page, PageQuery, part},
    tokens::Caller,
};

#[derive(Serialize)]
pub(super) struct DistributionLine {
    organization_id: OrganizationId,
    distribution_id: DistributionId,
    state: DistributionState,
    created_at: Timestamp,
    batches: usize,
}

/// The distributions of an organisation, newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<DistributionLine>>, ApiError> {
    let organization = caller.organization(query.organization_id.as_deref())?;
    let limit = query.limit()?;
    // Where the last one seen was, and which it was: newer ones push it further down.
    let (mut offset, seen): (u32, _) = match query.cursor::<3>()? {
        Some([offset, at, id]) => (part(offset)?, Some((part::<u64>(at)?, id.to_owned()))),
        None => (0, None),
    };
    let mut items = Vec::new();
    loop {
        let records = app
            .ledger
            .distributions(&organization, offset, LIMIT_MAX as u32)
            .await?;
        if records.is_empty() {
            return Ok(Json(Page::whole(items)));
        }
        for record in records {
            let name = (
                record.created_at.as_millis(),
                record.distribution_id.to_string(),
            );
            let is_seen = seen.as_ref().is_some_and(|seen| name >= *seen);
            if items.len() == limit && !is_seen {
                let next_cursor = items.last().map(|last: &DistributionLine| {
                    let at = last.created_at.as_millis();
                    format!("{}~{at}~{}", offset.saturating_sub(1), last.distribution_id)
                });
                return Ok(Json(Page { items, next_cursor }));
            }
            offset += 1;
            if !is_seen {
                items.push(DistributionLine {
                    organization_id: record.organization_id,
                    distribution_id: record.distribution_id,
                    state: record.state,
                    created_at: record.created_at,
                    batches: record.batches.len(),
                });
            }
        }
    }
}

#[derive(Serialize)]
pub(super) struct DistributionView {
    organization_id: OrganizationId,
    distribution_id: DistributionId,
    state: DistributionState,
    created_at: Timestamp,
    #[serde(flatten)]
    accounts: Accounts,
    /// Rows that intake refused; which ones is under each batch.
    refused_rows: u64,
    /// Until the last waiting message has left at the connections' full rate; nothing while paused.
    eta_seconds: Option<u64>,
    batches: Vec<BatchLine>,
}

#[derive(Serialize)]
struct BatchLine {
    batch_id: BatchId,
    batch_key: BatchKey,
    state: BatchState,
    connection_id: ConnectionId,
    recipients: u32,
    refused_rows: u64,
    created_at: Timestamp,
}

/// Counts by status and whether they add up.
#[derive(Serialize)]
pub(super) struct Accounts {
    counts: BTreeMap<&'static str, u64>,
    books: BooksView,
}

#[derive(Serialize)]
struct BooksView {
    /// Rows that intake took.
    accepted: u64,
    /// Of those, with an end.
    terminal: u64,
    /// Of those, without one yet.
    in_flight: u64,
    balanced: bool,
}

/// The accounts of batches together.
pub(super) fn accounts(batches: &[(&BatchRecord, &Counts)]) -> Accounts {
    let mut all = Counts::default();
    let mut accepted = 0;
    let mut balanced = true;
    for (record, counts) in batches {
        all.extend(counts);
        let books = counts.books();
        // Before it is published a batch may have fewer rows than recipients; what is there counts.
        let taken = if record.published {
            u64::from(record.recipients).saturating_sub(books.invalid)
        } else {
            books.terminal + books.in_flight
        };
        balanced &= books.balance(taken);
        accepted += taken;
    }
    let books = all.books();
    Accounts {
        counts: all.iter().map(|(state, n)| (state.as_str(), n)).collect(),
        books: BooksView {
            accepted,
            terminal: books.terminal,
            in_flight: books.in_flight,
            balanced,
        },
    }
}

/// A distribution, accounted for over all its batches.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<DistributionView>, ApiError> {
    let (_, record) = find(&app, &caller, &id, &query).await?;
    let mut batches = Vec::with_capacity(record.batches.len());
    for key in &record.batches {
        if let Some(batch) = app.ledger.batch(*key).await? {
            let counts = app.ledger.counts(*key).await?;
            batches.push((batch, counts));
        }
    }
    let pairs: Vec<(&BatchRecord, &Counts)> = batches
        .iter()
        .map(|(record, counts)| (record, counts))
        .collect();
    let eta_seconds = match record.state {
        DistributionState::Active => eta_seconds(&app, &pairs).await?,
        DistributionState::Paused | DistributionState::Cancelled => None,
    };
    let view = DistributionView {
        accounts: accounts(&pairs),
        refused_rows: pairs
            .iter()
            .map(|(_, counts)| counts.of(MessageState::Invalid))
            .sum(),
        eta_seconds,
        batches: pairs
            .iter()
            .map(|(record, counts)| line(record, counts))
            .collect(),
        organization_id: record.organization_id,
        distribution_id: record.distribution_id,
        state: record.state,
        created_at: record.created_at,
    };
    Ok(Json(view))
}

fn line(record: &BatchRecord, counts: &Counts) -> BatchLine {
    BatchLine {
        batch_id: record.batch_id.clone(),
        batch_key: record.key,
        state: BatchState::of(record),
        connection_id: record.connection_id.clone(),
        recipients: record.recipients,
        refused_rows: counts.of(MessageState::Invalid),
        created_at: record.created_at,
    }
}

/// What waits, divided by the rate of the connection it waits for; the slowest one decides.
async fn eta_seconds(
    app: &App,
    batches: &[(&BatchRecord, &Counts)],
) -> Result<Option<u64>, ApiError> {
    let mut waiting: BTreeMap<&ConnectionId, u64> = BTreeMap::new();
    for (record, counts) in batches {
        *waiting.entry(&record.connection_id).or_default() += counts.of(MessageState::Queued);
    }
    let mut slowest: f64 = 0.0;
    for (id, rows) in waiting {
        let Some(connection) = app.ledger.connection(id).await? else {
            return Ok(None);
        };
        slowest = slowest.max(rows as f64 / connection.segments_per_second);
    }
    Ok(slowest.is_finite().then(|| slowest.ceil() as u64))
}

#[derive(Serialize)]
pub(super) struct StateView {
    organization_id: OrganizationId,
    distribution_id: DistributionId,
    state: DistributionState,
}

pub(super) async fn pause(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<StateView>, ApiError> {
    let paused = DistributionState::Paused;
    set(&app, &caller, &id, &query, paused, Action::Pause).await
}

pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<StateView>, ApiError> {
    let active = DistributionState::Active;
    set(&app, &caller, &id, &query, active, Action::Resume).await
}

async fn set(
    app: &App,
    caller: &Caller,
    id: &str,
    query: &PageQuery,
    state: DistributionState,
    action: Action,
) -> Result<Json<StateView>, ApiError> {
    let (organization, record) = find(app, caller, id, query).await?;
    let distribution = record.distribution_id;
    app.ledger
        .set_distribution_state(&organization, &distribution, state)
        .await?;
    // Read again: a cancelled one stays cancelled, also if that happened just now.
    let now = app
        .ledger
        .distribution(&organization, &distribution)
        .await?;
    if now.is_none_or(|record| record.state != state) {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "distribution_cancelled",
            "the distribution was cancelled and stays so",
        ));
    }
    nudge(app).await;
    audit(caller, action, Some(&organization), &distribution);
    Ok(Json(StateView {
        organization_id: organization,
        distribution_id: distribution,
        state,
    }))
}

/// The distribution that a path and a query name, if the caller may touch it.
pub(super) async fn find(
    app: &App,
    caller: &Caller,
    id: &str,
    query: &PageQuery,
) -> Result<(OrganizationId, DistributionRecord), ApiError> {
    let organization = caller.organization(query.organization_id.as_deref())?;
    let id = DistributionId::new(id)
        .map_err(|why| ApiError::invalid("distribution_id", why.to_string()))?;
    let record = app.ledger.distribution(&organization, &id).await?;
    let record = record.ok_or_else(|| {
        let message = "the organisation has no such distribution";
        ApiError::not_found("unknown_distribution", message)
    })?;
    Ok((organization, record))
}
