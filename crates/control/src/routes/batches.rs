//! Batches: handed over, looked up, and those that were refused as a whole.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Query, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bus::{Outgoing, Route, queue};
use bytes::Bytes;
use ledger::{BatchRecord, RefusedBatch, Row};
use message::{
    BatchId, BatchKey, Class, ConnectionId, DistributionId, MessageState, OrganizationId, Refusal,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use super::distributions::{Accounts, accounts};
use crate::{
    App,
    answer::{ApiError, json, whole},
    audit::{Action, audit},
    paging::{Page, PageQuery, part},
    tokens::Caller,
};

/// Who a batch is from. Everything else is intake's to check: one parser decides what a batch is.
#[derive(Deserialize)]
struct Names {
    organization_id: OrganizationId,
    distribution_id: DistributionId,
    batch_id: BatchId,
}

#[derive(Serialize)]
struct Taken {
    organization_id: OrganizationId,
    distribution_id: DistributionId,
    batch_id: BatchId,
    batch_key: BatchKey,
    /// Where to look: it is there as soon as intake has read it.
    batch_url: String,
    distribution_url: String,
}

/// `202`: the broker has it. Whether its rows are good is told by events and under `batch_url`.
pub(super) async fn hand_over(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = whole(body)?;
    // An array of three would pass for the names, too.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(ApiError::bad_request(
            "malformed_body",
            "expected a JSON object",
        ));
    }
    let Names {
        organization_id,
        distribution_id,
        batch_id,
    } = json(Ok(body.clone()))?;
    caller.may_touch(&organization_id)?;
    let most = app.settings.batches_waiting_max;
    if let Some(seconds) = app.backlog.full(&*app.bus, most).await? {
        let message = "too many batches wait for intake";
        return Err(
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "backlog", message).retry_after(seconds),
        );
    }
    let batch_key = BatchKey::of(&organization_id, &batch_id);
    let route = Route::Queue(queue::BATCHES.to_owned());
    app.bus
        .publish(vec![Outgoing::new(route, batch_key.to_string(), body)])
        .await?;
    app.metrics.batches.inc();
    audit(
        &caller,
        Action::HandOverBatch,
        Some(&organization_id),
        &batch_id,
    );
    let taken = Taken {
        batch_url: format!("/v1/batches/{batch_id}?organization_id={organization_id}"),
        distribution_url: format!(
            "/v1/distributions/{distribution_id}?organization_id={organization_id}"
        ),
        organization_id,
        distribution_id,
        batch_id,
        batch_key,
    };
    Ok((StatusCode::ACCEPTED, Json(taken)).into_response())
}

/// How far intake is with a batch.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BatchState {
    /// Known; its rows or chunks are not all written.
    Registered,
    /// All its good rows are in their queue.
    Published,
    /// Refused as a whole.
    Refused,
}

impl BatchState {
    pub(super) const fn of(record: &BatchRecord) -> Self {
        if record.published {
            Self::Published
        } else {
            Self::Registered
        }
    }
}

#[derive(Serialize)]
struct BatchView {
    organization_id: OrganizationId,
    distribution_id: DistributionId,
    batch_id: BatchId,
    batch_key: BatchKey,
    state: BatchState,
    connection_id: ConnectionId,
    class: Class,
    recipients: u32,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(flatten)]
    accounts: Accounts,
    refused_rows: Page<RefusedRow>,
}

#[derive(Serialize)]
struct RefusedRow {
    row: u32,
    rule: String,
    field: String,
}

/// A batch with its counts, and its refused rows in pages.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(batch_id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Response, ApiError> {
    let organization = caller.organization(query.organization_id.as_deref())?;
    let batch_id =
        BatchId::new(&batch_id).map_err(|why| ApiError::invalid("batch_id", why.to_string()))?;
    let key = BatchKey::of(&organization, &batch_id);
    let Some(record) = app.ledger.batch(key).await? else {
        return refused_as_a_whole(&app, &organization, &batch_id).await;
    };
    let counts = app.ledger.counts(key).await?;
    let view = BatchView {
        state: BatchState::of(&record),
        accounts: accounts(&[(&record, &counts)]),
        refused_rows: refused_rows(&app, &record, &query).await?,
        organization_id: record.organization_id,
        distribution_id: record.distribution_id,
        batch_id: record.batch_id,
        batch_key: key,
        connection_id: record.connection_id,
        class: record.class,
        recipients: record.recipients,
        created_at: record.created_at,
        expires_at: record.expires_at,
    };
    Ok(Json(view).into_response())
}

