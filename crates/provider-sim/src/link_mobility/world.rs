//! What LINK knows of countries and clocks, as far as its callbacks show it.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::{format_description, offset};

/// The subscriber's operator; for most countries LINK names none.
pub(crate) fn operator(number: u64) -> Option<&'static str> {
    match country(number) {
        "NO" => Some("no.telenor"),
        "SE" => Some("se.telia"),
        _ => None,
    }
}

/// The country in front of a short number that a subscriber writes to.
pub(crate) fn country(number: u64) -> &'static str {
    let digits = number.to_string();
    [
        ("47", "NO"),
        ("46", "SE"),
        ("45", "DK"),
        ("358", "FI"),
        ("353", "IE"),
        ("44", "GB"),
        ("49", "DE"),
        ("33", "FR"),
        ("61", "AU"),
        ("1", "US"),
    ]
    .into_iter()
    .find(|(prefix, _)| digits.starts_with(prefix))
    .map_or("NO", |(_, country)| country)
}

/// A moment in UTC, to the second.
pub(crate) fn rfc3339(moment: OffsetDateTime) -> String {
    let whole = moment.replace_nanosecond(0).unwrap_or(moment);
    whole.format(&Rfc3339).unwrap_or_default()
}

/// A moment as LINK's machines write it in custom parameters: local time, without saying so.
pub(crate) fn local(moment: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    moment
        .to_offset(offset!(+1))
        .format(&form)
        .unwrap_or_default()
}

/// The same without separators.
pub(crate) fn local_digits(moment: OffsetDateTime) -> String {
    let digits = local(moment);
    digits.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn times_and_operators_are_written_as_on_the_page() {
        let moment = datetime!(2025-03-04 09:15:05.7 UTC);
        assert_eq!(rfc3339(moment), "2025-03-04T09:15:05Z");
        assert_eq!(local(moment), "2025-03-04 10:15:05");
        assert_eq!(local_digits(moment), "20250304101505");
        assert_eq!(operator(4_741_560_099), Some("no.telenor"));
        assert_eq!(operator(35_312_345_678), None);
        assert_eq!(country(35_845_739_001), "FI");
    }
}
