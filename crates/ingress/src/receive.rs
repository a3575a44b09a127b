//! One callback, from its headers to its answer.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, Response, StatusCode, header},
    routing::any,
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use message::{Connection, OrganizationId, Timestamp, callback::Callback};
use providers::{CallbackAnswer, CallbackKind, CallbackRefused, Capabilities, Provider};
use tokio::sync::Semaphore;

use crate::{
    IngressMetrics, Settings, connections::Connections, groups::Groups, log_budget::LogBudget,
    paths, refused::Refused,
};

/// What every request needs.
pub(crate) struct Desk {
    pub(crate) settings: Settings,
    pub(crate) public_urls: Vec<String>,
    pub(crate) connections: Connections,
    pub(crate) groups: Groups,
    pub(crate) slots: Semaphore,
    pub(crate) metrics: IngressMetrics,
    pub(crate) lines: LogBudget,
}

/// The two callback paths; everything else is an unknown path.
pub(crate) fn router(desk: Arc<Desk>) -> Router {
    let path = |kind: CallbackKind| {
        format!(
            "/distribution-providers/v1/receive/distribution/{}/{{provider}}/{{organization}}",
            kind.as_str()
        )
    };
    Router::new()
        .route(&path(CallbackKind::Status), any(status))
        .route(&path(CallbackKind::Message), any(message))
        .fallback(unknown_path)
        .with_state(desk)
}

type Named = Result<Path<(String, String)>, PathRejection>;

async fn status(State(desk): State<Arc<Desk>>, named: Named, request: Request) -> Response<Body> {
    receive(&desk, CallbackKind::Status, named, request).await
}

async fn message(State(desk): State<Arc<Desk>>, named: Named, request: Request) -> Response<Body> {
    receive(&desk, CallbackKind::Message, named, request).await
}

async fn receive(
    desk: &Arc<Desk>,
    kind: CallbackKind,
    named: Named,
    request: Request,
) -> Response<Body> {
    let named = named.ok().and_then(|Path((slug, organization))| {
        Some((
            providers::provider(&slug)?,
            OrganizationId::new(&organization).ok()?,
        ))
    });
    let Some((provider, organization)) = named else {
        return unknown_path(State(desk.clone()), request).await;
    };
    let started = Instant::now();
    let in_flight = InFlight::count(&desk.metrics);
    let taken = take(desk, kind, provider, &organization, request).await;
    drop(in_flight);

    let labels = [provider.slug(), kind.as_str()];
    let outcome = taken.as_ref().map_or_else(Refused::outcome, |()| "taken");
    desk.metrics
        .callbacks
        .with_label_values(&[labels[0], labels[1], outcome])
        .inc();
    match taken {
        Ok(()) => {
            let seconds = desk.metrics.callback_seconds.with_label_values(&labels);
            seconds.observe(started.elapsed().as_secs_f64());
            answer(provider.callback_answer(kind))
        }
        Err(refused) => {
            if let Some(held_back) = desk.lines.line(Instant::now()) {
                tracing::warn!(
                    %organization, provider = provider.slug(), kind = kind.as_str(), outcome,
                    status = refused.status().as_u16(), held_back, "callback refused: {refused}"
                );
            }
            refused.answer(desk.settings.retry_after)
        }
    }
}

/// Counts itself out however the callback ends, its sender hanging up included.
struct InFlight<'a>(&'a IngressMetrics);

