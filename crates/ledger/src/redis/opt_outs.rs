//! Opt-outs. The check before every send asks sets of integers, which cost about ten bytes a number
//! as long as they are small; the evidence lies beside them, in the same slot.

use message::{
    Msisdn, OrganizationId,
    opt_out::{OptOutChange, OptOutKind, Standing},
};

use super::{
    RedisLedger,
    batches::{decimal, to_json},
};
use crate::{LedgerError, reply_index};

/// Shards of an organisation: sets stay integer sets up to 512 members, so up to half a million
/// opt-outs are cheap. Fixed, because where a number lies must never change.
const SHARDS: u64 = 1_024;

/// Whether each of `numbers` is out.
pub(super) async fn are_out(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    numbers: &[Msisdn],
) -> Result<Vec<bool>, LedgerError> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<_> = numbers
        .iter()
        .map(|number| keys(ledger, organization, *number).0)
        .collect();
    let args: Vec<_> = numbers
        .iter()
        .map(|number| decimal(number.as_u64()))
        .collect();
    let letters: Vec<u8> = ledger
        .link
        .script(&ledger.scripts.opted_out, &keys, &args)
        .await?;
    if letters.len() != numbers.len() {
        return Err(damaged(organization)); // fails closed: who can not check does not send
    }
    Ok(letters.into_iter().map(|letter| letter != b'0').collect())
}

pub(super) async fn change(
    ledger: &RedisLedger,
    change: &OptOutChange,
) -> Result<bool, LedgerError> {
    let (out, standings) = keys(ledger, &change.organization_id, change.number);
    let kind = match change.kind {
        OptOutKind::OptOut => "out",
        OptOutKind::OptIn => "in",
    };
    let args = [
        decimal(change.number.as_u64()),
        kind.into(),
        decimal(change.at.as_millis()),
        to_json(change),
    ];
    ledger
        .link
        .script(&ledger.scripts.change_opt_out, &[out, standings], &args)
        .await
}

pub(super) async fn standings(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    numbers: &[Msisdn],
) -> Result<Vec<Option<Standing>>, LedgerError> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipe = redis::pipe();
    for number in numbers {
        let (_, standings) = keys(ledger, organization, *number);
        pipe.cmd("HGET").arg(standings).arg(number.as_u64());
    }
    let found: Vec<Option<String>> = ledger.link.pipe(&pipe).await?;
    let read = |stored: Option<String>| {
        // "<when> <out|in> <JSON>": the first two are for the script.
        let json = stored.map(|stored| stored.splitn(3, ' ').nth(2).map(str::to_owned));
        json.map(|json| {
            let json = json.ok_or_else(|| damaged(organization))?;
            serde_json::from_str(&json).map_err(|_| damaged(organization))
        })
        .transpose()
    };
    found.into_iter().map(read).collect()
}

fn keys(ledger: &RedisLedger, organization: &OrganizationId, number: Msisdn) -> (String, String) {
    let shard = reply_index::hash(&number.as_u64().to_be_bytes()) % SHARDS;
    ledger.keys.opt_outs(organization, shard)
}

fn damaged(organization: &OrganizationId) -> LedgerError {
    LedgerError::Damaged {
        place: format!("opt-outs of {organization}"),
        why: "written by a newer version, or damaged".into(),
    }
}
