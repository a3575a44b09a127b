//! `smsfleet dead-letters`: what nobody could process.

use serde_json::json;

use super::Session;
use crate::{exit::Failure, output::cell};

/// What nobody could process, with its reason.
#[derive(Debug, clap::Subcommand)]
pub enum DeadLetters {
    /// Shows them; they stay where they are.
    List {
        /// How many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// Sends them back to where they failed. Nobody is texted twice by it.
    Redrive {
        /// Only those with this reason.
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
    },
}

impl DeadLetters {
    /// Does it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List { limit } => {
                let items = session.api.items(&["dead-letters"], &[], limit).await?;
                let columns = [
                    ("message", "message_id"),
                    ("reason", "reason"),
                    ("stage", "stage"),
                    ("queue", "queue"),
                    ("bytes", "bytes"),
                ];
                session.list(&items, &columns, "no dead letter")
            }
            Self::Redrive { reason, limit } => {
                let mut body = json!({ "limit": limit });
                if let Some(reason) = reason {
                    body["reason"] = json!(reason);
                }
                let answer = session
                    .api
                    .post(&["dead-letters", "redrive"], &[], &body)
                    .await?;
                session.one(&answer, |answer| {
                    format!(
                        "{} put back; left: {} whose queue is not named or gone, {} whose \
                         messages are all decided",
                        cell(answer, "redriven"),
                        cell(answer, "without_queue"),
                        cell(answer, "decided")
                    )
                })
            }
        }
    }
}
