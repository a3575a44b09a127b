//! What every request passes first: a place among those at work, a token, a time limit.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use message::OrganizationId;

use crate::{App, answer::ApiError, tokens::Caller};

/// The label of what no route matches.
const UNMATCHED: &str = "unmatched";

/// Lets a request through to its route, as the caller whose token it carries.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(UNMATCHED, MatchedPath::as_str)
        .to_owned();
    let response = match admitted(&app, request, next).await {
        Ok(response) => in_our_words(response),
        Err(refused) => refused.into_response(),
    };
    app.metrics
        .answered(&route, response.status(), began.elapsed());
    response
}

async fn admitted(app: &App, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let caller = caller(app, request.headers())?.clone();
    let _place = app.at_once.try_acquire().map_err(|_| {
        let message = "too many requests are under way";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message).retry_after(1)
    })?;
    request.extensions_mut().insert(caller);
    tokio::time::timeout(app.settings.request_timeout, next.run(request))
        .await
        .map_err(|_| {
            let message = "not done in time; what was begun may still have its effect";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message).retry_after(5)
        })
}

/// A path or query that does not even parse is refused by the framework, in plain text.
fn in_our_words(response: Response) -> Response {
    let plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if response.status().is_client_error() && plain {
        let message = "the path or the query can not be read";
        return ApiError::new(response.status(), "malformed_request", message).into_response();
    }
    response
}

fn caller<'a>(app: &'a App, headers: &HeaderMap) -> Result<&'a Caller, ApiError> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, token)| app.settings.tokens.caller(token.trim()))
        .ok_or_else(|| {
            let message = "send `Authorization: Bearer <token>` with a token of control.tokens";
            ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        })
}

impl Caller {
    /// Whether it may touch `organization`.
    pub(crate) fn may_touch(&self, organization: &OrganizationId) -> Result<(), ApiError> {
        match &self.organization {
            Some(own) if own != organization => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "forbidden_organization",
                "this token is for another organisation",
            )),
            _ => Ok(()),
        }
    }

    /// The organisation a request is about: the one it names, or the only one the token is for.
    pub(crate) fn organization(&self, named: Option<&str>) -> Result<OrganizationId, ApiError> {
        let Some(named) = named else {
            return self.organization.clone().ok_or_else(|| {
                let message = "say which organisation with `?organization_id=`";
                ApiError::bad_request("organization_required", message)
            });
        };
        let organization = OrganizationId::new(named)
            .map_err(|why| ApiError::invalid("organization_id", why.to_string()))?;
        self.may_touch(&organization)?;
        Ok(organization)
    }

    /// What concerns all organisations is for tokens that are limited to none.
    pub(crate) fn operates_the_fleet(&self) -> Result<(), ApiError> {
        if self.organization.is_none() {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "operators_only",
            "this concerns all organisations, and the token is for one",
        ))
    }
}
