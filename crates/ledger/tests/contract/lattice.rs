//! Random histories: receipts in any order end the same, and Redis does what the rules say.

use ledger::{
    ClaimRequest, EmbeddedLedger, NewRow, PartName, PartReport, Registered, RowReport,
    SettleOutcome, SettleRequest, SettleRow,
};
use message::{
    BatchKey, MessageState, Timestamp,
    opt_out::{OptOutChange, OptOutKind, OptOutSource},
};

use crate::world::{
    SENDER, World, accepted, at, connection, good_row, number, provider_id, report, settle_row,
};

const ROWS: u32 = 12;
const CODES: [&str; 6] = ["", "30003", "30006", "5", "a", "\u{e9}"];

fn any_state(random: &mut fastrand::Rng) -> MessageState {
    MessageState::ALL[random.usize(..MessageState::ALL.len())]
}

fn any_report(random: &mut fastrand::Rng) -> RowReport {
    let row = random.u32(..ROWS);
    let id = if random.bool() {
        provider_id(row)
    } else {
        String::new()
    };
    RowReport {
        row,
        state: any_state(random),
        code: CODES[random.usize(..CODES.len())].into(),
        provider_message_id: id,
        part: None,
    }
}

/// About one part, as no single provider would mix them.
fn any_part(random: &mut fastrand::Rng) -> PartReport {
    let number = random.u8(1..4);
    PartReport {
        name: match random.bool() {
            true => PartName::Number(number),
            false => PartName::Id(format!("id-{number}")),
        },
        of: [None, Some(1), Some(2), Some(3)][random.usize(..4)],
    }
}

fn any_opt_out(world: &World, at: Timestamp, random: &mut fastrand::Rng) -> OptOutChange {
    OptOutChange {
        organization_id: world.organization.clone(),
        number: number(random.u32(..3)),
        kind: match random.bool() {
            true => OptOutKind::OptOut,
            false => OptOutKind::OptIn,
        },
        at,
        sender: [None, Some(SENDER.into()), Some("Acme".into())][random.usize(..3)].clone(),
        source: OptOutSource::Provider,
        connection_id: None,
        evidence: String::new(),
    }
}

pub async fn any_order_of_receipts_ends_the_same(world: &World) {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut said: Vec<RowReport> = (0..40).map(|_| any_report(&mut random)).collect();
        let rows: Vec<u32> = (0..ROWS).collect();
        let mut ends = Vec::new();
        for order in 0..3 {
            said.extend_from_within(..random.usize(..20));
            random.shuffle(&mut said);
            let batch = world.batch(&format!("b-{seed}-{order}"), ROWS).await;
            world.claim(batch, 1, &rows).await;
            // The answer to the request comes before, between or after the receipts.
            let (before, after) = said.split_at(random.usize(..said.len()));
            let settled: Vec<_> = rows.iter().map(|row| accepted(*row)).collect();
            world.merge(batch, before).await;
            world.settle(batch, 1, &settled).await;
            world.merge(batch, after).await;
            let rows = world.ledger.rows(batch, 0, ROWS).await.expect("listed");
            let end: Vec<_> = rows
                .into_iter()
                .map(|row| (row.state, row.code, row.provider_message_id))
                .collect();
            ends.push(end);
        }
        assert!(
            ends.windows(2).all(|pair| pair[0] == pair[1]),
            "seed {seed}: {ends:?}"
        );
    }
}

/// One step of a history, applied to both ledgers.
enum Step {
    Claim(ClaimRequest),
    Settle(SettleRequest),
    Merge(Vec<RowReport>, Timestamp),
    OptOut(OptOutChange),
    Cancel(Timestamp),
    Enter(Vec<NewRow>),
    Reopen(Vec<u32>, Timestamp),
}

