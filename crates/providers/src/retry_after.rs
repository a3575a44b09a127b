//! `Retry-After`, which comes in seconds or as a date. There is no clock here, so a date counts from
//! the answer's own `Date`: both are the provider's time, and no skew between clocks matters.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use message::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// How long the provider asks to wait; nothing if it does not say so legibly.
///
/// Source: RFC 9110, 10.2.3.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = date(headers, header::RETRY_AFTER)? - date(headers, header::DATE)?;
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// Gives an answer without a `Date` that of its arrival, so that a date in `Retry-After` has
/// something to count from.
pub fn date_if_missing<B>(response: &mut Response<B>, arrived_at: Timestamp) {
    let headers = response.headers_mut();
    let at = i128::from(arrived_at.as_millis()) * 1_000_000;
    let text = OffsetDateTime::from_unix_timestamp_nanos(at)
        .ok()
        .and_then(|at| at.format(&Rfc2822).ok())
        .and_then(|text| HeaderValue::try_from(text).ok());
    if let (None, Some(text)) = (headers.get(header::DATE), text) {
        headers.insert(header::DATE, text);
    }
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<OffsetDateTime> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    OffsetDateTime::parse(text, &Rfc2822).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(retry_after_value: &'static str, date: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from_static(retry_after_value),
        );
        if let Some(date) = date {
            headers.insert(header::DATE, HeaderValue::from_static(date));
        }
        retry_after(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        assert_eq!(read("120", None), Some(120));
        assert_eq!(read(" 0 ", None), Some(0));
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn a_date_counts_from_the_date_of_the_answer() {
        let date = Some("Thu, 13 Nov 2025 12:44:58 GMT");
        assert_eq!(read("Thu, 13 Nov 2025 12:45:28 GMT", date), Some(30));
        assert_eq!(read("Thu, 13 Nov 2025 12:44:00 GMT", date), Some(0));
        assert_eq!(read("Thu, 13 Nov 2025 12:45:28 GMT", None), None);
    }

    #[test]
    fn a_date_counts_from_the_arrival_where_the_answer_has_none() {
        let mut response = Response::new(());
        let value = HeaderValue::from_static("Thu, 13 Nov 2025 12:45:28 GMT");
        response.headers_mut().insert(header::RETRY_AFTER, value);
        date_if_missing(&mut response, Timestamp::from_millis(1_763_037_898_000));
        assert_eq!(
            retry_after(response.headers()).map(|wait| wait.as_secs()),
            Some(30)
        );
        date_if_missing(&mut response, Timestamp::from_millis(0));
        assert_eq!(
            retry_after(response.headers()).map(|wait| wait.as_secs()),
            Some(30)
        );
    }

    #[test]
    fn what_is_neither_says_nothing() {
        for text in ["", "soon", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(
                read(text, Some("Thu, 13 Nov 2025 12:44:58 GMT")),
                None,
                "{text}"
            );
        }
    }
}