impl<'a> InFlight<'a> {
    fn count(metrics: &'a IngressMetrics) -> Self {
        metrics.in_flight.inc();
        Self(metrics)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// The order is that of trust: nothing is read, and nobody waited for, before the step in front
/// of it said yes.
async fn take(
    desk: &Desk,
    kind: CallbackKind,
    provider: &'static dyn Provider,
    organization: &OrganizationId,
    request: Request,
) -> Result<(), Refused> {
    let _slot = desk.slots.try_acquire().map_err(|_| Refused::Overloaded)?;
    let connections = desk
        .connections
        .of(organization)
        .await
        .map_err(Refused::LedgerAway)?;
    if connections.is_empty() {
        return Err(Refused::UnknownOrganization);
    }
    let candidates: Vec<&Connection> = connections
        .iter()
        .filter(|one| one.provider == provider.slug())
        .collect();
    if candidates.is_empty() {
        return Err(Refused::NoConnection);
    }
    check_form(provider.capabilities(), &request)?;
    let request = read_whole(request, &desk.settings).await?;
    let received_at = Timestamp::from(SystemTime::now());
    let connection = verify(
        provider,
        &candidates,
        &request,
        &desk.public_urls,
        received_at,
    )?;
    let callback = Callback {
        organization_id: organization.clone(),
        connection_id: connection.id.clone(),
        provider: connection.provider.clone(),
        received_at,
        method: request.method().as_str().to_owned(),
        target: request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .to_owned(),
        content_type: content_type(request.headers()).to_owned(),
        body: request.into_body().into(),
    };
    Ok(desk.groups.hand_over(kind, callback).await?)
}

fn check_form(capabilities: &'static Capabilities, request: &Request) -> Result<(), Refused> {
    let allowed = capabilities.callback_methods;
    if !allowed.contains(&request.method().as_str()) {
        return Err(Refused::WrongMethod { allowed });
    }
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(Refused::Compressed);
    }
    // A GET has its parameters in the query, and no content to have a type.
    let has_body = request.method() != axum::http::Method::GET;
    let essence = content_type(request.headers())
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let known = capabilities.callback_content_types;
    if has_body
        && !known
            .iter()
            .any(|known| known.eq_ignore_ascii_case(essence))
    {
        return Err(Refused::WrongType);
    }
    Ok(())
}

/// The content type as it came; empty where there is none or it is not text.
fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

async fn read_whole(
    request: Request,
    settings: &Settings,
) -> Result<axum::http::Request<Bytes>, Refused> {
    let max = settings.body_bytes_max;
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > max as u64) {
        return Err(Refused::TooLarge { max });
    }
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(settings.body_timeout, Limited::new(body, max).collect())
        .await
        .map_err(|_| Refused::TooSlow(settings.body_timeout))?
        .map_err(|why| match why.downcast_ref::<LengthLimitError>() {
            Some(_) => Refused::TooLarge { max },
            None => Refused::Broken,
        })?;
    Ok(axum::http::Request::from_parts(head, body.to_bytes()))
}

/// The connection whose secret proves where `callback` comes from. Which of several refusals is
/// told makes no difference to the sender; the one that says most is best for the log.
fn verify<'c>(
    provider: &'static dyn Provider,
    candidates: &[&'c Connection],
    callback: &axum::http::Request<Bytes>,
    public_urls: &[String],
    now: Timestamp,
) -> Result<&'c Connection, CallbackRefused> {
    let mut refused = None;
    for connection in candidates {
        match provider.verify_callback(connection, callback, public_urls, now) {
            Ok(_) => return Ok(connection),
            Err(why @ CallbackRefused::BadSignature { .. }) => refused = refused.or(Some(why)),
            Err(why) => refused = Some(why),
        }
    }
    Err(refused.unwrap_or(CallbackRefused::UnknownScheme {
        why: "no connection to check with",
    }))
}

async fn unknown_path(State(desk): State<Arc<Desk>>, request: Request) -> Response<Body> {
    let path = request.uri().path();
    let meant = paths::meant(path);
    let near_miss = if meant.is_some() { "true" } else { "false" };
    desk.metrics
        .unknown_paths
        .with_label_values(&[near_miss])
        .inc();
    if let Some(meant) = meant
        && let Some(held_back) = desk.lines.line(Instant::now())
    {
        let path = paths::printable(path);
        tracing::warn!(
            path,
            meant,
            held_back,
            "callback for a path that does not exist: mistyped or translated?"
        );
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn answer(answer: CallbackAnswer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::NO_CONTENT);
    if !answer.content_type.is_empty() {
        let content_type = axum::http::HeaderValue::from_static(answer.content_type);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
    }
    response
}
