//! News about rows, as messages for the bus.

use std::collections::BTreeMap;

use bus::{Outgoing, Route, Topic};
use ledger::Row;
use message::{
    Chunk, MessageState, Reference, Timestamp,
    event::{EVENT_VERSION, Event, OptOutEvent, StatusEvent, StatusEvents},
    opt_out::{OptOutChange, OptOutKind},
};

/// One event per status that `rows` of `chunk` are in; states that are nobody's business yet
/// (queued, sending) tell nothing.
pub(crate) fn statuses(chunk: &Chunk, rows: &[Row], now: Timestamp) -> Vec<Outgoing> {
    let mut by_status = BTreeMap::<MessageState, Vec<StatusEvent>>::new();
    for row in rows {
        if matches!(row.state, MessageState::Queued | MessageState::Sending) {
            continue;
        }
        let Some(to) = row.to else { continue };
        let reference = Reference {
            batch: chunk.batch,
            row: row.row,
        };
        by_status.entry(row.state).or_default().push(StatusEvent {
            event_id: format!("{reference}:{}", row.state),
            seq: row.seq,
            reference,
            row: row.row,
            to,
            attempt: row.attempt,
            error_code: Some(row.code.clone()).filter(|code| !code.is_empty()),
            provider_message_id: Some(row.provider_message_id.clone()).filter(|id| !id.is_empty()),
            connection_id: row.connection_id.clone(),
            at: row.changed_at.unwrap_or(now),
        });
    }
    by_status
        .into_iter()
        .map(|(status, messages)| status_event(chunk, status, messages))
        .collect()
}

fn status_event(chunk: &Chunk, status: MessageState, messages: Vec<StatusEvent>) -> Outgoing {
    let key = format!(
        "{}.{}.{status}",
        chunk.organization_id, chunk.distribution_id
    );
    let id = messages
        .first()
        .map(|first| first.event_id.clone())
        .unwrap_or_default();
    let event = Event::Status(StatusEvents {
        v: EVENT_VERSION,
        organization_id: chunk.organization_id.clone(),
        distribution_id: chunk.distribution_id.clone(),
        batch_id: chunk.batch_id.clone(),
        status,
        messages,
    });
    Outgoing::new(Route::Topic(Topic::Events, key), id, json(&event))
}

/// The provider says that a recipient has opted out.
pub(crate) fn opt_out(chunk: &Chunk, change: OptOutChange, reference: Reference) -> Outgoing {
    let kind = match change.kind {
        OptOutKind::OptOut => "opt_out",
        OptOutKind::OptIn => "opt_in",
    };
    let key = format!("{}.{}.{kind}", chunk.organization_id, chunk.distribution_id);
    let event_id = format!("{reference}:{kind}");
    let event = Event::OptOut(OptOutEvent {
        v: EVENT_VERSION,
        event_id: event_id.clone(),
        change,
    });
    Outgoing::new(Route::Topic(Topic::Events, key), event_id, json(&event))
}

/// `chunk` with only these rows, for another attempt or a dead letter.
pub(crate) fn chunk(
    chunk: &Chunk,
    rows: Vec<message::chunk::ChunkRow>,
    attempt: u8,
) -> (String, Vec<u8>) {
    let first = rows.first().map_or(0, |row| row.row);
    let id = format!("{}-{first}-a{attempt}", chunk.batch);
    let part = Chunk {
        rows,
        attempt,
        ..Chunk {
            rows: Vec::new(),
            ..chunk.clone()
        }
    };
    (id, json(&part))
}

fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own vocabulary always has a JSON form")
}
