//! What happens when the broker or the ledger is away: the batch waits where it is and the call is
//! made again. Handing the batch back would only move the wait into a redelivery loop.

use std::time::Duration;

use backing::patience::{GiveUp, Pauses, Stopped, Waiting};
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

impl From<Stopped> for Halt {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// An error of a backing service.
pub(crate) trait Fault: std::fmt::Display {
    const OF: Backing;
    /// What it comes to if waiting does not mend it.
    fn halt(&self) -> Option<Halt>;
}

impl Fault for BusError {
    const OF: Backing = Backing::Bus;
    fn halt(&self) -> Option<Halt> {
        match self {
            Self::Unavailable(_) => None,
            Self::NoSuchQueue(_) | Self::Unroutable(_) | Self::Unusable { .. } => {
                Some(Halt::QueueGone)
            }
            Self::Closed => Some(Halt::Stopped),
        }
    }
}

impl Fault for LedgerError {
    const OF: Backing = Backing::Ledger;
    fn halt(&self) -> Option<Halt> {
        match self {
            Self::Unavailable(_) | Self::Unusable(_) => None,
            // One organisation's damage must not hold a slot until all slots are held.
            Self::Damaged { .. } => Some(Halt::Poison("ledger_damaged")),
            Self::Sealed { .. } => Some(Halt::Poison("secrets_sealed")),
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
        call: impl FnMut() -> F,
    ) -> Result<T, Halt> {
        let waiting = Waiting {
            what,
            pauses: self.pauses(),
            give_up: GiveUp::At(&self.stop),
        };
        let ends = |error: &E| {
            let halt = error.halt()?;
            tracing::warn!(what, "can not go on: {error}");
            Some(halt)
        };
        let waits = || self.metrics.retried(E::OF);
        waiting.until(call, ends, waits).await
    }

    /// The pauses between attempts at something that is more than one call.
    pub(crate) fn pauses(&self) -> Pauses {
        Pauses::new(self.first, self.longest)
    }

    /// Waits unless the process stops first.
    pub(crate) async fn sleep(&self, wait: Duration) -> Result<(), Halt> {
        tokio::select! {
            () = self.stop.cancelled() => Err(Halt::Stopped),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }
}
