//! Which message has which id at its provider, packed: what a receipt without our reference is matched
//! by. What one call tells is a line: eight bytes for the batch, one that counts the ids, and for each of
//! them its name and its row, six and four bytes, big-endian.

use aws_lc_rs::digest::{SHA256, digest};
use message::{BatchKey, Reference};

use crate::{SettleRequest, SettleRow};

/// An id's name: 48 bits of its SHA-256. What is asked for is compared with some thousand others at
/// most, because it also decides where to look ([`IdName::shard`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IdName {
    pub(crate) field: [u8; 6],
    /// Other bits of the same.
    pub(crate) shard: u64,
}

impl IdName {
    pub(crate) fn of(provider_message_id: &str) -> Self {
        let digest = digest(&SHA256, provider_message_id.as_bytes());
        let (mut field, mut shard) = ([0; 6], [0; 8]);
        field.copy_from_slice(&digest.as_ref()[..6]);
        shard.copy_from_slice(&digest.as_ref()[8..16]);
        Self {
            field,
            shard: u64::from_be_bytes(shard),
        }
    }
}

/// Ids of one call; with more than a line counts they are several lines.
pub(crate) struct Line {
    batch: BatchKey,
    entries: Vec<[u8; ENTRY_BYTES]>,
}

const HEAD_BYTES: usize = 9;
const ENTRY_BYTES: usize = 10;

impl Line {
    pub(crate) fn new(batch: BatchKey) -> Self {
        Self {
            batch,
            entries: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &IdName, row: u32) {
        let mut entry = [0; ENTRY_BYTES];
        entry[..6].copy_from_slice(&name.field);
        entry[6..].copy_from_slice(&row.to_be_bytes());
        self.entries.push(entry);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + ENTRY_BYTES * self.entries.len());
        for entries in self.entries.chunks(usize::from(u8::MAX)) {
            bytes.extend(self.batch.as_u64().to_be_bytes());
            bytes.extend(u8::try_from(entries.len()));
            bytes.extend(entries.as_flattened());
        }
        bytes
    }
}

/// The last message in `lines` that has this id; `None` if they are damaged.
#[allow(clippy::option_option)] // damaged, or nothing there
pub(crate) fn latest(lines: &[u8], name: &IdName) -> Option<Option<Reference>> {
    let mut last = None;
    let mut rest = lines;
    while !rest.is_empty() {
        let (batch, behind) = rest.split_first_chunk()?;
        rest = behind;
        let entries = ENTRY_BYTES * usize::from(*rest.split_off_first()?);
        for entry in rest.split_off(..entries)?.as_chunks::<ENTRY_BYTES>().0 {
            if entry[..6] == name.field {
                last = Some(Reference {
                    batch: BatchKey::from_u64(u64::from_be_bytes(*batch)),
                    row: u32::from_be_bytes([entry[6], entry[7], entry[8], entry[9]]),
                });
            }
        }
    }
    Some(last)
}

/// The ids that a settle tells, each once, with their messages.
pub(crate) fn told(settle: &SettleRequest) -> Vec<(IdName, Reference)> {
    let taken = settle
        .rows
        .iter()
        .filter(|what| what.outcome.may_be_answered());
    let ids_of = |what: &SettleRow| {
        let reference = Reference {
            batch: settle.batch,
            row: what.row,
        };
        let first = &what.provider_message_id;
        let others = what.part_ids.iter().filter(|id| *id != first);
        std::iter::once(first)
            .chain(others)
            // A provider that took our reference for its id tells it with every receipt.
            .filter(|id| !id.is_empty() && id.parse() != Ok(reference))
            .map(|id| (IdName::of(id), reference))
            .collect::<Vec<_>>()
    };
    taken.flat_map(ids_of).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_message_of_an_id_is_read_back(told in prop::collection::vec((0u8..20, any::<u64>(), any::<u32>()), 0..60)) {
            let name = |id: u8| IdName::of(&format!("id-{id}"));
            let mut lines = Vec::new();
            for (id, batch, row) in &told {
                let mut line = Line::new(BatchKey::from_u64(*batch));
                line.add(&name(*id), *row);
                line.add(&name(id + 20), *row);
                lines.extend(line.into_bytes());
            }
            let of_it = told.iter().rev().find(|(id, ..)| *id == 7);
            let expected = of_it.map(|(_, batch, row)| Reference { batch: BatchKey::from_u64(*batch), row: *row });
            prop_assert_eq!(latest(&lines, &name(7)), Some(expected));
        }

        #[test]
        fn no_stored_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = latest(&bytes, &IdName::of("abc"));
        }
    }

    /// Source: FIPS 180-4, the example `abc`.
    #[test]
    fn where_an_id_lies_never_changes() {
        let name = IdName::of("abc");
        assert_eq!(name.field, [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01]);
        assert_eq!(name.shard, 0x4141_40de_5dae_2223);
    }
}
