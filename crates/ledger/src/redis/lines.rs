//! An index that is written with every message and read seldom. Writing is to append a line to a few
//! strings, whatever the number of entries; looking up is to read strings that are meant to hold about a
//! thousand entries. Nothing is lost by a line that is written late or twice.
//!
//! How many such strings (shards) are right follows from how many entries somebody writes in a window of
//! time, which nobody knows beforehand. So there are levels of 16, 64, 256, … shards: a writer appends
//! to the level that the window's counter has reached, and a reader asks the levels that were reached.
//! Windows are dropped whole.

use std::{collections::BTreeMap, time::Duration};

use super::{
    RedisLedger,
    batches::{decimal, millis},
};
use crate::LedgerError;

/// Entries a shard is meant to hold: some 20 KB.
const SHARD_ENTRIES: u64 = 1_024;

/// The highest level has 2^18 shards for 268 million entries; more than that only costs memory.
const LEVELS: u32 = 8;

/// Lines by the shard that they go to.
pub(super) struct Lines<L> {
    level: u32,
    entries: u64,
    by_shard: BTreeMap<u64, L>,
}

impl<L> Lines<L> {
    /// For a window with so many entries.
    pub(super) fn new(known_entries: u64) -> Self {
        Self {
            level: level(known_entries),
            entries: 0,
            by_shard: BTreeMap::new(),
        }
    }

    /// The line that an entry belongs to, whose place follows from `hash`.
    pub(super) fn line(&mut self, hash: u64, new: impl FnOnce() -> L) -> &mut L {
        self.entries += 1;
        let shard = hash % shards(self.level);
        self.by_shard.entry(shard).or_insert_with(new)
    }
}

/// How many entries a window has. `key` is its counter's; its shards are named after it.
pub(super) async fn entries(ledger: &RedisLedger, key: &str) -> Result<u64, LedgerError> {
    let found: Option<u64> = ledger.link.run(redis::cmd("GET").arg(key)).await?;
    Ok(found.unwrap_or(0))
}

/// Appends to a window; how many entries it has now.
pub(super) async fn append<L>(
    ledger: &RedisLedger,
    key: String,
    lines: Lines<L>,
    into_bytes: impl Fn(L) -> Vec<u8>,
    kept_for: Duration,
) -> Result<u64, LedgerError> {
    let mut keys = Vec::with_capacity(1 + lines.by_shard.len());
    let mut args = Vec::with_capacity(2 + lines.by_shard.len());
    args.extend([decimal(millis(kept_for)), decimal(lines.entries)]);
    keys.push(key);
    for (shard, line) in lines.by_shard {
        keys.push(shard_key(&keys[0], lines.level, shard));
        args.push(into_bytes(line));
    }
    let script = &ledger.scripts.append;
    ledger.link.script(script, &keys, &args).await
}

/// The lines that may hold an entry of these windows, for each of `hashes`: those of the first window and
/// of the highest level first, and in each the oldest first.
pub(super) async fn read(
    ledger: &RedisLedger,
    windows: &[String],
    hashes: &[u64],
) -> Result<Vec<Vec<std::sync::Arc<[u8]>>>, LedgerError> {
    let mut counters = redis::pipe();
    for key in windows {
        counters.cmd("GET").arg(key);
    }
    let counts: Vec<Option<u64>> = ledger.link.pipe(&counters).await?;
    let mut places = Vec::new();
    for (key, entries) in windows.iter().zip(counts) {
        if let Some(entries) = entries {
            places.extend((0..=level(entries)).rev().map(|level| (key, level)));
        }
    }
    let mut pipe = redis::pipe();
    let mut asked = BTreeMap::new();
    for (key, level) in &places {
        for hash in hashes {
            let shard = hash % shards(*level);
            asked.entry((*key, *level, shard)).or_insert_with(|| {
                pipe.cmd("GET").arg(shard_key(key, *level, shard));
                pipe.len() - 1
            });
        }
    }
    if asked.is_empty() {
        return Ok(vec![Vec::new(); hashes.len()]);
    }
    let found: Vec<Option<Vec<u8>>> = ledger.link.pipe(&pipe).await?;
    let found: Vec<Option<std::sync::Arc<[u8]>>> = found
        .into_iter()
        .map(|lines| lines.map(Into::into))
        .collect();
    let of_one = |hash: &u64| {
        let places = places.iter();
        places
            .filter_map(|(key, level)| {
                let at = *asked.get(&(*key, *level, hash % shards(*level)))?;
                found.get(at)?.clone()
            })
            .collect()
    };
    Ok(hashes.iter().map(of_one).collect())
}

fn shard_key(key: &str, level: u32, shard: u64) -> String {
    format!("{key}:{level}:{shard}")
}

fn shards(level: u32) -> u64 {
    4u64.pow(level + 2)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_fill_one_after_the_other() {
        assert_eq!(level(0), 0);
        assert_eq!(level(16_383), 0);
        assert_eq!(level(16_384), 1);
        assert_eq!(level(16_384 + 65_536), 2);
        assert_eq!(level(u64::MAX), LEVELS - 1);
    }
}
