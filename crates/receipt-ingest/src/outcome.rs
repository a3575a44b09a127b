//! What merging reports came to.

use backing::news::News;
use ledger::{RowReport, Settled};
use message::MessageState;

/// What merging one report came to.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// News.
    Changed,
    /// Known already, by this very report: whoever merged it first may have died before telling.
    Repeated,
    /// Something better is known, and was told when it became known.
    Outranked,
    /// Nobody claimed the row: an alarm.
    NeverSent,
    /// No such row.
    Unknown,
}

impl Outcome {
    /// What merging `report` came to; what is worth telling about it goes to `news`.
    pub(crate) fn of(report: &RowReport, settled: Settled, news: &mut News<'_>) -> Self {
        match settled {
            Settled::Changed(row) => {
                news.add(row);
                Self::Changed
            }
            // Only what the row says is told: a report that something outranked is history.
            Settled::Unchanged(row) if row.state == says(report, row.state) => {
                news.add(row);
                Self::Repeated
            }
            Settled::Unchanged(_) => Self::Outranked,
            Settled::NeverSent(_) => Self::NeverSent,
            Settled::Unknown => Self::Unknown,
        }
    }

    /// The label in metrics.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Repeated => "repeated",
            Self::Outranked => "outranked",
            Self::NeverSent => "never_sent",
            Self::Unknown => "unknown",
        }
    }
}

/// What a report says about a message that is in `state`: that one of several parts is delivered says
/// as much as `sent`.
fn says(report: &RowReport, state: MessageState) -> MessageState {
    match (&report.part, report.state, state) {
        (Some(_), MessageState::Delivered, MessageState::Sent) => MessageState::Sent,
        _ => report.state,
    }
}