async fn refused_as_a_whole(
    app: &App,
    organization: &OrganizationId,
    batch_id: &BatchId,
) -> Result<Response, ApiError> {
    let refused = app.ledger.refused_batches(organization).await?;
    let found = refused
        .into_iter()
        .find(|refused| refused.batch_id.as_ref() == Some(batch_id));
    match found {
        Some(refused) => Ok(Json(RefusedView::from(refused)).into_response()),
        None => Err(ApiError::not_found(
            "unknown_batch",
            "no such batch: it still waits for intake, its time is over, or it never was",
        )),
    }
}

const ROWS_PER_CALL: u32 = 1_000;

/// Rows that intake refused, from the cursor's row on.
async fn refused_rows(
    app: &App,
    record: &BatchRecord,
    query: &PageQuery,
) -> Result<Page<RefusedRow>, ApiError> {
    let limit = query.limit()?;
    let mut first: u32 = match query.cursor::<1>()? {
        Some([row]) => part(row)?,
        None => 0,
    };
    let mut items = Vec::new();
    loop {
        let rows = app.ledger.rows(record.key, first, ROWS_PER_CALL).await?;
        let Some(last) = rows.last() else {
            return Ok(Page::whole(items));
        };
        first = last.row.saturating_add(1);
        for row in rows {
            if row.state != MessageState::Invalid {
                continue;
            }
            if items.len() == limit {
                return Ok(Page {
                    items,
                    next_cursor: Some(row.row.to_string()),
                });
            }
            items.push(refused_row(row));
        }
    }
}

/// Intake writes `rule:field` where other rows have a provider's code.
fn refused_row(row: Row) -> RefusedRow {
    let (rule, field) = row.code.split_once(':').unwrap_or((&row.code, ""));
    RefusedRow {
        row: row.row,
        rule: rule.to_owned(),
        field: field.to_owned(),
    }
}

#[derive(Serialize)]
pub(super) struct RefusedView {
    organization_id: OrganizationId,
    distribution_id: Option<DistributionId>,
    batch_id: Option<BatchId>,
    state: BatchState,
    refusals: Vec<Refusal>,
    at: Timestamp,
}

impl From<RefusedBatch> for RefusedView {
    fn from(refused: RefusedBatch) -> Self {
        Self {
            organization_id: refused.organization_id,
            distribution_id: refused.distribution_id,
            batch_id: refused.batch_id,
            state: BatchState::Refused,
            refusals: refused.refusals,
            at: refused.at,
        }
    }
}

/// The batches of an organisation that were refused as a whole, newest first.
pub(super) async fn refused(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<RefusedView>>, ApiError> {
    let organization = caller.organization(query.organization_id.as_deref())?;
    let limit = query.limit()?;
    // The time of the last one seen, and how many of that same time were seen.
    let seen: Option<(u64, usize)> = match query.cursor::<2>()? {
        Some([at, same]) => Some((part(at)?, part(same)?)),
        None => None,
    };
    let all = app.ledger.refused_batches(&organization).await?;
    let mut same_left = seen.map_or(0, |(_, same)| same);
    let mut rest = all.into_iter().filter(|refused| {
        let Some((until, _)) = seen else { return true };
        let at = refused.at.as_millis();
        if at == until && same_left > 0 {
            same_left -= 1;
            return false;
        }
        at <= until
    });
    let items: Vec<RefusedView> = rest.by_ref().take(limit).map(RefusedView::from).collect();
    let next_cursor = rest.next().and(items.last()).map(|last| {
        let at = last.at.as_millis();
        let same = items.iter().filter(|item| item.at == last.at).count();
        let before = seen
            .filter(|(until, _)| *until == at)
            .map_or(0, |(_, same)| same);
        format!("{at}~{}", same + before)
    });
    Ok(Json(Page { items, next_cursor }))
}
