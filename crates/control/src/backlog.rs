//! How many batches wait for intake, and how long it will take until new ones are welcome.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bus::{Bus, BusError, queue};

/// The last two looks at the queue; the difference is the speed at which it drains.
#[derive(Debug, Default)]
pub(crate) struct Backlog(Mutex<Option<Look>>);

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    depth: u64,
    /// Batches a second that left on balance, as of this look.
    drains_per_second: f64,
}

/// A look is believed for so long: one question to the broker a second is enough.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const RETRY_AFTER_MIN: u64 = 1;
const RETRY_AFTER_MAX: u64 = 60;
/// Where nothing is known about the speed.
const RETRY_AFTER_UNKNOWN: u64 = 10;

impl Backlog {
    /// `Some(seconds)` to wait if more than `most` batches wait.
    pub(crate) async fn full(&self, bus: &dyn Bus, most: u64) -> Result<Option<u64>, BusError> {
        let known = self.get();
        let look = match known {
            Some(look) if look.at.elapsed() < LOOK_EVERY => look,
            _ => {
                let mut depth = bus.depth(queue::BATCHES).await?;
                for aside in queue::WAITING_BATCHES {
                    depth += bus.depth(aside).await?;
                }
                let look = next_look(known, Instant::now(), depth);
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
                look
            }
        };
        Ok((look.depth > most).then(|| retry_after(look, most)))
    }

    fn get(&self) -> Option<Look> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_look(known: Option<Look>, at: Instant, depth: u64) -> Look {
    let drains_per_second = known.map_or(0.0, |known| {
        let seconds = at.duration_since(known.at).as_secs_f64();
        (known.depth as f64 - depth as f64) / seconds.max(0.001)
    });
    Look {
        at,
        depth,
        drains_per_second,
    }
}

fn retry_after(look: Look, most: u64) -> u64 {
    if look.drains_per_second <= 0.0 {
        return RETRY_AFTER_UNKNOWN;
    }
    let seconds = (look.depth - most) as f64 / look.drains_per_second;
    (seconds.ceil() as u64).clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_from_the_speed_of_draining() {
        let begin = Instant::now();
        let first = next_look(None, begin, 1_000);
        assert_eq!(retry_after(first, 100), RETRY_AFTER_UNKNOWN);
        let second = next_look(Some(first), begin + Duration::from_secs(2), 900);
        assert_eq!(retry_after(second, 100), 16, "800 batches at 50 a second");
        assert_eq!(retry_after(second, 899), RETRY_AFTER_MIN);
        assert_eq!(retry_after(second, 0), 18);
        let stuck = next_look(Some(second), begin + Duration::from_secs(4), 950);
        assert_eq!(retry_after(stuck, 0), RETRY_AFTER_UNKNOWN);
    }
}
