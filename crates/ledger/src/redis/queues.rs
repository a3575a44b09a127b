//! The queues that workers consume, with the states of their distributions beside them, so that a
//! worker learns everything in one round trip, and "nothing new" in a short one.

use std::collections::HashMap;

use message::{DistributionId, OrganizationId, Timestamp, Weight};

use super::{
    RedisLedger,
    batches::{decimal, to_json},
    distributions::read_state,
};
use crate::{DistributionState, LedgerError, QueueEntry, QueueList};

pub(super) async fn open(ledger: &RedisLedger, queue: &QueueEntry) -> Result<(), LedgerError> {
    let keys = ledger.keys.queues();
    // Beside the entry are kept its end, which alone moves when the lease is renewed, and its
    // weight, which not everybody knows who opens the queue.
    let entry = QueueEntry {
        expires_at: Timestamp::from_millis(0),
        weight: None,
        ..queue.clone()
    };
    let args = [
        queue.name.clone().into(),
        to_json(&entry),
        decimal(queue.expires_at.as_millis()),
        queue
            .weight
            .map(|weight| decimal(weight.get().into()))
            .unwrap_or_default(),
    ];
    let keys = [
        keys.entries,
        keys.ends,
        keys.version,
        keys.weights,
        keys.changes,
    ];
    ledger
        .link
        .script(&ledger.scripts.open_queue, &keys, &args)
        .await
}

pub(super) async fn close(ledger: &RedisLedger, name: &str) -> Result<(), LedgerError> {
    let keys = ledger.keys.queues();
    let keys = [
        keys.entries,
        keys.ends,
        keys.version,
        keys.weights,
        keys.changes,
    ];
    ledger
        .link
        .script(&ledger.scripts.close_queue, &keys, &[name])
        .await
}

/// Tells the workers a distribution's state.
pub(super) async fn publish_state(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    distribution: &DistributionId,
    state: &str,
    kept_millis: &str,
) -> Result<(), LedgerError> {
    let keys = ledger.keys.queues();
    let args: [Vec<u8>; 3] = [
        state_field(organization, distribution).into(),
        state.into(),
        kept_millis.into(),
    ];
    let keys = [keys.states, keys.version, keys.changes];
    ledger
        .link
        .script(&ledger.scripts.publish_state, &keys, &args)
        .await
}

pub(super) async fn list(
    ledger: &RedisLedger,
    known_version: Option<u64>,
) -> Result<Option<QueueList>, LedgerError> {
    let keys = ledger.keys.queues();
    let keys = [
        keys.entries,
        keys.ends,
        keys.version,
        keys.states,
        keys.weights,
        keys.changes,
    ];
    let known = known_version.map(decimal).unwrap_or_default();
    let answer: Vec<Vec<String>> = ledger
        .link
        .script(&ledger.scripts.queues, &keys, &[known])
        .await?;
    let (version, entries, ends, states, weights, gone) = match &answer[..] {
        [version, entries, ends, states, weights] => {
            (version, entries, ends, states, weights, None)
        }
        [version, entries, ends, states, weights, gone] => {
            (version, entries, ends, states, weights, Some(gone))
        }
        _ => return Ok(None),
    };
    let version = version.first().and_then(|version| version.parse().ok());
    let version = version.ok_or_else(|| damaged("version"))?;
    let ends: HashMap<_, _> = pairs(ends).collect();
    let states: HashMap<_, _> = pairs(states).collect();
    let weights: HashMap<_, _> = pairs(weights).collect();
    let mut queues = Vec::new();
    for (name, entry) in pairs(entries) {
        let entry: QueueEntry = serde_json::from_str(entry).map_err(|_| damaged(name))?;
        let end = ends.get(name).and_then(|end| end.parse().ok());
        let expires_at = Timestamp::from_millis(end.ok_or_else(|| damaged(name))?);
        // Stored as "<state> <until>"; an active distribution has no entry.
        let state = match states
            .get(state_field(&entry.organization_id, &entry.distribution_id).as_str())
        {
            None => DistributionState::Active,
            Some(stored) => {
                let state = stored.split(' ').next().and_then(read_state);
                state.ok_or_else(|| damaged(name))?
            }
        };
        let weight = weights
            .get(name)
            .map(|weight| weight.parse().ok().and_then(Weight::new));
        let weight = match weight {
            Some(None) => return Err(damaged(name)),
            Some(known) => known,
            None => None,
        };
        queues.push((
            QueueEntry {
                expires_at,
                weight,
                ..entry
            },
            state,
        ));
    }
    queues.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    Ok(Some(QueueList {
        version,
        whole: gone.is_none(),
        queues,
        gone: gone.cloned().unwrap_or_default(),
    }))
}

fn state_field(organization: &OrganizationId, distribution: &DistributionId) -> String {
    format!("{organization}/{distribution}")
}

fn pairs(flat: &[String]) -> impl Iterator<Item = (&str, &str)> {
    flat.chunks_exact(2)
        .map(|pair| (pair[0].as_str(), pair[1].as_str()))
}

fn damaged(name: &str) -> LedgerError {
    LedgerError::Damaged {
        place: format!("list of queues, {name}"),
        why: "it can not be read".into(),
    }
}
