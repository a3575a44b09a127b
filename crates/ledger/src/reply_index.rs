//! Who was texted from which sender, packed: what a reply is matched by. What one call tells is a line:
//! eleven bytes for each message, and eighteen for what they have in common.
//!
//! | bytes | what |
//! |---|---|
//! | 5 | when, in milliseconds |
//! | 8 | the batch |
//! | 4 | the hash of the sender |
//! | 1 | how many follow |
//! | 7 + 4 | number and row of each |
//!
//! Integers are big-endian. Two senders of one organisation that texted the same number are confused
//! once in 2^32 such pairs.

use message::{BatchKey, Msisdn, Reference, Timestamp};

use crate::Conversation;

const HEAD_BYTES: usize = 18;
const ENTRY_BYTES: usize = 11;
const NUMBER_BYTES: usize = 7;

/// Entries of one call; with more than a line counts they are several lines.
pub(crate) struct Line {
    head: [u8; HEAD_BYTES - 1],
    entries: Vec<[u8; ENTRY_BYTES]>,
}

/// A message that somebody was sent. The newer of two is the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    at: u64,
    batch: u64,
    row: u32,
}

impl Line {
    pub(crate) fn new(batch: BatchKey, sender: &str, at: Timestamp) -> Self {
        let mut head = [0; HEAD_BYTES - 1];
        head[..5].copy_from_slice(&stored(at).to_be_bytes()[3..]);
        head[5..13].copy_from_slice(&batch.as_u64().to_be_bytes());
        head[13..].copy_from_slice(&sender_hash(sender));
        Self {
            head,
            entries: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, number: Msisdn, row: u32) {
        let mut entry = [0; ENTRY_BYTES];
        entry[..NUMBER_BYTES].copy_from_slice(&number_bytes(number));
        entry[NUMBER_BYTES..].copy_from_slice(&row.to_be_bytes());
        self.entries.push(entry);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + ENTRY_BYTES * self.entries.len());
        for entries in self.entries.chunks(usize::from(u8::MAX)) {
            bytes.extend(self.head);
            bytes.extend(u8::try_from(entries.len()));
            bytes.extend(entries.as_flattened());
        }
        bytes
    }
}

/// The newest message to `number` from `sender` in `lines`; `None` if they are damaged.
#[allow(clippy::option_option)] // damaged, or nothing there
pub(crate) fn latest(lines: &[u8], number: Msisdn, sender: &str) -> Option<Option<Told>> {
    let (number, sender) = (number_bytes(number), sender_hash(sender));
    let mut newest = None;
    let mut rest = lines;
    while !rest.is_empty() {
        let head = rest.split_off(..HEAD_BYTES)?;
        let entries = rest.split_off(..ENTRY_BYTES * usize::from(head[HEAD_BYTES - 1]))?;
        if head[13..17] != sender {
            continue;
        }
        for entry in entries.as_chunks::<ENTRY_BYTES>().0 {
            if entry[..NUMBER_BYTES] == number {
                newest = newest.max(Some(Told {
                    at: integer(&head[..5]),
                    batch: integer(&head[5..13]),
                    row: u32::from_be_bytes([entry[7], entry[8], entry[9], entry[10]]),
                }));
            }
        }
    }
    Some(newest)
}

impl Told {
    pub(crate) fn new(reference: Reference, at: Timestamp) -> Self {
        Self {
            at: stored(at),
            batch: reference.batch.as_u64(),
            row: reference.row,
        }
    }

    pub(crate) fn conversation(self) -> Conversation {
        Conversation {
            reference: Reference {
                batch: BatchKey::from_u64(self.batch),
                row: self.row,
            },
            sent_at: Timestamp::from_millis(self.at + OFFSET),
        }
    }
}

/// 2017-07-14: five bytes of milliseconds from there last until 2052.
const OFFSET: u64 = 1_500_000_000_000;

fn stored(at: Timestamp) -> u64 {
    at.as_millis().saturating_sub(OFFSET).min((1 << 40) - 1)
}

fn number_bytes(number: Msisdn) -> [u8; NUMBER_BYTES] {
    let [_, bytes @ ..] = number.as_u64().to_be_bytes();
    bytes
}

pub(crate) fn sender_hash(sender: &str) -> [u8; 4] {
    let [.., a, b, c, d] = hash(sender.as_bytes()).to_be_bytes();
    [a, b, c, d]
}

fn integer(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, b| value << 8 | u64::from(*b))
}

/// FNV-1a with a finish that mixes all bits: stable over machines and versions, because where an
/// entry lies follows from it.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(n: u64) -> Msisdn {
        Msisdn::from_u64(33_639_980_000 + n).expect("eleven digits")
    }

    proptest! {
        #[test]
        fn the_newest_message_from_the_sender_is_read_back(
            told in prop::collection::vec((0u64..20, any::<u64>(), any::<u32>(), OFFSET..2_500_000_000_000, any::<bool>()), 0..60),
        ) {
            let mut lines = Vec::new();
            for (to, batch, row, at, ours) in &told {
                let sender = if *ours { "+15550100" } else { "Acme" };
                let mut line = Line::new(BatchKey::from_u64(*batch), sender, Timestamp::from_millis(*at));
                line.add(number(*to), *row);
                line.add(number(to + 20), *row);
                lines.extend(line.into_bytes());
            }
            let expected = told
                .iter()
                .filter(|(to, .., ours)| *to == 7 && *ours)
                .map(|(_, batch, row, at, _)| {
                    let reference = Reference { batch: BatchKey::from_u64(*batch), row: *row };
                    Told::new(reference, Timestamp::from_millis(*at))
                })
                .max();
            prop_assert_eq!(latest(&lines, number(7), "+15550100"), Some(expected));
        }

        #[test]
        fn no_stored_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = latest(&bytes, number(7), "+15550100");
        }
    }

    #[test]
    fn many_entries_are_several_lines() {
        let at = Timestamp::from_millis(OFFSET + 5);
        let mut line = Line::new(BatchKey::from_u64(3), "Acme", at);
        for n in 0..600 {
            line.add(number(n), u32::try_from(n).expect("small"));
        }
        let bytes = line.into_bytes();
        assert_eq!(bytes.len(), 3 * HEAD_BYTES + 600 * ENTRY_BYTES);
        let reference = Reference {
            batch: BatchKey::from_u64(3),
            row: 555,
        };
        let found = latest(&bytes, number(555), "Acme");
        assert_eq!(found, Some(Some(Told::new(reference, at))));
    }

    #[test]
    fn where_an_entry_lies_never_changes() {
        assert_eq!(hash(b"+15550100"), 15_623_908_625_062_516_264);
    }
}
