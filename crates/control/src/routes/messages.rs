//! The messages of a distribution, recipients masked.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Query, State},
};
use ledger::{BatchRecord, Row};
use message::{BatchId, BatchKey, ConnectionId, MaskedMsisdn, MessageState, Reference, Timestamp};
use serde::Serialize;

use super::distributions::find;
use crate::{
    App,
    answer::ApiError,
    paging::{Page, PageQuery, part},
    tokens::Caller,
};

#[derive(Serialize)]
pub(super) struct MessageView {
    reference: Reference,
    batch_id: BatchId,
    row: u32,
    to: Option<MaskedMsisdn>,
    status: MessageState,
    attempt: u8,
    /// The provider's error code, the fleet's reason, or the rule that refused the row.
    error_code: Option<String>,
    provider_message_id: Option<String>,
    connection_id: Option<ConnectionId>,
    claimed_at: Option<Timestamp>,
    changed_at: Option<Timestamp>,
}

const ROWS_PER_CALL: u32 = 1_000;
/// Rows looked at for one page: a rare status in a huge distribution takes several, emptier pages.
const ROWS_PER_PAGE_MAX: usize = 20_000;

/// Batch by batch in the order they came, row by row; `?status=` leaves out all others.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<MessageView>>, ApiError> {
    let (_, distribution) = find(&app, &caller, &id, &query).await?;
    let limit = query.limit()?;
    let status = wanted(&query)?;
    let (batch, mut first): (Option<BatchKey>, u32) = match query.cursor::<2>()? {
        Some([batch, row]) => (Some(part(batch)?), part(row)?),
        None => (None, 0),
    };
    let keys = distribution
        .batches
        .iter()
        .skip_while(|key| batch.is_some_and(|batch| batch != **key));
    let (mut items, mut looked_at) = (Vec::new(), 0);
    for key in keys {
        let Some(record) = app.ledger.batch(*key).await? else {
            continue;
        };
        loop {
            if items.len() == limit || looked_at >= ROWS_PER_PAGE_MAX {
                let next_cursor = Some(format!("{key}~{first}"));
                return Ok(Json(Page { items, next_cursor }));
            }
            // Where every row counts, no more than the page takes.
            let ask = match status {
                Some(_) => ROWS_PER_CALL,
                None => ROWS_PER_CALL.min((limit - items.len()) as u32),
            };
            let rows = app.ledger.rows(*key, first, ask).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                if items.len() == limit {
                    break;
                }
                first = row.row.saturating_add(1);
                looked_at += 1;
                if status.is_none_or(|status| status == row.state) {
                    items.push(view(&record, row));
                }
            }
        }
        first = 0;
    }
    Ok(Json(Page::whole(items)))
}

fn wanted(query: &PageQuery) -> Result<Option<MessageState>, ApiError> {
    let Some(text) = &query.status else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let names = MessageState::ALL.map(MessageState::as_str).join(", ");
        ApiError::invalid("status", format!("expected one of {names}"))
    })
}

fn view(record: &BatchRecord, row: Row) -> MessageView {
    let unless_empty = |text: String| Some(text).filter(|text| !text.is_empty());
    MessageView {
        reference: Reference {
            batch: record.key,
            row: row.row,
        },
        batch_id: record.batch_id.clone(),
        row: row.row,
        to: row.to,
        status: row.state,
        attempt: row.attempt,
        error_code: unless_empty(row.code),
        provider_message_id: unless_empty(row.provider_message_id),
        connection_id: row.connection_id,
        claimed_at: row.claimed_at,
        changed_at: row.changed_at,
    }
}
