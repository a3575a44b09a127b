//! Rows of a batch: written, listed, claimed, settled, merged, cancelled.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashSet},
};

use message::{BatchKey, Reference, Timestamp};

use super::{
    RedisLedger,
    batches::decimal,
    buckets::{
        Answer, Asked, NewRows, Said, bucket_keys, damaged, number, read_answer, read_frame,
        read_row, unreadable,
    },
};
use crate::{
    Claim, ClaimRequest, LedgerError, NewRow, Row, RowReport, SettleRequest, SettleRow, Settled,
    columns::Columns,
    id_index::IdName,
    order::{BUCKET_ROWS, bucket, compare_outcomes, compare_reports, outcome_code},
    parts::Name,
    provider_id::packed_bytes,
};

/// Buckets that one step over a whole batch takes, so that nobody waits long for the server.
const BUCKETS_A_STEP: u32 = 10;

/// Rows that one script enters at most.
const ROWS_A_WRITE: usize = 1_000;

pub(super) async fn write(
    ledger: &RedisLedger,
    batch: BatchKey,
    rows: &[NewRow],
) -> Result<(), LedgerError> {
    for rows in rows.chunks(ROWS_A_WRITE) {
        let highest = rows.iter().map(|new| new.row).max().unwrap_or(0);
        let mut buckets = BTreeMap::<u32, NewRows>::new();
        for new in rows {
            buckets.entry(bucket(new.row)).or_default().add(new);
        }
        let keys = bucket_keys(ledger, batch, buckets.keys().copied());
        let mut args = vec![decimal(highest.into())];
        args.extend(buckets.values().map(NewRows::pack));
        let script = &ledger.scripts.write_rows;
        let answer: String = ledger.link.script(script, &keys, &args).await?;
        match answer.as_str() {
            "ok" => {}
            "range" => return Err(LedgerError::row_out_of_range(batch, highest)),
            _ => return Err(LedgerError::not_registered(batch)),
        }
    }
    Ok(())
}

pub(super) async fn list(
    ledger: &RedisLedger,
    batch: BatchKey,
    first: u32,
    limit: u32,
) -> Result<Vec<Row>, LedgerError> {
    let Some(record) = super::batches::get(ledger, batch).await? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let buckets = first / BUCKET_ROWS..record.recipients.div_ceil(BUCKET_ROWS);
    for step in steps(buckets) {
        let mut pipe = redis::pipe();
        let mut columns = redis::cmd("HMGET");
        columns.arg(ledger.keys.batch(batch));
        for bucket in step.clone() {
            for field in ['s', 'r', 't'] {
                columns.arg(format!("{field}{bucket}"));
            }
        }
        // The columns first: a row that leaves them meanwhile is in its bucket then.
        pipe.add_command(columns);
        for bucket in step.clone() {
            pipe.cmd("HGETALL").arg(ledger.keys.bucket(batch, bucket));
        }
        // The connections behind the rows that name them: the list only grows.
        pipe.cmd("HMGET")
            .arg(ledger.keys.batch(batch))
            .arg(&["created", "connections"]);
        let answer: Vec<Vec<Option<Vec<u8>>>> = ledger.link.pipe(&pipe).await?;
        let [columns, contents @ .., frame] = &answer[..] else {
            return Err(damaged(batch));
        };
        let [Some(created), Some(connections)] = &frame[..] else {
            break; // it ended meanwhile
        };
        let frame = read_frame(batch, created, connections)?;
        let mut rows = Vec::new();
        for ((bucket, pairs), columns) in step.zip(contents).zip(columns.chunks_exact(3)) {
            let start = rows.len();
            for pair in pairs.chunks_exact(2) {
                let [Some(field), Some(bytes)] = pair else {
                    return Err(damaged(batch));
                };
                let row = bucket * BUCKET_ROWS + number::<u32>(batch, field)?;
                if row >= first {
                    rows.push(read_row(batch, row, bytes, &frame)?);
                }
            }
            let [Some(column), runs, Some(numbers)] = columns else {
                continue;
            };
            let alone: HashSet<u32> = rows[start..].iter().map(|row: &Row| row.row).collect();
            let runs = runs.as_deref().unwrap_or_default();
            let columns = Columns::read(column, runs, numbers).ok_or_else(|| damaged(batch))?;
            for field in columns.fields() {
                let row = bucket * BUCKET_ROWS + u32::from(field);
                if row >= first && !alone.contains(&row) {
                    let read = columns.row(field, row, &frame);
                    rows.push(read.ok_or_else(|| unreadable(batch, row))?);
                }
            }
        }
        rows.sort_by_key(|row| row.row);
        found.extend(rows);
        if found.len() >= limit as usize {
            break;
        }
    }
    found.truncate(limit as usize);
    Ok(found)
}

