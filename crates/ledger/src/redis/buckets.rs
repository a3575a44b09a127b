//! Rows by the hundred: how what is asked about rows becomes keys and arguments of a script, and what
//! its answer says about which row.

use std::{cmp::Ordering, ops::Range};

use message::{BatchKey, ConnectionId, MaskedMsisdn, MessageState, Timestamp};

use super::{RedisLedger, scripts::Script};
use crate::{
    LedgerError, NewRow, Row,
    columns::Columns,
    entry::{Entry, Frame, stored_code},
    order::{BUCKET_ROWS, bucket, order},
    parts::Name,
    provider_id,
};

/// What is asked about rows: in groups of one bucket about which the same is asked, so that the script
/// need not look at each of them.
pub(super) struct Asked<'a, T> {
    items: &'a [T],
    /// Positions in `items`, in the order in which they apply.
    order: Vec<usize>,
    row: fn(&T) -> u32,
    /// Each group, by its place in the order.
    groups: Vec<Range<usize>>,
}

/// A letter for each row, and the row where the script tells it.
pub(super) type Answer = (u8, Option<Row>);

impl<'a, T> Asked<'a, T> {
    /// `about` compares what is asked about rows, `is_alike` what else has to be the same in a group.
    pub(super) fn of(
        items: &'a [T],
        row: fn(&T) -> u32,
        about: impl Fn(&T, &T) -> Ordering,
        is_alike: impl Fn(&T, &T) -> bool,
    ) -> Self {
        let order = order(items, row, &about);
        let mut groups = Vec::new();
        let mut start = 0;
        for at in 1..=order.len() {
            let goes_on = order.get(at).is_some_and(|next| {
                let (last, next) = (&items[order[at - 1]], &items[*next]);
                row(last) < row(next)
                    && bucket(row(last)) == bucket(row(next))
                    && about(last, next).is_eq()
                    && is_alike(last, next)
            });
            if !goes_on {
                groups.push(start..at);
                start = at;
            }
        }
        if order.is_empty() {
            groups.clear();
        }
        Self {
            items,
            order,
            row,
            groups,
        }
    }

    /// Asks: behind `head` each group with its bucket, and then whatever `pack` makes of it. The answers
    /// are in the caller's order.
    pub(super) async fn answers(
        self,
        ledger: &RedisLedger,
        script: &Script,
        batch: BatchKey,
        head: &[&[u8]],
        pack: impl Fn(&mut Vec<u8>, Group<'_, T>),
    ) -> Result<Vec<Answer>, LedgerError> {
        let mut packed = Vec::with_capacity(32 * self.groups.len() + 24 * self.items.len());
        let mut ends = Vec::with_capacity(self.groups.len());
        let mut buckets: Vec<u32> = Vec::new();
        for group in &self.groups {
            let group = self.group(group);
            let bucket = bucket(group.first());
            // Rows that are named twice lead back to buckets that were left.
            let place = buckets.iter().rposition(|known| *known == bucket);
            let place = place.unwrap_or_else(|| {
                buckets.push(bucket);
                buckets.len() - 1
            });
            // KEYS begins with the batch, and counts from 1.
            let key = u16::try_from(place + 2).map_err(|_| too_many(batch))?;
            packed.extend(key.to_be_bytes());
            pack(&mut packed, group);
            ends.push(packed.len());
        }
        let keys = bucket_keys(ledger, batch, buckets.into_iter());
        let mut args = head.to_vec();
        let mut start = 0;
        for end in ends {
            args.push(&packed[start..end]);
            start = end;
        }
        let answer: Vec<Vec<u8>> = ledger.link.script(script, &keys, &args).await?;
        let mut sorted = vec![(b'?', None); self.items.len()];
        let Some((frame, mut told)) = read_answer(batch, &answer)? else {
            return Ok(sorted);
        };
        for group in &self.groups {
            let group = self.group(group);
            let places = group.order.iter().zip(group.rows());
            told.read_group(&frame, places, |at, answer| sorted[*at] = answer)?;
        }
        Ok(sorted)
    }

    fn group(&self, range: &Range<usize>) -> Group<'_, T> {
        Group {
            items: self.items,
            order: &self.order[range.clone()],
            row: self.row,
        }
    }
}

/// Rows of one bucket, ascending, about which the same is asked.
pub(super) struct Group<'a, T> {
    items: &'a [T],
    order: &'a [usize],
    row: fn(&T) -> u32,
}

impl<'a, T> Group<'a, T> {
    pub(super) fn items(&self) -> impl ExactSizeIterator<Item = &'a T> + use<'a, T> {
        let items = self.items;
        self.order.iter().map(move |at| &items[*at])
    }

    fn rows(&self) -> impl Iterator<Item = u32> + use<'a, T> {
        self.items().map(self.row)
    }

    fn first(&self) -> u32 {
        (self.row)(&self.items[self.order[0]])
    }

    /// The rows by their position in the bucket, without their count.
    pub(super) fn extend_fields(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.rows().map(field));
    }
}

/// The rows of a script's answer, group by group.
pub(super) struct Told<'a> {
    batch: BatchKey,
    rest: std::slice::Iter<'a, Vec<u8>>,
}

