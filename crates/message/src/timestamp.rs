//! Points in time as the fleet stores and sends them: whole milliseconds of Unix time.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::text;

/// Milliseconds since 1970-01-01 UTC; RFC 3339 on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

/// 9999-12-31T23:59:59.999Z.
const MILLIS_MAX: u64 = 253_402_300_799_999;

const MILLIS_A_DAY: u64 = 24 * 3600 * 1000;

impl Timestamp {
    /// From milliseconds of Unix time.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds of Unix time.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// `self` and `later` after it.
    #[must_use]
    pub fn plus(self, later: std::time::Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(later.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(at: std::time::SystemTime) -> Self {
        let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Capped at the last year RFC 3339 can write, so that no stored value can fail to print.
        let millis = self.0.min(MILLIS_MAX);
        let (days, of_day) = (millis / MILLIS_A_DAY, millis % MILLIS_A_DAY);
        let (year, month, day) = date(days);
        let (seconds, fraction) = (of_day / 1000, of_day % 1000);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (at, digits, value) in [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, seconds / 3600),
            (14, 2, seconds / 60 % 60),
            (17, 2, seconds % 60),
            (20, 3, fraction),
        ] {
            let mut rest = value;
            for digit in text[at..at + digits].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        // A fraction has no zeros at its end, and there is none that has no other digits.
        let length = match fraction {
            0 => 19,
            _ if fraction % 100 == 0 => 21,
            _ if fraction % 10 == 0 => 22,
            _ => 23,
        };
        text[length] = b'Z';
        f.write_str(std::str::from_utf8(&text[..=length]).map_err(|_| fmt::Error)?)
    }
}

/// Year, month and day that are `days` after 1970-01-01 in the Gregorian calendar. There is a time in
/// every event and every callback, and the general way of writing it costs more than all the rest.
///
/// Counted in years that begin in March, so that the leap day is the last one; 719,468 days are from
/// the first of March of the year 0 to 1970, 146,097 are in 400 years.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer, |text| {
            let at = OffsetDateTime::parse(text, &Rfc3339)
                .map_err(|_| "not an RFC 3339 date and time")?;
            u64::try_from(at.unix_timestamp_nanos() / 1_000_000)
                .map(Self)
                .map_err(|_| "before 1970")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_as_itself() {
        let at = Timestamp::from_millis(1_764_000_000_123);
        let json = serde_json::to_string(&at).expect("serializable");
        assert_eq!(json, "\"2025-11-24T16:00:00.123Z\"");
        assert_eq!(
            serde_json::from_str::<Timestamp>(&json).expect("reads back"),
            at
        );
    }

    #[test]
    fn a_time_is_written_as_rfc_3339_writes_it() {
        let general = |millis: u64| {
            let nanos = i128::from(millis) * 1_000_000;
            let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).expect("in range");
            at.format(&Rfc3339).expect("formattable")
        };
        // Every day of 800 years, each at another time, and each kind of fraction.
        for day in 0..800 * 366 {
            let millis = day * MILLIS_A_DAY + day * 7_919_377 % MILLIS_A_DAY;
            let millis = millis - millis % [1, 10, 100, 1000][day as usize % 4];
            assert_eq!(Timestamp(millis).to_string(), general(millis));
        }
        for millis in [0, 1, 951_782_400_000, 951_868_799_999, MILLIS_MAX] {
            assert_eq!(Timestamp(millis).to_string(), general(millis));
        }
        assert_eq!(Timestamp(u64::MAX).to_string(), general(MILLIS_MAX));
    }
}
