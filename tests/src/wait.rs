//! Waiting for a state, never for a while.

use std::time::{Duration, Instant};

use anyhow::bail;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// For what must happen: long enough for two busy cores to do it all the same.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `probe` finds something.
///
/// # Errors
/// If it has not within `patience`; `what` says what was waited for.
pub async fn until<T>(
    what: &str,
    patience: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = probe().await {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {patience:?} in vain: {what}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks until `probe` says the same non-empty thing for as long as `calm`: for ends that no single
/// look can recognise.
///
/// # Errors
/// If it keeps changing, or finds nothing, for `patience`; the error says what it saw last.
pub async fn until_calm<T: PartialEq + std::fmt::Debug>(
    what: &str,
    calm: Duration,
    patience: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    let (mut seen, mut since) = (None, Instant::now());
    loop {
        let now = probe().await;
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        if since.elapsed() >= calm
            && let Some(found) = seen.take()
        {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {patience:?} in vain: {what}; last seen: {seen:?}");
        }
        tokio::time::sleep(LOOK_EVERY * 4).await;
    }
}
