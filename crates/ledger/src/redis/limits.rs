//! Limits: one cell each, on the store's clock.

use super::{RedisLedger, batches::decimal};
use crate::{Lease, LeaseRequest, LedgerError};

/// How long to wait where the rate allows nothing at all.
const NEVER_MILLIS: u64 = 1_000;

pub(super) async fn lease(
    ledger: &RedisLedger,
    lease: &LeaseRequest,
) -> Result<Lease, LedgerError> {
    if !(lease.per_second.is_finite() && lease.per_second > 0.0) {
        return Ok(Lease {
            granted: 0,
            retry_after_millis: NEVER_MILLIS,
        });
    }
    let args = [
        lease.per_second.to_string().into(),
        lease.burst.to_string().into(),
        decimal(lease.want.into()),
    ];
    let keys = [ledger.keys.limit(&lease.scope)];
    let (granted, wait_micros): (u32, u64) = ledger
        .link
        .script(&ledger.scripts.lease, &keys, &args)
        .await?;
    Ok(Lease {
        granted,
        retry_after_millis: wait_micros.div_ceil(1_000),
    })
}

pub(super) async fn hold_back(
    ledger: &RedisLedger,
    scope: &str,
    for_millis: u64,
) -> Result<(), LedgerError> {
    let keys = [ledger.keys.limit(scope)];
    ledger
        .link
        .script(&ledger.scripts.hold_back, &keys, &[decimal(for_millis)])
        .await
}
