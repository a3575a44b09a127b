//! Whether a run's books balance: pure functions over what the fleet's ledger says, what its
//! provider's twin says, and what was expected. The twin is the only witness that is not the fleet.
//!
//! Nothing here is lenient. A message whose fate nobody can know (`in_doubt`) is allowed to be
//! either way, and is counted.

use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
};

use ledger::{Counts, Row};
use message::{BatchKey, MessageState, Msisdn, Reference};
use provider_sim::{AuditEntry, AuditReport};

use super::{check::Check, ends::same_end, expect::Expected};

/// A batch as the ledger has it, and what was expected of it.
#[derive(Debug, Clone)]
pub struct BatchBooks {
    /// Its key, the first half of its references.
    pub key: BatchKey,
    /// The counters.
    pub counts: Counts,
    /// Every row.
    pub rows: Vec<Row>,
    /// One for each row that was handed over; nothing for batches that the fleet made itself.
    pub expected: Option<Vec<Expected>>,
}

/// How long after an acknowledged STOP a request may still have been on its way.
pub const STOP_WORKS_WITHIN_MILLIS: u64 = 1_000;

/// Every check, in the order of the report. A run that is not `finished` has receipts and replies
/// under way: there the ledger may be behind the provider, and never ahead of it.
#[must_use]
pub fn examine(
    provider: &str,
    batches: &[BatchBooks],
    audit: &AuditReport,
    replies_heard: u64,
    finished: bool,
) -> Vec<Check> {
    let twin = Twin::read(audit);
    vec![
        sums(batches),
        recount(batches),
        intake(batches),
        withheld(batches, &twin),
        nobody_twice(batches, audit, &twin),
        nothing_missing(batches, &twin),
        nothing_extra(batches, audit),
        same_ends(provider, batches, &twin, finished),
        stops(batches, audit),
        replies(audit, replies_heard, finished),
    ]
}

/// The audit by reference and by person.
struct Twin<'a> {
    by_reference: HashMap<Reference, &'a AuditEntry>,
    requests_of: HashMap<Msisdn, u64>,
}

impl<'a> Twin<'a> {
    fn read(audit: &'a AuditReport) -> Self {
        let mut twin = Self {
            by_reference: HashMap::new(),
            requests_of: HashMap::new(),
        };
        for entry in &audit.entries {
            if let Ok(number) = Msisdn::parse(&entry.recipient) {
                *twin.requests_of.entry(number).or_default() += u64::from(entry.requests);
            }
            if let Ok(reference) = entry.reference.parse::<Reference>() {
                // Two people under one reference: `same_ends` sees one of them with a wrong number.
                let known = twin.by_reference.entry(reference).or_insert(entry);
                if entry.accepted > known.accepted {
                    *known = entry;
                }
            }
        }
        twin
    }

    fn accepted(&self, reference: Reference) -> Option<&'a AuditEntry> {
        let entry = self.by_reference.get(&reference)?;
        (entry.accepted > 0).then_some(*entry)
    }
}

fn sums(batches: &[BatchBooks]) -> Check {
    let mut check = Check::new("accepted = terminal + in flight, in every batch");
    for batch in batches {
        let books = batch.counts.books();
        let accepted = match &batch.expected {
            Some(expected) => expected
                .iter()
                .filter(|row| **row != Expected::Refused)
                .count() as u64,
            None => batch
                .rows
                .iter()
                .filter(|row| row.state != MessageState::Invalid)
                .count() as u64,
        };
        check.look(books.balance(accepted), || {
            format!(
                "batch {}: {accepted} accepted, {} terminal, {} in flight",
                batch.key, books.terminal, books.in_flight
            )
        });
    }
    check
}

fn recount(batches: &[BatchBooks]) -> Check {
    let mut check = Check::new("the counters equal a recount of the rows");
    for batch in batches {
        let mut recount = Counts::default();
        for row in &batch.rows {
            recount.add(row.state, 1);
        }
        for (state, counted) in batch.counts.iter() {
            let found = recount.of(state);
            check.look(counted == found, || {
                format!(
                    "batch {}: {counted} {state} counted, {found} found",
                    batch.key
                )
            });
        }
    }
    check
}

