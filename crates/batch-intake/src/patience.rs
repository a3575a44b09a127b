//! What happens when the broker or the ledger is away: the batch waits where it is and the call is
//! made again. Handing the batch back would only move the wait into a redelivery loop.

use std::time::Duration;

use bus::BusError;
use ledger::LedgerError;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Backing, IntakeMetrics};

/// Why a batch is not carried on with.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The process drains, or the bus is closed: the batch goes back and comes again.
    Stopped,
    /// This batch can not be processed however often it is tried; the reason names the dead letter.
    Poison(&'static str),
    /// Its queue is gone: declare it anew and publish everything again.
    QueueGone,
}

/// What to do about an error.
pub(crate) enum Advice {
    Again,
    Halt(Halt),
}

/// An error of a backing service.
pub(crate) trait Fault: std::fmt::Display {
    const OF: Backing;
    fn advice(&self) -> Advice;
}

impl Fault for BusError {
    const OF: Backing = Backing::Bus;
    fn advice(&self) -> Advice {
        match self {
            Self::Unavailable(_) => Advice::Again,
            Self::NoSuchQueue(_) | Self::Unroutable(_) | Self::Unusable { .. } => {
                Advice::Halt(Halt::QueueGone)
            }
            Self::Closed => Advice::Halt(Halt::Stopped),
        }
    }
}

impl Fault for LedgerError {
    const OF: Backing = Backing::Ledger;
    fn advice(&self) -> Advice {
        match self {
            Self::Unavailable(_) | Self::Unusable(_) => Advice::Again,
            // One organisation's damage must not hold a slot until all slots are held.
            Self::Damaged { .. } => Advice::Halt(Halt::Poison("ledger_damaged")),
            Self::Sealed { .. } => Advice::Halt(Halt::Poison("secrets_sealed")),
        }
    }
}

/// Repeats calls until they work or the process stops.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    pub(crate) stop: CancellationToken,
    pub(crate) metrics: IntakeMetrics,
}

impl Patience {
    /// Calls until it works. `what` names the call in the log.
    pub(crate) async fn until<T, E: Fault, F: Future<Output = Result<T, E>>>(
        &self,
        what: &'static str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Halt> {
        let mut pause = self.first;
        loop {
            let error = match call().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match error.advice() {
                Advice::Halt(halt) => {
                    tracing::warn!(what, "can not go on: {error}");
                    return Err(halt);
                }
                Advice::Again => {
                    self.metrics.retried(E::OF);
                    tracing::warn!(what, backing = E::OF.as_str(), "trying again: {error}");
                }
            }
            self.pause(&mut pause).await?;
        }
    }

    /// Waits for `pause`, somewhat shorter at random so that processes do not return in step, and
    /// doubles it.
    pub(crate) async fn pause(&self, pause: &mut Duration) -> Result<(), Halt> {
        let shorter = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        *pause = (*pause * 2).min(self.longest);
        self.sleep(shorter).await
    }

    /// Waits unless the process stops first.
    pub(crate) async fn sleep(&self, wait: Duration) -> Result<(), Halt> {
        tokio::select! {
            () = self.stop.cancelled() => Err(Halt::Stopped),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }
}
