//! One connection: turns between its queues, its limit, and the launch of groups. Only one chunk at
//! a time takes tokens; the answers of earlier groups are awaited beside it.

use std::{sync::Arc, time::Duration};

use bus::RetryTier;
use message::{Connection, ConnectionId, chunk::ChunkRow};
use providers::REQUESTS_IN_FLIGHT;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Shared,
    gate::Gate,
    group::{Group, now},
    in_flight::Slots,
    pacing::Pacing,
    roster::Listed,
    run::Run,
    turns::{Turn, Turns},
};

/// How long the lane waits for tokens before it looks up: for express, a stop, a new list.
const LOOK_UP: Duration = Duration::from_millis(250);

/// What is claimed together is due within this time: a connection that sends 1,000 a second has its
/// claims in groups of 100.
const AHEAD: Duration = Duration::from_millis(100);

/// What of it could not be let go by then is released: its limit was narrowed.
const LET_GO_WITHIN: Duration = Duration::from_millis(500);

/// Places that every connection has.
const PLACES_MIN: usize = 128;

pub(crate) struct Lane {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    queues: watch::Receiver<Listed>,
    turns: Turns,
    pacing: Pacing,
    /// Bounds the requests that wait for an answer.
    slots: Slots,
    /// Bounds the requests whose rows are claimed: more than the slots, so that the next ones are
    /// claimed while those before them are under way.
    places: Arc<Semaphore>,
    places_max: usize,
    /// Rows that a provider was too busy for come back here.
    returned: mpsc::UnboundedReceiver<Run>,
    to_returned: mpsc::UnboundedSender<Run>,
    running: TaskTracker,
}

impl Lane {
    /// Serves the connection's queues until `stop` or until the list is given up; then waits for
    /// what it launched.
    pub(crate) async fn serve(
        shared: Arc<Shared>,
        id: ConnectionId,
        queues: watch::Receiver<Listed>,
        stop: CancellationToken,
    ) {
        let Some(connection) = connection_of(&shared, &id, &stop).await else {
            return;
        };
        let rate = connection.segments_per_second;
        let most = shared.settings.requests_in_flight_max.max(1);
        let (to_returned, returned) = mpsc::unbounded_channel();
        let mut lane = Self {
            turns: Turns::new(shared.clone(), rate),
            pacing: Pacing::new(&shared.limits, &connection),
            slots: Slots::new(requests_in_flight(&connection).min(most), most),
            places: Arc::new(Semaphore::new(0)),
            places_max: 0,
            returned,
            to_returned,
            running: TaskTracker::new(),
            shared,
            connection,
            queues,
        };
        let listed = lane.queues.borrow_and_update().clone();
        lane.turns.set_queues(&listed);
        lane.take_turns(&stop).await;
        drop(lane.turns);
        // Nobody takes rows back any more; what is in there comes back with its chunk.
        lane.returned.close();
        while let Some(run) = lane.returned.recv().await {
            lane.running.spawn(run.finish(lane.shared.clone(), None));
        }
        lane.running.close();
        lane.running.wait().await;
    }

    async fn take_turns(&mut self, stop: &CancellationToken) {
        let mut current: Option<Run> = None;
        let mut tidied = Instant::now();
        loop {
            if stop.is_cancelled() {
                break;
            }
            match self.queues.has_changed() {
                Err(_) => break,
                Ok(true) => {
                    let listed = self.queues.borrow_and_update().clone();
                    self.turns.set_queues(&listed);
                }
                Ok(false) => {}
            }
            if tidied.elapsed() >= self.shared.settings.idle_queue_after {
                tidied = Instant::now();
                self.tidy(stop);
            }
            let express = self.turns.express();
            let mut run = match (express, current.take()) {
                (Some(turn), waiting) => {
                    // The bulk chunk goes on afterwards; an express one is launched whole.
                    current = waiting;
                    if let Some(run) = self.open(turn).await {
                        self.launch_all(run, stop).await;
                    }
                    continue;
                }
                (None, Some(run)) => run,
                (None, None) if !self.returned.is_empty() => match self.returned.recv().await {
                    Some(run) => run,
                    None => break,
                },
                (None, None) => {
                    let turn = tokio::select! {
                        biased;
                        () = stop.cancelled() => break,
                        Some(run) = self.returned.recv() => {
                            current = Some(run);
                            continue;
                        }
                        turn = self.turns.next() => turn,
                        _ = self.queues.changed() => {
                            self.queues.mark_changed();
                            continue;
                        }
                        () = tokio::time::sleep(self.shared.settings.idle_queue_after) => continue,
                    };
                    match self.open(turn).await {
                        Some(run) => run,
                        None => continue,
                    }
                }
            };
            self.launch(&mut run, stop).await;
            current = self.after_launch(run);
        }
        if let Some(run) = current {
            self.running.spawn(run.finish(self.shared.clone(), None));
        }
    }

