//! Between the claim of a group and its requests: rows are claimed by the hundred and leave when their
//! tokens have come.

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};

/// The gate of one group. Tokens are segments.
#[derive(Clone)]
pub(crate) struct Gate {
    tokens: Arc<Semaphore>,
    claimed: Arc<Notify>,
}

impl Gate {
    /// A gate that lets so many segments pass at once.
    pub(crate) fn open_for(segments: u32) -> Self {
        Self {
            tokens: Arc::new(Semaphore::new(segments as usize)),
            claimed: Arc::default(),
        }
    }

    /// Lets more segments pass.
    pub(crate) fn let_go(&self, segments: u32) {
        self.tokens.add_permits(segments as usize);
    }

    /// Whoever has not passed does not pass any more.
    pub(crate) fn close(&self) {
        self.tokens.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.tokens.is_closed()
    }

    /// Waits until the group has its claims, or has given up.
    pub(crate) async fn claimed(&self) {
        self.claimed.notified().await;
    }

    /// The group has its claims, or has given up.
    pub(crate) fn has_claims(&self) {
        self.claimed.notify_one();
    }

    /// Waits for the tokens of a request; `false` if they do not come.
    pub(crate) async fn pass(&self, segments: u32) -> bool {
        match self.tokens.acquire_many(segments).await {
            Ok(tokens) => {
                tokens.forget();
                true
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_leaves_when_all_its_tokens_have_come_and_not_before() {
        let gate = Gate::open_for(2);
        let mut passing = std::pin::pin!(gate.pass(3));
        assert!(futures_util::poll!(&mut passing).is_pending());
        gate.let_go(1);
        assert!(passing.await);
    }

    #[tokio::test]
    async fn whoever_waits_at_a_gate_that_closes_does_not_leave() {
        let gate = Gate::open_for(2);
        let mut passing = std::pin::pin!(gate.pass(3));
        assert!(futures_util::poll!(&mut passing).is_pending());
        gate.close();
        assert!(!passing.await);
        assert!(!gate.pass(1).await);
    }
}
