//! One batch in the process: its record, its rows packed as in Redis, and its counters.

use std::cmp::Ordering;

use message::{ConnectionId, MessageState, Reference, Timestamp};

use crate::{
    BatchRecord, Claim, ClaimRequest, Counts, LedgerError, NewRow, Row, RowReport, SettleRequest,
    Settled,
    entry::{Entry, Frame, stored_code},
    id_index::IdName,
    order::{compare_outcomes, compare_reports, order},
    parts::Name,
    provider_id::PackedId,
    rules::{self, Claimant, Found, Outcome, Part, Said},
};

/// An id that a receipt taught, with its message.
type Learned = (ConnectionId, IdName, Reference);

/// A batch with everything about it.
pub(super) struct Batch {
    pub(super) record: BatchRecord,
    frame: Frame,
    rows: Vec<Option<Box<[u8]>>>,
    counts: [u64; MessageState::ALL.len()],
    seq: u32,
    /// Rows that would wait for an attempt are cancelled instead.
    cancelled: bool,
}

impl Batch {
    pub(super) fn new(record: &BatchRecord) -> Self {
        Self {
            record: record.clone(),
            frame: Frame {
                created_at: record.created_at,
                connections: Vec::new(),
            },
            rows: vec![None; record.recipients as usize],
            counts: [0; MessageState::ALL.len()],
            seq: 0,
            cancelled: false,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (state, n) in MessageState::ALL.into_iter().zip(self.counts) {
            if n > 0 {
                counts.add(state, n);
            }
        }
        counts
    }

    pub(super) fn write_rows(&mut self, rows: &[NewRow]) -> Result<(), LedgerError> {
        if let Some(new) = rows.iter().find(|new| new.row >= self.record.recipients) {
            return Err(LedgerError::row_out_of_range(self.record.key, new.row));
        }
        let waiting = if self.cancelled {
            MessageState::Cancelled
        } else {
            MessageState::Queued
        };
        for new in rows {
            let place = &mut self.rows[new.row as usize];
            if place.is_some() {
                continue;
            }
            let entry = match &new.invalid {
                Some(why) => Entry::new(MessageState::Invalid, new.to, why),
                None => Entry::new(waiting, new.to, ""),
            };
            *place = Some(entry.pack().into());
            self.counts[index(entry.state)] += 1;
        }
        Ok(())
    }

    pub(super) fn rows(&self, first: u32, limit: u32) -> Vec<Row> {
        (first..self.record.recipients)
            .filter_map(|row| self.entry(row)?.row(row, &self.frame))
            .take(limit as usize)
            .collect()
    }

    pub(super) fn claim(&mut self, claim: &ClaimRequest) -> Vec<Claim> {
        let claimant = Claimant {
            token: claim.token,
            attempt: claim.attempt,
            connection: self.connection(&claim.connection_id),
            now: self.frame.offset(claim.now),
            interrupted_after_millis: claim.interrupted_after_millis,
            redelivered: claim.redelivered,
        };
        let claim_one = |&(row, _): &(u32, _)| {
            let step = |entry: &mut Entry, seq: &mut u32| rules::claim(entry, &claimant, seq);
            match self.change(row, step) {
                None => Claim::Unknown,
                Some((Found::Fresh, _)) => Claim::Fresh,
                Some((Found::Busy, _)) => Claim::Busy,
                Some((Found::Interrupted, row)) => Claim::Interrupted(row),
                Some((Found::Settled, row)) => Claim::Settled(row),
            }
        };
        in_order(
            &claim.rows,
            |(row, _)| *row,
            |_, _| Ordering::Equal,
            claim_one,
        )
    }

    pub(super) fn settle(&mut self, settle: &SettleRequest) -> Vec<Settled> {
        let now = self.frame.offset(settle.now);
        let cancelled = self.cancelled;
        let settle_one = |what: &crate::SettleRow| {
            let outcome = Outcome {
                token: settle.token,
                outcome: what.outcome,
                parts: what.parts,
                said: Said {
                    code: stored_code(&what.code),
                    provider_id: &PackedId::pack(&what.provider_message_id),
                    now,
                },
            };
            let step =
                |entry: &mut Entry, seq: &mut u32| rules::settle(entry, &outcome, cancelled, seq);
            match self.change(what.row, step) {
                None => Settled::Unknown,
                Some((true, row)) => Settled::Changed(row),
                Some((false, row)) => Settled::Unchanged(row),
            }
        };
        in_order(&settle.rows, |what| what.row, compare_outcomes, settle_one)
    }

    /// The answers, and the ids that the rows learned.
    pub(super) fn merge(
        &mut self,
        reports: &[RowReport],
        now: Timestamp,
    ) -> (Vec<Settled>, Vec<Learned>) {
        let now = self.frame.offset(now);
        let batch = self.record.key;
        let mut learned = Vec::new();
        let merge_one = |report: &RowReport| {
            let said = Said {
                code: stored_code(&report.code),
                provider_id: &PackedId::pack(&report.provider_message_id),
                now,
            };
            let part = report.part.as_ref().map(|part| Part {
                name: Name::of(&part.name),
                of: part.of.unwrap_or(0),
            });
            let mut learns = false;
            let step = |entry: &mut Entry, seq: &mut u32| {
                let knew = !entry.provider_id.is_empty();
                let moved = rules::was_sent(entry).then(|| match &part {
                    None => rules::merge(entry, report.state, &said, seq),
                    Some(part) => rules::merge_part(entry, report.state, part, &said, seq),
                });
                learns = !knew && !entry.provider_id.is_empty();
                moved
            };
            let changed = self.change(report.row, step);
            let reference = Reference {
                batch,
                row: report.row,
            };
            let connection = changed
                .as_ref()
                .and_then(|(_, row)| row.connection_id.clone());
            if let Some(connection) = connection.filter(|_| learns) {
                let name = IdName::of(&report.provider_message_id);
                learned.push((connection, name, reference));
            }
            match changed {
                None => Settled::Unknown,
                Some((None, row)) => Settled::NeverSent(row),
                Some((Some(true), row)) => Settled::Changed(row),
                Some((Some(false), row)) => Settled::Unchanged(row),
            }
        };
        let settled = in_order(reports, |report| report.row, compare_reports, merge_one);
        (settled, learned)
    }

    pub(super) fn cancel_rows(&mut self, now: Timestamp) -> Vec<Row> {
        self.cancelled = true;
        let now = self.frame.offset(now);
        (0..self.record.recipients)
            .filter_map(|row| {
                let (_, row) = self.change(row, |entry, seq| rules::cancel(entry, now, seq))?;
                (row.state == MessageState::Cancelled).then_some(row)
            })
            .collect()
    }

    pub(super) fn reopen(&mut self, rows: &[u32], now: Timestamp) -> Vec<u32> {
        let (now, cancelled) = (self.frame.offset(now), self.cancelled);
        let reopened = |row: &u32| {
            let step = |entry: &mut Entry, seq: &mut u32| rules::reopen(entry, cancelled, now, seq);
            self.change(*row, step)
                .is_some_and(|(reopened, _)| reopened)
                .then_some(*row)
        };
        let reopened = in_order(rows, |row| *row, |_, _| Ordering::Equal, reopened);
        reopened.into_iter().flatten().collect()
    }

    /// Changes a row and moves the counters with it; nothing if the row was never written.
    fn change<T>(
        &mut self,
        row: u32,
        step: impl FnOnce(&mut Entry, &mut u32) -> T,
    ) -> Option<(T, Row)> {
        let mut entry = self.entry(row)?;
        let (before, from) = (entry.clone(), index(entry.state));
        let answer = step(&mut entry, &mut self.seq);
        if entry != before {
            self.counts[from] -= 1;
            self.counts[index(entry.state)] += 1;
            self.rows[row as usize] = Some(entry.pack().into());
        }
        Some((answer, entry.row(row, &self.frame)?))
    }

    fn entry(&self, row: u32) -> Option<Entry> {
        // Packed by this process: unreadable bytes would be a fault of the codec, which has tests.
        Entry::unpack(self.rows.get(row as usize)?.as_ref()?)
    }

    /// The position of a connection in the list from 1; 0 behind the 255th, which nobody reaches.
    fn connection(&mut self, id: &ConnectionId) -> u8 {
        let known = &mut self.frame.connections;
        let at = known
            .iter()
            .position(|other| other == id)
            .unwrap_or_else(|| {
                known.push(id.clone());
                known.len() - 1
            });
        u8::try_from(at + 1).unwrap_or(0)
    }
}

/// A step for each item in the order in which both ledgers take them; the answers in that of `items`.
fn in_order<T, A>(
    items: &[T],
    row: impl Fn(&T) -> u32,
    about: impl Fn(&T, &T) -> Ordering,
    mut step: impl FnMut(&T) -> A,
) -> Vec<A> {
    let mut answers: Vec<Option<A>> = items.iter().map(|_| None).collect();
    for at in order(items, row, about) {
        answers[at] = Some(step(&items[at]));
    }
    answers.into_iter().flatten().collect()
}

/// Where a state's counter is.
fn index(state: MessageState) -> usize {
    MessageState::ALL
        .iter()
        .position(|other| *other == state)
        .expect("ALL holds every state")
}
