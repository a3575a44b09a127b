//! What the rest of the platform is told: what became of messages, and who opted out.

use bus::{Outgoing, Route, Topic};
use ledger::{BatchRecord, Row};
use message::{
    BatchId, BatchKey, Chunk, DistributionId, MessageState, OrganizationId, Timestamp,
    event::{EVENT_VERSION, Event, OptOutEvent},
    opt_out::{OptOutChange, OptOutKind},
};

use crate::{fingerprint, status_events};

/// Messages in one event: about 100 KB of JSON.
const MESSAGES_MAX: usize = 500;

/// The batch that news is about, by all its names.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Its key.
    pub batch: BatchKey,
    /// Whose.
    pub organization_id: &'a OrganizationId,
    /// Which mailing.
    pub distribution_id: &'a DistributionId,
    /// The scheduler's name for it.
    pub batch_id: &'a BatchId,
}

impl<'a> From<&'a Chunk> for About<'a> {
    fn from(chunk: &'a Chunk) -> Self {
        Self {
            batch: chunk.batch,
            organization_id: &chunk.organization_id,
            distribution_id: &chunk.distribution_id,
            batch_id: &chunk.batch_id,
        }
    }
}

impl<'a> From<&'a BatchRecord> for About<'a> {
    fn from(record: &'a BatchRecord) -> Self {
        Self {
            batch: record.key,
            organization_id: &record.organization_id,
            distribution_id: &record.distribution_id,
            batch_id: &record.batch_id,
        }
    }
}

/// What is new about the messages of one batch. A row that is told twice with the same status is
/// told once.
pub struct News<'a> {
    about: About<'a>,
    now: Timestamp,
    rows: Vec<Row>,
}

impl<'a> News<'a> {
    /// Nothing yet. `now` stands for the time of a row that does not know its own.
    #[must_use]
    pub fn new(about: About<'a>, now: Timestamp) -> Self {
        let rows = Vec::new();
        Self { about, now, rows }
    }

    /// Tells what `row` says.
    pub fn add(&mut self, row: Row) {
        // Nobody's business yet.
        if matches!(row.state, MessageState::Queued | MessageState::Sending) {
            return;
        }
        // Only rows that intake refused have no number, and those it told itself.
        if row.to.is_some() {
            self.rows.push(row);
        }
    }

    /// One message per status, or several if there are many rows.
    #[must_use]
    pub fn into_messages(mut self) -> Vec<Outgoing> {
        // What was told last goes first among its like, and its like behind it go.
        self.rows.reverse();
        self.rows.sort_by_key(|row| (row.state, row.row));
        self.rows.dedup_by_key(|row| (row.state, row.row));
        self.rows
            .chunk_by(|one, next| one.state == next.state)
            .flat_map(|rows| rows.chunks(MESSAGES_MAX))
            .map(|rows| self.about.message(rows, self.now))
            .collect()
    }
}

/// The news about `rows`, which are all of one batch.
#[must_use]
pub fn statuses(
    about: About<'_>,
    rows: impl IntoIterator<Item = Row>,
    now: Timestamp,
) -> Vec<Outgoing> {
    let mut news = News::new(about, now);
    rows.into_iter().for_each(|row| news.add(row));
    news.into_messages()
}

impl About<'_> {
    /// The message about `rows`, which all have the same status and of which there is at least one.
    fn message(&self, rows: &[Row], now: Timestamp) -> Outgoing {
        let status = rows[0].state;
        let seqs = || rows.iter().map(|row| row.seq);
        let (first, last) = (seqs().min().unwrap_or(0), seqs().max().unwrap_or(0));
        let name = format!("{}:{status}:{first}-{last}:{}", self.batch, rows.len());
        let key = format!("{}.{}.{status}", self.organization_id, self.distribution_id);
        let body = status_events::write(self, rows, now);
        Outgoing::new(Route::Topic(Topic::Events, key), name, body)
    }
}

/// The news that somebody opted out or in again, for
/// `<organization>.<distribution, or none>.<opt_out or opt_in>`.
///
/// `name` is what made the change, if that has a name of its own; else the event is named by what
/// the change is, so that telling it again is recognised.
#[must_use]
pub fn opt_out(
    change: OptOutChange,
    distribution: Option<&DistributionId>,
    name: Option<&str>,
) -> Outgoing {
    let word = word(change.kind);
    let place = distribution.map_or("none", DistributionId::as_str);
    let key = format!("{}.{place}.{word}", change.organization_id);
    let event_id = match name {
        Some(name) => format!("{word}:{name}"),
        None => format!("{word}:{}", name_of(&change)),
    };
    let event = Event::OptOut(OptOutEvent {
        v: EVENT_VERSION,
        event_id: event_id.clone(),
        change,
    });
    told(key, event_id, &event)
}

/// A hash, because the name of a message may be logged anywhere and the number may not.
fn name_of(change: &OptOutChange) -> String {
    let sender = change.sender.as_deref().unwrap_or_default();
    fingerprint([
        change.organization_id.as_str().as_bytes(),
        &[0],
        &change.number.as_u64().to_be_bytes(),
        &change.at.as_millis().to_be_bytes(),
        word(change.kind).as_bytes(),
        sender.as_bytes(),
    ])
}

/// The last word of an opt-out's routing key, and its label in metrics.
#[must_use]
pub const fn word(kind: OptOutKind) -> &'static str {
    match kind {
        OptOutKind::OptOut => "opt_out",
        OptOutKind::OptIn => "opt_in",
    }
}

