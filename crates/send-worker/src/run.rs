//! One chunk from its delivery to its ack.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use backing::dead_letter;
use bus::{Delivery, Outgoing, RetryTier, Route, SendQueue, queue};
use ledger::QueueEntry;
use message::{
    Chunk, Connection, Timestamp,
    chunk::{CHUNK_VERSION, ChunkRow, QUEUED_AT},
    template::Template,
};
use providers::{Prepared, Provider, Unsendable};
use tokio::time::Instant;

use crate::{Shared, group::Leftover, metrics::ProviderMetrics, patience::until_done, tell};

/// This service in the headers of its dead letters.
const STAGE: &str = "send-worker";

/// A chunk that was read and can be sent.
pub(crate) struct Open {
    /// What it says, without its rows.
    pub(crate) chunk: Chunk,
    pub(crate) template: Template,
    pub(crate) connection: Arc<Connection>,
    pub(crate) provider: &'static dyn Provider,
    /// Its requests, ready but for their messages; or why the connection can make none.
    pub(crate) requests: Result<Box<dyn Prepared>, Unsendable>,
    pub(crate) metrics: ProviderMetrics,
    /// Names this delivery in its claims.
    pub(crate) token: u32,
    pub(crate) redelivered: bool,
    /// When it was first put into its queue; nothing if it came back.
    pub(crate) queued_at: Option<Timestamp>,
    /// The queue it came from.
    pub(crate) queue: String,
}

impl Open {
    /// Rows that one request carries.
    pub(crate) fn messages_per_request(&self) -> usize {
        let provider = self.provider.messages_per_request(&self.connection);
        provider.max(1)
    }
}

/// Rows of a chunk that wait to be launched: all of them at first, later those that a provider was
/// too busy for.
pub(crate) struct Run {
    pub(crate) open: Arc<Open>,
    /// Rows not launched yet, the next one last.
    pub(crate) waiting: Vec<ChunkRow>,
    /// When what is left is handed back.
    pub(crate) hold_until: Instant,
    pub(crate) hold: Hold,
}

/// A share in an unacked delivery. It ends with the last share.
#[derive(Clone)]
pub(crate) struct Hold(Arc<Held>);

struct Held {
    delivery: Delivery,
    leftover: Mutex<Leftover>,
}

impl Hold {
    fn new(delivery: Delivery) -> Self {
        Self(Arc::new(Held {
            delivery,
            leftover: Mutex::default(),
        }))
    }

    /// Gives the share back with what is left to do for its rows. Whoever gives the last one back
    /// sends on what travels again, and acks.
    pub(crate) async fn give_back(self, shared: &Shared, open: &Open, leftover: Leftover) {
        {
            let mut all = self
                .0
                .leftover
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            all.again.extend(leftover.again);
            all.dead.extend(leftover.dead);
            all.given_up |= leftover.given_up;
        }
        let Some(held) = Arc::into_inner(self.0) else {
            return;
        };
        let leftover = held
            .leftover
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut onward = onward(open, leftover.again);
        onward.extend(dead(open, leftover.dead));
        shared.publish(onward).await;
        let end = if leftover.given_up {
            "given_back"
        } else {
            "done"
        };
        shared.metrics.chunks.with_label_values(&[end]).inc();
        if leftover.given_up {
            // Dropped unacked: it comes back, and the claims of what is done make that part inert.
            drop(held.delivery);
        } else {
            held.delivery.ack().await;
        }
    }
}

/// A row that travels again.
#[derive(Debug)]
pub(crate) struct Again {
    row: ChunkRow,
    counted: bool,
    tier: RetryTier,
}

impl Again {
    /// After an attempt that counted.
    pub(crate) fn next_attempt(row: ChunkRow, tier: RetryTier) -> Self {
        Self {
            row,
            counted: true,
            tier,
        }
    }

    /// As if it had never been tried.
    pub(crate) fn same_attempt(row: ChunkRow, tier: RetryTier) -> Self {
        Self {
            row,
            counted: false,
            tier,
        }
    }
}

/// Why a chunk can not be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Poison {
    Malformed,
    Version,
    Template,
    UnknownProvider,
}

impl Poison {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "unknown_version",
            Self::Template => "template",
            Self::UnknownProvider => "unknown_provider",
        }
    }
}

impl Run {
    /// Reads a delivery; gives it back with the reason if that is impossible.
    pub(crate) fn open(
        delivery: Delivery,
        queue: String,
        connection: Arc<Connection>,
        hold_until: Instant,
        shared: &Shared,
    ) -> Result<Self, (Delivery, Poison)> {
        let read = || {
            let mut chunk: Chunk =
                serde_json::from_slice(&delivery.body).map_err(|_| Poison::Malformed)?;
            if chunk.v > CHUNK_VERSION {
                return Err(Poison::Version);
            }
            let template = Template::compile(&chunk.text).map_err(|_| Poison::Template)?;
            let provider =
                providers::provider(&connection.provider).ok_or(Poison::UnknownProvider)?;
            let mut waiting = std::mem::take(&mut chunk.rows);
            waiting.reverse();
            let token = fastrand::u32(1..);
            let queued_at = delivery.header(QUEUED_AT).and_then(|at| at.parse().ok());
            let queued_at = queued_at.map(Timestamp::from_millis);
            let requests = provider.prepare(&connection, &shared.public_url);
            let metrics = ProviderMetrics::new(&shared.metrics, provider.slug());
            let open = Open {
                chunk,
                template,
                connection,
                provider,
                requests,
                metrics,
                token,
                redelivered: delivery.redelivered,
                queued_at,
                queue,
            };
            Ok((Arc::new(open), waiting))
        };
        match read() {
            Ok((open, waiting)) => Ok(Self {
                open,
                waiting,
                hold_until,
                hold: Hold::new(delivery),
            }),
            Err(poison) => Err((delivery, poison)),
        }
    }

