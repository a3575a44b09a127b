//! A distribution that was cancelled while one of its batches was on its way in.

use bus::{Outgoing, Route, Topic};
use ledger::{BatchRecord, DistributionState, Row};
use message::{
    MessageState, Reference,
    event::{EVENT_VERSION, Event, StatusEvent, StatusEvents},
};

use crate::{
    hand_on::ROWS_PER_CALL,
    patience::Halt,
    service::{Intake, now},
};

impl Intake {
    pub(crate) async fn is_cancelled(&self, record: &BatchRecord) -> Result<bool, Halt> {
        let distribution = self
            .patience
            .until("look up distribution", || {
                self.ledger
                    .distribution(&record.organization_id, &record.distribution_id)
            })
            .await?;
        Ok(distribution.is_some_and(|it| it.state == DistributionState::Cancelled))
    }

    /// The distribution was cancelled between registering and writing: its rows end as cancelled
    /// and are told, those that the ledger entered as cancelled by itself included.
    pub(crate) async fn cancel(&self, record: &BatchRecord) -> Result<(), Halt> {
        self.patience
            .until("cancel rows", || self.ledger.cancel_rows(record.key, now()))
            .await?;
        let mut first = 0;
        loop {
            let rows = self
                .patience
                .until("read rows", || {
                    self.ledger.rows(record.key, first, ROWS_PER_CALL)
                })
                .await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            first = last.row + 1;
            self.publish(cancelled_events(record, &rows)).await?;
        }
    }
}

/// The news that rows will not be sent; nothing for rows that went another way.
fn cancelled_events(record: &BatchRecord, rows: &[Row]) -> Vec<Outgoing> {
    let status = MessageState::Cancelled;
    let at = now();
    let messages: Vec<StatusEvent> = rows
        .iter()
        .filter(|row| row.state == status)
        .filter_map(|row| {
            let reference = Reference {
                batch: record.key,
                row: row.row,
            };
            Some(StatusEvent {
                event_id: format!("{reference}:{status}"),
                seq: row.seq,
                reference,
                row: row.row,
                to: row.to?,
                attempt: row.attempt,
                error_code: None,
                provider_message_id: None,
                connection_id: row.connection_id.clone(),
                at: row.changed_at.unwrap_or(at),
            })
        })
        .collect();
    let Some(first) = messages.first() else {
        return Vec::new();
    };
    let route = Route::Topic(
        Topic::Events,
        format!(
            "{}.{}.{status}",
            record.organization_id, record.distribution_id
        ),
    );
    let message_id = first.event_id.clone();
    let event = Event::Status(StatusEvents {
        v: EVENT_VERSION,
        organization_id: record.organization_id.clone(),
        distribution_id: record.distribution_id.clone(),
        batch_id: record.batch_id.clone(),
        status,
        messages,
    });
    let body = serde_json::to_vec(&event).expect("an event is made of JSON values only");
    vec![Outgoing::new(route, message_id, body)]
}
