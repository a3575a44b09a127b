//! Cancelling a distribution: every row that was not claimed is withdrawn, counted and told.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Extension, Json,
    extract::{Path, Query, State},
};
use backing::news::statuses;
use bus::{BusError, SendQueue};
use ledger::{BatchRecord, Counts, DistributionRecord, DistributionState, Row};
use message::{DistributionId, MessageState, OrganizationId};
use serde::Serialize;

use super::{distributions::find, now, nudge};
use crate::{
    App,
    answer::ApiError,
    audit::{Action, audit},
    paging::PageQuery,
    tokens::Caller,
};

#[derive(Serialize)]
pub(super) struct Cancelled {
    organization_id: OrganizationId,
    distribution_id: DistributionId,
    state: DistributionState,
    /// Messages that will not be sent, exactly.
    will_not_be_sent: u64,
    /// Messages a worker holds right now: each is sent, or will not be sent and counted then.
    being_sent: u64,
    /// Messages that were handed to a provider before.
    already_sent: u64,
}

const ROWS_PER_CALL: u32 = 1_000;

pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Cancelled>, ApiError> {
    let (_, record) = find(&app, &caller, &id, &query).await?;
    audit(
        &caller,
        Action::Cancel,
        Some(&record.organization_id),
        &record.distribution_id,
    );
    // On a task of its own: a caller that hangs up must not leave it half done.
    let work = app.unfinished.spawn({
        let app = Arc::clone(&app);
        async move { carry_out(&app, record).await }
    });
    let done = work.await.map_err(|_| {
        let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        ApiError::new(status, "internal", "cancelling failed; ask for it again")
    })?;
    done.map(Json)
}

/// Idempotent: asked for again, it finishes what an interrupted one left and tells again.
async fn carry_out(app: &App, distribution: DistributionRecord) -> Result<Cancelled, ApiError> {
    let DistributionRecord {
        organization_id,
        distribution_id,
        ..
    } = distribution;
    app.ledger
        .set_distribution_state(
            &organization_id,
            &distribution_id,
            DistributionState::Cancelled,
        )
        .await?;
    nudge(app).await;
    // Read again: batches that were registered meanwhile are in the list, and later ones are refused.
    let keys = app
        .ledger
        .distribution(&organization_id, &distribution_id)
        .await?
        .map(|record| record.batches)
        .unwrap_or_default();
    let mut records = Vec::with_capacity(keys.len());
    for key in keys {
        app.ledger.cancel_rows(key, now()).await?;
        if let Some(record) = app.ledger.batch(key).await? {
            records.push(record);
        }
    }
    purge(app, &records).await?;
    let mut all = Counts::default();
    for record in &records {
        tell(app, record).await?;
        all.extend(&app.ledger.counts(record.key).await?);
    }
    let (withdrawn, being_sent) = (
        all.of(MessageState::Cancelled),
        all.of(MessageState::Sending),
    );
    let handed_over = all
        .iter()
        .filter(|(state, _)| !state.never_handed_over())
        .map(|(_, n)| n)
        .sum::<u64>();
    let waiting = all.of(MessageState::Queued);
    Ok(Cancelled {
        organization_id,
        distribution_id,
        state: DistributionState::Cancelled,
        will_not_be_sent: withdrawn,
        being_sent,
        already_sent: handed_over - being_sent - waiting,
    })
}

/// Empties the queues. Their rows are withdrawn already, so this only spares the workers a look.
async fn purge(app: &App, records: &[BatchRecord]) -> Result<(), ApiError> {
    let queues: BTreeSet<String> = records
        .iter()
        .map(|record| {
            let queue = SendQueue {
                organization_id: record.organization_id.clone(),
                connection_id: record.connection_id.clone(),
                distribution_id: record.distribution_id.clone(),
                class: record.class,
            };
            queue.name()
        })
        .collect();
    for queue in queues {
        match app.bus.purge(&queue).await {
            Ok(_) | Err(BusError::NoSuchQueue(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Publishes the news of every withdrawn row, under the same event ids however often.
async fn tell(app: &App, record: &BatchRecord) -> Result<(), ApiError> {
    let mut first = 0;
    loop {
        let rows = app.ledger.rows(record.key, first, ROWS_PER_CALL).await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        first = last.row.saturating_add(1);
        let cancelled = |row: &Row| row.state == MessageState::Cancelled;
        let news = statuses(record.into(), rows.into_iter().filter(cancelled), now());
        if !news.is_empty() {
            app.bus.publish(news).await?;
        }
    }
}