    /// A chunk that is through, or held too long, finishes beside the lane; another goes on.
    fn after_launch(&mut self, run: Run) -> Option<Run> {
        let rest = if run.waiting.is_empty() {
            None
        } else if Instant::now() >= run.hold_until {
            self.turns.refund(&run.open.queue, segments(&run.waiting));
            Some(RetryTier::S30)
        } else {
            return Some(run);
        };
        self.running.spawn(run.finish(self.shared.clone(), rest));
        None
    }

    async fn launch_all(&mut self, mut run: Run, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.launch(&mut run, stop).await;
            match self.after_launch(run) {
                Some(more) => run = more,
                None => return,
            }
        }
        self.running.spawn(run.finish(self.shared.clone(), None));
    }

    async fn open(&mut self, turn: Turn) -> Option<Run> {
        let Turn { delivery, queue } = turn;
        // With the ledger away the claim will wait; what is known of the connection will do.
        let known = self
            .shared
            .connections
            .get(&self.connection.id)
            .await
            .ok()
            .flatten();
        let connection = known.unwrap_or_else(|| self.connection.clone());
        let hold_until = Instant::now() + self.shared.settings.hold_max;
        match Run::open(
            delivery,
            queue.clone(),
            connection,
            hold_until,
            &self.shared,
        ) {
            // What has expired is only settled as such; that needs no live connection.
            Ok(run) if !run.open.connection.is_active() && run.open.chunk.expires_at > now() => {
                self.send_elsewhere(run).await;
                None
            }
            Ok(run) => {
                self.turns.charge(&queue, segments(&run.waiting));
                Some(run)
            }
            Err((delivery, poison)) => {
                self.shared.bury(delivery, poison.reason(), &queue).await;
                None
            }
        }
    }

    /// The connection was deleted while messages waited: the organisation's first active one sends
    /// them. Without one they wait in a tier, where they cost nothing, until there is one.
    async fn send_elsewhere(&self, run: Run) {
        let owner = &self.connection.organization_id;
        let to = match self.shared.ledger.connections(owner).await {
            Ok(connections) => connections.into_iter().find(Connection::is_active),
            Err(error) => {
                tracing::warn!("connections of the organisation: {error}");
                None
            }
        };
        match to {
            Some(to) => {
                self.running.spawn(run.reroute(self.shared.clone(), to));
            }
            None => {
                tracing::error!(connection = %self.connection.id, queue = run.open.queue, "deleted connection still has messages and the organisation has no other");
                self.running
                    .spawn(run.finish(self.shared.clone(), Some(RetryTier::M5)));
            }
        }
    }

    /// Launches as many rows of `run` as there are places for and are due soon; none if no tokens came
    /// within [`LOOK_UP`]. The rows beyond those that may leave at once are claimed with them, and let
    /// go as their tokens come: a round trip for each portion would cost more than the sending.
    async fn launch(&mut self, run: &mut Run, stop: &CancellationToken) {
        let per_request = run.open.messages_per_request();
        let wanted = run.waiting.len().div_ceil(per_request);
        let Some(mut places) = self.acquire(wanted, stop).await else {
            return;
        };
        let room = (places.num_permits() * per_request).min(run.waiting.len());
        let candidates = &run.waiting[run.waiting.len() - room..];
        let least = segments(&candidates[room - 1..]);
        let until = (Instant::now() + LOOK_UP).min(run.hold_until);
        let granted = match self.pacing.take(least, segments(candidates), until).await {
            Ok(granted) => granted,
            Err(error) => {
                // No limit, no sending: it fails closed.
                self.shared.metrics.ledger_errors.inc();
                tracing::warn!("lease: {error}");
                tokio::time::sleep(LOOK_UP).await;
                return;
            }
        };
        let mut left = granted;
        let mut rows = Vec::with_capacity(room);
        while let Some(row) = run
            .waiting
            .pop_if(|row| rows.len() < room && u32::from(row.segments.max(1)) <= left)
        {
            left -= u32::from(row.segments.max(1));
            rows.push(row);
        }
        self.pacing.give_back(left);
        if rows.is_empty() {
            return;
        }
        let free = granted - left;
        let (ahead, mut owed) = (self.pacing.due_within(AHEAD), 0);
        while let Some(row) = run.waiting.pop_if(|row| {
            rows.len() < room && free + owed + u32::from(row.segments.max(1)) <= ahead
        }) {
            owed += u32::from(row.segments.max(1));
            rows.push(row);
        }
        // Places beyond what is launched go back at once.
        let used = rows.len().div_ceil(per_request);
        if let Some(spare) = places
            .num_permits()
            .checked_sub(used)
            .filter(|spare| *spare > 0)
        {
            drop(places.split(spare));
        }
        let gate = Gate::open_for(free);
        let group = Group {
            shared: self.shared.clone(),
            gate: gate.clone(),
            open: run.open.clone(),
            limits: self.pacing.limits().clone(),
            rows,
            hold_until: run.hold_until,
            hold: run.hold.clone(),
            slots: self.slots.clone(),
            lane: self.to_returned.clone(),
        };
        self.running.spawn(group.run(places, stop.clone()));
        if owed > 0 && !self.let_go(&gate, owed, stop).await {
            // What was not let go is released and comes back. A gate that is closed too early also
            // stops those whose tokens have come and who have not noticed yet.
            gate.close();
        }
    }

    /// Lets go the rest of a group, as tokens for it come; whether all of it.
    async fn let_go(&mut self, gate: &Gate, mut owed: u32, stop: &CancellationToken) -> bool {
        // Tokens must not gather while the claim is under way, or they would all be spent at once.
        tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            () = gate.claimed() => {}
        }
        let until = Instant::now() + LET_GO_WITHIN;
        while owed > 0 && !gate.is_closed() && !stop.is_cancelled() {
            match self.pacing.take(1, owed, until).await {
                Ok(0) => return false,
                Ok(granted) => {
                    gate.let_go(granted);
                    owed -= granted.min(owed);
                }
                Err(error) => {
                    self.shared.metrics.ledger_errors.inc();
                    tracing::warn!("lease: {error}");
                    return false;
                }
            }
        }
        owed == 0
    }

    /// Half of all places or what is wanted, whichever is less; then what else is free. Waiting for
    /// single places would make groups of one row, each with a round trip of its own.
    async fn acquire(
        &mut self,
        wanted: usize,
        stop: &CancellationToken,
    ) -> Option<OwnedSemaphorePermit> {
        self.follow_slots();
        let least = wanted.min(self.places_max.div_ceil(2)).max(1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut places = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            places = self.places.clone().acquire_many_owned(count(least)) => places.ok()?,
        };
        let more = wanted
            .saturating_sub(least)
            .min(self.places.available_permits());
        if let Ok(extra) = self.places.clone().try_acquire_many_owned(count(more)) {
            places.merge(extra);
        }
        Some(places)
    }

    /// As many places as the requests in flight call for now.
    fn follow_slots(&mut self) {
        let wanted = (self.slots.limit() * 2).max(PLACES_MIN);
        if wanted > self.places_max {
            self.places.add_permits(wanted - self.places_max);
            self.places_max = wanted;
        } else {
            // Those that are taken go next time.
            self.places_max -= self.places.forget_permits(self.places_max - wanted);
        }
    }

    /// Looks, beside the lane, whether silent queues have nothing left to wait for.
    fn tidy(&mut self, stop: &CancellationToken) {
        let (silent, shared) = (self.turns.silent(), self.shared.clone());
        let stop = stop.clone();
        // One after the other: nobody waits for it, and there may be thousands.
        self.running.spawn(async move {
            for entry in silent {
                if stop.is_cancelled() {
                    return;
                }
                if let Err(error) = crate::roster::remove_if_done(&shared, &entry).await {
                    tracing::warn!(
                        queue = entry.name,
                        "looking whether the queue can go: {error}"
                    );
                }
            }
        });
    }
}

/// Requests in flight at first: what the administrator said, else what the provider's page suggests.
fn requests_in_flight(connection: &Connection) -> usize {
    let said = connection.field(REQUESTS_IN_FLIGHT.key).parse();
    let suggested = || {
        let provider = providers::provider(&connection.provider);
        provider.map_or(1, |provider| provider.capabilities().requests_in_flight)
    };
    said.unwrap_or_else(|_| suggested())
}

/// What rows count in the limit and in the turns.
pub(crate) fn segments(rows: &[ChunkRow]) -> u32 {
    rows.iter().map(|row| u32::from(row.segments.max(1))).sum()
}

/// The connection of a lane; waits for the ledger.
async fn connection_of(
    shared: &Shared,
    id: &ConnectionId,
    stop: &CancellationToken,
) -> Option<Arc<Connection>> {
    let errors = &shared.metrics.ledger_errors;
    let found = crate::patience::until_ok("look up connection", errors, stop, || {
        shared.connections.get(id)
    })
    .await?;
    if found.is_none() {
        tracing::error!(connection = %id, "queues of a connection that the ledger does not know");
    }
    found
}
