//! Dead letters: looked at without taking them, and put back where they came from.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Query, State, rejection::BytesRejection},
};
use bus::{BusError, Delivery, Outgoing, RetryTier, Route, SendQueue, queue};
use bytes::Bytes;
use ledger::QueueEntry;
use message::{Chunk, MessageState};
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
    /// Looked at and left: chunks of which no message may be sent again, because all are decided.
    decided: usize,
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
        decided: 0,
    };
    for letter in chosen {
        match put_back(&app, &letter).await? {
            Fate::Redriven => {
                letter.ack().await;
                done.redriven += 1;
                app.metrics.redriven.inc();
            }
            Fate::WithoutQueue => done.without_queue += 1,
            Fate::Decided => done.decided += 1,
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

/// What became of a letter that was to be put back.
enum Fate {
    Redriven,
    WithoutQueue,
    Decided,
}

/// Confirmed before the letter is acked: a crash in between leaves two copies, and whoever consumes
/// them is used to that.
async fn put_back(app: &App, letter: &Delivery) -> Result<Fate, ApiError> {
    let Some(queue) = letter.header("queue").filter(|name| is_ours(name)) else {
        return Ok(Fate::WithoutQueue);
    };
    let mut queue = queue.to_owned();
    if queue.starts_with(SEND)
        && let Ok(chunk) = serde_json::from_slice::<Chunk>(&letter.body)
    {
        if !reopen(app, &chunk).await? {
            return Ok(Fate::Decided);
        }
        queue = SendQueue::of(&chunk).name();
    }
    let outgoing = Outgoing::new(
        Route::Queue(queue),
        letter.message_id.clone(),
        letter.body.clone(),
    );
    match app.bus.publish(vec![outgoing]).await {
        Ok(()) => Ok(Fate::Redriven),
        Err(BusError::Unroutable(_) | BusError::NoSuchQueue(_)) => Ok(Fate::WithoutQueue),
        Err(error) => Err(error.into()),
    }
}

/// Lets the rows of a chunk that was given up wait again, and makes sure that somebody consumes
/// its queue, which may have been removed when nothing was left in it. `false` if no row waits.
async fn reopen(app: &App, chunk: &Chunk) -> Result<bool, ApiError> {
    let rows: Vec<u32> = chunk.rows.iter().map(|row| row.row).collect();
    let now = std::time::SystemTime::now().into();
    let reopened = app.ledger.reopen(chunk.batch, &rows, now).await?;
    let mut waits = !reopened.is_empty();
    if !waits {
        // Reopened by a call whose answer was lost, or never decided: a poison chunk.
        for row in &chunk.rows {
            let found = app.ledger.rows(chunk.batch, row.row, 1).await?;
            waits |= found
                .iter()
                .any(|known| known.row == row.row && known.state == MessageState::Queued);
        }
    }
    if waits {
        let queue = SendQueue::of(chunk);
        app.bus.declare_send_queue(&queue).await?;
        let entry = QueueEntry {
            name: queue.name(),
            organization_id: queue.organization_id,
            distribution_id: queue.distribution_id,
            connection_id: queue.connection_id,
            class: queue.class,
            // Retries may come back a while after the last message is not worth sending any more.
            expires_at: chunk.expires_at.plus(RetryTier::H1.delay() * 2),
            weight: None,
        };
        app.ledger.open_queue(&entry).await?;
    }
    Ok(waits)
}

const SEND: &str = "sms.send.";

/// A queue that services consume; not the dead queue itself, and nobody else's.
fn is_ours(name: &str) -> bool {
    name.starts_with(SEND) || queue::ALL.contains(&name) && name != queue::DEAD
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
