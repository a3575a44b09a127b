//! What came in and is remembered for a while: ids of inbound messages, refused batches.

use message::OrganizationId;

use super::{
    RedisLedger,
    batches::{millis, to_json},
};
use crate::{LedgerError, REFUSED_BATCHES_MAX, RefusedBatch, SEEN_FOR_DAYS};

pub(super) async fn was_seen(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    inbound_id: &str,
) -> Result<bool, LedgerError> {
    let key = ledger.keys.of(organization, &format!("seen:{inbound_id}"));
    ledger.link.run(redis::cmd("EXISTS").arg(key)).await
}

pub(super) async fn mark_seen(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    inbound_id: &str,
) -> Result<(), LedgerError> {
    let key = ledger.keys.of(organization, &format!("seen:{inbound_id}"));
    let seconds = SEEN_FOR_DAYS * 24 * 3600;
    ledger
        .link
        .run(redis::cmd("SET").arg(key).arg("").arg("EX").arg(seconds))
        .await
}

/// A set by time, so that a call that is repeated is one refusal.
pub(super) async fn refuse(
    ledger: &RedisLedger,
    refused: &RefusedBatch,
) -> Result<(), LedgerError> {
    let key = ledger.keys.of(&refused.organization_id, "refused");
    let last_dropped = -1 - i64::try_from(REFUSED_BATCHES_MAX).unwrap_or(i64::MAX - 1);
    let mut pipe = redis::pipe();
    pipe.cmd("ZADD")
        .arg(&key)
        .arg(refused.at.as_millis())
        .arg(to_json(refused));
    pipe.cmd("ZREMRANGEBYRANK")
        .arg(&key)
        .arg(0)
        .arg(last_dropped);
    pipe.cmd("PEXPIRE")
        .arg(&key)
        .arg(millis(ledger.settings.keep_refused_batches_for));
    ledger.link.pipe::<()>(&pipe).await
}

pub(super) async fn refused(
    ledger: &RedisLedger,
    organization: &OrganizationId,
) -> Result<Vec<RefusedBatch>, LedgerError> {
    let key = ledger.keys.of(organization, "refused");
    let found: Vec<String> = ledger
        .link
        .run(redis::cmd("ZREVRANGE").arg(key).arg(0).arg(-1))
        .await?;
    let read = |json: String| {
        serde_json::from_str(&json).map_err(|error| LedgerError::Damaged {
            place: format!("refused batches of {organization}"),
            why: error.to_string(),
        })
    };
    found.into_iter().map(read).collect()
}
