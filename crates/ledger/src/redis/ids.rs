//! Which message has which id at its provider: see `id_index.rs`. There is one entry a message, so they
//! share hashes, as conversations do and for the same reason. Here each level has only twice as many
//! shards as the one before, so that few of them are nearly empty; who looks reads the counter of the
//! window first and asks the levels that were reached.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use message::{ConnectionId, Reference, Timestamp};

use super::{
    RedisLedger,
    batches::{decimal, millis},
};
use crate::{
    LedgerError,
    id_index::{self, IdName},
};

/// Entries a shard is meant to hold. Chance spreads them by ± 10; beyond 128 a listpack ends.
const SHARD_ENTRIES: u64 = 96;

/// The highest level has 4 · 2^16 shards, for 25 million entries in all; more only costs memory.
const LEVELS: u32 = 17;

/// An id is known for two windows at least: providers report for three days, some for seven.
const WINDOW: Duration = Duration::from_secs(4 * 24 * 3600);

/// Three windows, and an hour for clocks that differ.
const KEPT_FOR: Duration = Duration::from_secs(12 * 24 * 3600 + 3600);

/// Ids that are looked up together.
const IDS_A_STEP: usize = 50;

/// Enters ids of a connection's messages: one call, whatever their number.
pub(super) async fn enter(
    ledger: &RedisLedger,
    connection: &ConnectionId,
    ids: &[(IdName, Reference)],
) -> Result<(), LedgerError> {
    if ids.is_empty() {
        return Ok(());
    }
    let window = current_window();
    let counter = ledger.keys.ids(connection, &window.to_string());
    let entries = match ledger.ids.seen(connection, window) {
        Some(entries) => entries,
        None => {
            let found: Option<u64> = ledger.link.run(redis::cmd("GET").arg(&counter)).await?;
            found.unwrap_or(0)
        }
    };
    let level = level(entries);
    let mut keys = vec![counter];
    let mut args = vec![decimal(millis(KEPT_FOR))];
    for (name, reference) in ids {
        keys.push(shard(ledger, connection, window, level, name));
        args.push([&name.field[..], &id_index::pack(*reference)].concat());
    }
    let entries = ledger
        .link
        .script(&ledger.scripts.enter_ids, &keys, &args)
        .await?;
    ledger.ids.see(connection, window, entries);
    Ok(())
}

/// Enters what receipts taught.
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
    let Some(places) = places(ledger, connection).await? else {
        return Ok(vec![None; ids.len()]);
    };
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS_A_STEP) {
        let mut pipe = redis::pipe();
        for id in ids {
            let name = IdName::of(id);
            for (window, level) in &places {
                let key = shard(ledger, connection, *window, *level, &name);
                pipe.cmd("HGET").arg(key).arg(&name.field);
            }
        }
        let answer: Vec<Option<Vec<u8>>> = ledger.link.pipe(&pipe).await?;
        for of_one in answer.chunks_exact(places.len()) {
            let read = |bytes: &Vec<u8>| {
                id_index::unpack(bytes).ok_or_else(|| LedgerError::Damaged {
                    place: format!("ids of connection {connection}"),
                    why: "an entry has neither 10 nor 12 bytes".into(),
                })
            };
            // The newest first.
            found.push(of_one.iter().flatten().next().map(read).transpose()?);
        }
    }
    Ok(found)
}

/// The windows and levels that may hold an entry, the newest first; nothing if there is none.
async fn places(
    ledger: &RedisLedger,
    connection: &ConnectionId,
) -> Result<Option<Vec<(u64, u32)>>, LedgerError> {
    let now = current_window();
    // The next one too: a writer's clock may be ahead of this one's.
    let windows: Vec<_> = (now.saturating_sub(2)..=now + 1).rev().collect();
    let mut pipe = redis::pipe();
    for window in &windows {
        let counter = ledger.keys.ids(connection, &window.to_string());
        pipe.cmd("GET").arg(counter);
    }
    let counts: Vec<Option<u64>> = ledger.link.pipe(&pipe).await?;
    let mut places = Vec::new();
    for (window, entries) in windows.into_iter().zip(counts) {
        let reached = entries.map_or(0, |entries| level(entries) + 1);
        places.extend((0..reached).rev().map(|level| (window, level)));
    }
    Ok((!places.is_empty()).then_some(places))
}

fn current_window() -> u64 {
    Timestamp::from(SystemTime::now()).as_millis() / millis(WINDOW)
}

fn shards(level: u32) -> u64 {
    4 << level
}

/// The level that is not full yet when there are `entries` already.
fn level(entries: u64) -> u32 {
    let mut room = 0;
    (0..LEVELS - 1)
        .find(|level| {
            room += shards(*level) * SHARD_ENTRIES;
            entries < room
        })
        .unwrap_or(LEVELS - 1)
}

fn shard(
    ledger: &RedisLedger,
    connection: &ConnectionId,
    window: u64,
    level: u32,
    name: &IdName,
) -> String {
    let shard = name.shard % shards(level);
    ledger
        .keys
        .ids(connection, &format!("{window}:{level}:{shard}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_fill_one_after_the_other() {
        assert_eq!(level(0), 0);
        assert_eq!(level(383), 0);
        assert_eq!(level(384), 1);
        assert_eq!(level(384 + 768), 2);
        assert_eq!(level(u64::MAX), LEVELS - 1);
    }
}
