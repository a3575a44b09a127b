//! One thing, one hand: copies of a batch that this process holds at the same time take turns, so
//! that the second finds the first one's work done; so do those who declare the same young queue. Copies in other processes are held apart by the
//! ledger and, in the worst case, by the workers' claims.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

type Turns<K> = HashMap<K, Arc<tokio::sync::Mutex<()>>>;

/// What is being worked on, by its name.
#[derive(Debug)]
pub(crate) struct InHand<K>(Mutex<Turns<K>>);

impl<K> Default for InHand<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A turn at one thing; the next one's begins when it is dropped.
pub(crate) struct Turn<'a, K: Eq + Hash> {
    owner: &'a InHand<K>,
    key: K,
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash + Clone> InHand<K> {
    /// Waits until nobody else works on `key`.
    pub(crate) async fn turn(&self, key: K) -> Turn<'_, K> {
        let lock = self.with(|turns| Arc::clone(turns.entry(key.clone()).or_default()));
        Turn {
            owner: self,
            key,
            guard: Some(lock.lock_owned().await),
        }
    }
}

impl<K> InHand<K> {
    fn with<T>(&self, work: impl FnOnce(&mut Turns<K>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Eq + Hash> Drop for Turn<'_, K> {
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
        let key = 7;
        let first = in_hand.turn(key).await;
        let mut second = std::pin::pin!(in_hand.turn(key));
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), &mut second).await;
        assert!(waits.is_err());
        drop(first);
        drop(second.await);
        assert_eq!(in_hand.with(|turns| turns.len()), 0);
    }
}
