//! A batch's record and counters.

use std::collections::HashMap;

use message::{BatchKey, MessageState};

use super::RedisLedger;
use crate::{BatchRecord, Counts, LedgerError, Registered};

pub(super) async fn register(
    ledger: &RedisLedger,
    batch: &BatchRecord,
) -> Result<Registered, LedgerError> {
    let record = BatchRecord {
        published: false,
        ..batch.clone()
    };
    let answer: Vec<Option<String>> = ledger
        .link
        .script(
            &ledger.scripts.register_batch,
            &[ledger.keys.batch(batch.key)],
            &[
                to_json(&record),
                batch.digest.clone().into(),
                decimal(batch.created_at.as_millis()),
                decimal(batch.recipients.into()),
                decimal(lifetime_millis(ledger, batch)),
            ],
        )
        .await?;
    match &answer[..] {
        [] => Ok(Registered::New),
        [Some(digest), Some(record), published] if *digest == batch.digest => {
            read(batch.key, record, published.is_some()).map(Registered::Known)
        }
        _ => Ok(Registered::Conflict),
    }
}

pub(super) async fn mark_published(
    ledger: &RedisLedger,
    batch: BatchKey,
) -> Result<(), LedgerError> {
    let script = &ledger.scripts.mark_published;
    match ledger
        .link
        .script(script, &[ledger.keys.batch(batch)], &[[0; 0]; 0])
        .await?
    {
        0 => Err(LedgerError::not_registered(batch)),
        _ => Ok(()),
    }
}

pub(super) async fn get(
    ledger: &RedisLedger,
    batch: BatchKey,
) -> Result<Option<BatchRecord>, LedgerError> {
    let mut cmd = redis::cmd("HMGET");
    cmd.arg(ledger.keys.batch(batch))
        .arg(&["record", "published"]);
    let (record, published): (Option<String>, Option<String>) = ledger.link.run(&cmd).await?;
    record
        .map(|record| read(batch, &record, published.is_some()))
        .transpose()
}

pub(super) async fn counts(ledger: &RedisLedger, batch: BatchKey) -> Result<Counts, LedgerError> {
    let fields: HashMap<MessageState, String> = MessageState::ALL
        .into_iter()
        .map(|state| (state, format!("n{}", state.code())))
        .collect();
    let mut cmd = redis::cmd("HMGET");
    cmd.arg(ledger.keys.batch(batch));
    for state in MessageState::ALL {
        cmd.arg(&fields[&state]);
    }
    let found: Vec<Option<u64>> = ledger.link.run(&cmd).await?;
    let mut counts = Counts::default();
    for (state, n) in MessageState::ALL.into_iter().zip(found) {
        if let Some(n) = n.filter(|n| *n > 0) {
            counts.add(state, n);
        }
    }
    Ok(counts)
}

/// How long everything about a batch is kept, counted from when it is written: a clock that
/// somebody sets must not end it early.
pub(super) fn lifetime_millis(ledger: &RedisLedger, batch: &BatchRecord) -> u64 {
    let kept = batch.expires_at.since(batch.created_at) + ledger.settings.keep_ended_batches_for;
    millis(kept)
}

/// A duration as Redis takes it.
pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An integer as a script takes it.
pub(super) fn decimal(value: u64) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// JSON of a record of ours.
pub(super) fn to_json(record: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("our records have string keys and finite numbers only")
}

fn read(key: BatchKey, record: &str, published: bool) -> Result<BatchRecord, LedgerError> {
    let record: BatchRecord =
        serde_json::from_str(record).map_err(|error| LedgerError::Damaged {
            place: format!("batch {key}"),
            why: error.to_string(),
        })?;
    Ok(BatchRecord {
        published,
        ..record
    })
}
