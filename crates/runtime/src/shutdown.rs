//! SIGTERM and SIGINT: drain, within a deadline.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled when the process is asked to end.
///
/// # Errors
/// If the signals can not be watched.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("asked to stop: draining");
        asked.cancel();
    });
    Ok(stop)
}

/// Waits for `work`; once `stop` fires, at most `deadline` longer.
///
/// # Errors
/// What `work` ended with, or that the deadline passed.
pub async fn drained(
    work: impl Future<Output = anyhow::Result<()>>,
    stop: CancellationToken,
    deadline: Duration,
) -> anyhow::Result<()> {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = stop.cancelled() => {}
    }
    tokio::time::timeout(deadline, work)
        .await
        .unwrap_or_else(|_| {
            Err(anyhow::anyhow!(
                "not drained within {deadline:?}: what is left is delivered again later"
            ))
        })
}