pub(super) async fn claim(
    ledger: &RedisLedger,
    claim: &ClaimRequest,
) -> Result<Vec<Claim>, LedgerError> {
    let asked = Asked::of(
        &claim.rows,
        |(row, _)| *row,
        |_, _| Ordering::Equal,
        |_, _| true,
    );
    let head: [&[u8]; 6] = [
        &claim.token.to_be_bytes(),
        &decimal(claim.attempt.into()),
        claim.connection_id.as_str().as_bytes(),
        &decimal(claim.now.as_millis()),
        &decimal(claim.interrupted_after_millis),
        if claim.redelivered { b"1" } else { b"0" },
    ];
    let answers = asked
        .answers(
            ledger,
            &ledger.scripts.claim,
            claim.batch,
            &head,
            |bytes, group| {
                group.extend_fields(bytes);
            },
        )
        .await?;
    let read = |(letter, row)| match (letter, row) {
        (b'?', None) => Ok(Claim::Unknown),
        (b'F', None) => Ok(Claim::Fresh),
        (b'B', None) => Ok(Claim::Busy),
        (b'I', Some(row)) => Ok(Claim::Interrupted(row)),
        (b'S', Some(row)) => Ok(Claim::Settled(row)),
        _ => Err(damaged(claim.batch)),
    };
    answers.into_iter().map(read).collect()
}

pub(super) async fn settle(
    ledger: &RedisLedger,
    settle: &SettleRequest,
) -> Result<Vec<Settled>, LedgerError> {
    let asked = Asked::of(
        &settle.rows,
        |what| what.row,
        compare_outcomes,
        |a, b| packed_bytes(&a.provider_message_id) == packed_bytes(&b.provider_message_id),
    );
    let head: [&[u8]; 2] = [
        &settle.token.to_be_bytes(),
        &decimal(settle.now.as_millis()),
    ];
    let answers = asked
        .answers(
            ledger,
            &ledger.scripts.settle,
            settle.batch,
            &head,
            |bytes, group| {
                if let Some(first) = group.items().next() {
                    said_by_owner(first).about(bytes, &group, |what| &what.provider_message_id);
                }
            },
        )
        .await?;
    read_settled(settle.batch, answers)
}

pub(super) async fn merge(
    ledger: &RedisLedger,
    batch: BatchKey,
    reports: &[RowReport],
    now: Timestamp,
) -> Result<Vec<Settled>, LedgerError> {
    let asked = Asked::of(
        reports,
        |report| report.row,
        compare_reports,
        |a, b| packed_bytes(&a.provider_message_id) == packed_bytes(&b.provider_message_id),
    );
    let now = decimal(now.as_millis());
    let answers = asked
        .answers(
            ledger,
            &ledger.scripts.merge,
            batch,
            &[&now],
            |bytes, group| {
                if let Some(first) = group.items().next() {
                    said_by_receipt(first)
                        .about(bytes, &group, |report| &report.provider_message_id);
                }
            },
        )
        .await?;
    let learned = reports.iter().zip(&answers).filter_map(|(report, answer)| {
        let (b'c' | b'u', Some(row)) = answer else {
            return None;
        };
        let reference = Reference {
            batch,
            row: row.row,
        };
        let name = IdName::of(&report.provider_message_id);
        Some((row.connection_id.clone()?, name, reference))
    });
    // Behind the merge, which knows the connection. If the process dies in between, later receipts
    // without a reference do not find this message by its id; receipts with one still do.
    super::ids::enter_learned(ledger, learned.collect()).await?;
    read_settled(batch, answers)
}

