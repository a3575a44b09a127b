//! Refusals and their bodies. Source: `shared/providers/messagemedia.md`, sections 3 and 4.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

const NOT_PARSED: &str =
    "Request failed to parse correctly. Please ensure input is valid and try again.";

/// Why a request is not served.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    message: &'static str,
    details: Vec<String>,
    /// The messages that are at fault, each with the first of its fields.
    pub culprits: Vec<(usize, &'static str)>,
}

impl Refusal {
    fn new(status: StatusCode, message: &'static str) -> Self {
        Self {
            status,
            message,
            details: Vec::new(),
            culprits: Vec::new(),
        }
    }

    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "Invalid authentication credentials",
        )
    }

    /// 400 with JSON pointers to what is wrong.
    pub fn invalid(details: Vec<String>, culprits: Vec<(usize, &'static str)>) -> Self {
        Self {
            details,
            culprits,
            ..Self::new(StatusCode::BAD_REQUEST, NOT_PARSED)
        }
    }

    /// 400 without a pointer.
    pub fn unreadable() -> Self {
        let detail = "Failed to parse message body.".to_owned();
        Self::invalid(vec![detail], Vec::new())
    }

    pub fn not_enabled() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "This feature is not enabled for the account",
        )
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Resource not found")
    }

    pub fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
    }

    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request entity too large")
    }

    pub fn unsupported_type() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type")
    }

    pub fn old_tls() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "TLS 1.3 is required for messages to Singapore",
        )
    }

    pub fn answer(&self) -> Response {
        let mut body = json!({ "message": self.message });
        if !self.details.is_empty() {
            body["details"] = json!(self.details);
        }
        answer(self.status, &body)
    }
}

pub(crate) fn answer(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}
