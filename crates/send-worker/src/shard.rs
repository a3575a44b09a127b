//! Which connections a worker serves. A process runs one worker for each core, on a thread of its own
//! with a runtime, a broker connection and a store connection of its own: what is done for a message
//! never crosses threads, so nothing is locked and no task moves. The connections are dealt out
//! between them.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU64,
};

use message::ConnectionId;

/// One of several equal parts of all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    of: u64,
    /// Names the process that all of them are in.
    worker: Option<NonZeroU64>,
}

impl Shard {
    /// All connections, in a worker of its own.
    pub const WHOLE: Self = Self {
        index: 0,
        of: 1,
        worker: None,
    };

    /// Divides the connections of one worker into `of` parts.
    pub fn all(of: usize) -> impl Iterator<Item = Self> {
        let of = u64::try_from(of.max(1)).unwrap_or(1);
        let worker = NonZeroU64::new(fastrand::u64(1..));
        (0..of).map(move |index| Self { index, of, worker })
    }

    /// The worker's name among the others: a new one with each start, because the seats of one that
    /// died are given out anew.
    pub(crate) fn worker(self) -> String {
        let number = self.worker.map_or_else(|| fastrand::u64(1..), u64::from);
        format!("{number:016x}")
    }

    /// Whether `connection` belongs to this part.
    pub(crate) fn serves(self, connection: &ConnectionId) -> bool {
        if self.of == 1 {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        connection.as_str().hash(&mut hasher);
        hasher.finish() % self.of == self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_is_served_by_exactly_one_shard() {
        for n in 0..100 {
            let id = ConnectionId::new(&format!("c{n}")).expect("valid");
            assert!(Shard::WHOLE.serves(&id));
            for of in 1..5 {
                let serving = Shard::all(of).filter(|shard| shard.serves(&id)).count();
                assert_eq!(serving, 1, "{id} of {of}");
            }
        }
    }
}
