//! One callback, from its headers to its answer.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use message::Timestamp;
use providers::{CallbackAnswer, Provider};
use tokio::sync::Semaphore;

use crate::{
    IngressMetrics, Settings,
    body::Bodies,
    candidates::{Candidate, candidates, keep_fitting, verify},
    connections::Connections,
    groups::Groups,
    log_budget::LogBudget,
    metrics,
    nonces::Nonces,
    paths,
    place::Place,
    refused::Refused,
    written::Written,
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

/// The answer to a request, whatever it is.
pub(crate) async fn receive(desk: &Desk, request: Request<Incoming>) -> Response<Full<Bytes>> {
    // What is said about a path may be said after the request is gone.
    let uri = request.uri().clone();
    let Some(place) = Place::of(uri.path()) else {
        return unknown_path(desk, uri.path());
    };
    let kind = place.kind;
    let started = Instant::now();
    let in_flight = InFlight::count(&desk.metrics);
    let taken = take(desk, &place, request).await;
    drop(in_flight);

    // Whose it is, if that is proven; else whose the path says it is.
    let provider = taken
        .as_ref()
        .map_or(place.provider, |taken| taken.provider);
    let outcome = match &taken {
        Ok(Taken { again: false, .. }) => metrics::TAKEN,
        Ok(Taken { again: true, .. }) => "taken_before",
        Err(refused) => refused.outcome(),
    };
    desk.metrics.count(provider, kind, outcome);
    match taken {
        Ok(_) => {
            desk.metrics
                .observe(provider, kind, started.elapsed().as_secs_f64());
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
async fn take(
    desk: &Desk,
    place: &Place<'_>,
    request: Request<Incoming>,
) -> Result<Taken, Refused> {
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
    let callback = Written {
        organization_id: organization.as_str(),
        connection_id: connection.id.as_str(),
        provider: &connection.provider,
        received_at,
        method: request.method().as_str(),
        target: request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str()),
        content_type: content_type(request.headers()),
        body: request.body(),
    };
    desk.groups.hand_over(place.kind, &callback).await?;
    // Only now: what was not taken has to be taken when it comes again.
    if let Some(name) = nonce {
        desk.nonces.take(organization, name).await;
    }
    let again = false;
    Ok(Taken { provider, again })
}

/// A signature is over the bytes as they came, and those that come compressed expand without limit.
fn check_encoding(request: &Request<Incoming>) -> Result<(), Refused> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    match encoding {
        Some(encoding) if encoding != "identity" => Err(Refused::Compressed),
        _ => Ok(()),
    }
}

fn has_body(request: &Request<Incoming>) -> bool {
    !request.body().is_end_stream()
}

/// The content type as it came; empty where there is none or it is not text.
fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn unknown_path(desk: &Desk, path: &str) -> Response<Full<Bytes>> {
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
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn answer(answer: CallbackAnswer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::NO_CONTENT);
    if !answer.content_type.is_empty() {
        let content_type = HeaderValue::from_static(answer.content_type);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
    }
    response
}
