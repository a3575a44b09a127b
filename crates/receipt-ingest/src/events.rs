//! From what a merge found to what is told.

use std::collections::BTreeMap;

use bus::{Outgoing, Route, Topic};
use ledger::{Row, RowReport, Settled};
use message::{
    BatchKey, MessageState, Reference, Timestamp,
    event::{EVENT_VERSION, Event, StatusEvent, StatusEvents},
};

use crate::names::Names;

/// Messages in one event: about 100 KB of JSON.
const MESSAGES_MAX: usize = 500;

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

/// The news about one batch. A row that is told twice with the same status is told once.
pub(crate) struct News<'a> {
    batch: BatchKey,
    names: &'a Names,
    now: Timestamp,
    by_status: BTreeMap<MessageState, BTreeMap<u32, StatusEvent>>,
}

impl<'a> News<'a> {
    pub(crate) fn new(batch: BatchKey, names: &'a Names, now: Timestamp) -> Self {
        Self {
            batch,
            names,
            now,
            by_status: BTreeMap::new(),
        }
    }

    /// Takes in what merging `report` found.
    pub(crate) fn add(&mut self, report: &RowReport, settled: Settled) -> Outcome {
        match settled {
            Settled::Changed(row) => {
                self.tell(row);
                Outcome::Changed
            }
            // Only what the row says is told: a report that something outranked is history.
            Settled::Unchanged(row) if row.state == report.state => {
                self.tell(row);
                Outcome::Repeated
            }
            Settled::Unchanged(_) => Outcome::Outranked,
            Settled::NeverSent(_) => Outcome::NeverSent,
            Settled::Unknown => Outcome::Unknown,
        }
    }

    fn tell(&mut self, row: Row) {
        // Only rows that intake refused have no number, and those are never handed over.
        let Some(to) = row.to else { return };
        let reference = Reference {
            batch: self.batch,
            row: row.row,
        };
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let event = StatusEvent {
            event_id: format!("{reference}:{}", row.state),
            seq: row.seq,
            reference,
            row: row.row,
            to,
            attempt: row.attempt,
            error_code: some(row.code),
            provider_message_id: some(row.provider_message_id),
            connection_id: row.connection_id,
            at: row.changed_at.unwrap_or(self.now),
        };
        self.by_status
            .entry(row.state)
            .or_default()
            .insert(row.row, event);
    }

    /// One message per status, or several if there are many rows.
    pub(crate) fn into_messages(self) -> Vec<Outgoing> {
        let mut messages = Vec::new();
        for (status, rows) in self.by_status {
            let rows: Vec<StatusEvent> = rows.into_values().collect();
            for part in rows.chunks(MESSAGES_MAX) {
                messages.push(message(self.batch, self.names, status, part.to_vec()));
            }
        }
        messages
    }
}

fn message(
    batch: BatchKey,
    names: &Names,
    status: MessageState,
    messages: Vec<StatusEvent>,
) -> Outgoing {
    let seqs = || messages.iter().map(|message| message.seq);
    let (first, last) = (seqs().min().unwrap_or(0), seqs().max().unwrap_or(0));
    let name = format!("{batch}:{status}:{first}-{last}:{}", messages.len());
    let key = format!(
        "{}.{}.{status}",
        names.organization_id, names.distribution_id
    );
    let event = Event::Status(StatusEvents {
        v: EVENT_VERSION,
        organization_id: names.organization_id.clone(),
        distribution_id: names.distribution_id.clone(),
        batch_id: names.batch_id.clone(),
        status,
        messages,
    });
    let body = serde_json::to_vec(&event).expect("events have string keys only");
    Outgoing::new(Route::Topic(Topic::Events, key), name, body)
}
