//! What is known of a message's parts, where their receipts come one by one.
//!
//! A message is delivered when all its parts are. Whatever else is reported about a part, the row can
//! say itself: until then the highest state on the way, or the failure that says most, which the
//! success of another part does not undo. So what is kept beside the row is how many parts there are,
//! and which of them were delivered.
//!
//! A section of the row, and only of rows that need it (`entry.rs`): it ends with the batch, and is
//! dropped once the message is delivered.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | parts, says a receipt; 0 if none does |
//! | 1 | parts, says the one who sent it; 0 if nobody did |
//! | 1 + n | numbers of delivered parts with their count |
//! | 1 + 4 n | hashes of the ids of delivered parts with their length in bytes |

use crate::{PartName, reply_index};

/// What is known of a message's parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Parts {
    /// As a receipt says: the provider knows best.
    pub(crate) reported: u8,
    /// As the worker says.
    pub(crate) settled: u8,
    numbers: Vec<u8>,
    ids: Vec<[u8; 4]>,
}

/// Part names kept of each kind; a message has far fewer parts.
const NAMES_MAX: usize = 60;

/// A part's name as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Number(u8),
    /// Two parts of one message are confused once in 2^32 messages.
    Id([u8; 4]),
}

impl Name {
    pub(crate) fn of(name: &PartName) -> Self {
        match name {
            PartName::Number(number) => Self::Number(*number),
            PartName::Id(id) => {
                let [.., a, b, c, d] = reply_index::hash(id.as_bytes()).to_be_bytes();
                Self::Id([a, b, c, d])
            }
        }
    }

    /// One byte for a number, four for an id.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Number(number) => vec![number],
            Self::Id(id) => id.to_vec(),
        }
    }
}

impl Parts {
    /// How many there are; 0 while nobody said so.
    pub(crate) fn total(&self) -> u8 {
        match self.reported {
            0 => self.settled,
            reported => reported,
        }
    }

    /// A part is delivered. Whether that is news.
    pub(crate) fn deliver(&mut self, name: Name) -> bool {
        match name {
            Name::Number(number) => keep(&mut self.numbers, number),
            Name::Id(id) => keep(&mut self.ids, id),
        }
    }

    /// Whether all are delivered, as far as anybody said how many there are.
    pub(crate) fn all_delivered(&self) -> bool {
        let total = usize::from(self.total());
        total > 0 && self.numbers.len() + self.ids.len() >= total
    }

    pub(crate) fn pack(&self, bytes: &mut Vec<u8>) {
        let length = |bytes: usize| u8::try_from(bytes).expect("at most 4 * NAMES_MAX");
        bytes.extend([self.reported, self.settled, length(self.numbers.len())]);
        bytes.extend(&self.numbers);
        bytes.push(length(4 * self.ids.len()));
        bytes.extend(self.ids.iter().flatten());
    }

    /// Back from [`Self::pack`]; the rest of `bytes` stays.
    pub(crate) fn unpack(bytes: &mut &[u8]) -> Option<Self> {
        let (&[reported, settled], rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        let numbers = counted(bytes)?.to_vec();
        let (ids, odd) = counted(bytes)?.as_chunks();
        odd.is_empty().then(|| Self {
            reported,
            settled,
            numbers,
            ids: ids.to_vec(),
        })
    }
}

fn keep<T: PartialEq>(names: &mut Vec<T>, name: T) -> bool {
    let is_news = names.len() < NAMES_MAX && !names.contains(&name);
    if is_news {
        names.push(name);
    }
    is_news
}

fn counted<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first()?;
    let (part, rest) = rest.split_at_checked((*length).into())?;
    *bytes = rest;
    Some(part)
}
