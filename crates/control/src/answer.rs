//! What the API says when it can not do what was asked. Codes are part of the contract.

use axum::{
    Json,
    extract::rejection::BytesRejection,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bus::BusError;
use bytes::Bytes;
use ledger::LedgerError;
use serde::{Serialize, de::DeserializeOwned};

/// An error as a caller sees it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<Detail>,
    retry_after_seconds: Option<u64>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Detail {
    /// Where.
    pub(crate) field: String,
    /// What is expected; never the value.
    pub(crate) problem: String,
}

impl Detail {
    pub(crate) fn new(field: &str, problem: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            problem: problem.into(),
        }
    }
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
            retry_after_seconds: None,
        }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// One parameter or path segment is no identifier, number or the like.
    pub(crate) fn invalid(field: &str, problem: impl Into<String>) -> Self {
        Self::bad_request("invalid_parameter", format!("`{field}` is not valid"))
            .with_details(vec![Detail::new(field, problem)])
    }

    pub(crate) fn with_details(mut self, details: Vec<Detail>) -> Self {
        self.details = details;
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    error: WireError<'a>,
}

#[derive(Serialize)]
struct WireError<'a> {
    code: &'a str,
    message: &'a str,
    details: &'a [Detail],
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let wire = Wire {
            error: WireError {
                code: self.code,
                message: &self.message,
                details: &self.details,
            },
        };
        let mut response = (self.status, Json(wire)).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

const RETRY_AFTER_OUTAGE: u64 = 5;

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        tracing::warn!("ledger: {error}");
        match error {
            LedgerError::Unavailable(_) | LedgerError::Unusable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ledger_unavailable",
                "the ledger does not answer; nothing is known about the request's effect",
            )
            .retry_after(RETRY_AFTER_OUTAGE),
            LedgerError::Damaged { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "ledger_damaged",
                "a record can not be read; see the log",
            ),
            LedgerError::Sealed { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "secrets_sealed",
                "a connection's secrets can not be opened; see the log",
            ),
        }
    }
}

impl From<BusError> for ApiError {
    fn from(error: BusError) -> Self {
        tracing::warn!("bus: {error}");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "bus_unavailable",
            "the message broker does not answer; try again",
        )
        .retry_after(RETRY_AFTER_OUTAGE)
    }
}

/// A body that may be too large or cut short.
pub(crate) fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, ApiError> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is larger than this route allows",
        ),
        _ => ApiError::bad_request("incomplete_body", "the body ended early"),
    })
}

/// A body as JSON. What is wrong is named by place only: the value may be a secret.
pub(crate) fn json<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
) -> Result<T, ApiError> {
    let body = whole(body)?;
    let mut deserializer = serde_json::Deserializer::from_slice(&body);
    let malformed = |path: String, error: &serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        let field = if path == "." { String::new() } else { path };
        ApiError::bad_request("malformed_body", "the body is not what this route expects")
            .with_details(vec![Detail::new(
                &field,
                format!("line {line} column {column}: not the JSON that is expected here"),
            )])
    };
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| malformed(error.path().to_string(), error.inner()))?;
    deserializer
        .end()
        .map_err(|error| malformed(String::new(), &error))?;
    Ok(value)
}
