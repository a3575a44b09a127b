//! Waiting for the ledger and the bus to come back, each with a counter of its own.

use std::{fmt::Display, time::Duration};

use backing::patience::{GiveUp, Pauses, Stopped, Waiting};
use prometheus::IntCounter;
use tokio_util::sync::CancellationToken;

const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Repeats `call` until it succeeds; `None` if `give_up` fires first.
pub(crate) async fn until_ok<T, E: Display, F: Future<Output = Result<T, E>>>(
    what: &'static str,
    errors: &IntCounter,
    give_up: &CancellationToken,
    call: impl FnMut() -> F,
) -> Option<T> {
    until(what, errors, GiveUp::At(give_up), call).await.ok()
}

/// Repeats `call` until it succeeds, however long that takes.
pub(crate) async fn until_done<T, E: Display, F: Future<Output = Result<T, E>>>(
    what: &'static str,
    errors: &IntCounter,
    call: impl FnMut() -> F,
) -> T {
    let done = until(what, errors, GiveUp::Never, call).await;
    done.expect("nothing stops it")
}

async fn until<T, E: Display, F: Future<Output = Result<T, E>>>(
    what: &'static str,
    errors: &IntCounter,
    give_up: GiveUp<'_>,
    call: impl FnMut() -> F,
) -> Result<T, Stopped> {
    let waiting = Waiting {
        what,
        pauses: Pauses::new(WAIT_MIN, WAIT_MAX),
        give_up,
    };
    waiting.until(call, |_| None, || errors.inc()).await
}
