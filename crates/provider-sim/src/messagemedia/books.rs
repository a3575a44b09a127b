//! What MessageMedia keeps beside the messages: unconfirmed reports and replies, the blacklist, what was cancelled.
//!
//! The engine forgets its messages at a reset and begins a new run; these books are opened for a run, and emptied when it
//! is another one than before.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use serde_json::Value;

use super::{Details, IDS};
use crate::engine::{Phase, Receipt};
use crate::locked;

/// Reports and replies that an account may leave unconfirmed. Real ones are kept for 45 days; beyond this count the oldest
/// are forgotten, because nobody who only takes callbacks ever confirms one.
const UNCONFIRMED_MAX: usize = 20_000;

#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<Pages>);

#[derive(Debug, Default)]
pub(crate) struct Pages {
    run: u64,
    reports: HashMap<u16, VecDeque<Report>>,
    replies: HashMap<u16, VecDeque<(String, Value)>>,
    blacklist: BTreeSet<(u16, u64)>,
    cancelled: HashSet<String>,
    taken: HashMap<u16, u64>,
}

/// A delivery report, as far as its message does not say.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub id: String,
    pub message_id: String,
    pub phase: Phase,
    pub code: &'static str,
    pub at: SystemTime,
}

impl Report {
    pub fn of(receipt: &Receipt<Details>) -> Self {
        Self {
            id: IDS.write(receipt.number()),
            message_id: IDS.write(receipt.message.number),
            phase: receipt.phase,
            code: super::receipts::code(receipt),
            at: receipt.at,
        }
    }
}

impl Books {
    pub fn open(&self, run: u64) -> MutexGuard<'_, Pages> {
        let mut pages = locked(&self.0);
        if pages.run != run {
            *pages = Pages {
                run,
                ..Pages::default()
            };
        }
        pages
    }
}

impl Pages {
    pub fn add_report(&mut self, account: u16, report: Report) {
        add(self.reports.entry(account).or_default(), report);
    }

    /// The oldest unconfirmed reports.
    pub fn reports(&self, account: u16, count: usize) -> Vec<Report> {
        let reports = self.reports.get(&account).into_iter().flatten();
        reports.take(count).cloned().collect()
    }

    pub fn confirm_reports(&mut self, account: u16, ids: &[String]) {
        if let Some(reports) = self.reports.get_mut(&account) {
            reports.retain(|report| !is_named(&report.id, ids));
        }
    }

    pub fn add_reply(&mut self, account: u16, id: String, reply: Value) {
        add(self.replies.entry(account).or_default(), (id, reply));
    }

    /// The oldest unconfirmed replies.
    pub fn replies(&self, account: u16, count: usize) -> Vec<Value> {
        let replies = self.replies.get(&account).into_iter().flatten();
        replies
            .take(count)
            .map(|(_, reply)| reply.clone())
            .collect()
    }

    pub fn confirm_replies(&mut self, account: u16, ids: &[String]) {
        if let Some(replies) = self.replies.get_mut(&account) {
            replies.retain(|(id, _)| !is_named(id, ids));
        }
    }

    /// Whether the number was not listed before.
    pub fn block(&mut self, account: u16, person: u64) -> bool {
        self.blacklist.insert((account, person))
    }

    /// Whether the number was listed.
    pub fn unblock(&mut self, account: u16, person: u64) -> bool {
        self.blacklist.remove(&(account, person))
    }

    pub fn is_blocked(&self, account: u16, person: u64) -> bool {
        self.blacklist.contains(&(account, person))
    }

    pub fn blocked(&self, account: u16) -> impl Iterator<Item = u64> {
        let whole = (account, 0)..=(account, u64::MAX);
        self.blacklist.range(whole).map(|(_, person)| *person)
    }

    pub fn cancel(&mut self, message_id: String) {
        self.cancelled.insert(message_id);
    }

    pub fn is_cancelled(&self, message_id: &str) -> bool {
        self.cancelled.contains(message_id)
    }

    /// Counts a message; the number of those before it.
    pub fn count(&mut self, account: u16) -> u64 {
        let taken = self.taken.entry(account).or_default();
        *taken += 1;
        *taken - 1
    }
}

fn add<T>(list: &mut VecDeque<T>, one: T) {
    if list.len() >= UNCONFIRMED_MAX {
        list.pop_front();
    }
    list.push_back(one);
}

fn is_named(id: &str, ids: &[String]) -> bool {
    ids.iter().any(|named| named.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_run_finds_empty_books() {
        let books = Books::default();
        assert!(books.open(1).block(0, 61_491_570_156));
        assert!(!books.open(1).block(0, 61_491_570_156));
        assert!(books.open(1).is_blocked(0, 61_491_570_156));
        assert!(!books.open(1).is_blocked(1, 61_491_570_156));
        assert_eq!(books.open(1).count(0), 0);
        assert_eq!(books.open(1).count(0), 1);
        assert!(!books.open(2).is_blocked(0, 61_491_570_156));
        assert_eq!(books.open(2).count(0), 0);
    }

    #[test]
    fn the_oldest_make_room() {
        let mut list = VecDeque::new();
        (0..UNCONFIRMED_MAX + 3).for_each(|n| add(&mut list, n));
        assert_eq!((list.len(), list.front()), (UNCONFIRMED_MAX, Some(&3)));
    }
}
