//! What the twin keeps beside the engine's books: what belongs to a message but may differ from one to the next, so that
//! reports of different requests still share a callback; and what an account has used up.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::View;

const MINUTE: Duration = Duration::from_secs(60);

/// What reports and logs give back of the request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Note {
    pub bulk_id: String,
    pub callback_data: Option<String>,
    pub campaign: Option<String>,
    pub entity: Option<String>,
    pub application: Option<String>,
}

/// All notes of one run. Locked before the engine's messages, never after them.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The engine's, which is new after a reset; then the notes are about other messages.
    run: u64,
    /// By the message's index.
    of_message: Vec<Option<Arc<Note>>>,
    /// The last one, because the messages of a request mostly have the same.
    last: Option<Arc<Note>>,
    /// Segments, by account.
    spent: HashMap<u16, u64>,
    /// When the logs were read, by account.
    log_reads: HashMap<u16, VecDeque<Instant>>,
}

impl Notes {
    /// Forgets what belongs to another run.
    pub fn begin(&mut self, run: u64) {
        if self.run != run {
            *self = Self {
                run,
                ..Self::default()
            };
        }
    }

    /// Keeps a note for a message of this run.
    pub fn keep<D>(&mut self, message: &View<D>, note: &Note) {
        let note = match &self.last {
            Some(last) if **last == *note => Arc::clone(last),
            _ => Arc::new(note.clone()),
        };
        self.last = Some(Arc::clone(&note));
        let index = message.number.index as usize;
        if self.of_message.len() <= index {
            self.of_message.resize(index + 1, None);
        }
        if let Some(place) = self.of_message.get_mut(index) {
            *place = Some(note);
        }
    }

    /// The note of a message.
    pub fn of<D>(&self, message: &View<D>) -> Option<Arc<Note>> {
        let ours = message.number.run == self.run;
        self.of_message
            .get(message.number.index as usize)
            .filter(|_| ours)?
            .clone()
    }

    /// Whether the credit covers so many more segments.
    pub fn affords(&self, account: u16, credits: Option<u64>, segments: u32) -> bool {
        let spent = self.spent.get(&account).copied().unwrap_or_default();
        credits.is_none_or(|credits| spent + u64::from(segments) <= credits)
    }

    /// Takes segments off the credit.
    pub fn spend(&mut self, account: u16, segments: u32) {
        *self.spent.entry(account).or_default() += u64::from(segments);
    }

    /// Counts a reading of the logs, or says how long to wait for the next one.
    pub fn read_logs(&mut self, account: u16, now: Instant, max: usize) -> Result<(), Duration> {
        let reads = self.log_reads.entry(account).or_default();
        while reads
            .front()
            .is_some_and(|at| now.duration_since(*at) >= MINUTE)
        {
            reads.pop_front();
        }
        if reads.len() >= max {
            let oldest = reads.front().copied().unwrap_or(now);
            return Err(MINUTE.saturating_sub(now.duration_since(oldest)));
        }
        reads.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logs_may_be_read_so_often_within_any_minute() {
        let mut notes = Notes::default();
        let start = Instant::now();
        assert_eq!(notes.read_logs(0, start, 2), Ok(()));
        assert_eq!(notes.read_logs(0, start + MINUTE / 2, 2), Ok(()));
        assert_eq!(notes.read_logs(0, start + MINUTE / 2, 2), Err(MINUTE / 2));
        assert_eq!(notes.read_logs(1, start + MINUTE / 2, 2), Ok(()));
        assert_eq!(notes.read_logs(0, start + MINUTE, 2), Ok(()));
    }

    #[test]
    fn a_new_run_starts_with_full_credit() {
        let mut notes = Notes::default();
        notes.begin(1);
        notes.spend(0, 3);
        assert!(notes.affords(0, Some(4), 1) && !notes.affords(0, Some(4), 2));
        assert!(notes.affords(0, None, 1_000) && notes.affords(1, Some(4), 4));
        notes.begin(2);
        assert!(notes.affords(0, Some(4), 4));
    }
}