fn any_step(world: &World, batch: BatchKey, now: u64, random: &mut fastrand::Rng) -> Step {
    let rows = |random: &mut fastrand::Rng| -> Vec<u32> {
        (0..random.usize(1..6))
            .map(|_| random.u32(..ROWS + 1))
            .collect()
    };
    match random.u32(..110) {
        0..40 => Step::Claim(ClaimRequest {
            attempt: random.u8(1..4),
            now: at(now),
            redelivered: random.u32(..4) == 0,
            connection_id: connection(["con-1", "con-2", "con-3"][random.usize(..3)]),
            sender: [SENDER, "Acme"][random.usize(..2)].into(),
            ..world.claim_of(batch, random.u32(..3), &rows(random))
        }),
        40..70 => {
            let settle = |row, random: &mut fastrand::Rng| {
                let outcome = match random.u32(..4) {
                    0 => SettleOutcome::Retry,
                    1 => SettleOutcome::Release,
                    _ => SettleOutcome::State(any_state(random)),
                };
                let id = ["", "SM1", &provider_id(row)][random.usize(..3)].to_owned();
                SettleRow {
                    parts: random.u8(..4),
                    ..settle_row(row, outcome, CODES[random.usize(..CODES.len())], &id)
                }
            };
            let settled = rows(random)
                .into_iter()
                .map(|row| settle(row, random))
                .collect();
            Step::Settle(SettleRequest {
                batch,
                token: random.u32(..3),
                now: at(now),
                connection_id: connection("con-1"),
                sender: (world.organization.clone(), SENDER.into()),
                index_ids: true,
                rows: settled,
            })
        }
        70..99 => {
            let reports = (0..random.usize(1..6))
                .map(|_| RowReport {
                    part: random.bool().then(|| any_part(random)),
                    ..any_report(random)
                })
                .collect();
            Step::Merge(reports, at(now))
        }
        99..109 => {
            // Now and then one that comes late.
            let at = at(now.saturating_sub(random.u64(..3) * 20_000));
            Step::OptOut(any_opt_out(world, at, random))
        }
        _ => Step::Cancel(at(now)),
    }
}

/// Rows of three buckets, the last of them not full.
const MANY: u32 = 230;

/// Rows as chunks name them: mostly a range, sometimes with gaps, in any order, or with repetitions.
fn any_chunk(random: &mut fastrand::Rng) -> Vec<u32> {
    let first = [0, 100, 200, 50, random.u32(..MANY)][random.usize(..5)];
    let length = [1, 4, 10, 25, 50, 100, 130, MANY][random.usize(..8)];
    let mut rows: Vec<u32> = (first..MANY.min(first + length)).collect();
    match random.u32(..12) {
        0 => rows.retain(|_| random.u32(..4) > 0),
        1 => random.shuffle(&mut rows),
        2 => rows.extend_from_within(..random.usize(..=rows.len().min(3))),
        3 => rows.push(MANY + random.u32(..3)),
        _ => {}
    }
    rows
}

/// One step of a history of chunks: what is said is mostly said about all their rows.
fn any_chunk_step(world: &World, batch: BatchKey, now: u64, random: &mut fastrand::Rng) -> Step {
    let rows = any_chunk(random);
    match random.u32(..106) {
        0..12 => {
            let invalid = random.u32(..3) == 0;
            let new = |row| NewRow {
                invalid: (invalid && random.u32(..10) == 0).then(|| "number:to".to_owned()),
                ..good_row(row)
            };
            let rows = rows.into_iter().filter(|row| *row < MANY);
            Step::Enter(rows.map(new).collect())
        }
        12..45 => Step::Claim(ClaimRequest {
            attempt: [1, 1, 1, 2][random.usize(..4)],
            now: at(now),
            redelivered: random.u32(..6) == 0,
            connection_id: connection(["con-1", "con-2"][random.usize(..2)]),
            ..world.claim_of(batch, random.u32(..2), &rows)
        }),
        45..75 => {
            let outcomes = [
                SettleOutcome::State(MessageState::Accepted),
                SettleOutcome::State(MessageState::Accepted),
                SettleOutcome::State(MessageState::Accepted),
                SettleOutcome::Retry,
                SettleOutcome::Release,
                SettleOutcome::State(MessageState::Failed),
                SettleOutcome::State(any_state(random)),
            ];
            let codes = ["", "", "", "30003", "attempts_exhausted:connect"];
            let outcome = outcomes[random.usize(..outcomes.len())];
            let code = codes[random.usize(..codes.len())];
            let (parts, ids, mixed) = (random.u8(..3), random.u32(..4), random.u32(..3) == 0);
            let token = [0, 0, 1][random.usize(..3)];
            let settle = |row| {
                let id = match ids {
                    0 => String::new(),
                    1 => format!("{row}"),
                    _ => provider_id(row),
                };
                let differs = mixed && random.u32(..20) == 0;
                let outcome = match differs {
                    true => SettleOutcome::State(any_state(random)),
                    false => outcome,
                };
                SettleRow {
                    parts,
                    ..settle_row(row, outcome, code, &id)
                }
            };
            Step::Settle(SettleRequest {
                batch,
                token,
                now: at(now),
                connection_id: connection("con-1"),
                sender: (world.organization.clone(), SENDER.into()),
                index_ids: true,
                rows: rows.into_iter().map(settle).collect(),
            })
        }
        75..98 => {
            let states = [
                MessageState::Delivered,
                MessageState::Sent,
                any_state(random),
            ];
            let state = states[random.usize(..3)];
            let (with_id, in_parts) = (random.bool(), random.u32(..6) == 0);
            let code = CODES[random.usize(..2)];
            let report = |row| RowReport {
                provider_message_id: match with_id {
                    true => provider_id(row),
                    false => String::new(),
                },
                part: in_parts.then(|| any_part(random)),
                ..report(row, state, code)
            };
            Step::Merge(rows.into_iter().map(report).collect(), at(now))
        }
        98..105 => Step::Reopen(rows, at(now)),
        _ => Step::Cancel(at(now)),
    }
}

