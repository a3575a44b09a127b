//! The audit: the twin's own count of what was asked of it and what it did.
//!
//! One short lock, never held over an await. An entry is found by its name once per request; afterwards the message
//! carries the entry's number, so a status change costs no look-up.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::locked;
use crate::report::{AuditEntry, AuditReport, Second, StopRecord, Totals};

/// Under which name a request is booked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Key {
    /// Number of the account in the settings.
    pub account: u16,
    /// Digits of the recipient.
    pub recipient: u64,
    /// The client's reference, possibly empty.
    pub reference: Arc<str>,
}

/// The number of an entry. It means nothing after a reset, and then finds nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct EntryId {
    index: u32,
    generation: u32,
}

/// A message that is asked for, booked on arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Where it is booked.
    pub entry: EntryId,
    /// Counted from 1: which request of this name it is.
    pub attempt: u32,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    requests: u32,
    worst_late: Duration,
    accepted: u32,
    status: Option<Status>,
    error_code: Option<&'static str>,
}

/// Where a message is: the provider's word, which may be the same for several ends, and the word of all twins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Status {
    pub word: &'static str,
    pub phase: &'static str,
}

#[derive(Debug)]
struct Stop {
    acknowledged: SystemTime,
    lifted: bool,
    requests_after: u64,
    worst_late: Duration,
}

#[derive(Debug, Default)]
struct Books {
    generation: u32,
    entries: Vec<Entry>,
    index: HashMap<Key, u32>,
    totals: Totals,
    statuses: BTreeMap<&'static str, u64>,
    per_second: BTreeMap<u64, Second>,
    stops: BTreeMap<(u16, u64), Stop>,
}

/// The audit of one twin.
#[derive(Debug)]
pub(crate) struct Audit {
    accounts: Vec<String>,
    books: Mutex<Books>,
}

impl Audit {
    /// `accounts` are the names behind the account numbers of the keys.
    pub fn new(accounts: Vec<String>) -> Self {
        Self {
            accounts,
            books: Mutex::default(),
        }
    }

    /// Changes figures that concern no single message.
    pub fn count(&self, change: impl FnOnce(&mut Totals)) {
        change(&mut locked(&self.books).totals);
    }

    /// Books that a message to a named recipient is asked for, before anything is decided about it.
    pub fn arrived(&self, key: Key, now: SystemTime) -> Arrival {
        let mut books = locked(&self.books);
        let books = &mut *books;
        books.totals.requests += 1;
        let mut late = Duration::ZERO;
        if let Some(stop) = books
            .stops
            .get_mut(&(key.account, key.recipient))
            .filter(|s| !s.lifted)
        {
            late = now.duration_since(stop.acknowledged).unwrap_or_default();
            stop.requests_after += 1;
            stop.worst_late = stop.worst_late.max(late);
            books.totals.requests_after_stop += 1;
            books.totals.worst_late_ms = books.totals.worst_late_ms.max(milliseconds(late));
        }
        let index = match books.index.get(&key) {
            Some(&index) => index,
            None => {
                // Four thousand million different messages do not fit this machine.
                let index = u32::try_from(books.entries.len()).unwrap_or(u32::MAX);
                books.entries.push(Entry {
                    key: key.clone(),
                    requests: 0,
                    worst_late: Duration::ZERO,
                    accepted: 0,
                    status: None,
                    error_code: None,
                });
                books.index.insert(key, index);
                index
            }
        };
        let generation = books.generation;
        let attempt = books.entries.get_mut(index as usize).map_or(1, |entry| {
            entry.requests += 1;
            entry.worst_late = entry.worst_late.max(late);
            entry.requests
        });
        Arrival {
            entry: EntryId { index, generation },
            attempt,
        }
    }

    /// Books an acceptance; says how often this name has been accepted now.
    pub fn accepted(
        &self,
        entry: EntryId,
        status: Status,
        segments: u32,
        ambiguous: bool,
        now: SystemTime,
    ) -> u32 {
        let mut books = locked(&self.books);
        let books = &mut *books;
        books.totals.accepted += 1;
        books.totals.accepted_segments += u64::from(segments);
        books.totals.ambiguous_taken += u64::from(ambiguous);
        *books.statuses.entry(status.word).or_default() += 1;
        let unix_seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let second = books.per_second.entry(unix_seconds).or_default();
        second.unix_seconds = unix_seconds;
        second.accepted += 1;
        second.segments += u64::from(segments);
        let Some(entry) = books.entry(entry) else {
            return 1;
        };
        entry.accepted += 1;
        entry.status = Some(status);
        entry.error_code = None;
        let times = entry.accepted;
        books.totals.accepted_references += u64::from(times == 1);
        times
    }

