//! Status events as they are published: a [`message::event::Event::Status`], written straight from the
//! ledger's rows. There is one for every step of every message, so nothing of a row is copied first.

use std::fmt;

use ledger::Row;
use message::{MaskedMsisdn, MessageState, Reference, Timestamp, event::EVENT_VERSION};
use serde::{Serialize, Serializer};

use crate::news::About;

/// What a message about one row is long at most, mostly.
const USUAL_BYTES: usize = 320;

/// The event about `rows`, which all have the same status and of which there is at least one. `now`
/// stands for the time of a row that does not know its own.
pub(crate) fn write(about: &About<'_>, rows: &[Row], now: Timestamp) -> Vec<u8> {
    let event = StatusEvents {
        kind: "status",
        v: EVENT_VERSION,
        organization_id: about.organization_id.as_str(),
        distribution_id: about.distribution_id.as_str(),
        batch_id: about.batch_id.as_str(),
        status: rows[0].state,
        messages: Messages { about, rows, now },
    };
    let mut body = Vec::with_capacity(USUAL_BYTES * (rows.len() + 1));
    serde_json::to_writer(&mut body, &event).expect("events have string keys only");
    body
}

/// [`message::event::StatusEvents`] in its envelope.
#[derive(Serialize)]
struct StatusEvents<'a> {
    kind: &'static str,
    v: u8,
    organization_id: &'a str,
    distribution_id: &'a str,
    batch_id: &'a str,
    status: MessageState,
    messages: Messages<'a>,
}

struct Messages<'a> {
    about: &'a About<'a>,
    rows: &'a [Row],
    now: Timestamp,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let told = self.rows.iter().filter_map(|row| {
            let reference = Reference {
                batch: self.about.batch,
                row: row.row,
            };
            Some(StatusEvent {
                event_id: EventId(reference, row.state),
                seq: row.seq,
                reference,
                row: row.row,
                to: row.to?,
                attempt: row.attempt,
                error_code: &row.code,
                provider_message_id: &row.provider_message_id,
                connection_id: row.connection_id.as_ref().map_or("", |id| id.as_str()),
                at: row.changed_at.unwrap_or(self.now),
            })
        });
        serializer.collect_seq(told)
    }
}

/// [`message::event::StatusEvent`], with empty texts where that has none.
#[derive(Serialize)]
struct StatusEvent<'a> {
    event_id: EventId,
    seq: u32,
    #[serde(serialize_with = "as_text")]
    reference: Reference,
    row: u32,
    to: MaskedMsisdn,
    attempt: u8,
    #[serde(skip_serializing_if = "str::is_empty")]
    error_code: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    provider_message_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    connection_id: &'a str,
    at: Timestamp,
}

struct EventId(Reference, MessageState);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use message::{
        BatchId, BatchKey, ConnectionId, DistributionId, Msisdn, OrganizationId,
        event::{self, Event},
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_120);

    fn row(row: u32, code: &str, id: &str, connection: Option<&str>) -> Row {
        Row {
            row,
            state: MessageState::Undelivered,
            attempt: 2,
            seq: row + 7,
            to: Some(Msisdn::parse("+353861234567").expect("valid").masked()),
            code: code.into(),
            provider_message_id: id.into(),
            connection_id: connection.map(|id| ConnectionId::new(id).expect("valid")),
            claimed_at: None,
            changed_at: connection.map(|_| Timestamp::from_millis(1_789_999_999_000)),
        }
    }

    #[test]
    fn what_is_written_from_rows_is_the_event_byte_for_byte() {
        let rows = [
            row(0, "", "", None),
            row(1, "30003", "SM1", Some("C_1")),
            row(36, "a \"b\"\n\u{1}é", "\\", None),
        ];
        let organization_id = OrganizationId::new("ORG_1").expect("valid");
        let distribution_id = DistributionId::new("d-1").expect("valid");
        let batch_id = BatchId::new("b:1").expect("valid");
        let about = About {
            batch: BatchKey::from_u64(u64::MAX),
            organization_id: &organization_id,
            distribution_id: &distribution_id,
            batch_id: &batch_id,
        };
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let told = |row: &Row| {
            let reference = Reference {
                batch: about.batch,
                row: row.row,
            };
            event::StatusEvent {
                event_id: format!("{reference}:{}", row.state),
                seq: row.seq,
                reference,
                row: row.row,
                to: row.to.expect("known"),
                attempt: row.attempt,
                error_code: some(&row.code),
                provider_message_id: some(&row.provider_message_id),
                connection_id: row.connection_id.clone(),
                at: row.changed_at.unwrap_or(NOW),
            }
        };
        let whole = Event::Status(event::StatusEvents {
            v: EVENT_VERSION,
            organization_id: organization_id.clone(),
            distribution_id: distribution_id.clone(),
            batch_id: batch_id.clone(),
            status: MessageState::Undelivered,
            messages: rows.iter().map(told).collect(),
        });
        let whole = serde_json::to_string(&whole).expect("serializable");
        let written = write(&about, &rows, NOW);
        assert_eq!(String::from_utf8(written).expect("text"), whole);
    }
}
