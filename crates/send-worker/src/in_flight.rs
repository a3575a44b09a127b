//! How many requests of one connection may wait for their answers at once. Providers limit that and
//! mostly do not say where, so the limit feels its way: it begins where the provider's page suggests,
//! grows by one for each second that needed more, and halves when the provider says that it is too
//! busy.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// What one moment of being too busy says counts once: requests that left before it are answered
/// in the same way.
const REACTION: Duration = Duration::from_secs(1);

/// Between two steps up.
const STEP_EVERY: Duration = Duration::from_secs(1);

/// The requests in flight of one connection.
#[derive(Clone)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    state: Arc<Mutex<State>>,
    max: usize,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Slots that are still taken and must not be given out again.
    owed: usize,
    changed: Instant,
}

/// A place for one request.
pub(crate) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    slots: Slots,
}

impl Slots {
    /// Begins with `start` requests and never has more than `max`.
    pub(crate) fn new(start: usize, max: usize) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        let limit = start.clamp(1, max);
        Self {
            free: Arc::new(Semaphore::new(limit)),
            state: Arc::new(Mutex::new(State {
                limit,
                owed: 0,
                changed: Instant::now(),
            })),
            max,
        }
    }

    /// Requests that may be in flight now.
    pub(crate) fn limit(&self) -> usize {
        self.state().limit
    }

    /// Waits for a place.
    pub(crate) async fn acquire(&self) -> Slot {
        if self.free.available_permits() == 0 {
            self.grow();
        }
        let permit = self.free.clone().acquire_owned().await;
        Slot {
            permit: permit.ok(),
            slots: self.clone(),
        }
    }

    /// All places are taken and one more is wanted.
    fn grow(&self) {
        let mut state = self.state();
        if state.limit >= self.max || state.changed.elapsed() < STEP_EVERY {
            return;
        }
        state.changed = Instant::now();
        state.limit += 1;
        if state.owed > 0 {
            state.owed -= 1;
        } else {
            self.free.add_permits(1);
        }
    }

    /// The provider said that it is too busy.
    pub(crate) fn too_many(&self) {
        let mut state = self.state();
        if state.limit == 1 || state.changed.elapsed() < REACTION {
            return;
        }
        state.changed = Instant::now();
        let taken_away = state.limit - state.limit / 2;
        state.limit /= 2;
        state.owed += taken_away - self.free.forget_permits(taken_away);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        if state.owed > 0
            && let Some(permit) = self.permit.take()
        {
            state.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    async fn taken(slots: &Slots, n: usize) -> Vec<Slot> {
        join_all((0..n).map(|_| slots.acquire())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_that_needs_more_makes_room_for_one_more() {
        let slots = Slots::new(2, 3);
        let held = taken(&slots, 2).await;
        for limit in [3, 3, 3] {
            tokio::time::advance(STEP_EVERY).await;
            let more = tokio::time::timeout(Duration::from_millis(1), slots.acquire()).await;
            drop(more);
            assert_eq!(slots.limit(), limit);
        }
        drop(held);
        assert_eq!(slots.free.available_permits(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_provider_halves_the_limit_once_for_all_that_was_under_way() {
        let slots = Slots::new(8, 8);
        let mut held = taken(&slots, 6).await;
        tokio::time::advance(REACTION).await;
        for _ in 0..5 {
            slots.too_many();
        }
        assert_eq!(slots.limit(), 4);
        assert_eq!(slots.free.available_permits(), 0);
        held.truncate(4);
        assert_eq!(slots.free.available_permits(), 0, "two were owed");
        held.truncate(3);
        assert_eq!(slots.free.available_permits(), 1);
        drop(held);
        assert_eq!(slots.free.available_permits(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn at_least_one_request_stays() {
        let slots = Slots::new(2, 2);
        for _ in 0..5 {
            tokio::time::advance(REACTION).await;
            slots.too_many();
        }
        assert_eq!(slots.limit(), 1);
        drop(slots.acquire().await);
        drop(slots.acquire().await);
    }
}