    /// Books a message's change of status.
    pub fn moved(
        &self,
        entry: EntryId,
        from: Status,
        to: Status,
        error_code: Option<&'static str>,
    ) {
        let mut books = locked(&self.books);
        // A message from before a reset is in no figure any more.
        let Some(entry) = books.entry(entry) else {
            return;
        };
        entry.status = Some(to);
        entry.error_code = error_code;
        if let Some(count) = books.statuses.get_mut(from.word) {
            *count = count.saturating_sub(1);
        }
        *books.statuses.entry(to.word).or_default() += 1;
    }

    /// Books that the webhook acknowledged a person's STOP. The first time counts: from then on the fleet knew.
    pub fn stop_acknowledged(&self, account: u16, recipient: u64, now: SystemTime) {
        let mut books = locked(&self.books);
        let stop = Stop {
            acknowledged: now,
            lifted: false,
            requests_after: 0,
            worst_late: Duration::ZERO,
        };
        match books.stops.get_mut(&(account, recipient)) {
            Some(known) if !known.lifted => {}
            Some(lifted) => (lifted.acknowledged, lifted.lifted) = (now, false),
            None => {
                books.stops.insert((account, recipient), stop);
            }
        }
    }

    /// Books that a person opted in again: requests are welcome from here on.
    pub fn stop_lifted(&self, account: u16, recipient: u64) {
        if let Some(stop) = locked(&self.books).stops.get_mut(&(account, recipient)) {
            stop.lifted = true;
        }
    }

    /// Forgets everything.
    pub fn reset(&self) {
        let mut books = locked(&self.books);
        let generation = books.generation.wrapping_add(1);
        *books = Books {
            generation,
            ..Books::default()
        };
    }

    /// Everything but the entries.
    pub fn summary(&self) -> AuditReport {
        let books = locked(&self.books);
        let mut totals = books.totals.clone();
        totals.statuses = books
            .statuses
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(status, count)| ((*status).to_owned(), *count))
            .collect();
        let doubled = |entry: &&Entry| entry.accepted > 1 && !entry.key.reference.is_empty();
        AuditReport {
            totals,
            doubled: books
                .entries
                .iter()
                .filter(doubled)
                .map(|e| self.entry(e))
                .collect(),
            stops: books
                .stops
                .iter()
                .map(|(key, stop)| self.stop(*key, stop))
                .collect(),
            per_second: books.per_second.values().cloned().collect(),
            entries: Vec::new(),
        }
    }

    /// The whole report. For a million messages, prefer [`Audit::entries`] page by page.
    pub fn report(&self) -> AuditReport {
        AuditReport {
            entries: self.entries(0, usize::MAX),
            ..self.summary()
        }
    }

    /// Up to `count` entries from `start` on. The lock is held for one page, not for the whole export.
    pub fn entries(&self, start: usize, count: usize) -> Vec<AuditEntry> {
        let books = locked(&self.books);
        books
            .entries
            .iter()
            .skip(start)
            .take(count)
            .map(|entry| self.entry(entry))
            .collect()
    }

    fn entry(&self, entry: &Entry) -> AuditEntry {
        AuditEntry {
            account: self.account(entry.key.account),
            recipient: format!("+{}", entry.key.recipient),
            reference: entry.key.reference.to_string(),
            requests: entry.requests,
            worst_late_ms: milliseconds(entry.worst_late),
            accepted: entry.accepted,
            status: entry.status.map(|status| status.word.to_owned()),
            phase: entry.status.map(|status| status.phase.to_owned()),
            error_code: entry.error_code.map(str::to_owned),
        }
    }

    fn stop(&self, (account, recipient): (u16, u64), stop: &Stop) -> StopRecord {
        let acknowledged = stop
            .acknowledged
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        StopRecord {
            account: self.account(account),
            recipient: format!("+{recipient}"),
            acknowledged_unix_ms: milliseconds(acknowledged),
            lifted: stop.lifted,
            requests_after: stop.requests_after,
            worst_late_ms: milliseconds(stop.worst_late),
        }
    }

    fn account(&self, number: u16) -> String {
        self.accounts
            .get(usize::from(number))
            .cloned()
            .unwrap_or_default()
    }
}

