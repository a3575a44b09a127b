//! A bucket of rows as it is stored while most of them share their history. Rows of one chunk are
//! entered, claimed and settled together, and differ only in their number and the provider's id: so
//! what they share is stored once, and what happens to all of them happens once.
//! `redis/lua/columns.lua` reads and writes this layout: change both or neither.
//!
//! Three fields of the batch, so that what changes often is small. The column:
//!
//! | bytes | what |
//! |---|---|
//! | 1 + n | for each row 0 if it is stored by itself or nowhere, 1 if it is as it was entered, else the name of its run; with its length |
//! | 1 + 1 | the name of each run that rows have left, and how many; 0 and 1 if the rows by themselves are known to end with the batch |
//!
//! The runs, one behind the other:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | its name |
//! | 1 + n | what its rows share, as an entry without number and id (`entry.rs`), with its length |
//! | 1 + n | the rows in ascending order, by their position in the bucket; some may have left since |
//! | 1 + n | how far the sequence number of each is behind the entry's; nothing if that is its place here |
//! | 1 | bytes of each id; 0 where none is known |
//! | n | the ids, packed |
//!
//! The masked numbers, seven bytes for each row.

use message::{MaskedMsisdn, MessageState};

use crate::{
    Row,
    entry::{Entry, Frame},
    provider_id,
};

const ELSEWHERE: u8 = 0;
const ENTERED: u8 = 1;
const NUMBER_BYTES: usize = 7;

/// The rows of a bucket that are not stored by themselves.
pub(crate) struct Columns<'a> {
    column: &'a [u8],
    numbers: &'a [u8],
    entered: Entry,
    runs: Vec<Run<'a>>,
}

/// Rows that share all but number and id.
struct Run<'a> {
    name: u8,
    shared: Entry,
    rows: &'a [u8],
    offsets: &'a [u8],
    id_bytes: usize,
    ids: &'a [u8],
}

impl<'a> Columns<'a> {
    /// Reads what is stored; `None` if the bytes are of another version or damaged.
    pub(crate) fn read(column: &'a [u8], runs: &'a [u8], numbers: &'a [u8]) -> Option<Self> {
        let column = counted(&mut &column[..])?;
        let mut rest = runs;
        let mut runs = Vec::new();
        while !rest.is_empty() {
            runs.push(Run::read(&mut rest)?);
        }
        Some(Self {
            column,
            numbers,
            entered: Entry::new(MessageState::Queued, None, ""),
            runs,
        })
    }

    /// The positions in the bucket of the rows that are here.
    pub(crate) fn fields(&self) -> impl Iterator<Item = u8> + '_ {
        let here = (0..)
            .zip(self.column)
            .filter(|(_, name)| **name != ELSEWHERE);
        here.map(|(field, _)| field)
    }

    /// The row at position `field` of the bucket, `row` of its batch; `None` if it is not here or damaged.
    pub(crate) fn row(&self, field: u8, row: u32, frame: &Frame) -> Option<Row> {
        let name = *self.column.get(usize::from(field))?;
        let start = NUMBER_BYTES * usize::from(field);
        let number = self.numbers.get(start..start + NUMBER_BYTES)?;
        let number = number.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let (shared, offset, id) = match name {
            ELSEWHERE => return None,
            ENTERED => (&self.entered, 0, &[][..]),
            _ => {
                let run = self.runs.iter().find(|run| run.name == name)?;
                let (offset, id) = run.standing(field)?;
                (&run.shared, offset, id)
            }
        };
        let mut row = shared.row_without_id(row, frame);
        row.to = MaskedMsisdn::from_u64(number);
        row.seq = shared.seq.checked_add(offset)?;
        row.provider_message_id = provider_id::unpack(id)?;
        Some(row)
    }
}

impl<'a> Run<'a> {
    fn read(rest: &mut &'a [u8]) -> Option<Self> {
        let name = *rest.split_off_first()?;
        let shared = Entry::unpack(counted(rest)?)?;
        let rows = counted(rest)?;
        let offsets = counted(rest)?;
        let id_bytes = usize::from(*rest.split_off_first()?);
        Some(Self {
            name,
            shared,
            rows,
            offsets,
            id_bytes,
            ids: rest.split_off(..id_bytes * rows.len())?,
        })
    }

    /// How far the sequence number of a row is behind the shared one, and its id.
    fn standing(&self, field: u8) -> Option<(u32, &'a [u8])> {
        // Most runs have no gaps.
        let guess = usize::from(field.checked_sub(*self.rows.first()?)?);
        let at = match self.rows.get(guess) {
            Some(found) if *found == field => guess,
            _ => self.rows.iter().position(|other| *other == field)?,
        };
        let offset = match self.offsets {
            [] => u32::try_from(at).ok()?,
            offsets => u32::from(*offsets.get(at)?),
        };
        let start = at * self.id_bytes;
        Some((offset, self.ids.get(start..start + self.id_bytes)?))
    }
}

fn counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = *rest.split_off_first()?;
    rest.split_off(..usize::from(length))
}
