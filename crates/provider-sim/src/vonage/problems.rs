//! Answers other than 200: the two bodies that Vonage has for them, and plain text.
//!
//! Source: `shared/providers/vonage.md`, sections 4 and 13.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::accounts::Account;
use super::uuid;
use crate::engine::Trouble;

/// A body as RFC 7807 says. `kind` is its type behind the host name.
pub(crate) fn problem(status: StatusCode, kind: &str, title: &str, detail: &str) -> Response {
    let body = json!({
        "type": format!("https://developer.vonage.com/{kind}"),
        "title": title,
        "detail": detail,
        "instance": uuid(),
    });
    with_json(status, body.to_string())
}

/// The body of a wrong key or secret at the newer APIs.
pub(crate) fn unauthorized() -> Response {
    let detail = "You did not provide correct credentials.";
    with_realm(problem(
        StatusCode::UNAUTHORIZED,
        "api-errors#unauthorized",
        "Unauthorized",
        detail,
    ))
}

/// The older body, which the SMS API has kept.
pub(crate) fn authentication_failed() -> Response {
    let body = json!({ "error-code": "401", "error-code-label": "authentication failed" });
    with_realm(with_json(StatusCode::UNAUTHORIZED, body.to_string()))
}

/// An unknown path.
pub(crate) fn not_found() -> Response {
    let status = StatusCode::NOT_FOUND;
    problem(
        status,
        "api-errors#not-found",
        "Not Found",
        "There is nothing here.",
    )
}

/// A path that knows other methods.
pub(crate) fn wrong_method() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").into_response()
}

/// A request that is throttled or fails. Whether Vonage says how long to wait is in the settings.
pub(crate) fn trouble(account: &Account, trouble: Trouble) -> Response {
    let mut answer = match trouble {
        Trouble::Throttled => problem(
            StatusCode::TOO_MANY_REQUESTS,
            "api-errors#throttled",
            "Rate Limit Hit",
            "Please wait, then retry your request.",
        ),
        Trouble::Error500 => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "api-errors#internal-error",
            "Internal Error",
            "An error occurred while the request was processed.",
        ),
        Trouble::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable").into_response()
        }
    };
    let wait = account.settings.limits.retry_after_seconds();
    if let Some(seconds) = wait.filter(|_| trouble == Trouble::Throttled) {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    answer
}

/// A JSON answer.
pub(crate) fn with_json(status: StatusCode, body: String) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, kind)], body).into_response()
}

fn with_realm(mut answer: Response) -> Response {
    let realm = HeaderValue::from_static("Basic realm=\"Vonage\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, realm);
    answer
}
