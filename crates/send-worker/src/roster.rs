//! Which queues exist and who serves them, learnt from the ledger: reconciled every second and on a
//! nudge, never guessed. One lane per connection that has queues and a [seat](seats) here.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use bus::{Consumer, SendQueue, Topic};
use futures_util::{FutureExt, StreamExt, stream};
use ledger::{DistributionState, LedgerError, QueueEntry, QueueList};
use message::{ConnectionId, MessageState, Timestamp};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Shared, lane::Lane, seats};

/// Nudges that come faster than this are heard together.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// The whole list is read again this often, so that nothing that went amiss stays so.
const WHOLE_EVERY: Duration = Duration::from_secs(60);

/// Connections looked up at once.
const LOOK_UPS_MAX: usize = 32;

/// What a lane serves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub(crate) queues: Vec<QueueEntry>,
    /// Workers that serve the connection.
    pub(crate) hands: usize,
}

pub(crate) struct Roster {
    shared: Arc<Shared>,
    /// This worker's name among the others.
    me: String,
    workers: Vec<String>,
    connections: HashMap<ConnectionId, Served>,
    /// Whose queue that is, for the news that one is gone.
    owners: HashMap<String, ConnectionId>,
    known_version: Option<u64>,
    whole_at: Instant,
    /// Queues that the metric counts for this roster.
    counted: i64,
    running: TaskTracker,
}

/// A connection that has queues.
#[derive(Default)]
struct Served {
    queues: BTreeMap<String, QueueEntry>,
    /// Nothing until its rate is known.
    seats: Option<usize>,
    /// If it has a seat here.
    lane: Option<watch::Sender<Listed>>,
}

