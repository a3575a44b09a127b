//! How many chunks one worker may hold ahead for one connection: what it sends in half a minute, so
//! that none waits unacked for a minute. The broker hands out by queue and knows no such bound, so
//! where a connection has more queues than that, only as many have a consumer as may hold something,
//! and they take turns.
//!
//! The rate says how many that are; a provider that is slower than its rate shows in how long chunks
//! wait, and then it is fewer.

use std::time::Duration;

use message::chunk::CHUNK_ROWS_MAX;

/// A chunk shall not wait for its turn longer than this.
const WAIT: Duration = Duration::from_secs(30);

/// Past this it goes back to its queue. Seldom: the broker counts each return as a delivery.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(45);

/// What intake puts into a chunk by default, in seconds of the rate.
const SECONDS_PER_CHUNK: f64 = 5.0;

/// Chunks that may wait however slow the connection is: fewer would make it wait for the broker.
const LEAST: usize = 2;

/// How many chunks may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    most: usize,
    room: usize,
}

impl Window {
    /// For one of `hands` workers that share a rate.
    pub(crate) fn new(segments_per_second: f64, hands: usize) -> Self {
        let most = most(segments_per_second, hands);
        Self { most, room: most }
    }

    /// Others share the rate from now on.
    pub(crate) fn share(&mut self, segments_per_second: f64, hands: usize) {
        self.most = most(segments_per_second, hands);
        self.room = self.room.min(self.most);
    }

    /// Chunks that may wait now.
    pub(crate) fn room(self) -> usize {
        self.room
    }

    /// Chunks that came although there was no room, because their consumers were idle: past this
    /// they go back.
    pub(crate) fn room_for_surprises(self) -> usize {
        self.room + self.room / 2 + LEAST
    }

    /// Chunks that a consumer of one of so many queues may take ahead, at most `most`.
    pub(crate) fn prefetch(self, queues: usize, most: u16) -> u16 {
        let each = self.most / queues.max(1);
        u16::try_from(each)
            .unwrap_or(u16::MAX)
            .clamp(1, most.max(1))
    }

    /// A chunk got its turn after this wait.
    pub(crate) fn waited(&mut self, wait: Duration) {
        if wait < WAIT / 2 && self.room < self.most {
            self.room += 1;
        }
    }

    /// A chunk went back because it had waited too long.
    pub(crate) fn waited_too_long(&mut self) {
        self.room = (self.room / 2).max(LEAST.min(self.most));
    }
}

fn most(segments_per_second: f64, hands: usize) -> usize {
    let rows = (segments_per_second * SECONDS_PER_CHUNK)
        .min(f64::from(u16::try_from(CHUNK_ROWS_MAX).unwrap_or(u16::MAX)))
        .max(1.0);
    let hands = f64::from(u32::try_from(hands.max(1)).unwrap_or(u32::MAX));
    let chunks = segments_per_second / hands * WAIT.as_secs_f64() / rows;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range first"
    )]
    let chunks = chunks.clamp(0.0, 100_000.0) as usize;
    chunks.max(LEAST)
}

/// Chunks that a lone queue takes ahead: two, and as many more as a second of the rate fills, so that
/// the answers of one chunk can be awaited while the next ones are sent.
pub(crate) fn prefetch(segments_per_second: f64, most: u16) -> u16 {
    let per_second =
        segments_per_second / f64::from(u16::try_from(CHUNK_ROWS_MAX).unwrap_or(u16::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range first"
    )]
    let ahead = per_second.ceil().clamp(0.0, 1_000.0) as u16;
    (2 + ahead).min(most.max(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_connections_take_more_chunks_ahead_and_slow_ones_do_not_park_them() {
        assert_eq!(prefetch(1.0, 32), 3);
        assert_eq!(prefetch(1000.0, 32), 6);
        assert_eq!(prefetch(1e9, 32), 32);
    }

    #[test]
    fn a_worker_holds_half_a_minute_of_its_share_of_the_rate() {
        for (rate, hands, chunks) in [
            (0.01, 1, LEAST),
            (1.0, 1, 6),  // of 5 rows
            (50.0, 1, 6), // of 250 rows
            (1_000.0, 1, 120),
            (1_000.0, 8, 15),
            (f64::INFINITY, 1, 100_000),
            (f64::NAN, 1, LEAST),
        ] {
            assert_eq!(Window::new(rate, hands).room(), chunks, "{rate}, {hands}");
        }
    }

    #[test]
    fn many_queues_take_less_ahead_each() {
        let window = Window::new(1_000.0, 8);
        assert_eq!(window.prefetch(1, 6), 6);
        assert_eq!(window.prefetch(5, 6), 3);
        assert_eq!(window.prefetch(2_000, 6), 1);
    }

    #[test]
    fn a_provider_slower_than_its_rate_is_given_less_to_hold_until_it_is_well() {
        let mut window = Window::new(1_000.0, 1);
        for _ in 0..10 {
            window.waited_too_long();
        }
        assert_eq!(window.room(), LEAST);
        window.waited(WAIT);
        assert_eq!(window.room(), LEAST);
        for _ in 0..1_000 {
            window.waited(Duration::from_secs(1));
        }
        assert_eq!(window.room(), 120);
    }
}
