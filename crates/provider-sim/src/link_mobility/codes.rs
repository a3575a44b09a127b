//! LINK's numbers: the result codes of messages and the status codes of whole requests, with their sentences.
//!
//! Source: `shared/providers/link-mobility.md`, sections 4 and 6.2. The sentences are near to LINK's; no client may decide
//! by them. What a code means at the end of a message's way is the page's "documented state".

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::engine::Phase;

/// Taken.
pub(crate) const QUEUED: u32 = 1005;
/// Too many messages in a second.
pub(crate) const THROTTLED: u32 = 3;

/// A result code as text, its sentence, and the end that it means in a receipt; without one it is never such an end.
type Row = (&'static str, &'static str, Option<Phase>);

const ROWS: &[Row] = &[
    ("0", "Unknown error", Some(Phase::Failed)),
    ("1", "Temporary routing error", Some(Phase::Failed)),
    ("2", "Permanent routing error", Some(Phase::Failed)),
    ("3", "Maximum throttling exceeded", Some(Phase::Failed)),
    ("4", "Timeout", Some(Phase::Failed)),
    ("5", "Operator unknown error", Some(Phase::Failed)),
    ("6", "Operator error", Some(Phase::Failed)),
    ("104", "Configuration error", Some(Phase::Failed)),
    ("105", "Internal error", Some(Phase::Failed)),
    ("1000", "Sent to operator", None),
    ("1001", "Billed and delivered", None),
    ("1002", "Expired", Some(Phase::Expired)),
    ("1003", "Deleted", Some(Phase::Failed)),
    ("1004", "Mobile full", Some(Phase::Undelivered)),
    ("1005", "Queued", None),
    ("1006", "Not delivered", Some(Phase::Undelivered)),
    ("1009", "Billed, not delivered", Some(Phase::Undelivered)),
    // A carrier had it and never said what became of it.
    ("1010", "Expired, no report", Some(Phase::Undelivered)),
    ("2000", "Invalid source", Some(Phase::Rejected)),
    (
        "2001",
        "Short number not supported as source",
        Some(Phase::Rejected),
    ),
    (
        "2002",
        "Alphanumeric not supported as source",
        Some(Phase::Rejected),
    ),
    (
        "2003",
        "MSISDN not supported as source",
        Some(Phase::Rejected),
    ),
    (
        "2100",
        "Short number not supported as destination",
        Some(Phase::Rejected),
    ),
    (
        "2101",
        "Alphanumeric not supported as destination",
        Some(Phase::Rejected),
    ),
    (
        "2102",
        "MSISDN not supported as destination",
        Some(Phase::Rejected),
    ),
    (
        "2103",
        "Operation blocked for the destination",
        Some(Phase::Rejected),
    ),
    ("2104", "Unknown subscriber", Some(Phase::Undelivered)),
    (
        "2105",
        "Destination permanently blocked",
        Some(Phase::Undelivered),
    ),
    ("2106", "Number error", Some(Phase::Rejected)),
    (
        "2107",
        "Destination temporarily blocked",
        Some(Phase::Undelivered),
    ),
    ("2200", "Charging error", Some(Phase::Rejected)),
    (
        "2205",
        "Service rejected by subscriber",
        Some(Phase::Rejected),
    ),
    ("3000", "GSM encoding not supported", Some(Phase::Rejected)),
    (
        "3001",
        "Unicode encoding not supported",
        Some(Phase::Rejected),
    ),
    (
        "3002",
        "Binary encoding not supported",
        Some(Phase::Rejected),
    ),
    (
        "4000",
        "Delivery report not supported",
        Some(Phase::Rejected),
    ),
    ("4001", "Invalid message content", Some(Phase::Rejected)),
    ("4003", "Invalid user data", Some(Phase::Rejected)),
    ("106000", "Unknown error", None),
    ("106100", "Invalid authentication", None),
    ("106101", "Access denied", None),
    ("106102", "Unable to access SMSC credentials", None),
    ("106200", "Invalid platformId", None),
    ("106201", "Invalid platformPartnerId", None),
    ("106202", "Invalid premium currency", None),
    ("106300", "No delivery report gates specified", None),
    ("106301", "Delivery report gate unavailable", None),
];

fn row(code: u32) -> Option<&'static Row> {
    let text = code.to_string();
    ROWS.iter().find(|(known, ..)| *known == text)
}

/// The sentence of a code.
pub(crate) fn sentence(code: u32) -> &'static str {
    row(code).map_or("Unknown error", |(_, sentence, _)| sentence)
}

/// The end that a receipt with this code tells, and the code as the engine keeps it.
pub(crate) fn end(code: u32) -> Option<(Phase, &'static str)> {
    let (text, _, end) = row(code)?;
    Some(((*end)?, text))
}

/// Whether the twin knows the code.
pub(crate) fn is_known(code: u32) -> bool {
    row(code).is_some()
}

/// A whole request that is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    /// The `status` of an ErrorResponse. `None`: LINK's server itself refuses, with no body that is documented.
    code: Option<u32>,
    /// What is wrong, where the code's sentence does not say it.
    about: String,
}

impl Refusal {
    /// A documented refusal. The 1061xx are about who asks, all others about what is asked.
    pub fn new(code: u32) -> Self {
        let status = match code {
            106_100 => StatusCode::UNAUTHORIZED,
            106_101 | 106_102 => StatusCode::FORBIDDEN,
            106_000 => StatusCode::INTERNAL_SERVER_ERROR,
            THROTTLED => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            code: Some(code),
            about: String::new(),
        }
    }

    /// A request that LINK cannot read. No code is documented for it; the twin repeats the HTTP status.
    pub fn malformed(about: impl ToString) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: Some(400),
            about: about.to_string(),
        }
    }

    /// A refusal in ErrorResponse form with a status and a code of its own.
    pub fn with(status: StatusCode, code: u32, about: impl ToString) -> Self {
        Self {
            status,
            code: Some(code),
            about: about.to_string(),
        }
    }

    /// A refusal of the server in front of the API: no body.
    pub fn bare(status: StatusCode) -> Self {
        Self {
            status,
            code: None,
            about: String::new(),
        }
    }

    /// The code in the audit.
    pub fn booked(&self) -> String {
        self.code
            .unwrap_or_else(|| self.status.as_u16().into())
            .to_string()
    }

    pub fn answer(&self) -> Response {
        let Some(code) = self.code else {
            return self.status.into_response();
        };
        let description = match self.about.as_str() {
            "" => sentence(code),
            about => about,
        };
        let body = json!({
            "status": code,
            "description": description,
            "translatedDescription": null,
        });
        let mut response = json_answer(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"sms\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, realm);
        }
        response
    }
}

/// An answer with a JSON body.
pub(crate) fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let kind = HeaderValue::from_static("application/json;charset=utf-8");
    (status, [(CONTENT_TYPE, kind)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_a_number_that_stands_there_once() {
        let mut numbers: Vec<u32> = ROWS
            .iter()
            .map(|(code, ..)| code.parse().expect("a number"))
            .collect();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all);
        assert_eq!(end(2105), Some((Phase::Undelivered, "2105")));
        assert_eq!(end(QUEUED), None);
        assert!(!is_known(7));
    }

    #[test]
    fn a_refusal_has_its_documented_http_status() {
        for (code, status) in [
            (106_100, 401),
            (106_101, 403),
            (106_102, 403),
            (106_200, 400),
            (106_301, 400),
            (106_000, 500),
        ] {
            assert_eq!(Refusal::new(code).status.as_u16(), status);
        }
    }
}
