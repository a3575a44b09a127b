//! Tokens of one limit in this process's hand, each with its time. Pure: time is an argument, and it
//! is the monotonic clock's, so that setting the wall clock changes nothing.
//!
//! A token is spent between its time and [`LATE`] after it, by the store's clock. When the store
//! answered is only known to lie between asking and hearing: a token is not spent before its time
//! counted from when the answer was heard, and not later than its end counted from when it was asked
//! for. So a slow answer, a stalled process or a worker that comes back after minutes costs tokens
//! and never exceeds a limit.

use std::time::Duration;

use ledger::Lease;
use tokio::time::Instant;

/// How long after its time a token may be spent. Of a second, 14 ms are the part that a limit keeps
/// free (see `gcra.rs` of the ledger); what is left of them is for the way from here to the provider,
/// which differs from request to request where a machine is busy.
const LATE: Duration = Duration::from_millis(12);

/// The next tokens are asked for so long before the last one in hand is due.
const AHEAD: Duration = Duration::from_millis(20);

/// A slice of the limit's timetable.
#[derive(Debug)]
struct Part {
    id: u64,
    /// When its first token is due, at the latest.
    first: Instant,
    /// The same, at the earliest.
    earliest: Instant,
    interval: Duration,
    tokens: u32,
    /// Those at its start that were spent or have lapsed.
    gone: u32,
    /// The limit's rate that it was cut from.
    per_second: f64,
}

impl Part {
    fn due(&self, now: Instant) -> u32 {
        if now < self.first {
            return 0;
        }
        count(now - self.first, self.interval)
            .saturating_add(1)
            .min(self.tokens)
    }

    fn lapsed(&self, now: Instant, late: Duration) -> u32 {
        match now.checked_duration_since(self.earliest + late) {
            None | Some(Duration::ZERO) => 0,
            Some(over) => count(over, self.interval)
                .saturating_add(1)
                .min(self.tokens),
        }
    }

    fn last(&self) -> Instant {
        self.first
            + self
                .interval
                .mul_f64(f64::from(self.tokens.saturating_sub(1)))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hand {
    parts: Vec<Part>,
    next_id: u64,
    /// Tokens that lapsed, and were granted, since tokens were last asked for.
    lapsed: u32,
    spent: u32,
    granted: u32,
}

/// What a taker took from where, to give it back.
pub(crate) type Taken = Vec<(u64, u32)>;

impl Hand {
    /// Notes what was granted. `asked` and `heard` enclose the moment of the store's answer.
    pub(crate) fn grant(&mut self, lease: &Lease, asked: Instant, heard: Instant) {
        let interval = Duration::from_secs_f64((lease.interval_micros / 1e6).clamp(0.0, 1e6));
        self.granted = lease.granted();
        for slice in &lease.slices {
            self.next_id += 1;
            self.parts.push(Part {
                id: self.next_id,
                first: shifted(heard, slice.starts_in_micros),
                earliest: shifted(asked, slice.starts_in_micros),
                interval,
                tokens: slice.tokens,
                gone: 0,
                per_second: lease.per_second,
            });
        }
    }

    /// Tokens that may be spent now by who needs `least` at once.
    pub(crate) fn available(&mut self, now: Instant, least: u32) -> u32 {
        let mut available = 0;
        for part in &mut self.parts {
            let lapsed = part.lapsed(now, late(part, least));
            self.lapsed += lapsed.saturating_sub(part.gone);
            part.gone = part.gone.max(lapsed);
            available += part.due(now).saturating_sub(part.gone);
        }
        // What is spent stays until it has lapsed too, because it may be given back.
        self.parts
            .retain(|part| part.lapsed(now, late(part, least)) < part.tokens);
        available
    }

    /// Spends tokens, those first that lapse first.
    pub(crate) fn take(&mut self, now: Instant, mut tokens: u32) -> Taken {
        let mut taken = Vec::new();
        self.parts.sort_by_key(|part| part.first);
        for part in &mut self.parts {
            let here = part.due(now).saturating_sub(part.gone).min(tokens);
            if here > 0 {
                part.gone += here;
                tokens -= here;
                self.spent += here;
                taken.push((part.id, here));
            }
        }
        taken
    }

    /// Takes back tokens that were not spent after all. They keep their end.
    pub(crate) fn put_back(&mut self, taken: &mut Taken, mut tokens: u32) {
        while tokens > 0
            && let Some((id, count)) = taken.pop()
        {
            let back = count.min(tokens);
            tokens -= back;
            if let Some(part) = self.parts.iter_mut().find(|part| part.id == id) {
                part.gone = part.gone.saturating_sub(back);
                self.spent = self.spent.saturating_sub(back);
            }
        }
    }

    /// When more tokens than are available now may be, if what is in hand has more.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let coming = self.parts.iter().filter(|part| part.due(now) < part.tokens);
        coming
            .map(|part| part.first + part.interval.mul_f64(f64::from(part.due(now))))
            .min()
    }

    /// Tokens to ask for: nothing while enough is in hand for who wants `most`; else as many as were
    /// spent lately and some more, or twice as many where not one was left over.
    pub(crate) fn wants(&self, now: Instant, most: u32) -> Option<u32> {
        let coming: u32 = self.parts.iter().map(|part| part.tokens - part.gone).sum();
        let last = self.parts.iter().map(Part::last).max();
        let soon = last.is_none_or(|last| last <= now + AHEAD);
        (soon && coming < most).then(|| {
            let appetite = if self.lapsed == 0 {
                self.granted.saturating_mul(2)
            } else {
                self.spent.saturating_add(self.spent / 4)
            };
            appetite.max(most - coming)
        })
    }

    /// Starts counting anew: tokens are being asked for.
    pub(crate) fn asked(&mut self) {
        (self.lapsed, self.spent) = (0, 0);
    }

    /// The limit was narrowed: of what is in hand and was cut from a faster timetable, the share
    /// stays that the new rate allows.
    pub(crate) fn narrow(&mut self, now: Instant, per_second: f64) {
        for part in &mut self.parts {
            let share = per_second / part.per_second;
            if share.is_nan() || share >= 1.0 {
                continue;
            }
            // What is due already and unspent is given up with the rest.
            let due = part.due(now);
            let next = part.interval.mul_f64(f64::from(due));
            part.first += next;
            part.earliest += next;
            (part.gone, part.tokens) = (0, scaled(part.tokens - due, share));
            part.interval = part.interval.div_f64(share.max(1e-6));
            part.per_second = per_second;
        }
        self.parts.retain(|part| part.tokens > part.gone);
    }

    /// Nothing may be spent any more: the limit is held.
    pub(crate) fn drop_all(&mut self) {
        self.parts.clear();
    }
}

/// Who needs several tokens at once has to keep the first of them until the last is due.
fn late(part: &Part, least: u32) -> Duration {
    let gather = f64::from(least.max(1)) / part.per_second.max(1e-6);
    LATE.max(Duration::from_secs_f64(gather.min(1e6)))
}

fn shifted(from: Instant, micros: i64) -> Instant {
    let by = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 {
        from.checked_sub(by).unwrap_or(from)
    } else {
        from + by
    }
}

/// Whole intervals in a time.
fn count(time: Duration, interval: Duration) -> u32 {
    if interval.is_zero() {
        return u32::MAX;
    }
    u32::try_from(time.as_nanos() / interval.as_nanos()).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share below 1 of a number that fits"
)]
fn scaled(tokens: u32, share: f64) -> u32 {
    (f64::from(tokens) * share.clamp(0.0, 1.0)).floor() as u32
}
