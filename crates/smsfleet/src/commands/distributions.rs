//! `smsfleet distributions`: watch mailings and stop them.

use message::DistributionId;
use serde_json::{Value, json};

use super::{Session, Whose, send::counts_line};
use crate::{
    exit::Failure,
    output::{self, cell},
};

/// Watch mailings, pause, resume and cancel them.
#[derive(Debug, clap::Subcommand)]
pub enum Distributions {
    /// Shows an organisation's distributions, newest first.
    List {
        #[command(flatten)]
        whose: Whose,
        /// How many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// Shows one: counts by state, when it will be done, what was refused.
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Shows its messages, numbers masked.
    Messages {
        #[command(flatten)]
        which: Which,
        /// Only messages with this status.
        #[arg(long, value_name = "STATUS")]
        status: Option<message::MessageState>,
        /// How many.
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
    },
    /// Keeps its messages and sends none.
    Pause {
        #[command(flatten)]
        which: Which,
    },
    /// Sends again.
    Resume {
        #[command(flatten)]
        which: Which,
    },
    /// Withdraws every message that has not left, for good; says how many.
    Cancel {
        #[command(flatten)]
        which: Which,
    },
}

/// One distribution.
#[derive(Debug, clap::Args)]
pub struct Which {
    #[command(flatten)]
    whose: Whose,
    /// The distribution.
    #[arg(value_name = "DISTRIBUTION")]
    distribution: DistributionId,
}

impl Distributions {
    /// Does it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List { whose, limit } => {
                let items = session
                    .api
                    .items(&["distributions"], &whose.query(), limit)
                    .await?;
                let columns = [
                    ("distribution", "distribution_id"),
                    ("state", "state"),
                    ("created", "created_at"),
                    ("batches", "batches"),
                ];
                session.list(&items, &columns, "no distribution")
            }
            Self::Show { which } => {
                let path = ["distributions", which.distribution.as_str()];
                let answer = session.api.get(&path, &which.whose.query()).await?;
                session.one(&answer, shown)
            }
            Self::Messages {
                which,
                status,
                limit,
            } => {
                let path = ["distributions", which.distribution.as_str(), "messages"];
                let mut query = which.whose.query().to_vec();
                if let Some(status) = &status {
                    query.push(("status", status.as_str()));
                }
                let items = session.api.items(&path, &query, limit).await?;
                let columns = [
                    ("reference", "reference"),
                    ("to", "to"),
                    ("status", "status"),
                    ("attempt", "attempt"),
                    ("code", "error_code"),
                    ("provider id", "provider_message_id"),
                    ("changed", "changed_at"),
                ];
                session.list(&items, &columns, "no message")
            }
            Self::Pause { which } => decide(session, &which, "pause", "paused").await,
            Self::Resume { which } => decide(session, &which, "resume", "resumed").await,
            Self::Cancel { which } => decide(session, &which, "cancel", "cancelled").await,
        }
    }
}

async fn decide(session: &Session, which: &Which, verb: &str, done: &str) -> Result<(), Failure> {
    let path = ["distributions", which.distribution.as_str(), verb];
    let answer = session
        .api
        .post(&path, &which.whose.query(), &json!({}))
        .await?;
    session.one(&answer, |answer| {
        let mut text = format!("distribution {} {done}", which.distribution);
        if answer.get("will_not_be_sent").is_some() {
            let figure = |key| cell(answer, key);
            text.push_str(&format!(
                ": {} messages will not be sent, {} were sent before, {} are being sent right now",
                figure("will_not_be_sent"),
                figure("already_sent"),
                figure("being_sent")
            ));
        }
        text
    })
}

/// A distribution in words, with a line for each of its batches.
fn shown(answer: &Value) -> String {
    let head = [
        ("state", cell(answer, "state")),
        ("created", cell(answer, "created_at")),
        ("accepted", cell(answer, "books.accepted")),
        ("terminal", cell(answer, "books.terminal")),
        ("in flight", cell(answer, "books.in_flight")),
        ("books balance", cell(answer, "books.balanced")),
        ("refused rows", cell(answer, "refused_rows")),
        ("left to send", cell(answer, "eta_seconds") + " s"),
        ("messages", counts_line(answer)),
    ];
    let mut table = output::table(&["distribution", &cell(answer, "distribution_id")]);
    for (what, value) in head {
        table.add_row([what, &value]);
    }
    let mut batches = output::table(&["batch", "state", "connection", "recipients", "refused"]);
    let lines = answer.get("batches").and_then(Value::as_array);
    for line in lines.into_iter().flatten() {
        batches.add_row(
            [
                "batch_id",
                "state",
                "connection_id",
                "recipients",
                "refused_rows",
            ]
            .map(|key| cell(line, key)),
        );
    }
    format!("{table}\n{batches}")
}