impl<'a> Told<'a> {
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        self.rest.next().map(Vec::as_slice)
    }

    fn expect(&mut self) -> Result<&'a [u8], LedgerError> {
        self.next().ok_or_else(|| damaged(self.batch))
    }

    /// Reads the answers about a group whose rows `places` names, each beside whatever `put` takes.
    pub(super) fn read_group<P>(
        &mut self,
        frame: &Frame,
        places: impl Iterator<Item = (P, u32)>,
        mut put: impl FnMut(P, Answer),
    ) -> Result<(), LedgerError> {
        let batch = self.batch;
        let is_told = |letter: u8| !matches!(letter, b'F' | b'B' | b'?');
        match self.expect()? {
            [b'=', letter] if is_told(*letter) => {
                let (column, runs) = (self.expect()?, self.expect()?);
                let columns =
                    Columns::read(column, runs, self.expect()?).ok_or_else(|| damaged(batch))?;
                for (place, row) in places {
                    let told = columns.row(field(row), row, frame);
                    let told = told.ok_or_else(|| unreadable(batch, row))?;
                    put(place, (*letter, Some(told)));
                }
            }
            [b'=', letter] => places.for_each(|(place, _)| put(place, (*letter, None))),
            [b'-', letters @ ..] => {
                let mut letters = letters.iter();
                for (place, row) in places {
                    let letter = *letters.next().ok_or_else(|| damaged(batch))?;
                    let told = is_told(letter)
                        .then(|| read_row(batch, row, self.expect()?, frame))
                        .transpose()?;
                    put(place, (letter, told));
                }
            }
            _ => return Err(damaged(batch)),
        }
        Ok(())
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

/// A bucket's new rows, as `write_rows.lua` reads them.
#[derive(Default)]
pub(super) struct NewRows {
    /// 1 for each good row.
    column: Vec<u8>,
    /// The masked numbers of those.
    numbers: Vec<[u8; 7]>,
    /// The others, packed.
    others: Vec<u8>,
}

impl NewRows {
    pub(super) fn add(&mut self, new: &NewRow) {
        let at = usize::from(field(new.row));
        let [_, number @ ..] = new.to.map_or(0, MaskedMsisdn::as_u64).to_be_bytes();
        if let Some(why) = &new.invalid {
            self.others
                .extend([field(new.row), MessageState::Invalid.code()]);
            self.others.extend(number);
            extend_counted(&mut self.others, stored_code(why).as_bytes());
            return;
        }
        if self.column.len() <= at {
            self.column.resize(at + 1, 0);
            self.numbers.resize(at + 1, [0; 7]);
        }
        if self.column[at] == 0 {
            self.column[at] = 1;
            self.numbers[at] = number;
        }
    }

    pub(super) fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + 8 * self.column.len() + self.others.len());
        extend_counted(&mut bytes, &self.column);
        bytes.extend(self.numbers.as_flattened());
        bytes.extend(&self.others);
        bytes
    }
}

/// What is said about a row, as `said.lua` reads it.
pub(super) struct Said<'a> {
    /// A state's code, or another outcome.
    pub(super) what: u8,
    pub(super) code: &'a str,
    /// How many parts there are; 0 if that is not said.
    pub(super) parts: u8,
    /// The part that it is about.
    pub(super) part: Option<Name>,
}

impl Said<'_> {
    /// Says it about the rows of a group, whose ids are all as long as each other when packed.
    pub(super) fn about<'a, T: 'a>(
        &self,
        bytes: &mut Vec<u8>,
        group: &Group<'a, T>,
        id: impl Fn(&'a T) -> &'a str,
    ) {
        bytes.push(self.what);
        extend_counted(bytes, stored_code(self.code).as_bytes());
        bytes.push(self.parts);
        match self.part {
            None => bytes.push(0),
            Some(part) => extend_counted(bytes, &part.to_bytes()),
        }
        let rows = group.items().len();
        bytes.push(u8::try_from(rows).expect("a bucket has 100 rows"));
        group.extend_fields(bytes);
        let width_at = bytes.len();
        bytes.push(0);
        for item in group.items() {
            provider_id::pack(id(item), bytes);
        }
        let width = (bytes.len() - width_at - 1) / rows;
        bytes[width_at] = u8::try_from(width).expect("packed ids are cut below 256 bytes");
    }
}

fn extend_counted(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.push(u8::try_from(part.len()).expect("codes, ids and columns are cut below 256 bytes"));
    bytes.extend(part);
}

/// The parts of a script's answer; nothing if the batch is unknown.
pub(super) fn read_answer(
    batch: BatchKey,
    answer: &[Vec<u8>],
) -> Result<Option<(Frame, Told<'_>)>, LedgerError> {
    match answer {
        [] => Ok(None),
        [created, connections, rest @ ..] => {
            let frame = read_frame(batch, created, connections)?;
            let rest = rest.iter();
            Ok(Some((frame, Told { batch, rest })))
        }
        [_] => Err(damaged(batch)),
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
    read.ok_or_else(|| unreadable(batch, row))
}

pub(super) fn unreadable(batch: BatchKey, row: u32) -> LedgerError {
    LedgerError::Damaged {
        place: format!("batch {batch}, row {row}"),
        why: "written by a newer version, or damaged".into(),
    }
}

fn too_many(batch: BatchKey) -> LedgerError {
    LedgerError::Damaged {
        place: format!("batch {batch}"),
        why: "one call asks about more of its rows than a batch can have".into(),
    }
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
