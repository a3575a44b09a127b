//! Which queues exist, learnt from the ledger: reconciled every second and on a nudge, never
//! guessed. One lane per connection that has queues.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bus::{Consumer, SendQueue, Topic};
use ledger::{DistributionState, QueueEntry, QueueList};
use message::{ConnectionId, MessageState};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Shared, group::now, lane::Lane};

pub(crate) struct Roster {
    shared: Arc<Shared>,
    lanes: HashMap<ConnectionId, watch::Sender<Vec<QueueEntry>>>,
    known_version: Option<u64>,
    queues: i64,
    running: TaskTracker,
}

impl Roster {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lanes: HashMap::new(),
            known_version: None,
            queues: 0,
            running: TaskTracker::new(),
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut nudges: Option<Consumer> = None;
        loop {
            match self.shared.ledger.queues(self.known_version).await {
                Ok(Some(list)) => self.serve(list, &stop),
                Ok(None) => {}
                Err(error) => {
                    self.shared.metrics.ledger_errors.inc();
                    tracing::warn!("list of queues: {error}");
                }
            }
            if nudges.is_none() {
                // Only a convenience: without it the list is looked at every second all the same.
                nudges = self.shared.bus.subscribe(Topic::Control, "#").await.ok();
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(self.shared.settings.reconcile_every) => {}
                heard = nudge(&mut nudges) => if !heard {
                    nudges = None;
                },
            }
        }
        // The lanes have heard `stop` themselves; dropping their lists ends those that have not.
        self.lanes.clear();
        self.running.close();
        self.running.wait().await;
        Ok(())
    }

    /// Brings the lanes in line with the list.
    fn serve(&mut self, list: QueueList, stop: &CancellationToken) {
        let at = now();
        let mut by_connection = BTreeMap::<ConnectionId, Vec<QueueEntry>>::new();
        let active = list.queues.into_iter().filter(|(entry, state)| {
            *state == DistributionState::Active && self.shared.shard.serves(&entry.connection_id)
        });
        for (entry, _) in active.filter(|(entry, _)| entry.expires_at > at) {
            by_connection
                .entry(entry.connection_id.clone())
                .or_default()
                .push(entry);
        }
        let queues = by_connection
            .values()
            .map(|queues| i64::try_from(queues.len()).unwrap_or(i64::MAX))
            .sum();
        // Several workers of a process share the gauge.
        self.shared.metrics.queues.add(queues - self.queues);
        self.queues = queues;
        self.lanes
            .retain(|id, lane| by_connection.contains_key(id) && !lane.is_closed());
        for (id, queues) in by_connection {
            if let Some(lane) = self.lanes.get(&id) {
                lane.send_if_modified(|known| {
                    let changed = *known != queues;
                    *known = queues;
                    changed
                });
                continue;
            }
            let (sender, receiver) = watch::channel(queues);
            self.lanes.insert(id.clone(), sender);
            self.running
                .spawn(Lane::serve(self.shared.clone(), id, receiver, stop.clone()));
        }
        self.known_version = Some(list.version);
    }
}

/// Waits for a nudge; `false` if the subscription is over. Never ends without a subscription.
async fn nudge(nudges: &mut Option<Consumer>) -> bool {
    match nudges {
        None => std::future::pending().await,
        Some(consumer) => match consumer.next().await {
            Ok(delivery) => {
                delivery.ack().await;
                true
            }
            Err(_) => false,
        },
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
