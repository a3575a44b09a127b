//! Which message has which id at its provider: see `id_index.rs`.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use message::{ConnectionId, Reference, Timestamp};

use super::{
    RedisLedger,
    batches::millis,
    lines::{self, Lines},
};
use crate::{
    LedgerError,
    id_index::{self, IdName, Line},
};

/// An id is known for two windows at least: providers report for three days, some for seven.
const WINDOW: Duration = Duration::from_secs(4 * 24 * 3600);

/// Three windows, and an hour for clocks that differ.
const KEPT_FOR: Duration = Duration::from_secs(12 * 24 * 3600 + 3600);

/// Ids that are looked up together.
const IDS_A_STEP: usize = 50;

/// Enters ids of a connection's messages, all of one batch: one call, whatever their number.
pub(super) async fn enter(
    ledger: &RedisLedger,
    connection: &ConnectionId,
    ids: &[(IdName, Reference)],
) -> Result<(), LedgerError> {
    if ids.is_empty() {
        return Ok(());
    }
    let window = current_window();
    let key = ledger.keys.ids(connection, &window.to_string());
    let entries = match ledger.ids.seen(connection, window) {
        Some(entries) => entries,
        None => lines::entries(ledger, &key).await?,
    };
    let mut lines = Lines::new(entries);
    for (name, reference) in ids {
        let new = || Line::new(reference.batch);
        lines.line(name.shard, new).add(name, reference.row);
    }
    let entries = lines::append(ledger, key, lines, Line::into_bytes, KEPT_FOR).await?;
    ledger.ids.see(connection, window, entries);
    Ok(())
}

/// Enters what receipts about one batch taught.
pub(super) async fn enter_learned(
    ledger: &RedisLedger,
    learned: Vec<(ConnectionId, IdName, Reference)>,
) -> Result<(), LedgerError> {
    let mut by_connection = BTreeMap::<_, Vec<_>>::new();
    for (connection, name, reference) in learned {
        let ids = by_connection.entry(connection).or_default();
        ids.push((name, reference));
    }
    for (connection, ids) in by_connection {
        enter(ledger, &connection, &ids).await?;
    }
    Ok(())
}

pub(super) async fn look_up(
    ledger: &RedisLedger,
    connection: &ConnectionId,
    ids: &[&str],
) -> Result<Vec<Option<Reference>>, LedgerError> {
    let now = current_window();
    // The next one too: a writer's clock may be ahead of this one's. The newest first.
    let windows: Vec<_> = (now.saturating_sub(2)..=now + 1)
        .rev()
        .map(|window| ledger.keys.ids(connection, &window.to_string()))
        .collect();
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS_A_STEP) {
        let names: Vec<_> = ids.iter().map(|id| IdName::of(id)).collect();
        let hashes: Vec<_> = names.iter().map(|name| name.shard).collect();
        let lines = lines::read(ledger, &windows, &hashes).await?;
        for (name, lines) in names.iter().zip(lines) {
            let mut message = None;
            for lines in lines {
                message = id_index::latest(&lines, name).ok_or_else(|| LedgerError::Damaged {
                    place: format!("ids of connection {connection}"),
                    why: "a line has not the expected form".into(),
                })?;
                if message.is_some() {
                    break;
                }
            }
            found.push(message);
        }
    }
    Ok(found)
}

fn current_window() -> u64 {
    Timestamp::from(SystemTime::now()).as_millis() / millis(WINDOW)
}
