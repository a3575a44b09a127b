//! Opt-outs. The check before every send asks sets of integers, which cost about ten bytes a number
//! as long as they are small; the evidence lies beside them, in the same slot. An opt-out towards one
//! sender only is in the same set under a name made of number and sender, an integer too: it is
//! greater than every number.

use message::{
    Msisdn, OrganizationId,
    opt_out::{OptOutChange, OptOutKind, Standing},
};

use super::{
    RedisLedger,
    batches::{decimal, to_json},
    keys::OptOutKeys,
};
use crate::{LedgerError, reply_index};

/// Shards of an organisation: sets stay integer sets up to 512 members, so up to half a million
/// opt-outs are cheap. Fixed, because where a number lies must never change.
const SHARDS: u64 = 1_024;

/// Whether each of `numbers` is out towards the organisation, or towards this sender of it.
pub(super) async fn are_out(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    sender: &str,
    numbers: &[Msisdn],
) -> Result<Vec<bool>, LedgerError> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<_> = numbers
        .iter()
        .map(|number| keys(ledger, organization, *number).out)
        .collect();
    let args: Vec<_> = numbers
        .iter()
        .flat_map(|number| [decimal(number.as_u64()), decimal(name(*number, sender))])
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
    let keys = keys(ledger, &change.organization_id, change.number);
    let kind = match change.kind {
        OptOutKind::OptOut => "out",
        OptOutKind::OptIn => "in",
    };
    let args = [
        decimal(change.number.as_u64()),
        kind.into(),
        decimal(change.at.as_millis()),
        to_json(change),
        change
            .sender
            .as_deref()
            .map_or(Vec::new(), |sender| decimal(name(change.number, sender))),
    ];
    let keys = [keys.out, keys.standings, keys.towards_senders];
    ledger
        .link
        .script(&ledger.scripts.change_opt_out, &keys, &args)
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
        let keys = keys(ledger, organization, *number);
        pipe.cmd("HGET").arg(keys.standings).arg(number.as_u64());
    }
    let found: Vec<Option<String>> = ledger.link.pipe(&pipe).await?;
    let read = |stored: Option<String>| {
        // "<when> <out|in> <JSON>": the first two are for the script.
        let standing = |stored: String| standing(organization, stored.splitn(3, ' ').nth(2));
        stored.map(standing).transpose()
    };
    found.into_iter().map(read).collect()
}

pub(super) async fn towards_senders(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    number: Msisdn,
) -> Result<Vec<Standing>, LedgerError> {
    let keys = keys(ledger, organization, number);
    let mut get = redis::cmd("HGET");
    get.arg(keys.towards_senders).arg(number.as_u64());
    let found: Option<String> = ledger.link.run(&get).await?;
    let lines = found.iter().flat_map(|lines| lines.lines());
    // "<when> <out|in> <name> <JSON>"
    let mut standings = lines
        .map(|line| standing(organization, line.splitn(4, ' ').nth(3)))
        .collect::<Result<Vec<_>, _>>()?;
    standings.sort_by(|a, b| a.sender.cmp(&b.sender));
    Ok(standings)
}

fn standing(organization: &OrganizationId, json: Option<&str>) -> Result<Standing, LedgerError> {
    json.and_then(|json| serde_json::from_str(json).ok())
        .ok_or_else(|| damaged(organization))
}

fn keys(ledger: &RedisLedger, organization: &OrganizationId, number: Msisdn) -> OptOutKeys {
    let shard = reply_index::hash(&number.as_u64().to_be_bytes()) % SHARDS;
    ledger.keys.opt_outs(organization, shard)
}

/// What stands in the set for `number` towards `sender`: 62 bits of a hash above the range of numbers.
/// Two such pairs with the same name would only be more careful than needed.
fn name(number: Msisdn, sender: &str) -> u64 {
    let pair = [&number.as_u64().to_be_bytes(), sender.as_bytes()].concat();
    1 << 62 | reply_index::hash(&pair) >> 2
}

fn damaged(organization: &OrganizationId) -> LedgerError {
    LedgerError::Damaged {
        place: format!("opt-outs of {organization}"),
        why: "written by a newer version, or damaged".into(),
    }
}
