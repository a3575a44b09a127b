//! How long a receipt waits for its message: a minute at first, because it may have overtaken the
//! worker's note of the provider's id, and then longer and longer, because a ledger may have been
//! restored, or a batch be registered late.

use std::time::Duration;

use bus::RetryTier;

/// How long what has waited `times` before waits now; nothing if it has waited `enough` by then.
pub(crate) fn next(times: u8, enough: Duration) -> Option<RetryTier> {
    (waited(times) < enough).then(|| tier(times))
}

/// How long it has waited after so many times.
pub(crate) fn waited(times: u8) -> Duration {
    (0..times).map(|time| tier(time).delay()).sum()
}

fn tier(time: u8) -> RetryTier {
    const GROWING: [RetryTier; 4] = [RetryTier::S30, RetryTier::M1, RetryTier::M5, RetryTier::M15];
    *GROWING.get(usize::from(time)).unwrap_or(&RetryTier::H1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_grow_and_last_for_as_long_as_is_asked() {
        let day = Duration::from_secs(24 * 3600);
        let mut times = 0;
        let mut waits = Vec::new();
        while let Some(tier) = next(times, day) {
            waits.push(tier.delay());
            times += 1;
        }
        assert!(waits.is_sorted());
        assert_eq!((waits[0].as_secs(), waits.len()), (30, 28));
        let total: Duration = waits.into_iter().sum();
        assert_eq!(waited(times), total);
        assert!((day..day + Duration::from_secs(3600)).contains(&total));
    }

    #[test]
    fn no_number_of_times_is_too_large() {
        assert_eq!(next(u8::MAX, Duration::MAX), Some(RetryTier::H1));
        assert_eq!(next(0, Duration::ZERO), None);
    }
}
