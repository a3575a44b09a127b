//! The API's refusals: `{"error":{"code","message","status","details"}}`.
//!
//! Source: `shared/providers/sinch.md`, section 4. Sinch documents no sentences; these name the field that is wrong, which
//! is all that a client can go by.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{StatusCode, header};
use serde_json::json;

/// A request that is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    message: String,
    /// `WWW-Authenticate` of a 401.
    challenge: Option<String>,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            challenge: None,
        }
    }

    /// Something in the request is wrong, and nothing of it was taken.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The same refusal about a member of `object`.
    pub fn within(self, object: &str) -> Self {
        Self {
            message: format!("{object}.{}", self.message),
            ..self
        }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A 401 with this `WWW-Authenticate`.
    pub fn unauthenticated(challenge: impl Into<String>) -> Self {
        Self {
            challenge: Some(challenge.into()),
            ..Self::new(StatusCode::UNAUTHORIZED, "Unauthorized")
        }
    }

    /// Sinch's word for the status, under which the audit books it.
    pub fn word(&self) -> &'static str {
        match self.status.as_u16() {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            405 => "METHOD_NOT_ALLOWED",
            413 => "PAYLOAD_TOO_LARGE",
            415 => "UNSUPPORTED_MEDIA_TYPE",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            _ => "INTERNAL",
        }
    }

    pub fn answer(&self) -> Response {
        let body = json!({"error": {
            "code": self.status.as_u16(),
            "message": self.message,
            "status": self.word(),
            "details": [],
        }});
        let mut response = answer(self.status, body.to_string());
        let challenge = self.challenge.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(challenge)) = challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// An answer with a JSON body.
pub(crate) fn answer(status: StatusCode, json: String) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, kind)], json).into_response()
}

/// Whether the request says that its body is of this kind.
pub(crate) fn is_of_kind(headers: &http::HeaderMap, kind: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|given| given.trim().eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_or_bad_token_is_challenged() {
        let refusal = Refusal::unauthenticated("Bearer error=\"invalid_token\"");
        let response = refusal.answer();
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        let response = Refusal::not_found("nothing here").answer();
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    }
}
