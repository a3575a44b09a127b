//! MessageBird's refusals: codes, parameter, sentence, HTTP status.
//!
//! Source: `shared/providers/messagebird.md`, section 4. Where that names two HTTP statuses the twin uses the one that the
//! vendor's SDKs read, which is 422. The sentences are near to MessageBird's; no client may decide by them.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;

/// One entry of `errors`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Problem {
    pub code: u16,
    pub description: String,
    pub parameter: Option<&'static str>,
}

/// A request that is refused, with everything that is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    /// At least one.
    pub problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Body<'a> {
    errors: &'a [Problem],
}

impl Problem {
    /// A required parameter is not there.
    pub fn missing(parameter: &'static str, description: impl Into<String>) -> Self {
        Self {
            code: 9,
            description: description.into(),
            parameter: Some(parameter),
        }
    }

    /// A parameter is there and wrong.
    pub fn invalid(parameter: &'static str, description: impl Into<String>) -> Self {
        Self {
            code: 10,
            description: description.into(),
            parameter: Some(parameter),
        }
    }
}

impl Refusal {
    /// Parameters are missing or invalid.
    pub fn of(problems: Vec<Problem>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            problems,
        }
    }

    pub fn wrong_key() -> Self {
        let description = "Request not allowed (incorrect access_key)";
        Self::one(StatusCode::UNAUTHORIZED, 2, description, Some("access_key"))
    }

    pub fn message_not_found() -> Self {
        Self::one(StatusCode::NOT_FOUND, 20, "message not found", None)
    }

    /// The body cannot be read at all.
    pub fn bad_request(description: &str) -> Self {
        Self::one(StatusCode::BAD_REQUEST, 21, description, None)
    }

    pub fn not_enough_balance() -> Self {
        Self::one(StatusCode::PAYMENT_REQUIRED, 25, "Not enough balance", None)
    }

    pub fn no_such_api() -> Self {
        Self::one(StatusCode::NOT_FOUND, 98, "API not found", None)
    }

    /// No code is documented for it, and clients go by the 429; a code that usually means a refusal for good shows
    /// whether they do.
    pub fn too_many_requests() -> Self {
        Self::one(StatusCode::TOO_MANY_REQUESTS, 21, "Too many requests", None)
    }

    pub fn internal_error() -> Self {
        Self::one(
            StatusCode::INTERNAL_SERVER_ERROR,
            99,
            "Internal error",
            None,
        )
    }

    fn one(
        status: StatusCode,
        code: u16,
        description: &str,
        parameter: Option<&'static str>,
    ) -> Self {
        Self {
            status,
            problems: vec![Problem {
                code,
                description: description.to_owned(),
                parameter,
            }],
        }
    }

    /// The code in the audit.
    pub fn code(&self) -> String {
        let first = self.problems.first();
        first.map_or_else(String::new, |problem| problem.code.to_string())
    }

    pub fn answer(&self) -> Response {
        let body = Body {
            errors: &self.problems,
        };
        // Strings and numbers only: there is nothing that JSON could not hold.
        let json = serde_json::to_string(&body).unwrap_or_default();
        let kind = [(CONTENT_TYPE, "application/json")];
        (self.status, kind, json).into_response()
    }
}
