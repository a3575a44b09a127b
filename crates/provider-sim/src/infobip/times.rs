//! Times as Infobip writes them: `yyyy-MM-dd'T'HH:mm:ss.SSSZ` with an offset without colon, which is no RFC 3339.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

const FORM: &[BorrowedFormatItem<'_>] = format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3][offset_hour sign:mandatory][offset_minute]"
);
/// Clients write more or fewer decimals.
const READ: &[BorrowedFormatItem<'_>] = format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond][offset_hour sign:mandatory][offset_minute]"
);

/// The text of a time; always UTC.
pub(crate) fn write(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(&FORM).unwrap_or_default()
}

/// The time of a text, with or without a colon in the offset.
pub(crate) fn read(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &READ)
        .or_else(|_| OffsetDateTime::parse(text, &Rfc3339))
        .ok()
        .map(SystemTime::from)
}

/// The engine keeps seconds; the rest is made up, the same each time it is asked for.
pub(crate) fn of_second(unix_seconds: u32, share: f64) -> SystemTime {
    let whole = Duration::from_secs(u64::from(unix_seconds));
    UNIX_EPOCH + whole + Duration::from_secs(1).mul_f64(share.clamp(0.0, 0.999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_on_the_page_and_read_in_the_forms_of_clients() {
        let at = of_second(1_741_076_130, 0.12);
        assert_eq!(write(at), "2025-03-04T08:15:30.120+0000");
        for text in [
            "2025-03-04T08:15:30.120+0000",
            "2025-03-04T08:15:30.120000+0000",
            "2025-03-04T09:15:30.120+0100",
            "2025-03-04T08:15:30.120Z",
        ] {
            assert_eq!(read(text), Some(at), "{text}");
        }
        assert_eq!(read("yesterday"), None);
    }
}
