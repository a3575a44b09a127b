//! What came in and is remembered for a while: names of what was processed, refused batches.

use std::time::Duration;

use message::OrganizationId;

use super::{
    RedisLedger,
    batches::{decimal, millis, to_json},
};
use crate::{InboundPart, Joined, LedgerError, PARTS_KEPT_FOR, REFUSED_BATCHES_MAX, RefusedBatch};

pub(super) async fn was_seen(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    name: &str,
) -> Result<bool, LedgerError> {
    let key = ledger.keys.of(organization, &format!("seen:{name}"));
    ledger.link.run(redis::cmd("EXISTS").arg(key)).await
}

pub(super) async fn mark_seen(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    name: &str,
    keep_for: Duration,
) -> Result<(), LedgerError> {
    let key = ledger.keys.of(organization, &format!("seen:{name}"));
    let mut set = redis::cmd("SET");
    set.arg(key).arg("").arg("PX").arg(millis(keep_for).max(1));
    ledger.link.run(&set).await
}

pub(super) async fn join_part(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    message: &str,
    part: &InboundPart,
) -> Result<Joined, LedgerError> {
    let key = ledger.keys.of(organization, &format!("parts:{message}"));
    let args = [
        decimal(part.number.into()),
        decimal(part.total.into()),
        part.name.clone().into(),
        part.body.clone().into(),
        vec![if part.has_waited { b'1' } else { b'0' }],
        decimal(millis(PARTS_KEPT_FOR)),
    ];
    let answer: Vec<String> = ledger
        .link
        .script(&ledger.scripts.join_part, &[key], &args)
        .await?;
    let damaged = || LedgerError::Damaged {
        place: format!("parts of an inbound message of {organization}"),
        why: "an answer has not the expected form".into(),
    };
    match answer.split_first() {
        Some((word, [])) if word == "waits" => Ok(Joined::Waits),
        Some((word, [])) if word == "elsewhere" => Ok(Joined::Elsewhere),
        Some((word, [])) if word == "late" => Ok(Joined::Late),
        Some((word, fields)) if word == "ready" => {
            let (pairs, []) = fields.as_chunks() else {
                return Err(damaged());
            };
            let mut parts = pairs
                .iter()
                .map(|[number, body]| Some((number.parse().ok()?, body.clone())))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(damaged)?;
            parts.sort_unstable_by_key(|(number, _)| *number);
            Ok(Joined::Ready(parts))
        }
        _ => Err(damaged()),
    }
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