fn intake(batches: &[BatchBooks]) -> Check {
    let mut check = Check::new("intake took every good row and refused every other");
    for (batch, expected) in handed_over(batches) {
        check.look(batch.rows.len() == expected.len(), || {
            format!(
                "batch {}: {} rows of {}",
                batch.key,
                batch.rows.len(),
                expected.len()
            )
        });
        for (row, expected) in rows(batch, expected) {
            let refused = row.state == MessageState::Invalid;
            check.look(refused == (expected == Expected::Refused), || {
                format!(
                    "{}: {expected:?}, and is {} {}",
                    reference(batch, row),
                    row.state,
                    row.code
                )
            });
        }
    }
    check
}

fn withheld(batches: &[BatchBooks], twin: &Twin<'_>) -> Check {
    let mut check = Check::new("nobody who had opted out before was texted, or even tried");
    for (batch, expected) in handed_over(batches) {
        for (row, expected) in rows(batch, expected) {
            let Expected::Withheld(number) = expected else {
                continue;
            };
            let requests = twin.requests_of.get(&number).copied().unwrap_or(0);
            let left = !row.state.never_handed_over() && row.state != MessageState::Queued;
            check.look(requests == 0 && !left, || {
                format!(
                    "{}: {number} is {} after {requests} requests",
                    reference(batch, row),
                    row.state
                )
            });
        }
    }
    check
}

fn nobody_twice(batches: &[BatchBooks], audit: &AuditReport, twin: &Twin<'_>) -> Check {
    let mut check = Check::new("nobody was texted twice");
    for entry in &audit.entries {
        check.look(entry.accepted <= 1, || {
            format!("{}: taken {} times", shown(entry), entry.accepted)
        });
    }
    // The same person under two names of the mailing.
    let mut texted = HashSet::new();
    for (batch, expected) in handed_over(batches) {
        for at in 0..expected.len() {
            let reference = reference_at(batch, at);
            let Some(entry) = twin.accepted(reference) else {
                continue;
            };
            check.look(texted.insert(entry.recipient.as_str()), || {
                format!("{}: texted under another reference before", shown(entry))
            });
        }
    }
    check
}

fn nothing_missing(batches: &[BatchBooks], twin: &Twin<'_>) -> Check {
    let mut check = Check::new("no accepted message is missing at the provider");
    for batch in batches {
        for row in batch.rows.iter().filter(|row| was_taken(row)) {
            check.look(twin.accepted(reference(batch, row)).is_some(), || {
                format!(
                    "{}: {} here, unknown there",
                    reference(batch, row),
                    row.state
                )
            });
        }
    }
    check
}

fn nothing_extra(batches: &[BatchBooks], audit: &AuditReport) -> Check {
    let mut check = Check::new("the provider took nothing that the ledger does not know");
    let known: HashSet<Reference> = batches
        .iter()
        .flat_map(|batch| batch.rows.iter().map(|row| reference(batch, row)))
        .collect();
    for entry in audit.entries.iter().filter(|entry| entry.accepted > 0) {
        let is_known = entry
            .reference
            .parse()
            .is_ok_and(|name| known.contains(&name));
        check.look(is_known, || shown(entry));
    }
    check
}

/// Who got which message, and how it ended, on both sides.
fn same_ends(provider: &str, batches: &[BatchBooks], twin: &Twin<'_>, finished: bool) -> Check {
    let mut check =
        Check::new("every message the provider took has the same person and end in the ledger");
    for batch in batches {
        for row in &batch.rows {
            let name = reference(batch, row);
            let Some(entry) = twin.accepted(name) else {
                continue;
            };
            let end = entry.phase.as_deref().unwrap_or_default();
            let code = entry.error_code.as_deref().unwrap_or_default();
            let person = batch
                .expected
                .as_ref()
                .and_then(|expected| expected.get(row.row as usize));
            let same_person = match person {
                Some(Expected::Text(number)) => number.e164() == entry.recipient,
                Some(Expected::Withheld(_) | Expected::Refused) => false,
                None => true,
            };
            let behind = !finished && !row.state.is_terminal() && row.state != MessageState::Queued;
            let same = same_end(provider, row.state, entry);
            check.look(same_person && (behind || same), || {
                format!(
                    "{name}: {} {} here, {end} {code} there",
                    row.state, row.code
                )
            });
        }
    }
    check
}

