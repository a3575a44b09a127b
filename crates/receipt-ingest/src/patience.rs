//! What happens while the ledger or the broker is away: wait here, with growing pauses, and try
//! again. Nothing is nacked meanwhile, because what comes back at once only comes back again.

use std::{fmt::Display, time::Duration};

use backoff::{ExponentialBackoff, backoff::Backoff};
use bus::BusError;
use ledger::LedgerError;
use prometheus::IntCounterVec;
use runtime::CancellationToken;

/// How long to wait between attempts, and what ends the waiting.
#[derive(Clone)]
pub(crate) struct Patience {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    pub(crate) stop: CancellationToken,
    pub(crate) waits: IntCounterVec,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undone {
    /// The process drains, or the bus is closed: what is unacked comes back to somebody.
    #[error("stopped while waiting")]
    Stopped,
    /// Waiting will not help.
    #[error("{0}")]
    Hopeless(String),
}

impl Patience {
    /// Asks the ledger until it answers.
    pub(crate) async fn ledger<T, F>(&self, ask: impl FnMut() -> F) -> Result<T, Undone>
    where
        F: Future<Output = Result<T, LedgerError>>,
    {
        self.until_done("ledger", ask, |why| match why {
            LedgerError::Unavailable(_) | LedgerError::Unusable(_) => None,
            LedgerError::Damaged { .. } | LedgerError::Sealed { .. } => {
                Some(Undone::Hopeless(why.to_string()))
            }
        })
        .await
    }

    /// Asks the bus until it answers.
    pub(crate) async fn bus<T, F>(&self, ask: impl FnMut() -> F) -> Result<T, Undone>
    where
        F: Future<Output = Result<T, BusError>>,
    {
        self.until_done("bus", ask, |why| match why {
            BusError::Closed => Some(Undone::Stopped),
            // A queue of ours that is missing or broken is declared again on reconnection, or
            // mended by an operator.
            BusError::Unavailable(_)
            | BusError::NoSuchQueue(_)
            | BusError::Unroutable(_)
            | BusError::Unusable { .. } => None,
        })
        .await
    }

    async fn until_done<T, E, F>(
        &self,
        on: &'static str,
        mut ask: impl FnMut() -> F,
        ends: impl Fn(&E) -> Option<Undone>,
    ) -> Result<T, Undone>
    where
        E: Display,
        F: Future<Output = Result<T, E>>,
    {
        let mut pauses = ExponentialBackoff {
            current_interval: self.first,
            initial_interval: self.first,
            max_interval: self.longest,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        loop {
            let why = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(why) => why,
            };
            if let Some(undone) = ends(&why) {
                return Err(undone);
            }
            // The attempt above was the last one: drained means that nothing waits.
            if self.stop.is_cancelled() {
                return Err(Undone::Stopped);
            }
            self.waits.with_label_values(&[on]).inc();
            let pause = pauses.next_backoff().unwrap_or(self.longest);
            tracing::warn!(on, ?pause, "waiting: {why}");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn patience() -> Patience {
        let metrics = runtime::Metrics::new();
        Patience {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(5),
            stop: CancellationToken::new(),
            waits: metrics.counters("smsfleet_test_waits_total", "Waits.", &["on"]),
        }
    }

    fn away() -> LedgerError {
        LedgerError::Unavailable("connection refused".into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_ledger_that_is_away_is_asked_until_it_is_back() {
        let (patience, asked) = (patience(), Cell::new(0));
        let answer = patience
            .ledger(|| {
                asked.set(asked.get() + 1);
                std::future::ready(if asked.get() < 50 {
                    Err(away())
                } else {
                    Ok(asked.get())
                })
            })
            .await;
        assert_eq!(answer.ok(), Some(50));
        assert_eq!(patience.waits.with_label_values(&["ledger"]).get(), 49);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting_after_one_more_attempt() {
        let (patience, asked) = (patience(), Cell::new(0));
        patience.stop.cancel();
        let ask = || {
            asked.set(asked.get() + 1);
            std::future::ready(Err::<(), _>(away()))
        };
        assert!(matches!(patience.ledger(ask).await, Err(Undone::Stopped)));
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waiting_does_not_mend_is_not_waited_for() {
        let damaged = || LedgerError::Damaged {
            place: "row".into(),
            why: "short".into(),
        };
        let answer = patience()
            .ledger(|| std::future::ready(Err::<(), _>(damaged())))
            .await;
        assert!(matches!(answer, Err(Undone::Hopeless(_))));
    }
}
