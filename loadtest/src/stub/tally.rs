//! What came in: how much, when, and what came twice.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Width of a bar of the histogram.
const BAR: Duration = Duration::from_millis(100);
/// An hour of them; what comes later counts in the last one.
const BARS_MAX: usize = 36_000;

/// What `/stats` says.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Stats {
    /// Submissions.
    pub requests: u64,
    /// Messages in them.
    pub messages: u64,
    /// When the first one came, microseconds since 1970; 0 if none has.
    pub first_us: u64,
    /// When the last one came.
    pub last_us: u64,
    /// Messages that had come before, if the stub audits.
    pub doubles: u64,
    /// Connections accepted.
    pub connections: u64,
    /// TLS handshakes done.
    pub handshakes: u64,
}

/// Messages of one batch in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When, microseconds since 1970.
    pub at_us: u64,
    /// The batch's key; 0 if the name is none of ours.
    pub batch: u64,
    /// How many.
    pub messages: u32,
}

#[derive(Debug)]
pub(super) struct Tally {
    requests: u64,
    messages: u64,
    first_us: u64,
    last_us: u64,
    pub(super) connections: u64,
    pub(super) handshakes: u64,
    doubles: u64,
    bars: Vec<u32>,
    hasher: RandomState,
    seen: Option<HashSet<u64>>,
    arrivals: Option<Vec<Arrival>>,
    /// Messages before the request that is being read.
    before: u64,
}

impl Tally {
    pub(super) fn new(audit: bool, arrivals: bool) -> Self {
        Self {
            requests: 0,
            messages: 0,
            first_us: 0,
            last_us: 0,
            connections: 0,
            handshakes: 0,
            doubles: 0,
            bars: Vec::new(),
            hasher: RandomState::new(),
            seen: audit.then(HashSet::new),
            arrivals: arrivals.then(Vec::new),
            before: 0,
        }
    }

    /// A request begins.
    pub(super) fn request(&mut self) {
        let now = SystemTime::now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        self.last_us = since.unwrap_or_default().as_micros() as u64;
        if self.first_us == 0 {
            self.first_us = self.last_us;
        }
        self.requests += 1;
        self.before = self.messages;
    }

    /// A message of it, by its name.
    pub(super) fn message(&mut self, name: &[u8]) {
        self.messages += 1;
        if let Some(seen) = &mut self.seen
            && !name.is_empty()
            && !seen.insert(self.hasher.hash_one(name))
        {
            self.doubles += 1;
        }
        if let Some(arrivals) = &mut self.arrivals {
            let (at_us, batch) = (self.last_us, batch_key(name));
            match arrivals.last_mut() {
                Some(last) if last.at_us == at_us && last.batch == batch => last.messages += 1,
                _ => arrivals.push(Arrival {
                    at_us,
                    batch,
                    messages: 1,
                }),
            }
        }
    }

    /// The request has been read.
    pub(super) fn requested(&mut self) {
        let since_first = u128::from(self.last_us.saturating_sub(self.first_us));
        let bar = ((since_first / BAR.as_micros()) as usize).min(BARS_MAX - 1);
        if self.bars.len() <= bar {
            self.bars.resize(bar + 1, 0);
        }
        self.bars[bar] += (self.messages - self.before) as u32;
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            requests: self.requests,
            messages: self.messages,
            first_us: self.first_us,
            last_us: self.last_us,
            doubles: self.doubles,
            connections: self.connections,
            handshakes: self.handshakes,
        }
    }

    /// Messages in each tenth of a second since the first.
    pub(super) fn histogram(&self) -> &[u32] {
        &self.bars
    }

    /// For each arrival its time, its batch's key and its messages, little-endian.
    pub(super) fn arrivals_as_bytes(&self) -> Vec<u8> {
        let arrivals = self.arrivals.iter().flatten();
        arrivals
            .flat_map(|it| {
                let mut bytes = [0; ARRIVAL_BYTES];
                bytes[..8].copy_from_slice(&it.at_us.to_le_bytes());
                bytes[8..16].copy_from_slice(&it.batch.to_le_bytes());
                bytes[16..].copy_from_slice(&it.messages.to_le_bytes());
                bytes
            })
            .collect()
    }

    /// Forgets all but the connections that are open.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.seen.is_some(), self.arrivals.is_some());
    }
}

const ARRIVAL_BYTES: usize = 20;

/// What `/arrivals` answered.
#[must_use]
pub fn arrivals_from_bytes(bytes: &[u8]) -> Vec<Arrival> {
    let number = |bytes: &[u8]| {
        let mut value = 0_u64;
        for (index, byte) in bytes.iter().enumerate() {
            value |= u64::from(*byte) << (8 * index);
        }
        value
    };
    let entries = bytes.chunks_exact(ARRIVAL_BYTES);
    entries
        .map(|entry| Arrival {
            at_us: number(&entry[..8]),
            batch: number(&entry[8..16]),
            messages: number(&entry[16..]) as u32,
        })
        .collect()
}

/// The key in front of the row, base 36.
fn batch_key(name: &[u8]) -> u64 {
    let text = std::str::from_utf8(name).unwrap_or_default();
    let key = text.split('-').next().unwrap_or_default();
    u64::from_str_radix(key, 36).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_comes_twice_is_a_double() {
        let mut tally = Tally::new(true, false);
        for name in ["a-1", "a-2", "a-1"] {
            tally.request();
            tally.message(name.as_bytes());
            tally.requested();
        }
        let stats = tally.stats();
        assert_eq!((stats.messages, stats.doubles), (3, 1));
        assert_eq!(tally.histogram().iter().sum::<u32>(), 3);
    }

    #[test]
    fn arrivals_survive_the_way_over_http() {
        let mut tally = Tally::new(false, true);
        tally.request();
        tally.message(b"zz-1");
        tally.message(b"zz-2");
        tally.message(b"-");
        tally.requested();
        let arrivals = arrivals_from_bytes(&tally.arrivals_as_bytes());
        let seen: Vec<(u64, u32)> = arrivals.iter().map(|it| (it.batch, it.messages)).collect();
        assert_eq!(seen, [(35 * 36 + 35, 2), (0, 1)]);
        assert_eq!(arrivals[0].at_us, tally.stats().first_us);
    }

    #[test]
    fn nothing_is_left_after_a_reset() {
        let mut tally = Tally::new(true, true);
        tally.request();
        tally.message(b"a-1");
        tally.requested();
        tally.reset();
        assert_eq!(tally.stats(), Stats::default());
        assert!(tally.arrivals_as_bytes().is_empty());
    }
}