impl Books {
    fn entry(&mut self, id: EntryId) -> Option<&mut Entry> {
        (id.generation == self.generation).then(|| self.entries.get_mut(id.index as usize))?
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(recipient: u64, reference: &str) -> Key {
        Key {
            account: 0,
            recipient,
            reference: reference.into(),
        }
    }

    const QUEUED: Status = Status {
        word: "enroute",
        phase: "queued",
    };
    const UNDELIVERED: Status = Status {
        word: "failed",
        phase: "undelivered",
    };

    fn accept(audit: &Audit, key: Key) -> EntryId {
        let arrival = audit.arrived(key, UNIX_EPOCH);
        audit.accepted(arrival.entry, QUEUED, 1, false, UNIX_EPOCH);
        arrival.entry
    }

    #[test]
    fn a_reference_accepted_twice_is_doubled_and_a_repeated_refusal_is_not() {
        let audit = Audit::new(vec!["A".into()]);
        accept(&audit, key(33_639_980_001, "b-0"));
        accept(&audit, key(33_639_980_001, "b-0"));
        audit.arrived(key(33_639_980_002, "b-1"), UNIX_EPOCH);
        audit.arrived(key(33_639_980_002, "b-1"), UNIX_EPOCH);
        accept(&audit, key(33_639_980_003, ""));
        accept(&audit, key(33_639_980_003, ""));
        let report = audit.report();
        assert_eq!(report.doubled.len(), 1, "{:?}", report.doubled);
        assert_eq!(report.doubled[0].recipient, "+33639980001");
        assert_eq!((report.totals.requests, report.totals.accepted), (6, 4));
        assert_eq!(report.totals.accepted_references, 2);
        assert_eq!(report.entries[1].requests, 2);
    }

    #[test]
    fn the_statuses_of_all_accepted_messages_add_up_to_them() {
        let audit = Audit::new(vec!["A".into()]);
        let entry = accept(&audit, key(33_639_980_001, "b-0"));
        accept(&audit, key(33_639_980_002, "b-1"));
        audit.moved(entry, QUEUED, UNDELIVERED, Some("30003"));
        let report = audit.report();
        assert_eq!(
            report.totals.statuses.values().sum::<u64>(),
            report.totals.accepted
        );
        assert_eq!(report.entries[0].error_code.as_deref(), Some("30003"));
        assert_eq!(report.entries[0].status.as_deref(), Some("failed"));
        assert_eq!(report.entries[0].phase.as_deref(), Some("undelivered"));
    }

    #[test]
    fn requests_after_an_acknowledged_stop_are_counted_with_their_lateness_until_the_opt_in() {
        let audit = Audit::new(vec!["A".into()]);
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        audit.arrived(key(33_639_980_001, "b-0"), at(0));
        audit.stop_acknowledged(0, 33_639_980_001, at(1_000));
        audit.arrived(key(33_639_980_001, "b-1"), at(1_400));
        audit.arrived(key(33_639_980_002, "b-2"), at(9_000));
        // A second STOP does not make the first one later.
        audit.stop_acknowledged(0, 33_639_980_001, at(1_500));
        audit.arrived(key(33_639_980_001, "b-3"), at(1_700));
        audit.stop_lifted(0, 33_639_980_001);
        audit.arrived(key(33_639_980_001, "b-4"), at(9_000));
        let report = audit.summary();
        assert_eq!(report.stops[0].requests_after, 2);
        assert_eq!(report.stops[0].worst_late_ms, 700);
        let late: Vec<_> = (audit.entries(0, 9).iter())
            .map(|entry| entry.worst_late_ms)
            .collect();
        assert_eq!(late, [0, 400, 0, 700, 0], "each under its own name");
        assert_eq!(
            (
                report.totals.requests_after_stop,
                report.totals.worst_late_ms
            ),
            (2, 700)
        );
    }

    #[test]
    fn a_message_from_before_a_reset_changes_nothing_after_it() {
        let audit = Audit::new(vec!["A".into()]);
        let old = accept(&audit, key(33_639_980_001, "b-0"));
        audit.reset();
        accept(&audit, key(33_639_980_002, "c-0"));
        audit.moved(old, QUEUED, UNDELIVERED, None);
        assert_eq!(audit.report().entries[0].phase.as_deref(), Some("queued"));
    }
}
