//! Distributions: their batches and their state.

use message::{BatchKey, DistributionId, OrganizationId, Timestamp};

use super::{
    RedisLedger,
    batches::{decimal, lifetime_millis},
    queues,
};
use crate::{BatchRecord, DistributionRecord, DistributionState, LedgerError};

/// Lists a batch under its distribution; `false` if that is cancelled.
pub(super) async fn add_batch(
    ledger: &RedisLedger,
    batch: &BatchRecord,
) -> Result<bool, LedgerError> {
    let organization = &batch.organization_id;
    let (distribution, batches) = ledger
        .keys
        .distribution(organization, &batch.distribution_id);
    let keys = [
        distribution,
        batches,
        ledger.keys.of(organization, "ds"),
        ledger.keys.of(organization, "dx"),
    ];
    let args = [
        batch.distribution_id.as_str().into(),
        batch.key.to_string().into(),
        decimal(batch.created_at.as_millis()),
        decimal(lifetime_millis(ledger, batch)),
    ];
    ledger
        .link
        .script(&ledger.scripts.add_batch, &keys, &args)
        .await
}

/// The records of those that exist, in order.
pub(super) async fn get(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    distributions: &[DistributionId],
) -> Result<Vec<DistributionRecord>, LedgerError> {
    if distributions.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipe = redis::pipe();
    for id in distributions {
        let (distribution, batches) = ledger.keys.distribution(organization, id);
        pipe.cmd("HMGET")
            .arg(distribution)
            .arg(&["state", "created"]);
        pipe.cmd("ZRANGE").arg(batches).arg(0).arg(-1);
    }
    let found: Vec<Vec<Option<String>>> = ledger.link.pipe(&pipe).await?;
    let mut records = Vec::new();
    for (id, found) in distributions.iter().zip(found.chunks_exact(2)) {
        // One whose last batch has just ended is listed a little longer than it lives.
        let [Some(state), Some(created)] = &found[0][..] else {
            continue;
        };
        let batches = found[1]
            .iter()
            .flatten()
            .map(|key| key.parse::<BatchKey>().ok())
            .collect();
        let record = read_state(state).zip(created.parse().ok()).zip(batches);
        let Some(((state, created), batches)) = record else {
            return Err(LedgerError::Damaged {
                place: format!("distribution {id} of {organization}"),
                why: "state, time or batches can not be read".into(),
            });
        };
        records.push(DistributionRecord {
            organization_id: organization.clone(),
            distribution_id: id.clone(),
            state,
            created_at: Timestamp::from_millis(created),
            batches,
        });
    }
    Ok(records)
}

pub(super) async fn newest(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    offset: u32,
    limit: u32,
) -> Result<Vec<DistributionRecord>, LedgerError> {
    let mut cmd = redis::cmd("ZREVRANGE");
    let last = u64::from(offset) + u64::from(limit);
    if limit == 0 {
        return Ok(Vec::new());
    }
    cmd.arg(ledger.keys.of(organization, "ds"))
        .arg(offset)
        .arg(last - 1);
    let ids: Vec<String> = ledger.link.run(&cmd).await?;
    let ids: Vec<_> = ids
        .iter()
        .filter_map(|id| DistributionId::new(id).ok())
        .collect();
    get(ledger, organization, &ids).await
}

pub(super) async fn set_state(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    distribution: &DistributionId,
    state: DistributionState,
) -> Result<bool, LedgerError> {
    let (key, _) = ledger.keys.distribution(organization, distribution);
    let args = [state_name(state)];
    let answer: Vec<String> = ledger
        .link
        .script(&ledger.scripts.set_state, &[key], &args)
        .await?;
    let [holds, kept_millis] = &answer[..] else {
        return Ok(false);
    };
    // In another slot, so it may be missing after a crash: every repetition tells it again.
    queues::publish_state(ledger, organization, distribution, holds, kept_millis).await?;
    Ok(true)
}

pub(super) fn state_name(state: DistributionState) -> &'static str {
    match state {
        DistributionState::Active => "active",
        DistributionState::Paused => "paused",
        DistributionState::Cancelled => "cancelled",
    }
}

pub(super) fn read_state(name: &str) -> Option<DistributionState> {
    [
        DistributionState::Active,
        DistributionState::Paused,
        DistributionState::Cancelled,
    ]
    .into_iter()
    .find(|state| state_name(*state) == name)
}
