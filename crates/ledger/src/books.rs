//! The books of a batch: how many messages are in each state, and whether that adds up.

use std::collections::BTreeMap;

use message::MessageState;
use serde::Serialize;

/// How many rows are in each state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<MessageState, u64>);

impl Counts {
    /// How many are in `state`.
    #[must_use]
    pub fn of(&self, state: MessageState) -> u64 {
        self.0.get(&state).copied().unwrap_or(0)
    }

    /// Counts `n` more in `state`.
    pub fn add(&mut self, state: MessageState, n: u64) {
        *self.0.entry(state).or_default() += n;
    }

    /// Every state with its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (MessageState, u64)> + '_ {
        MessageState::ALL
            .into_iter()
            .map(|state| (state, self.of(state)))
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Self) {
        for (state, n) in other.iter() {
            self.add(state, n);
        }
    }

    /// The books: what intake took, and where it is.
    #[must_use]
    pub fn books(&self) -> Books {
        let sum = |keep: fn(MessageState) -> bool| {
            self.iter().filter(|(s, _)| keep(*s)).map(|(_, n)| n).sum()
        };
        Books {
            invalid: self.of(MessageState::Invalid),
            terminal: sum(|state| state.is_terminal() && state != MessageState::Invalid),
            in_flight: sum(|state| !state.is_terminal()),
        }
    }
}

/// Accepted by intake = terminal + in flight, at every instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Rows that intake refused; they were never accepted.
    pub invalid: u64,
    /// Accepted rows with an end.
    pub terminal: u64,
    /// Accepted rows without one yet.
    pub in_flight: u64,
}

impl Books {
    /// Whether `accepted` rows are all accounted for.
    #[must_use]
    pub fn balance(&self, accepted: u64) -> bool {
        accepted == self.terminal + self.in_flight
    }
}