    /// Gives the share back: rows that were never launched are handed back over `rest`, or, without
    /// one, come back with the whole chunk.
    pub(crate) async fn finish(self, shared: Arc<Shared>, rest: Option<RetryTier>) {
        let mut leftover = Leftover::default();
        match rest {
            Some(tier) => leftover.again.extend(
                self.waiting
                    .into_iter()
                    .rev()
                    .map(|row| Again::same_attempt(row, tier)),
            ),
            None => leftover.given_up = !self.waiting.is_empty(),
        }
        self.hold.give_back(&shared, &self.open, leftover).await;
    }

    /// Moves the chunk to the queue of another connection of its organisation.
    pub(crate) async fn reroute(self, shared: Arc<Shared>, to: Connection) {
        let Self {
            open,
            mut waiting,
            hold,
            ..
        } = self;
        waiting.reverse();
        let chunk = Chunk {
            connection_id: to.id,
            rows: waiting,
            ..open.chunk.clone()
        };
        let queue = SendQueue {
            organization_id: chunk.organization_id.clone(),
            connection_id: chunk.connection_id.clone(),
            distribution_id: chunk.distribution_id.clone(),
            class: chunk.class,
        };
        let entry = QueueEntry {
            name: queue.name(),
            organization_id: queue.organization_id.clone(),
            distribution_id: queue.distribution_id.clone(),
            connection_id: queue.connection_id.clone(),
            class: queue.class,
            // Retries may come back a while after the last message is not worth sending any more.
            expires_at: chunk.expires_at.plus(RetryTier::H1.delay() * 2),
            weight: None,
        };
        let moved = Outgoing::new(
            Route::Queue(queue.name()),
            hold.0.delivery.message_id.clone(),
            tell::body(&chunk),
        );
        let move_once = || async {
            let declared = shared
                .bus
                .declare_send_queue(&queue)
                .await
                .map_err(|error| error.to_string())?;
            shared
                .ledger
                .open_queue(&entry)
                .await
                .map_err(|error| error.to_string())?;
            shared
                .bus
                .publish(vec![moved.clone()])
                .await
                .map_err(|error| error.to_string())?;
            Ok::<_, String>(declared.settles_in)
        };
        let settles_in = until_done("reroute", &shared.metrics.publish_errors, move_once).await;
        // A young queue does not keep what it confirms: until it does, this delivery stands for it.
        tokio::time::sleep(settles_in).await;
        shared.metrics.chunks.with_label_values(&["rerouted"]).inc();
        // Nothing of it was launched, so this is the only share.
        if let Some(held) = Arc::into_inner(hold.0) {
            held.delivery.ack().await;
        }
    }
}

/// A chunk per tier and attempt.
fn onward(open: &Open, again: Vec<Again>) -> Vec<Outgoing> {
    let mut by_way = BTreeMap::<(RetryTier, u8), Vec<ChunkRow>>::new();
    for Again { row, counted, tier } in again {
        let attempt = open.chunk.attempt.saturating_add(u8::from(counted));
        by_way.entry((tier, attempt)).or_default().push(row);
    }
    by_way
        .into_iter()
        .map(|((tier, attempt), rows)| {
            let (id, body) = tell::chunk(&open.chunk, rows, attempt);
            Outgoing::new(
                Route::Delayed {
                    queue: open.queue.clone(),
                    tier,
                },
                id,
                body,
            )
        })
        .collect()
}

/// A dead letter per reason.
fn dead(open: &Open, rows: Vec<(ChunkRow, &'static str)>) -> Vec<Outgoing> {
    let mut by_reason = BTreeMap::<&'static str, Vec<ChunkRow>>::new();
    for (row, reason) in rows {
        by_reason.entry(reason).or_default().push(row);
    }
    by_reason
        .into_iter()
        .map(|(reason, rows)| {
            let (id, body) = tell::chunk(&open.chunk, rows, 1);
            let letter = Outgoing::new(Route::Dead, id, body);
            dead_letter(letter, reason, STAGE, open.queue.as_str())
        })
        .collect()
}

impl Shared {
    /// Publishes until confirmed: what is settled must be told before its chunk is acked.
    pub(crate) async fn publish(&self, messages: Vec<Outgoing>) {
        if messages.is_empty() {
            return;
        }
        let errors = &self.metrics.publish_errors;
        until_done("publish", errors, || self.bus.publish(messages.clone())).await;
    }

    /// Moves a delivery that nobody can work on to the dead-letter queue.
    pub(crate) async fn bury(&self, delivery: Delivery, reason: &str, from: &str) {
        tracing::error!(
            queue = from,
            message_id = delivery.message_id,
            reason,
            "dead letter to {}",
            queue::DEAD
        );
        self.metrics.chunks.with_label_values(&["dead"]).inc();
        let letter = Outgoing::new(Route::Dead, &delivery.message_id, delivery.body.clone());
        self.publish(vec![dead_letter(letter, reason, STAGE, from)])
            .await;
        delivery.ack().await;
    }
}
