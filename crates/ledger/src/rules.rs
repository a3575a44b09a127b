//! What a claim, a settle and a merge do to a row: pure, so that the rules can be read in one place.
//! The embedded ledger runs them as they stand here; `redis/lua/row.lua` says the same in Lua, and
//! the contract suite compares the two.

use message::{MessageState, state::Report};

use crate::{
    ATTEMPTS_EXHAUSTED, SettleOutcome,
    entry::Entry,
    parts::{Name, Parts},
    provider_id::PackedId,
};

/// The reason of a doubt that a claim found.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// Who claims.
pub(crate) struct Claimant {
    pub(crate) token: u32,
    pub(crate) attempt: u8,
    /// The connection's position in the batch's list from 1.
    pub(crate) connection: u8,
    /// As an offset in the batch.
    pub(crate) now: u64,
    pub(crate) interrupted_after_millis: u64,
    pub(crate) redelivered: bool,
}

/// What claiming a row found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Fresh,
    Busy,
    Interrupted,
    Settled,
}

/// Claims `entry`, if it is there to be claimed.
pub(crate) fn claim(entry: &mut Entry, by: &Claimant, seq: &mut u32) -> Found {
    match entry.state {
        MessageState::Queued if entry.attempt.checked_add(1) == Some(by.attempt) => {
            entry.attempt = by.attempt;
            entry.token = by.token;
            entry.connection = by.connection;
            entry.claimed_at = Some(by.now);
            move_to(entry, MessageState::Sending, "", by.now, seq);
            Found::Fresh
        }
        MessageState::Sending if entry.attempt == by.attempt && entry.token == by.token => {
            Found::Fresh
        }
        // A later attempt runs: this copy of the chunk is a leftover, and says nothing about it.
        MessageState::Sending if entry.attempt > by.attempt => Found::Settled,
        MessageState::Sending => {
            let age = by.now.saturating_sub(entry.claimed_at.unwrap_or(0));
            let same_chunk = entry.attempt == by.attempt;
            if (by.redelivered && same_chunk) || age > by.interrupted_after_millis {
                move_to(entry, MessageState::InDoubt, INTERRUPTED, by.now, seq);
                Found::Interrupted
            } else {
                Found::Busy
            }
        }
        _ => Found::Settled,
    }
}

/// What is said about a row by the holder of its claim or by a receipt.
pub(crate) struct Said<'a> {
    pub(crate) code: &'a str,
    pub(crate) provider_id: &'a PackedId,
    /// As an offset in the batch.
    pub(crate) now: u64,
}

/// What the holder of a claim says about its row.
pub(crate) struct Outcome<'a> {
    pub(crate) token: u32,
    pub(crate) outcome: SettleOutcome,
    /// Parts that the message has.
    pub(crate) parts: u8,
    pub(crate) said: Said<'a>,
}

/// Writes down what became of a claimed row; whether the row moved. `cancelled`: the batch is, so
/// nothing waits for another attempt.
pub(crate) fn settle(
    entry: &mut Entry,
    what: &Outcome<'_>,
    cancelled: bool,
    seq: &mut u32,
) -> bool {
    let moved = settle_state(entry, what, cancelled, seq);
    // Behind the state, because it may be the last thing that was missing.
    let concluded = match what.outcome {
        SettleOutcome::State(state) if says_something(state) => {
            tell_parts(entry, what.parts, what.said.now, seq)
        }
        _ => false,
    };
    moved || concluded
}

fn settle_state(entry: &mut Entry, what: &Outcome<'_>, cancelled: bool, seq: &mut u32) -> bool {
    let Outcome {
        token,
        outcome,
        said,
        ..
    } = what;
    let is_owner = entry.token == *token;
    let holds_claim = is_owner && entry.state == MessageState::Sending;
    match *outcome {
        SettleOutcome::Retry | SettleOutcome::Release if !holds_claim => false,
        SettleOutcome::Retry => {
            requeue(entry, said, cancelled, seq);
            true
        }
        SettleOutcome::Release => {
            entry.attempt = entry.attempt.saturating_sub(1);
            if entry.attempt == 0 {
                entry.connection = 0;
                entry.claimed_at = None;
            }
            requeue(entry, said, cancelled, seq);
            true
        }
        SettleOutcome::State(MessageState::Queued | MessageState::Sending) => false,
        SettleOutcome::State(state) if holds_claim => {
            if !said.provider_id.is_empty() {
                entry.provider_id = said.provider_id.clone();
            }
            move_to(entry, state, said.code, said.now, seq);
            true
        }
        // That no request left is known to the owner only, and only against a mere doubt.
        SettleOutcome::State(state) if state.never_handed_over() => {
            let better_known = is_owner && entry.state == MessageState::InDoubt;
            if better_known {
                move_to(entry, state, said.code, said.now, seq);
            }
            better_known
        }
        SettleOutcome::State(state) => join(entry, state, said, seq),
    }
}

/// Whether a receipt can be about a row: somebody claimed it once, and nobody withdrew it.
pub(crate) fn was_sent(entry: &Entry) -> bool {
    let unclaimed = entry.state == MessageState::Queued && entry.attempt == 0;
    !unclaimed && !entry.state.never_handed_over()
}

