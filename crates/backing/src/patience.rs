//! What happens while the ledger or the broker is away: wait here, with growing pauses, and ask
//! again. Nothing is nacked meanwhile, because what comes back at once only comes back again. A call
//! whose outcome is unknown is repeated as it is: every one of them is idempotent.

use std::{fmt::Display, time::Duration};

use bus::BusError;
use ledger::LedgerError;
use prometheus::IntCounterVec;
use runtime::CancellationToken;

/// A service's patience with both of them: asked for by what is away, counted by it, and at the stop
/// over after one more attempt.
#[derive(Debug, Clone)]
pub struct Patience {
    /// The first pause; doubles from there.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The process drains.
    pub stop: CancellationToken,
    /// Waits by what was away: one label, `ledger` or `bus`.
    pub waits: IntCounterVec,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Undone {
    /// The process drains, or the bus is closed: what is unacked comes back to somebody.
    #[error("stopped while waiting")]
    Stopped,
    /// Waiting will not help.
    #[error("{0}")]
    Hopeless(String),
}

impl From<Stopped> for Undone {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl Patience {
    /// Asks the ledger until it answers.
    ///
    /// # Errors
    /// At the stop, or if what is stored can not be read.
    pub async fn ledger<T, F>(&self, ask: impl FnMut() -> F) -> Result<T, Undone>
    where
        F: Future<Output = Result<T, LedgerError>>,
    {
        self.until("ledger", ask, |why| match why {
            LedgerError::Unavailable(_) | LedgerError::Unusable(_) => None,
            LedgerError::Damaged { .. } | LedgerError::Sealed { .. } => {
                Some(Undone::Hopeless(why.to_string()))
            }
        })
        .await
    }

    /// Asks the bus until it answers.
    ///
    /// # Errors
    /// At the stop, or if the bus is closed.
    pub async fn bus<T, F>(&self, ask: impl FnMut() -> F) -> Result<T, Undone>
    where
        F: Future<Output = Result<T, BusError>>,
    {
        self.until("bus", ask, |why| match why {
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

    async fn until<T, E, F>(
        &self,
        on: &'static str,
        ask: impl FnMut() -> F,
        ends: impl Fn(&E) -> Option<Undone>,
    ) -> Result<T, Undone>
    where
        E: Display,
        F: Future<Output = Result<T, E>>,
    {
        let waiting = Waiting {
            what: on,
            pauses: Pauses::new(self.first, self.longest),
            give_up: GiveUp::AfterOneMore(&self.stop),
        };
        let waits = || self.waits.with_label_values(&[on]).inc();
        waiting.until(ask, ends, waits).await
    }
}

/// One call that is repeated until it works.
#[derive(Debug, Clone)]
pub struct Waiting<'a> {
    /// What is waited for, in the log.
    pub what: &'static str,
    /// How long between the attempts.
    pub pauses: Pauses,
    /// When there are no more attempts.
    pub give_up: GiveUp<'a>,
}

/// When waiting is over without an answer.
#[derive(Debug, Clone, Copy)]
pub enum GiveUp<'a> {
    /// Never: what is known must be written down, or told, before anything else. What bounds this is
    /// the deadline of the process's shutdown.
    Never,
    /// As soon as the token fires, because nothing new may begin then.
    At(&'a CancellationToken),
    /// When the attempt after the token's firing has failed: drained means that nothing waits, and
    /// what can be finished is.
    AfterOneMore(&'a CancellationToken),
}

/// The process drains: there are no more attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped while waiting")]
pub struct Stopped;

impl Waiting<'_> {
    /// Asks until it works. `ends` says which errors waiting does not mend, and what they come to;
    /// `waits` is called before every pause, to count it.
    ///
    /// # Errors
    /// What `ends` said, or [`Stopped`].
    pub async fn until<T, E, F, U>(
        mut self,
        mut ask: impl FnMut() -> F,
        ends: impl Fn(&E) -> Option<U>,
        waits: impl Fn(),
    ) -> Result<T, U>
    where
        E: Display,
        F: Future<Output = Result<T, E>>,
        U: From<Stopped>,
    {
        loop {
            let why = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(why) => why,
            };
            if let Some(end) = ends(&why) {
                return Err(end);
            }
            if self.give_up.is_due() {
                return Err(Stopped.into());
            }
            waits();
            let pause = self.pauses.pause();
            tracing::warn!(what = self.what, ?pause, "waiting: {why}");
            self.give_up.or_after(pause).await?;
        }
    }
}

impl GiveUp<'_> {
    fn is_due(self) -> bool {
        match self {
            Self::Never => false,
            Self::At(stop) | Self::AfterOneMore(stop) => stop.is_cancelled(),
        }
    }