pub(super) async fn cancel(
    ledger: &RedisLedger,
    batch: BatchKey,
    now: Timestamp,
) -> Result<Vec<Row>, LedgerError> {
    let Some(record) = super::batches::get(ledger, batch).await? else {
        return Ok(Vec::new());
    };
    let mut cancelled = Vec::new();
    for step in steps(0..record.recipients.div_ceil(BUCKET_ROWS)) {
        let first = step.start * BUCKET_ROWS;
        let keys = bucket_keys(ledger, batch, step);
        let args = [decimal(now.as_millis())];
        let answer: Vec<Vec<u8>> = ledger
            .link
            .script(&ledger.scripts.cancel, &keys, &args)
            .await?;
        let Some((frame, mut told)) = read_answer(batch, &answer)? else {
            break; // it ended meanwhile
        };
        while let Some(places) = told.next() {
            let Some((key, fields)) = places.split_first_chunk() else {
                return Err(damaged(batch));
            };
            // KEYS begins with the batch, and counts from 1.
            let bucket = u32::from(u16::from_be_bytes(*key)).saturating_sub(2);
            let rows = fields
                .iter()
                .map(|field| first + bucket * BUCKET_ROWS + u32::from(*field));
            told.read_group(&frame, rows.map(|row| ((), row)), |(), (_, row)| {
                cancelled.extend(row)
            })?;
        }
    }
    cancelled.sort_by_key(|row| row.row);
    Ok(cancelled)
}

pub(super) async fn reopen(
    ledger: &RedisLedger,
    batch: BatchKey,
    rows: &[u32],
    now: Timestamp,
) -> Result<Vec<u32>, LedgerError> {
    let asked = Asked::of(rows, |row| *row, |_, _| Ordering::Equal, |_, _| true);
    let now = decimal(now.as_millis());
    let answers = asked
        .answers(
            ledger,
            &ledger.scripts.reopen,
            batch,
            &[&now],
            |bytes, group| {
                group.extend_fields(bytes);
            },
        )
        .await?;
    let reopened = |(row, (letter, _)): (&u32, Answer)| (letter == b'C').then_some(*row);
    Ok(rows.iter().zip(answers).filter_map(reopened).collect())
}

fn said_by_owner(what: &SettleRow) -> Said<'_> {
    Said {
        what: outcome_code(what.outcome),
        code: &what.code,
        parts: what.parts,
        part: None,
    }
}

fn said_by_receipt(report: &RowReport) -> Said<'_> {
    let part = report.part.as_ref();
    Said {
        what: report.state.code(),
        code: &report.code,
        parts: part.and_then(|part| part.of).unwrap_or(0),
        part: part.map(|part| Name::of(&part.name)),
    }
}

fn steps(buckets: std::ops::Range<u32>) -> impl Iterator<Item = std::ops::Range<u32>> {
    let end = buckets.end;
    buckets
        .step_by(BUCKETS_A_STEP as usize)
        .map(move |first| first..end.min(first + BUCKETS_A_STEP))
}

fn read_settled(batch: BatchKey, answers: Vec<Answer>) -> Result<Vec<Settled>, LedgerError> {
    let read = |(letter, row): Answer| match (letter.to_ascii_uppercase(), row) {
        (b'?', None) => Ok(Settled::Unknown),
        (b'C', Some(row)) => Ok(Settled::Changed(row)),
        (b'U', Some(row)) => Ok(Settled::Unchanged(row)),
        (b'N', Some(row)) => Ok(Settled::NeverSent(row)),
        _ => Err(damaged(batch)),
    };
    answers.into_iter().map(read).collect()
}
