//! Dead letters: looked at without taking them, and put back where they came from.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Query, State, rejection::BytesRejection},
};
use bus::{BusError, Delivery, Outgoing, Route, queue};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    App,
    answer::{ApiError, json},
    audit::{Action, audit},
    paging::{LIMIT_MAX, Page, PageQuery},
    tokens::Caller,
};

/// A dead letter without its body, which may hold numbers and texts.
#[derive(Serialize)]
pub(super) struct DeadLetterView {
    message_id: String,
    reason: Option<String>,
    stage: Option<String>,
    version: Option<String>,
    /// Where it came from; without it, it can not be redriven.
    queue: Option<String>,
    bytes: usize,
}

/// The first ones in the queue. There are no further pages: the queue is looked at, not stored.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<DeadLetterView>>, ApiError> {
    caller.operates_the_fleet()?;
    // Dropped unacked at the end: all of them go back.
    let held = take(&app, query.limit()?).await?;
    Ok(Json(Page::whole(held.iter().map(view).collect())))
}

fn view(delivery: &Delivery) -> DeadLetterView {
    let header = |name| delivery.header(name).map(str::to_owned);
    DeadLetterView {
        message_id: delivery.message_id.clone(),
        reason: header("reason"),
        stage: header("stage"),
        version: header("version"),
        queue: header("queue"),
        bytes: delivery.body.len(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redrive {
    /// How many at most.
    limit: usize,
    /// Only those that died of this.
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Redriven {
    redriven: usize,
    /// Looked at and left: their queue is not named, or gone.
    without_queue: usize,
}

/// Held at once while looking for those that died of one reason.
const LOOKED_AT_MAX: usize = 1_000;

pub(super) async fn redrive(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Redriven>, ApiError> {
    caller.operates_the_fleet()?;
    let Redrive { limit, reason } = json(body)?;
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::invalid(
            "limit",
            format!("expected 1 to {LIMIT_MAX}"),
        ));
    }
    // All are taken before the first goes back, so that one that dies again is not met twice.
    let looked_at = if reason.is_some() {
        LOOKED_AT_MAX
    } else {
        limit
    };
    let held = take(&app, looked_at).await?;
    let chosen: Vec<Delivery> = held
        .into_iter()
        .filter(|letter| reason.is_none() || letter.header("reason") == reason.as_deref())
        .take(limit)
        .collect();
    let mut done = Redriven {
        redriven: 0,
        without_queue: 0,
    };
    for letter in chosen {
        if put_back(&app, &letter).await? {
            letter.ack().await;
            done.redriven += 1;
            app.metrics.redriven.inc();
        } else {
            done.without_queue += 1;
        }
    }
    let what = format!(
        "{} of reason {}",
        done.redriven,
        reason.as_deref().unwrap_or("any")
    );
    audit(&caller, Action::Redrive, None, &what);
    Ok(Json(done))
}

/// Confirmed before the letter is acked: a crash in between leaves two copies, and whoever consumes
/// them is used to that.
async fn put_back(app: &App, letter: &Delivery) -> Result<bool, ApiError> {
    let Some(queue) = letter.header("queue").filter(|name| is_ours(name)) else {
        return Ok(false);
    };
    let outgoing = Outgoing::new(
        Route::Queue(queue.to_owned()),
        letter.message_id.clone(),
        letter.body.clone(),
    );
    match app.bus.publish(vec![outgoing]).await {
        Ok(()) => Ok(true),
        Err(BusError::Unroutable(_) | BusError::NoSuchQueue(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A queue that services consume; not the dead queue itself, and nobody else's.
fn is_ours(name: &str) -> bool {
    name.starts_with("sms.send.") || queue::ALL.contains(&name) && name != queue::DEAD
}

async fn take(app: &App, most: usize) -> Result<Vec<Delivery>, ApiError> {
    let mut held = Vec::new();
    while held.len() < most
        && let Some(letter) = app.bus.get(queue::DEAD).await?
    {
        held.push(letter);
    }
    Ok(held)
}