    /// Returns after `pause` to ask again, earlier if there is one attempt left.
    async fn or_after(self, pause: Duration) -> Result<(), Stopped> {
        let pause = tokio::time::sleep(pause);
        match self {
            Self::Never => pause.await,
            Self::At(stop) => tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Stopped),
                () = pause => {}
            },
            Self::AfterOneMore(stop) => tokio::select! {
                () = stop.cancelled() => {}
                () = pause => {}
            },
        }
        Ok(())
    }
}

/// Growing pauses: each is planned twice as long as the one before, and made up to a half shorter at
/// random, so that a fleet that lost its broker does not come back in step.
#[derive(Debug, Clone)]
pub struct Pauses {
    planned: Duration,
    longest: Duration,
}

impl Pauses {
    /// Pauses from `first` to `longest`, which none exceeds.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            planned: first.min(longest),
            longest,
        }
    }

    /// The next one.
    pub fn pause(&mut self) -> Duration {
        let pause = self.planned.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.planned = self.planned.saturating_mul(2).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    fn patience() -> Patience {
        let metrics = runtime::Metrics::new();
        Patience {
            first: FIRST,
            longest: LONGEST,
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
    async fn after_a_stop_there_is_no_waiting() {
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
        let answer = patience()
            .bus(|| std::future::ready(Err::<(), _>(BusError::Closed)))
            .await;
        assert!(matches!(answer, Err(Undone::Stopped)));
    }

    /// How often something that never works is asked for, if the stop comes during the first pause.
    async fn attempts(give_up: impl Fn(&CancellationToken) -> GiveUp<'_>) -> u32 {
        let (stop, asked) = (CancellationToken::new(), Cell::new(0));
        let waiting = Waiting {
            what: "test",
            pauses: Pauses::new(LONGEST, LONGEST),
            give_up: give_up(&stop),
        };
        let ask = || {
            asked.set(asked.get() + 1);
            std::future::ready(Err::<(), _>(away()))
        };
        let asking = waiting.until(ask, |_| None::<Stopped>, || {});
        let stopping = async {
            tokio::time::sleep(FIRST).await;
            stop.cancel();
        };
        let answer = tokio::time::timeout(LONGEST / 4, async { tokio::join!(asking, stopping).0 });
        assert!(matches!(answer.await, Ok(Err(Stopped))));
        asked.get()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_during_a_pause_ends_it_after_one_more_attempt_or_at_once() {
        assert_eq!(attempts(|stop| GiveUp::AfterOneMore(stop)).await, 2);
        assert_eq!(attempts(|stop| GiveUp::At(stop)).await, 1);
    }

    #[test]
    fn pauses_start_short_grow_and_never_pass_their_bound() {
        let mut pauses = Pauses::new(FIRST, LONGEST);
        let all: Vec<_> = (0..100).map(|_| pauses.pause()).collect();
        assert!(all[0] <= FIRST && all[0] >= FIRST / 2, "{:?}", all[0]);
        assert!(all.iter().all(|pause| *pause <= LONGEST));
        assert!(all[10..].iter().all(|pause| *pause >= LONGEST / 2));
        let mut endless = Pauses::new(Duration::from_secs(1), Duration::MAX);
        (0..200).for_each(|_| assert!(endless.pause() > Duration::ZERO));
    }
}