/// Merges what a receipt says into a row that [`was_sent`]; whether the row moved.
pub(crate) fn merge(
    entry: &mut Entry,
    state: MessageState,
    said: &Said<'_>,
    seq: &mut u32,
) -> bool {
    says_something(state) && join(entry, state, said, seq)
}

/// Which part a receipt is about.
pub(crate) struct Part {
    pub(crate) name: Name,
    /// How many there are; 0 if the receipt does not say.
    pub(crate) of: u8,
}

/// Merges what a receipt says about one part into a row that [`was_sent`]; whether the row moved.
/// The reports of a message end the same in any order: failures are joined as they come, deliveries
/// are collected, and how many there have to be may be said at any time.
pub(crate) fn merge_part(
    entry: &mut Entry,
    state: MessageState,
    part: &Part,
    said: &Said<'_>,
    seq: &mut u32,
) -> bool {
    let is_delivered = state == MessageState::Delivered;
    let said = &Said {
        // The last part to be delivered must not decide what the whole message says.
        code: if is_delivered { "" } else { said.code },
        ..*said
    };
    let is_only_one = match part.of {
        0 => entry.parts_told && entry.parts.is_none(),
        of => of == 1,
    };
    if is_only_one || entry.state == MessageState::Delivered {
        return merge(entry, state, said, seq);
    }
    let nothing = PackedId::default();
    let said = &match part.name {
        Name::Number(_) => Said { ..*said },
        // A part's id is not the message's.
        Name::Id(_) => Said {
            provider_id: &nothing,
            ..*said
        },
    };
    if !is_delivered {
        return merge(entry, state, said, seq);
    }
    let parts = entry.parts.get_or_insert_default();
    parts.reported = parts.reported.max(part.of);
    parts.deliver(part.name);
    let moved = join(entry, MessageState::Sent, said, seq);
    conclude(entry, said.now, seq) || moved
}

/// Whoever sent the message says how many parts it has; whether that moved the row.
fn tell_parts(entry: &mut Entry, parts: u8, now: u64, seq: &mut u32) -> bool {
    if entry.state.never_handed_over() {
        return false;
    }
    entry.parts_told = true;
    if entry.state == MessageState::Delivered || (parts <= 1 && entry.parts.is_none()) {
        return false;
    }
    let known = entry.parts.get_or_insert_default();
    known.settled = known.settled.max(parts).max(1);
    conclude(entry, now, seq)
}

/// Delivered, if the last part is; whether the row moved.
fn conclude(entry: &mut Entry, now: u64, seq: &mut u32) -> bool {
    if !entry.parts.as_ref().is_some_and(Parts::all_delivered) {
        return false;
    }
    entry.parts = None;
    let said = Said {
        code: "",
        provider_id: &PackedId::default(),
        now,
    };
    join(entry, MessageState::Delivered, &said, seq)
}

/// Whether a state says more than that a request may leave.
fn says_something(state: MessageState) -> bool {
    state.rank() > MessageState::Sending.rank() && !state.never_handed_over()
}

/// Withdraws a row that waits; whether it did.
pub(crate) fn cancel(entry: &mut Entry, now: u64, seq: &mut u32) -> bool {
    let waits = entry.state == MessageState::Queued;
    if waits {
        move_to(entry, MessageState::Cancelled, "", now, seq);
    }
    waits
}

/// Lets a row wait again that was given up after its last attempt; whether it does.
pub(crate) fn reopen(entry: &mut Entry, cancelled: bool, now: u64, seq: &mut u32) -> bool {
    let given_up =
        entry.state == MessageState::Failed && entry.code.starts_with(ATTEMPTS_EXHAUSTED);
    if given_up {
        (entry.attempt, entry.connection, entry.claimed_at) = (0, 0, None);
        (entry.parts_told, entry.parts) = (false, None);
        let said = Said {
            code: "",
            provider_id: &PackedId::default(),
            now,
        };
        requeue(entry, &said, cancelled, seq);
    }
    given_up
}

/// The join of the lattice: moves up or stays, and keeps the first provider id it hears of.
fn join(entry: &mut Entry, state: MessageState, said: &Said<'_>, seq: &mut u32) -> bool {
    if entry.state.never_handed_over() {
        return false;
    }
    if entry.provider_id.is_empty() {
        entry.provider_id = said.provider_id.clone();
    }
    let known = Report {
        state: entry.state,
        code: std::mem::take(&mut entry.code),
    };
    let news = Report {
        state,
        code: said.code.to_owned(),
    };
    if news.outranks(&known) {
        move_to(entry, state, said.code, said.now, seq);
        true
    } else {
        entry.code = known.code;
        false
    }
}

fn requeue(entry: &mut Entry, said: &Said<'_>, cancelled: bool, seq: &mut u32) {
    let state = if cancelled {
        MessageState::Cancelled
    } else {
        MessageState::Queued
    };
    move_to(entry, state, said.code, said.now, seq);
}

fn move_to(entry: &mut Entry, state: MessageState, code: &str, now: u64, seq: &mut u32) {
    *seq += 1;
    entry.seq = *seq;
    entry.state = state;
    code.clone_into(&mut entry.code);
    entry.changed_at = Some(now);
}
