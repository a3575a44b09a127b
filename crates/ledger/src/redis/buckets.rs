//! Rows by the hundred: how what is asked about rows becomes keys and arguments of a script, and what
//! its answer says about which row.

use std::collections::BTreeMap;

use message::{BatchKey, ConnectionId, MaskedMsisdn, MessageState, Timestamp};

use super::{RedisLedger, scripts::Script};
use crate::{
    LedgerError, NewRow, Row,
    entry::{Entry, Frame, stored_code},
    parts::Name,
    provider_id::PackedId,
};

/// Rows a bucket holds: its hash stays a listpack (128 entries by default).
pub(super) const BUCKET_ROWS: u32 = 100;

/// What is asked about rows, by bucket, and where in the caller's list each of them was.
pub(super) struct Asked {
    buckets: BTreeMap<u32, Vec<u8>>,
    /// For each row in the order of the buckets: its position in the caller's list, and the row.
    places: Vec<(usize, u32)>,
}

impl Asked {
    pub(super) fn of<T>(items: &[T], pack: impl Fn(&T) -> (u32, Vec<u8>)) -> Self {
        let mut buckets = BTreeMap::<u32, (Vec<u8>, Vec<(usize, u32)>)>::new();
        for (at, item) in items.iter().enumerate() {
            let (row, bytes) = pack(item);
            let (packed, places) = buckets.entry(row / BUCKET_ROWS).or_default();
            packed.extend(bytes);
            places.push((at, row));
        }
        let places = buckets
            .values()
            .flat_map(|(_, places)| places.iter().copied())
            .collect();
        Self {
            buckets: buckets
                .into_iter()
                .map(|(bucket, (packed, _))| (bucket, packed))
                .collect(),
            places,
        }
    }

    pub(super) async fn run<T: redis::FromRedisValue>(
        self,
        ledger: &RedisLedger,
        script: &Script,
        batch: BatchKey,
        head: Vec<Vec<u8>>,
    ) -> Result<T, LedgerError> {
        let keys = bucket_keys(ledger, batch, self.buckets.keys().copied());
        let mut args = head;
        args.extend(self.buckets.into_values());
        ledger.link.script(script, &keys, &args).await
    }

    /// A letter for each row, and the row where the script tells it, in the caller's order.
    pub(super) async fn answers(
        mut self,
        ledger: &RedisLedger,
        script: &Script,
        batch: BatchKey,
        head: Vec<Vec<u8>>,
    ) -> Result<Vec<(u8, Option<Row>)>, LedgerError> {
        let places = std::mem::take(&mut self.places);
        let mut sorted = vec![(b'?', None); places.len()];
        let answer: Vec<Vec<u8>> = self.run(ledger, script, batch, head).await?;
        let Some((frame, letters, rows)) = read_answer(batch, &answer)? else {
            return Ok(sorted);
        };
        if letters.len() != places.len() {
            return Err(damaged(batch));
        }
        let mut rows = rows.iter();
        for ((at, row), letter) in places.into_iter().zip(letters) {
            let told = match letter {
                b'F' | b'B' | b'?' => None,
                _ => {
                    let bytes = rows.next().ok_or_else(|| damaged(batch))?;
                    Some(read_row(batch, row, bytes, &frame)?)
                }
            };
            sorted[at] = (*letter, told);
        }
        Ok(sorted)
    }
}

pub(super) fn bucket_keys(
    ledger: &RedisLedger,
    batch: BatchKey,
    buckets: impl Iterator<Item = u32>,
) -> Vec<String> {
    let buckets = buckets.map(|bucket| ledger.keys.bucket(batch, bucket));
    std::iter::once(ledger.keys.batch(batch))
        .chain(buckets)
        .collect()
}

/// A row's field in its bucket; Redis sees the decimal form, which a listpack keeps in one byte.
pub(super) fn field(row: u32) -> u8 {
    u8::try_from(row % BUCKET_ROWS).expect("less than 100")
}

pub(super) fn new_row(new: &NewRow) -> Vec<u8> {
    let (state, why) = match &new.invalid {
        Some(why) => (MessageState::Invalid, stored_code(why)),
        None => (MessageState::Queued, ""),
    };
    let mut bytes = vec![field(new.row), state.code()];
    bytes.extend(&new.to.map_or(0, MaskedMsisdn::as_u64).to_be_bytes()[1..]);
    extend_counted(&mut bytes, why.as_bytes());
    bytes
}

/// What is said about a row, as `said.lua` reads it.
pub(super) struct Said<'a> {
    /// A state's code, or another outcome.
    pub(super) what: u8,
    pub(super) code: &'a str,
    pub(super) provider_id: &'a str,
    /// How many parts there are; 0 if that is not said.
    pub(super) parts: u8,
    /// The part that it is about.
    pub(super) part: Option<Name>,
}

impl Said<'_> {
    pub(super) fn about(&self, row: u32) -> Vec<u8> {
        let mut bytes = vec![field(row), self.what];
        extend_counted(&mut bytes, stored_code(self.code).as_bytes());
        extend_counted(&mut bytes, PackedId::pack(self.provider_id).as_bytes());
        bytes.push(self.parts);
        extend_counted(&mut bytes, &self.part.map_or(Vec::new(), Name::to_bytes));
        bytes
    }
}

fn extend_counted(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.push(u8::try_from(part.len()).expect("codes and packed ids are cut below 256 bytes"));
    bytes.extend(part);
}

/// The parts of a script's answer; nothing if the batch is unknown.
#[allow(clippy::type_complexity)]
pub(super) fn read_answer(
    batch: BatchKey,
    answer: &[Vec<u8>],
) -> Result<Option<(Frame, &[u8], &[Vec<u8>])>, LedgerError> {
    match answer {
        [] => Ok(None),
        [created, connections, letters, rows @ ..] => Ok(Some((
            read_frame(batch, created, connections)?,
            letters,
            rows,
        ))),
        _ => Err(damaged(batch)),
    }
}

pub(super) fn read_frame(
    batch: BatchKey,
    created: &[u8],
    connections: &[u8],
) -> Result<Frame, LedgerError> {
    let connections = std::str::from_utf8(connections).map_err(|_| damaged(batch))?;
    Ok(Frame {
        created_at: Timestamp::from_millis(number(batch, created)?),
        connections: connections
            .lines()
            .map(ConnectionId::new)
            .collect::<Result<_, _>>()
            .map_err(|_| damaged(batch))?,
    })
}

pub(super) fn read_row(
    batch: BatchKey,
    row: u32,
    bytes: &[u8],
    frame: &Frame,
) -> Result<Row, LedgerError> {
    let read = Entry::unpack(bytes).and_then(|entry| entry.row(row, frame));
    read.ok_or_else(|| LedgerError::Damaged {
        place: format!("batch {batch}, row {row}"),
        why: "written by a newer version, or damaged".into(),
    })
}

pub(super) fn number<T: std::str::FromStr>(batch: BatchKey, text: &[u8]) -> Result<T, LedgerError> {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| damaged(batch))
}

pub(super) fn damaged(batch: BatchKey) -> LedgerError {
    LedgerError::Damaged {
        place: format!("batch {batch}"),
        why: "an answer has not the expected form".into(),
    }
}
