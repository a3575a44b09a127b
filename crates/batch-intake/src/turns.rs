//! Who works next. Only so many batches are worked on at a time, and whoever waits for that waits
//! behind one batch of each other organisation, not behind all that one of them has handed over.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use message::OrganizationId;
use tokio::sync::oneshot;

/// Whose turn it is: an organisation's, or that of batches which name none.
pub(crate) type Party = Option<OrganizationId>;

/// A fixed number of turns, given round to the parties that wait.
#[derive(Debug)]
pub(crate) struct Turns(Arc<Mutex<Waiting>>);

#[derive(Debug)]
struct Waiting {
    free: usize,
    /// In the order of their turns; each has somebody waiting.
    parties: VecDeque<(Party, VecDeque<oneshot::Sender<Turn>>)>,
}

/// A turn; the next one's begins when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Mutex<Waiting>>);

impl Turns {
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(Waiting {
            free: at_once,
            parties: VecDeque::new(),
        })))
    }

    /// Waits for a turn of `party`.
    pub(crate) async fn turn(&self, party: &Party) -> Turn {
        let given = {
            let mut waiting = lock(&self.0);
            if waiting.free > 0 {
                waiting.free -= 1;
                return Turn(Arc::clone(&self.0));
            }
            let (give, given) = oneshot::channel();
            match waiting.parties.iter_mut().find(|(known, _)| known == party) {
                Some((_, line)) => line.push_back(give),
                None => waiting
                    .parties
                    .push_back((party.clone(), VecDeque::from([give]))),
            }
            given
        };
        given
            .await
            .expect("who waits is given a turn by whoever ends one")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut waiting = lock(&self.0);
            let next = waiting.parties.pop_front().and_then(|(party, mut line)| {
                let next = line.pop_front();
                if !line.is_empty() {
                    waiting.parties.push_back((party, line));
                }
                next
            });
            if next.is_none() {
                waiting.free += 1;
            }
            next
        };
        if let Some(next) = next {
            // Who does not wait any more drops it, which gives it to the one behind.
            drop(next.send(Self(Arc::clone(&self.0))));
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> std::sync::MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many batches each organisation has in hand.
#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    in_hand: Arc<Mutex<HashMap<OrganizationId, usize>>>,
}

/// A batch in hand; no more when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    organization: OrganizationId,
    in_hand: Arc<Mutex<HashMap<OrganizationId, usize>>>,
}

impl Shares {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            in_hand: Arc::default(),
        }
    }

    /// Nothing if `organization` has its share in hand already.
    pub(crate) fn take(&self, organization: &OrganizationId) -> Option<Share> {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let count = in_hand.entry(organization.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share {
            organization: organization.clone(),
            in_hand: Arc::clone(&self.in_hand),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut in_hand = self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = in_hand.get_mut(&self.organization) {
            *count -= 1;
            if *count == 0 {
                in_hand.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn party(name: &str) -> Party {
        Some(OrganizationId::new(name).expect("an id"))
    }

    #[tokio::test]
    async fn turns_go_round_the_parties_and_past_those_who_left() {
        let turns = Turns::new(1);
        let (a, b, c) = (party("A"), party("B"), party("C"));
        let first = turns.turn(&a).await;
        let mut a2 = Box::pin(turns.turn(&a));
        let mut a3 = Box::pin(turns.turn(&a));
        let mut b1 = Box::pin(turns.turn(&b));
        let mut c1 = Box::pin(turns.turn(&c));
        for waits in [&mut a2, &mut a3, &mut b1, &mut c1] {
            assert!(waits.now_or_never().is_none());
        }
        drop(b1);
        drop(first);
        let second = a2.await;
        assert!((&mut c1).now_or_never().is_none());
        drop(second);
        assert!(
            (&mut a3).now_or_never().is_none(),
            "B left, so it is C's turn"
        );
        drop(c1.await);
        drop(a3.await);
        assert!(
            turns.turn(&b).now_or_never().is_some(),
            "all are free again"
        );
    }

    #[test]
    fn a_share_is_a_number_of_batches_for_each_and_leaves_nothing_behind() {
        let shares = Shares::new(2);
        let (Some(a), Some(b)) = (party("A"), party("B")) else {
            panic!("two organisations")
        };
        let held = [shares.take(&a), shares.take(&a), shares.take(&b)];
        assert!(held.iter().all(Option::is_some));
        assert!(shares.take(&a).is_none());
        drop(held);
        assert!(shares.in_hand.lock().expect("not poisoned").is_empty());
    }
}