impl Roster {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            me: shared.shard.worker(),
            shared,
            workers: Vec::new(),
            connections: HashMap::new(),
            owners: HashMap::new(),
            known_version: None,
            whole_at: Instant::now(),
            counted: 0,
            running: TaskTracker::new(),
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut nudges: Option<Consumer> = None;
        loop {
            let looked_at = Instant::now();
            if let Err(error) = self.look(&stop).await {
                self.shared.metrics.ledger_errors.inc();
                tracing::warn!("list of queues: {error}");
            }
            if nudges.is_none() {
                // Only a convenience: without it the list is looked at every second all the same.
                nudges = self.shared.bus.subscribe(Topic::Control, "#").await.ok();
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(looked_at + self.shared.settings.reconcile_every) => {}
                heard = nudge(&mut nudges) => {
                    if !heard {
                        nudges = None;
                    }
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = sleep_until(looked_at + LOOK_PAUSE) => {}
                    }
                }
            }
        }
        // So that others take over at once; without it they do when the lease ends.
        if let Err(error) = self.shared.ledger.leave(&self.me).await {
            tracing::warn!("could not tell the others that this worker goes: {error}");
        }
        // The lanes have heard `stop` themselves; dropping their lists ends those that have not.
        self.connections.clear();
        self.running.close();
        self.running.wait().await;
        self.count();
        Ok(())
    }

    /// One look: two short calls if nothing has changed.
    async fn look(&mut self, stop: &CancellationToken) -> Result<(), LedgerError> {
        let (ledger, settings) = (&self.shared.ledger, &self.shared.settings);
        let workers = ledger.attend(&self.me, settings.seat_lease).await?;
        if self.whole_at.elapsed() >= WHOLE_EVERY {
            self.known_version = None;
        }
        let list = ledger.queues(self.known_version).await?;
        let mut changed = match list {
            Some(list) => self.note(list),
            None => BTreeSet::new(),
        };
        changed.extend(self.learn_rates().await);
        if workers != self.workers {
            self.workers = workers;
            changed.extend(self.connections.keys().cloned());
        }
        for id in changed {
            self.serve(id, stop);
        }
        self.count();
        Ok(())
    }

    /// Enters the list; which connections it has changed.
    fn note(&mut self, list: QueueList) -> BTreeSet<ConnectionId> {
        let mut changed = BTreeSet::new();
        let mut gone = list.gone;
        if list.whole {
            self.whole_at = Instant::now();
            let names: BTreeSet<&str> =
                list.queues.iter().map(|(it, _)| it.name.as_str()).collect();
            let is_gone = |name: &&String| !names.contains(name.as_str());
            gone.extend(self.owners.keys().filter(is_gone).cloned());
            // Lanes that have ended by themselves are begun again.
            changed.extend(self.connections.iter().filter_map(|(id, served)| {
                let lane = served.lane.as_ref()?;
                lane.is_closed().then(|| id.clone())
            }));
        }
        for (entry, state) in list.queues {
            if !self.shared.shard.serves(&entry.connection_id) {
                continue;
            }
            if state != DistributionState::Active {
                gone.push(entry.name);
                continue;
            }
            let id = entry.connection_id.clone();
            // Each batch renews its queue's lease, which is the ledger's concern: no lane changes.
            let entry = QueueEntry {
                expires_at: Timestamp::from_millis(0),
                ..entry
            };
            let served = self.connections.entry(id.clone()).or_default();
            if served.queues.get(&entry.name) != Some(&entry) {
                self.owners.insert(entry.name.clone(), id.clone());
                served.queues.insert(entry.name.clone(), entry);
                changed.insert(id);
            }
        }
        for name in gone {
            let Some(id) = self.owners.remove(&name) else {
                continue;
            };
            if let Some(served) = self.connections.get_mut(&id) {
                served.queues.remove(&name);
            }
            changed.insert(id);
        }
        self.known_version = Some(list.version);
        changed
    }

    /// Looks up connections that are new here; which of them are known now.
    async fn learn_rates(&mut self) -> Vec<ConnectionId> {
        let new = self.connections.iter().filter(|(_, it)| it.seats.is_none());
        let new: Vec<ConnectionId> = new.map(|(id, _)| id.clone()).collect();
        let shared = &self.shared;
        let found: Vec<_> = stream::iter(new)
            .map(async |id| {
                let found = shared.connections.get(&id).await;
                (id, found)
            })
            .buffer_unordered(LOOK_UPS_MAX)
            .collect()
            .await;
        let mut known = Vec::new();
        for (id, found) in found {
            let rate = match found {
                Ok(Some(connection)) => connection.segments_per_second,
                // Its lane says what is wrong, and looks again.
                Ok(None) => 0.0,
                Err(error) => {
                    shared.metrics.ledger_errors.inc();
                    tracing::warn!(connection = %id, "look up connection: {error}");
                    continue;
                }
            };
            if let Some(served) = self.connections.get_mut(&id) {
                served.seats = Some(seats::seats(rate, shared.settings.segments_per_seat));
                known.push(id);
            }
        }
        known
    }

    /// Brings the lane of a connection in line with its queues and its seats.
    fn serve(&mut self, id: ConnectionId, stop: &CancellationToken) {
        let Some(served) = self.connections.get_mut(&id) else {
            return;
        };
        if served.queues.is_empty() {
            self.connections.remove(&id);
            return;
        }
        let Some(seats) = served.seats else {
            return;
        };
        if !seats::is_seated(&self.me, &id, &self.workers, seats) {
            served.lane = None;
            return;
        }
        let listed = Listed {
            queues: served.queues.values().cloned().collect(),
            hands: seats.min(self.workers.len()).max(1),
        };
        if let Some(lane) = served.lane.as_ref().filter(|lane| !lane.is_closed()) {
            lane.send_if_modified(|known| {
                let changed = *known != listed;
                *known = listed;
                changed
            });
            return;
        }
        let (sender, receiver) = watch::channel(listed);
        served.lane = Some(sender);
        let lane = Lane::serve(self.shared.clone(), id, receiver, stop.clone());
        self.running.spawn(lane);
    }

    /// Tells how many queues have a lane here.
    fn count(&mut self) {
        let served = self.connections.values().filter(|it| it.lane.is_some());
        let queues: usize = served.map(|served| served.queues.len()).sum();
        let queues = i64::try_from(queues).unwrap_or(i64::MAX);
        // Several workers of one process share the metric.
        self.shared.metrics.queues.add(queues - self.counted);
        self.counted = queues;
    }
}

/// Waits for a nudge and takes those that came with it; `false` if the subscription is over. Never
/// ends without a subscription.
async fn nudge(nudges: &mut Option<Consumer>) -> bool {
    let Some(consumer) = nudges else {
        return std::future::pending().await;
    };
    let mut next = consumer.next().await;
    loop {
        match next {
            Ok(delivery) => delivery.ack().await,
            Err(_) => return false,
        }
        match consumer.next().now_or_never() {
            Some(another) => next = another,
            None => return true,
        }
    }
}

/// Removes a queue whose distribution has nothing left to send.
pub(crate) async fn remove_if_done(
    shared: &Shared,
    entry: &QueueEntry,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let known = shared
        .ledger
        .distribution(&entry.organization_id, &entry.distribution_id)
        .await?;
    for batch in known.iter().flat_map(|known| &known.batches) {
        let counts = shared.ledger.counts(*batch).await?;
        // A batch that is just being written has rows to come.
        let written = shared
            .ledger
            .batch(*batch)
            .await?
            .is_none_or(|batch| batch.published);
        if !written || counts.of(MessageState::Queued) + counts.of(MessageState::Sending) > 0 {
            return Ok(());
        }
    }
    let queue = SendQueue {
        organization_id: entry.organization_id.clone(),
        connection_id: entry.connection_id.clone(),
        distribution_id: entry.distribution_id.clone(),
        class: entry.class,
    };
    if shared.bus.delete_send_queue_if_empty(&queue).await? {
        shared.ledger.close_queue(&entry.name).await?;
        tracing::info!(queue = entry.name, "done: queue removed");
    }
    Ok(())
}
