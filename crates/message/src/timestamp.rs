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
        let text = OffsetDateTime::from_unix_timestamp_nanos(
            i128::from(self.0.min(MILLIS_MAX)) * 1_000_000,
        )
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .ok_or(fmt::Error)?;
        f.write_str(&text)
    }
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
}
