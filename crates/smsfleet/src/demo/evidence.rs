//! Collects what the ledger says at the end of a run.

use ledger::{Ledger, Row};
use message::{Batch, BatchKey, OrganizationId};

use super::{books::BatchBooks, expect::Expected};

const ROWS_PER_CALL: u32 = 1_000;
/// Distributions read at once. A demo has two.
const DISTRIBUTIONS_MAX: u32 = 1_000;

/// A batch's key.
#[must_use]
pub fn own_key(batch: &Batch) -> BatchKey {
    BatchKey::of(&batch.organization_id, &batch.batch_id)
}

/// The books of every batch of `organization`: those that were handed over, with what was expected
/// of them, and those that the fleet made itself.
///
/// # Errors
/// If the ledger does not answer.
pub async fn collect(
    ledger: &dyn Ledger,
    organization: &OrganizationId,
    handed_over: &[Batch],
    expected: Vec<Vec<Expected>>,
) -> anyhow::Result<Vec<BatchBooks>> {
    let mut batches = Vec::new();
    for (batch, expected) in handed_over.iter().zip(expected) {
        batches.push(books(ledger, own_key(batch), Some(expected)).await?);
    }
    let distributions = ledger
        .distributions(organization, 0, DISTRIBUTIONS_MAX)
        .await?;
    for key in distributions
        .into_iter()
        .flat_map(|distribution| distribution.batches)
    {
        if batches.iter().all(|batch| batch.key != key) {
            batches.push(books(ledger, key, None).await?);
        }
    }
    Ok(batches)
}

async fn books(
    ledger: &dyn Ledger,
    key: BatchKey,
    expected: Option<Vec<Expected>>,
) -> anyhow::Result<BatchBooks> {
    let counts = ledger.counts(key).await?;
    Ok(BatchBooks {
        key,
        counts,
        rows: rows(ledger, key).await?,
        expected,
    })
}

async fn rows(ledger: &dyn Ledger, key: BatchKey) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let first = rows.last().map_or(0, |last| last.row.saturating_add(1));
        let page = ledger.rows(key, first, ROWS_PER_CALL).await?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}
