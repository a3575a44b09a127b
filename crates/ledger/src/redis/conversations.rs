//! Who was texted from which sender, for matching replies. There is one entry a message, so it has
//! to be small: entries share hashes that are meant to hold about sixty of them, because a small
//! hash is a listpack and costs nothing beside its content.
//!
//! How many such hashes (shards) are right follows from how many entries an organisation writes in
//! a window of time, which nobody knows beforehand. So there are levels of 4, 16, 64, … shards: a
//! writer puts an entry into the level that the window's counter has reached, and a reader asks all
//! levels and takes the newest. Windows are dropped whole.

use std::time::SystemTime;

use message::{Msisdn, OrganizationId, Reference, Timestamp};

use super::{
    RedisLedger,
    batches::{decimal, millis},
};
use crate::{
    Conversation, LedgerError, SettleRequest,
    reply_index::{self, Pair},
};

/// Entries a shard is meant to hold. Chance spreads them by ± 8; beyond 128 a listpack ends.
const SHARD_ENTRIES: u64 = 64;

/// The highest level has 4^9 shards for 16 million entries; more than that only costs memory.
const LEVELS: u32 = 9;

pub(super) async fn remember(
    ledger: &RedisLedger,
    settle: &SettleRequest,
) -> Result<(), LedgerError> {
    let (organization, sender) = &settle.sender;
    let told: Vec<_> = settle
        .rows
        .iter()
        .filter(|what| what.outcome.may_be_answered())
        .collect();
    if told.is_empty() {
        return Ok(());
    }
    let window = current_window(ledger);
    let counter = ledger.keys.of(organization, &format!("t:{window}"));
    let entries = match ledger.conversations.seen(organization, window) {
        Some(entries) => entries,
        None => {
            let found: Option<u64> = ledger.link.run(redis::cmd("GET").arg(&counter)).await?;
            found.unwrap_or(0)
        }
    };
    let level = level(entries);
    let mut keys = vec![counter];
    // Two windows, and an hour for clocks that differ.
    let mut args = vec![decimal(
        millis(ledger.settings.reply_window) * 2 + 3_600_000,
    )];
    for what in told {
        let pair = reply_index::pair(what.to, sender);
        let reference = Reference {
            batch: settle.batch,
            row: what.row,
        };
        keys.push(shard(ledger, organization, window, level, &pair));
        args.push([&pair[..], &reply_index::told(reference, settle.now)].concat());
    }
    let entries = ledger
        .link
        .script(&ledger.scripts.remember, &keys, &args)
        .await?;
    ledger.conversations.see(organization, window, entries);
    Ok(())
}

pub(super) async fn latest(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    sender: &str,
    number: Msisdn,
) -> Result<Option<Conversation>, LedgerError> {
    let pair = reply_index::pair(number, sender);
    let now = current_window(ledger);
    let mut pipe = redis::pipe();
    // The next one too: a writer's clock may be ahead of this one's.
    for window in now.saturating_sub(1)..=now + 1 {
        for level in 0..LEVELS {
            let key = shard(ledger, organization, window, level, &pair);
            pipe.cmd("HGET").arg(key).arg(&pair);
        }
    }
    let found: Vec<Option<Vec<u8>>> = ledger.link.pipe(&pipe).await?;
    let Some(newest) = found.into_iter().flatten().max() else {
        return Ok(None);
    };
    let told = newest
        .as_slice()
        .try_into()
        .map_err(|_| LedgerError::Damaged {
            place: format!("conversations of {organization}"),
            why: "an entry has not 17 bytes".into(),
        })?;
    Ok(Some(reply_index::read(told)))
}

fn current_window(ledger: &RedisLedger) -> u64 {
    let now = Timestamp::from(SystemTime::now()).as_millis();
    now / millis(ledger.settings.reply_window).max(1)
}

fn shards(level: u32) -> u64 {
    4u64.pow(level + 1)
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
    organization: &OrganizationId,
    window: u64,
    level: u32,
    pair: &Pair,
) -> String {
    let shard = reply_index::hash(pair) % shards(level);
    ledger
        .keys
        .of(organization, &format!("t:{window}:{level}:{shard}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_fill_one_after_the_other() {
        assert_eq!(level(0), 0);
        assert_eq!(level(255), 0);
        assert_eq!(level(256), 1);
        assert_eq!(level(256 + 1_024), 2);
        assert_eq!(level(u64::MAX), LEVELS - 1);
    }
}
