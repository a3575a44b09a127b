//! Opt-outs. The check before every send asks sets of integers in a few commands, whatever the number of
//! rows; the evidence lies beside them, in the same slot. Who is out towards one sender only is in a set of
//! their own, under a name made of number and sender, an integer too: most organisations have none, and
//! then nobody asks for those names.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use message::{
    Msisdn, OrganizationId,
    opt_out::{OptOutChange, OptOutKind, Standing},
};
use redis::{FromRedisValue, Pipeline, Value};

use super::{
    RedisLedger,
    batches::{decimal, to_json},
    keys::OptOutKeys,
};
use crate::{LedgerError, reply_index};

/// Shards of the sets that are asked before a send. Few, because each is a command; small sets are sets
/// of integers and cost ten bytes a number, large ones about sixty, beside evidence of some hundred.
/// Fixed, because where a number lies must never change.
const SETS: u64 = 4;

/// Shards of the evidence.
const SHARDS: u64 = 1_024;

/// Organisations that were seen to have opt-outs towards single senders: they are asked at once.
#[derive(Default)]
pub(super) struct AskSenders(Mutex<HashSet<OrganizationId>>);

impl AskSenders {
    fn of(&self, organization: &OrganizationId) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(organization)
    }

    fn remember(&self, organization: &OrganizationId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(organization.clone());
    }
}

/// Whether each of `numbers` is out towards the organisation, or towards this sender of it: all as it was
/// at one instant.
pub(super) async fn are_out(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    sender: &str,
    numbers: &[(u32, Msisdn)],
) -> Result<Vec<bool>, LedgerError> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let mut sets = [const { Vec::new() }; SETS as usize];
    for (at, (_, number)) in numbers.iter().enumerate() {
        sets[set(*number) as usize].push(at);
    }
    if !ledger.ask_senders.of(organization) {
        let mut pipe = redis::pipe();
        pipe.atomic();
        ask(ledger, organization, &mut pipe, &sets, |at| {
            numbers[at].1.as_u64()
        });
        let towards_senders = pipe.cmd("EXISTS");
        for set in 0..SETS {
            towards_senders.arg(ledger.keys.out_towards_senders(organization, set));
        }
        let mut answer: Vec<Value> = ledger.link.pipe(&pipe).await?;
        if answer.pop() == Some(Value::Int(0)) {
            return read(organization, &sets, numbers.len(), answer);
        }
        ledger.ask_senders.remember(organization);
    }
    let mut pipe = redis::pipe();
    pipe.atomic();
    ask(ledger, organization, &mut pipe, &sets, |at| {
        numbers[at].1.as_u64()
    });
    for (set, members) in (0..).zip(&sets) {
        if !members.is_empty() {
            let key = ledger.keys.out_towards_senders(organization, set);
            let command = pipe.cmd("SMISMEMBER").arg(key);
            for at in members {
                command.arg(name(numbers[*at].1, sender));
            }
        }
    }
    let mut towards_all: Vec<Value> = ledger.link.pipe(&pipe).await?;
    let towards_sender = towards_all.split_off(towards_all.len() / 2);
    let towards_all = read(organization, &sets, numbers.len(), towards_all)?;
    let towards_sender = read(organization, &sets, numbers.len(), towards_sender)?;
    let both = towards_all.into_iter().zip(towards_sender);
    Ok(both.map(|(all, sender)| all || sender).collect())
}

/// Asks each set that has anything to be asked.
fn ask(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    pipe: &mut Pipeline,
    sets: &[Vec<usize>],
    member: impl Fn(usize) -> u64,
) {
    for (set, members) in (0..).zip(sets) {
        if !members.is_empty() {
            let command = pipe
                .cmd("SMISMEMBER")
                .arg(ledger.keys.out(organization, set));
            for at in members {
                command.arg(member(*at));
            }
        }
    }
}

/// Fails closed: who can not check does not send.
fn read(
    organization: &OrganizationId,
    sets: &[Vec<usize>],
    numbers: usize,
    answer: Vec<Value>,
) -> Result<Vec<bool>, LedgerError> {
    let asked = || sets.iter().filter(|members| !members.is_empty());
    if answer.len() != asked().count() {
        return Err(damaged(organization));
    }
    let mut are_out = vec![true; numbers];
    for (members, found) in asked().zip(answer) {
        let found = Vec::<bool>::from_redis_value(found).unwrap_or_default();
        if found.len() != members.len() {
            return Err(damaged(organization));
        }
        for (at, is_out) in members.iter().zip(found) {
            are_out[*at] = is_out;
        }
    }
    Ok(are_out)
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
    let set = set(change.number);
    let keys = [
        ledger.keys.out(&change.organization_id, set),
        keys.standings,
        keys.towards_senders,
        ledger
            .keys
            .out_towards_senders(&change.organization_id, set),
    ];
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

/// Which of the sets a number is in.
fn set(number: Msisdn) -> u64 {
    // Other bits than those that the shard of its evidence follows from.
    (reply_index::hash(&number.as_u64().to_be_bytes()) >> 32) % SETS
}

/// What stands in the set for `number` towards `sender`: 62 bits of a hash.
/// Two such pairs with the same name would only be more careful than needed.
fn name(number: Msisdn, sender: &str) -> u64 {
    let pair = [&number.as_u64().to_be_bytes(), sender.as_bytes()].concat();
    reply_index::hash(&pair) >> 2
}

fn damaged(organization: &OrganizationId) -> LedgerError {
    LedgerError::Damaged {
        place: format!("opt-outs of {organization}"),
        why: "written by a newer version, or damaged".into(),
    }
}
