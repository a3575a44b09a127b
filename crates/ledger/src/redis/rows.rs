//! Rows of a batch: written, listed, claimed, settled, merged, cancelled.

use message::{BatchKey, Reference, Timestamp};

use super::{
    RedisLedger,
    batches::decimal,
    buckets::{
        Asked, BUCKET_ROWS, Said, bucket_keys, damaged, field, new_row, number, read_answer,
        read_frame, read_row,
    },
};
use crate::{
    Claim, ClaimRequest, LedgerError, NewRow, Row, RowReport, SettleOutcome, SettleRequest,
    Settled, id_index::IdName, parts::Name,
};

/// Buckets that one step over a whole batch takes, so that nobody waits long for the server.
const BUCKETS_A_STEP: u32 = 10;

/// Rows that one script enters at most.
const ROWS_A_WRITE: usize = 1_000;

const RETRY: u8 = 254;
const RELEASE: u8 = 255;

pub(super) async fn write(
    ledger: &RedisLedger,
    batch: BatchKey,
    rows: &[NewRow],
) -> Result<(), LedgerError> {
    for rows in rows.chunks(ROWS_A_WRITE) {
        let highest = rows.iter().map(|new| new.row).max().unwrap_or(0);
        let asked = Asked::of(rows, |new| (new.row, new_row(new)));
        let head = vec![decimal(highest.into())];
        let script = &ledger.scripts.write_rows;
        match asked
            .run::<String>(ledger, script, batch, head)
            .await?
            .as_str()
        {
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
        for bucket in step.clone() {
            pipe.cmd("HGETALL").arg(ledger.keys.bucket(batch, bucket));
        }
        // The connections behind the rows that name them: the list only grows.
        pipe.cmd("HMGET")
            .arg(ledger.keys.batch(batch))
            .arg(&["created", "connections"]);
        let answer: Vec<Vec<Vec<u8>>> = ledger.link.pipe(&pipe).await?;
        let [contents @ .., frame] = &answer[..] else {
            return Err(damaged(batch));
        };
        let [created, connections] = &frame[..] else {
            return Err(damaged(batch));
        };
        let frame = read_frame(batch, created, connections)?;
        let mut rows = Vec::new();
        for (bucket, pairs) in step.zip(contents) {
            for pair in pairs.chunks_exact(2) {
                let row = bucket * BUCKET_ROWS + number::<u32>(batch, &pair[0])?;
                if row >= first {
                    rows.push(read_row(batch, row, &pair[1], &frame)?);
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
    let asked = Asked::of(&claim.rows, |(row, _)| (*row, vec![field(*row)]));
    let head = vec![
        claim.token.to_be_bytes().to_vec(),
        decimal(claim.attempt.into()),
        claim.connection_id.as_str().into(),
        decimal(claim.now.as_millis()),
        decimal(claim.interrupted_after_millis),
        vec![if claim.redelivered { b'1' } else { b'0' }],
    ];
    let script = &ledger.scripts.claim;
    let answers = asked.answers(ledger, script, claim.batch, head).await?;
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
    let asked = Asked::of(&settle.rows, |what| {
        let outcome = match what.outcome {
            SettleOutcome::State(state) => state.code(),
            SettleOutcome::Retry => RETRY,
            SettleOutcome::Release => RELEASE,
        };
        let said = Said {
            what: outcome,
            code: &what.code,
            provider_id: &what.provider_message_id,
            parts: what.parts,
            part: None,
        };
        (what.row, said.about(what.row))
    });
    let head = vec![
        settle.token.to_be_bytes().to_vec(),
        decimal(settle.now.as_millis()),
    ];
    let script = &ledger.scripts.settle;
    let answers = asked.answers(ledger, script, settle.batch, head).await?;
    read_settled(settle.batch, answers)
}

pub(super) async fn merge(
    ledger: &RedisLedger,
    batch: BatchKey,
    reports: &[RowReport],
    now: Timestamp,
) -> Result<Vec<Settled>, LedgerError> {
    let asked = Asked::of(reports, |report| {
        let part = report.part.as_ref();
        let said = Said {
            what: report.state.code(),
            code: &report.code,
            provider_id: &report.provider_message_id,
            parts: part.and_then(|part| part.of).unwrap_or(0),
            part: part.map(|part| Name::of(&part.name)),
        };
        (report.row, said.about(report.row))
    });
    let head = vec![decimal(now.as_millis())];
    let answers = asked
        .answers(ledger, &ledger.scripts.merge, batch, head)
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
        let Some((frame, places, rows)) = read_answer(batch, &answer)? else {
            break; // it ended meanwhile
        };
        let places = places
            .split(|b| *b == b' ')
            .filter(|place| !place.is_empty());
        for (place, bytes) in places.zip(rows) {
            let row = first + number::<u32>(batch, place)?;
            cancelled.push(read_row(batch, row, bytes, &frame)?);
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
    let asked = Asked::of(rows, |row| (*row, vec![field(*row)]));
    let head = vec![decimal(now.as_millis())];
    let answers = asked
        .answers(ledger, &ledger.scripts.reopen, batch, head)
        .await?;
    let reopened = |(row, (letter, _)): (&u32, (u8, Option<Row>))| (letter == b'C').then_some(*row);
    Ok(rows.iter().zip(answers).filter_map(reopened).collect())
}

fn steps(buckets: std::ops::Range<u32>) -> impl Iterator<Item = std::ops::Range<u32>> {
    let end = buckets.end;
    buckets
        .step_by(BUCKETS_A_STEP as usize)
        .map(move |first| first..end.min(first + BUCKETS_A_STEP))
}

fn read_settled(
    batch: BatchKey,
    answers: Vec<(u8, Option<Row>)>,
) -> Result<Vec<Settled>, LedgerError> {
    let read = |(letter, row): (u8, Option<Row>)| match (letter.to_ascii_uppercase(), row) {
        (b'?', None) => Ok(Settled::Unknown),
        (b'C', Some(row)) => Ok(Settled::Changed(row)),
        (b'U', Some(row)) => Ok(Settled::Unchanged(row)),
        (b'N', Some(row)) => Ok(Settled::NeverSent(row)),
        _ => Err(damaged(batch)),
    };
    answers.into_iter().map(read).collect()
}
