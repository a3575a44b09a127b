//! One batch, one hand: copies of a batch that this process holds at the same time take turns, so
//! that the second finds the first one's work done. Copies in other processes are held apart by the
//! ledger and, in the worst case, by the workers' claims.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use message::BatchKey;
use tokio::sync::OwnedMutexGuard;

type Turns = HashMap<BatchKey, Arc<tokio::sync::Mutex<()>>>;

/// Batches that are being worked on.
#[derive(Debug, Default)]
pub(crate) struct InHand(Mutex<Turns>);

/// A batch's turn; the next copy's begins when it is dropped.
pub(crate) struct Turn<'a> {
    owner: &'a InHand,
    key: BatchKey,
    guard: Option<OwnedMutexGuard<()>>,
}

impl InHand {
    /// Waits until no other copy of `key` is being worked on.
    pub(crate) async fn turn(&self, key: BatchKey) -> Turn<'_> {
        let lock = self.with(|turns| Arc::clone(turns.entry(key).or_default()));
        Turn {
            owner: self,
            key,
            guard: Some(lock.lock_owned().await),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Turns) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard = None;
        self.owner.with(|turns| {
            // Only the map holds it: nobody waits, and nobody can begin to while the map is locked.
            if turns
                .get(&self.key)
                .is_some_and(|lock| Arc::strong_count(lock) == 1)
            {
                turns.remove(&self.key);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn copies_take_turns_and_leave_nothing_behind() {
        let in_hand = InHand::default();
        let key = BatchKey::from_u64(7);
        let first = in_hand.turn(key).await;
        let mut second = std::pin::pin!(in_hand.turn(key));
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), &mut second).await;
        assert!(waits.is_err());
        drop(first);
        drop(second.await);
        assert_eq!(in_hand.with(|turns| turns.len()), 0);
    }
}