/// Of the mailing: the fleet's own answer to a STOP comes after it, and may have to wait.
fn stops(batches: &[BatchBooks], audit: &AuditReport) -> Check {
    let mut check = Check::new("no request later than 1 s after an acknowledged STOP");
    let answers: HashSet<BatchKey> = batches
        .iter()
        .filter(|batch| batch.expected.is_none())
        .map(|batch| batch.key)
        .collect();
    let is_answer = |entry: &AuditEntry| {
        let name = entry.reference.parse::<Reference>();
        name.is_ok_and(|name| answers.contains(&name.batch))
    };
    let mut late: HashMap<(&str, &str), u64> = HashMap::new();
    for entry in &audit.entries {
        if entry.worst_late_ms > 0 && !is_answer(entry) {
            let person = (entry.account.as_str(), entry.recipient.as_str());
            let worst = late.entry(person).or_default();
            *worst = entry.worst_late_ms.max(*worst);
        }
    }
    for stop in &audit.stops {
        let person = (stop.account.as_str(), stop.recipient.as_str());
        let late = late.get(&person).copied().unwrap_or(0);
        check.look(late <= STOP_WORKS_WITHIN_MILLIS, || {
            format!("{}: {late} ms late", masked(&stop.recipient))
        });
    }
    check
}

/// What a webhook acknowledged is in the fleet's hands, and has to come out on the other side.
fn replies(audit: &AuditReport, heard: u64, finished: bool) -> Check {
    let mut check = Check::new("every acknowledged reply was handed on to the platform, once");
    let written = audit.totals.inbound.acknowledged;
    check.looked_at = written;
    check.wrong = match finished {
        true => written.abs_diff(heard),
        false => heard.saturating_sub(written),
    };
    if check.wrong > 0 {
        check
            .examples
            .push(format!("{written} acknowledged, {heard} handed on"));
    }
    check
}

/// Whether the ledger says that the provider took the message. The last attempt's own failure is
/// the one failure without a receipt.
fn was_taken(row: &Row) -> bool {
    match row.state {
        MessageState::Accepted
        | MessageState::Sent
        | MessageState::Delivered
        | MessageState::Undelivered
        | MessageState::Expired => true,
        MessageState::Failed => !row.code.starts_with(ATTEMPTS_EXHAUSTED),
        MessageState::Queued
        | MessageState::Sending
        | MessageState::InDoubt
        | MessageState::Rejected
        | MessageState::Suppressed
        | MessageState::Invalid
        | MessageState::Cancelled
        | MessageState::ExpiredBeforeSend => false,
    }
}

/// How send-worker begins the code of a message that ran out of attempts.
const ATTEMPTS_EXHAUSTED: &str = "attempts_exhausted";

fn handed_over(batches: &[BatchBooks]) -> impl Iterator<Item = (&BatchBooks, &[Expected])> {
    batches
        .iter()
        .filter_map(|batch| Some((batch, batch.expected.as_deref()?)))
}

/// Rows with what was expected of them.
fn rows<'a>(
    batch: &'a BatchBooks,
    expected: &'a [Expected],
) -> impl Iterator<Item = (&'a Row, Expected)> {
    batch
        .rows
        .iter()
        .filter_map(|row| Some((row, *expected.get(row.row as usize)?)))
}

fn reference(batch: &BatchBooks, row: &Row) -> Reference {
    Reference {
        batch: batch.key,
        row: row.row,
    }
}

fn reference_at(batch: &BatchBooks, at: usize) -> Reference {
    Reference {
        batch: batch.key,
        row: u32::try_from(at).unwrap_or(u32::MAX),
    }
}

fn shown(entry: &AuditEntry) -> String {
    format!("{} to {}", entry.reference, masked(&entry.recipient))
}

fn masked(number: &str) -> impl Display {
    Msisdn::parse(number).map_or_else(|_| "somebody".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests;
