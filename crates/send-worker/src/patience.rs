//! Waiting for the ledger and the bus to come back. A call whose outcome is unknown is repeated
//! as it is: every one of them is idempotent.

use std::{fmt::Display, time::Duration};

use prometheus::IntCounter;
use tokio_util::sync::CancellationToken;

const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Repeats `call` until it succeeds; `None` if `give_up` fires first.
pub(crate) async fn until_ok<T, E: Display, F: Future<Output = Result<T, E>>>(
    what: &'static str,
    errors: &IntCounter,
    give_up: &CancellationToken,
    mut call: impl FnMut() -> F,
) -> Option<T> {
    let mut wait = WAIT_MIN;
    loop {
        match call().await {
            Ok(value) => return Some(value),
            Err(error) => {
                errors.inc();
                tracing::warn!(what, retry_in = ?wait, "{error}");
            }
        }
        tokio::select! {
            () = give_up.cancelled() => return None,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(WAIT_MAX),
        }
    }
}
