//! The routes, one resource a file.

mod batches;
mod cancel;
mod connections;
mod dead_letters;
mod distributions;
mod hosts;
mod limits;
mod messages;
mod opt_outs;
mod organizations;
mod providers;

use std::{sync::Arc, time::SystemTime};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{delete, get, post},
};
use bus::{Outgoing, Route, Topic};
use message::Timestamp;

use crate::{App, answer::ApiError, guard::guard};

/// All routes behind the guard.
pub(crate) fn router(app: Arc<App>) -> Router {
    let batch_limit = DefaultBodyLimit::max(app.settings.batch_bytes_max);
    Router::new()
        .route("/v1/batches", post(batches::hand_over).layer(batch_limit))
        .route("/v1/batches/{batch_id}", get(batches::one))
        .route("/v1/refused-batches", get(batches::refused))
        .route("/v1/distributions", get(distributions::list))
        .route("/v1/distributions/{id}", get(distributions::one))
        .route("/v1/distributions/{id}/pause", post(distributions::pause))
        .route("/v1/distributions/{id}/resume", post(distributions::resume))
        .route("/v1/distributions/{id}/cancel", post(cancel::cancel))
        .route("/v1/distributions/{id}/messages", get(messages::list))
        .route(
            "/v1/opt-outs/{number}",
            get(opt_outs::look_up)
                .put(opt_outs::opt_out)
                .delete(opt_outs::opt_in),
        )
        .route(
            "/v1/connections",
            get(connections::list).post(connections::add),
        )
        .route("/v1/connections/{id}", delete(connections::remove))
        .route(
            "/v1/connections/{id}/limit",
            get(limits::show).put(limits::set),
        )
        .route("/v1/providers", get(providers::list))
        .route(
            "/v1/organizations/{id}",
            get(organizations::show).put(organizations::set),
        )
        .route("/v1/dead-letters", get(dead_letters::list))
        .route("/v1/dead-letters/redrive", post(dead_letters::redrive))
        .fallback(async || ApiError::not_found("unknown_route", "there is no such route"))
        .method_not_allowed_fallback(async || {
            ApiError::new(
                axum::http::StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this route has other methods",
            )
        })
        .layer(DefaultBodyLimit::max(app.settings.body_bytes_max))
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Tells workers that the list of queues changed. They look every second anyway.
async fn nudge(app: &App) {
    let route = Route::Topic(Topic::Control, "queues".to_owned());
    if let Err(error) = app
        .bus
        .publish(vec![Outgoing::new(route, "queues", "{}")])
        .await
    {
        tracing::debug!("nudge not published: {error}");
    }
}
