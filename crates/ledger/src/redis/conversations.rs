//! Who was texted from which sender, for matching replies: see `reply_index.rs`.

use std::time::{Duration, SystemTime};

use message::{Msisdn, OrganizationId, Timestamp};

use super::{
    RedisLedger,
    batches::millis,
    lines::{self, Lines},
};
use crate::{
    Conversation, LedgerError, SettleRequest,
    reply_index::{self, Line},
};

pub(super) async fn remember(
    ledger: &RedisLedger,
    settle: &SettleRequest,
) -> Result<(), LedgerError> {
    let (organization, sender) = &settle.sender;
    if !settle
        .rows
        .iter()
        .any(|what| what.outcome.may_be_answered())
    {
        return Ok(());
    }
    let window = current_window(ledger);
    let key = key(ledger, organization, window);
    let entries = match ledger.conversations.seen(organization, window) {
        Some(entries) => entries,
        None => lines::entries(ledger, &key).await?,
    };
    let mut lines = Lines::new(entries);
    let rows = settle.rows.iter();
    for what in rows.filter(|what| what.outcome.may_be_answered()) {
        let new = || Line::new(settle.batch, sender, settle.now);
        lines.line(hash(what.to), new).add(what.to, what.row);
    }
    // Two windows, and an hour for clocks that differ.
    let kept_for = ledger.settings.reply_window * 2 + Duration::from_secs(3_600);
    let entries = lines::append(ledger, key, lines, Line::into_bytes, kept_for).await?;
    ledger.conversations.see(organization, window, entries);
    Ok(())
}

pub(super) async fn latest(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    sender: &str,
    number: Msisdn,
) -> Result<Option<Conversation>, LedgerError> {
    let now = current_window(ledger);
    // The next one too: a writer's clock may be ahead of this one's.
    let windows = now.saturating_sub(1)..=now + 1;
    let windows: Vec<_> = windows
        .map(|window| key(ledger, organization, window))
        .collect();
    let found = lines::read(ledger, &windows, &[hash(number)]).await?;
    let mut newest = None;
    for lines in found.iter().flatten() {
        let found =
            reply_index::latest(lines, number, sender).ok_or_else(|| LedgerError::Damaged {
                place: format!("conversations of {organization}"),
                why: "a line has not the expected form".into(),
            })?;
        newest = newest.max(found);
    }
    Ok(newest.map(reply_index::Told::conversation))
}

fn current_window(ledger: &RedisLedger) -> u64 {
    let now = Timestamp::from(SystemTime::now()).as_millis();
    now / millis(ledger.settings.reply_window).max(1)
}

fn key(ledger: &RedisLedger, organization: &OrganizationId, window: u64) -> String {
    ledger.keys.of(organization, &format!("t:{window}"))
}

fn hash(number: Msisdn) -> u64 {
    reply_index::hash(&number.as_u64().to_be_bytes())
}
