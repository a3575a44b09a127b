//! One callback, from its headers to its answer.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, Response, StatusCode, header},
    routing::any,
};
use message::{OrganizationId, Timestamp, callback::Callback};
use providers::{CallbackAnswer, CallbackKind, Provider};
use tokio::sync::Semaphore;

use crate::{
    IngressMetrics, Settings,
    body::Bodies,
    candidates::{Candidate, candidates, keep_fitting, path_provider, verify},
    connections::Connections,
    groups::Groups,
    log_budget::LogBudget,
    nonces::Nonces,
    paths,
    refused::Refused,
};

/// What every request needs.
pub(crate) struct Desk {
    pub(crate) settings: Settings,
    pub(crate) public_urls: Vec<String>,
    pub(crate) connections: Connections,
    pub(crate) groups: Groups,
    pub(crate) bodies: Bodies,
    pub(crate) nonces: Nonces,
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
        let place = Place {
            kind,
            provider: path_provider(&slug)?,
            organization: OrganizationId::new(&organization).ok()?,
            slug,
        };
        Some(place)
    });
    let Some(place) = named else {
        return unknown_path(State(desk.clone()), request).await;
    };
    let started = Instant::now();
    let in_flight = InFlight::count(&desk.metrics);
    let taken = take(desk, &place, request).await;
    drop(in_flight);

    // Whose it is, if that is proven; else whose the path says it is.
    let provider = taken
        .as_ref()
        .map_or(place.provider, |taken| taken.provider);
    let outcome = match &taken {
        Ok(Taken { again: false, .. }) => "taken",
        Ok(Taken { again: true, .. }) => "taken_before",
        Err(refused) => refused.outcome(),
    };
    let labels = [provider.slug(), kind.as_str()];
    desk.metrics
        .callbacks
        .with_label_values(&[labels[0], labels[1], outcome])
        .inc();
    match taken {
        Ok(_) => {
            let seconds = desk.metrics.callback_seconds.with_label_values(&labels);
            seconds.observe(started.elapsed().as_secs_f64());
            answer(provider.callback_answer(kind))
        }
        Err(refused) => {
            let unproven = provider.capabilities().refused_callback;
            if let Some(held_back) = desk.lines.line(Instant::now()) {
                tracing::warn!(
                    organization = %place.organization, provider = provider.slug(), kind = kind.as_str(), outcome,
                    status = refused.status(unproven).as_u16(), held_back, "callback refused: {refused}"
                );
            }
            refused.answer(unproven, desk.settings.retry_after)
        }
    }
}

/// What the path says.
struct Place {
    kind: CallbackKind,
    /// Of the path, and only a hint: see [`candidates`].
    slug: String,
    provider: &'static dyn Provider,
    organization: OrganizationId,
}

/// A callback that was taken.
struct Taken {
    /// The provider that sent it.
    provider: &'static dyn Provider,
    /// It had been taken before: nothing was published.
    again: bool,
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
async fn take(desk: &Desk, place: &Place, request: Request) -> Result<Taken, Refused> {
    let _slot = desk.slots.try_acquire().map_err(|_| Refused::Overloaded)?;
    let organization = &place.organization;
    let connections = desk
        .connections
        .of(organization)
        .await
        .map_err(Refused::LedgerAway)?;
    let mut candidates = candidates(&connections, &place.slug);
    check_encoding(&request)?;
    if candidates.is_empty() {
        // Its form is looked at all the same: a difference would tell who exists.
        let capabilities = place.provider.capabilities();
        capabilities
            .check_callback(request.method(), request.headers(), has_body(&request))
            .map_err(Refused::of_form)?;
        return Err(match connections.is_empty() {
            true => Refused::UnknownOrganization,
            false => Refused::NoConnection,
        });
    }
    keep_fitting(
        &mut candidates,
        request.method(),
        request.headers(),
        has_body(&request),
    )?;
    let whole = desk.bodies.read(request).await?;
    let received_at = Timestamp::from(SystemTime::now());
    let urls = &desk.public_urls;
    let (candidate, verified) =
        verify(&candidates, &whole.request, urls, received_at).map_err(Refused::Unverified)?;
    let Candidate {
        connection,
        provider,
    } = candidate;
    let nonce = verified
        .nonce()
        .map(|nonce| Nonces::name(&connection.id, nonce));
    if let Some(name) = &nonce
        && desk.nonces.was_taken(organization, name).await
    {
        let again = true;
        return Ok(Taken { provider, again });
    }
    let request = &whole.request;
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
        body: request.body().to_vec(),
        pending: Vec::new(),
    };
    desk.groups.hand_over(place.kind, callback).await?;
    // Only now: what was not taken has to be taken when it comes again.
    if let Some(name) = nonce {
        desk.nonces.take(organization, name).await;
    }
    let again = false;
    Ok(Taken { provider, again })
}

/// A signature is over the bytes as they came, and those that come compressed expand without limit.
fn check_encoding(request: &Request) -> Result<(), Refused> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    match encoding {
        Some(encoding) if encoding != "identity" => Err(Refused::Compressed),
        _ => Ok(()),
    }
}

fn has_body(request: &Request) -> bool {
    !request.body().is_end_stream()
}

/// The content type as it came; empty where there is none or it is not text.
fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
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