/// The embedded ledger runs the rules as they are written in Rust, Redis the Lua ones.
#[tokio::test]
async fn redis_and_the_process_tell_the_same_of_any_history() {
    let Some(redis) = World::redis().await else {
        return;
    };
    let embedded = World {
        ledger: EmbeddedLedger::new(),
        organization: redis.organization.clone(),
        store: None,
    };
    compare(&redis, &embedded, 150).await;
    redis.tidy_up().await;
}

pub async fn compare(redis: &World, embedded: &World, histories: u64) {
    for seed in 0..histories {
        let batch = redis.batch(&format!("b-{seed}"), ROWS).await;
        embedded.batch(&format!("b-{seed}"), ROWS).await;
        history(redis, embedded, batch, seed, any_step).await;

        if seed % 3 > 0 {
            continue; // these are longer
        }
        let record = redis.record(&format!("c-{seed}"), MANY);
        for world in [redis, embedded] {
            let registered = world.ledger.register_batch(&record).await;
            assert_eq!(registered.expect("registered"), Registered::New);
            if seed % 4 > 0 {
                let rows: Vec<_> = (0..MANY).map(good_row).collect();
                let written = world.ledger.write_rows(record.key, &rows).await;
                written.expect("written");
            }
        }
        history(redis, embedded, record.key, seed, any_chunk_step).await;
    }
}

async fn history(
    redis: &World,
    embedded: &World,
    batch: BatchKey,
    seed: u64,
    any_step: fn(&World, BatchKey, u64, &mut fastrand::Rng) -> Step,
) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (one, other) = (&redis.ledger, &embedded.ledger);
    let mut now = 0;
    for number in 0..60 {
        now += random.u64(..30_000);
        let place = format!("seed {seed}, step {number}");
        let step = any_step(redis, batch, now, &mut random);
        // Now and then the answer is lost and the call repeated.
        for _ in 0..random.u32(1..3) {
            match &step {
                Step::Claim(claim) => {
                    let answers = (one.claim(claim).await, other.claim(claim).await);
                    let answers = (answers.0.expect("ok"), answers.1.expect("ok"));
                    assert_eq!(answers.0, answers.1, "{place}: {claim:?}");
                }
                Step::Settle(settle) => {
                    let answers = (one.settle(settle).await, other.settle(settle).await);
                    let answers = (answers.0.expect("ok"), answers.1.expect("ok"));
                    assert_eq!(answers.0, answers.1, "{place}: {settle:?}");
                }
                Step::Merge(reports, now) => {
                    let answers = (
                        one.merge(batch, reports, *now).await.expect("ok"),
                        other.merge(batch, reports, *now).await.expect("ok"),
                    );
                    assert_eq!(answers.0, answers.1, "{place}: {reports:?}");
                }
                Step::OptOut(change) => {
                    let answers = (
                        one.change_opt_out(change).await.expect("ok"),
                        other.change_opt_out(change).await.expect("ok"),
                    );
                    assert_eq!(answers.0, answers.1, "{place}: {change:?}");
                    let known = (
                        one.sender_standings(&redis.organization, change.number),
                        other.sender_standings(&redis.organization, change.number),
                    );
                    let known = (known.0.await.expect("ok"), known.1.await.expect("ok"));
                    assert_eq!(known.0, known.1, "{place}: {change:?}");
                }
                Step::Cancel(now) => {
                    let answers = (
                        one.cancel_rows(batch, *now).await.expect("ok"),
                        other.cancel_rows(batch, *now).await.expect("ok"),
                    );
                    assert_eq!(answers.0, answers.1, "{place}");
                }
                Step::Enter(rows) => {
                    one.write_rows(batch, rows).await.expect("ok");
                    other.write_rows(batch, rows).await.expect("ok");
                }
                Step::Reopen(rows, now) => {
                    let answers = (
                        one.reopen(batch, rows, *now).await.expect("ok"),
                        other.reopen(batch, rows, *now).await.expect("ok"),
                    );
                    assert_eq!(answers.0, answers.1, "{place}: {rows:?}");
                }
            }
        }
    }
    redis.check_books(batch).await;
    embedded.check_books(batch).await;
    let rows = (
        one.rows(batch, 0, MANY).await,
        other.rows(batch, 0, MANY).await,
    );
    assert_eq!(rows.0.expect("ok"), rows.1.expect("ok"), "seed {seed}");
}