fn told(key: String, name: String, event: &Event) -> Outgoing {
    let body = serde_json::to_vec(event).expect("events have string keys only");
    Outgoing::new(Route::Topic(Topic::Events, key), name, body)
}

#[cfg(test)]
mod tests {
    use message::{Msisdn, Reference, event::StatusEvents, opt_out::OptOutSource};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn number() -> Msisdn {
        Msisdn::parse("+353861234567").expect("valid")
    }

    fn row(row: u32, state: MessageState) -> Row {
        Row {
            row,
            state,
            attempt: 1,
            seq: row + 7,
            to: Some(number().masked()),
            code: String::new(),
            provider_message_id: "SM1".into(),
            connection_id: None,
            claimed_at: None,
            changed_at: None,
        }
    }

    fn tell(rows: impl IntoIterator<Item = Row>) -> Vec<(Outgoing, StatusEvents)> {
        let about = About {
            batch: BatchKey::from_u64(1),
            organization_id: &OrganizationId::new("ORG_1").expect("valid"),
            distribution_id: &DistributionId::new("d-1").expect("valid"),
            batch_id: &BatchId::new("b-1").expect("valid"),
        };
        let read = |message: Outgoing| match serde_json::from_slice(&message.body) {
            Ok(Event::Status(events)) => (message, events),
            other => panic!("{other:?} is no status event"),
        };
        statuses(about, rows, NOW).into_iter().map(read).collect()
    }

    #[test]
    fn rows_of_one_status_share_an_event_and_a_row_is_told_once() {
        use MessageState::{Accepted, Delivered};
        let told = tell([
            row(2, Delivered),
            row(1, Accepted),
            row(1, Delivered),
            row(2, Delivered),
        ]);
        let keys: Vec<_> = told.iter().map(|(message, _)| &message.route).collect();
        let key = |word| Route::Topic(Topic::Events, format!("ORG_1.d-1.{word}"));
        assert_eq!(keys, [&key("accepted"), &key("delivered")]);
        let (message, delivered) = &told[1];
        let batch = BatchKey::from_u64(1);
        assert_eq!(message.message_id, format!("{batch}:delivered:8-9:2"));
        let ids: Vec<_> = delivered.messages.iter().map(|one| &one.event_id).collect();
        let id = |row| format!("{}:delivered", Reference { batch, row });
        assert_eq!(ids, [&id(1), &id(2)]);
        assert_eq!(delivered.messages[0].at, NOW);
        assert_eq!(delivered.messages[0].error_code, None);
    }

    #[test]
    fn what_is_nobodys_business_yet_and_what_has_no_number_is_not_told() {
        let nameless = Row {
            to: None,
            ..row(3, MessageState::Invalid)
        };
        let quiet = [
            row(1, MessageState::Queued),
            row(2, MessageState::Sending),
            nameless,
        ];
        assert!(tell(quiet).is_empty());
    }

    #[test]
    fn many_rows_are_told_in_several_events() {
        let rows = (0..1001).map(|n| row(n, MessageState::Accepted));
        let parts: Vec<_> = tell(rows)
            .iter()
            .map(|(_, events)| events.messages.len())
            .collect();
        assert_eq!(parts, [500, 500, 1]);
    }

    fn change(kind: OptOutKind) -> OptOutChange {
        OptOutChange {
            organization_id: OrganizationId::new("ORG_1").expect("valid"),
            number: number(),
            kind,
            at: NOW,
            sender: None,
            source: OptOutSource::Provider,
            connection_id: None,
            evidence: String::new(),
        }
    }

    #[test]
    fn an_opt_out_is_named_by_what_made_it_or_by_what_it_is_and_never_by_the_number() {
        let distribution = DistributionId::new("d-1").expect("valid");
        let by_message = opt_out(
            change(OptOutKind::OptOut),
            Some(&distribution),
            Some("twilio-sms:SM1"),
        );
        assert_eq!(by_message.message_id, "opt_out:twilio-sms:SM1");
        let key = |key: &str| Route::Topic(Topic::Events, key.into());
        assert_eq!(by_message.route, key("ORG_1.d-1.opt_out"));
        let by_content = opt_out(change(OptOutKind::OptIn), None, None);
        assert_eq!(by_content.route, key("ORG_1.none.opt_in"));
        let again = opt_out(change(OptOutKind::OptIn), None, None);
        assert_eq!(by_content, again);
        assert!(!by_content.message_id.contains("861234567"));
        let later = OptOutChange {
            at: NOW.plus(std::time::Duration::from_millis(1)),
            ..change(OptOutKind::OptIn)
        };
        assert_ne!(by_content.message_id, opt_out(later, None, None).message_id);
        let towards_one = OptOutChange {
            sender: Some("Acme".into()),
            ..change(OptOutKind::OptIn)
        };
        let towards_one = opt_out(towards_one, None, None);
        assert_ne!(by_content.message_id, towards_one.message_id);
    }

    /// Consumers may hold ids of earlier releases: the way they are made must not change.
    #[test]
    fn the_name_of_an_opt_out_is_what_it_always_was() {
        use sha2::{Digest, Sha256};
        let change = change(OptOutKind::OptOut);
        let digest = Sha256::new()
            .chain_update("ORG_1")
            .chain_update([0])
            .chain_update(353_861_234_567_u64.to_be_bytes())
            .chain_update(1_790_000_000_000_u64.to_be_bytes())
            .chain_update("opt_out")
            .finalize();
        let digest: String = digest[..16].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(name_of(&change), digest);
    }
}
