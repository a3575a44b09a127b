//! Which message has which id at its provider, packed: what a receipt without our reference is matched
//! by. Sixteen bytes for most messages.

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

/// A message: its batch, and its row in two bytes where they are enough.
pub(crate) fn pack(reference: Reference) -> Vec<u8> {
    let mut bytes = reference.batch.as_u64().to_be_bytes().to_vec();
    match u16::try_from(reference.row) {
        Ok(row) => bytes.extend(row.to_be_bytes()),
        Err(_) => bytes.extend(reference.row.to_be_bytes()),
    }
    bytes
}

/// Back from [`pack`].
pub(crate) fn unpack(bytes: &[u8]) -> Option<Reference> {
    let (batch, row) = bytes.split_first_chunk()?;
    let row = match *row {
        [a, b] => u16::from_be_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
        _ => return None,
    };
    Some(Reference {
        batch: BatchKey::from_u64(u64::from_be_bytes(*batch)),
        row,
    })
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
            .filter(|id| !id.is_empty())
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
        fn a_message_reads_back_as_itself(batch: u64, row in prop_oneof![0u32..70_000, any::<u32>()]) {
            let reference = Reference { batch: BatchKey::from_u64(batch), row };
            prop_assert_eq!(unpack(&pack(reference)), Some(reference));
        }

        #[test]
        fn no_stored_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = unpack(&bytes);
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
