//! Who works: one small set for the fleet, by the store's clock.

use std::time::Duration;

use super::{RedisLedger, batches::decimal};
use crate::LedgerError;

pub(super) async fn attend(
    ledger: &RedisLedger,
    worker: &str,
    lease: Duration,
) -> Result<Vec<String>, LedgerError> {
    let keys = [ledger.keys.workers()];
    let millis = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
    let args = [worker.into(), decimal(millis)];
    let mut workers: Vec<String> = ledger
        .link
        .script(&ledger.scripts.attend, &keys, &args)
        .await?;
    workers.sort();
    Ok(workers)
}

pub(super) async fn leave(ledger: &RedisLedger, worker: &str) -> Result<(), LedgerError> {
    let mut cmd = redis::cmd("ZREM");
    cmd.arg(ledger.keys.workers()).arg(worker);
    ledger.link.run::<redis::Value>(&cmd).await.map(drop)
}
