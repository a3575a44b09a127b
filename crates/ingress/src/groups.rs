//! Callbacks that arrive within a few milliseconds share one AMQP message: one message each would
//! cost the broker more than everything on the way out. Each is answered after its group's confirm.

use std::{sync::Arc, time::Duration};

use bus::{Bus, BusError, Outgoing, Route, queue};
use message::callback::{CALLBACKS_VERSION, Callback, CallbackGroup};
use providers::CallbackKind;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::{IngressMetrics, Settings};

/// Where verified callbacks are handed over. Dropping it ends the collectors once they are empty.
pub(crate) struct Groups {
    status: mpsc::Sender<Waiting>,
    message: mpsc::Sender<Waiting>,
}

/// A callback whose provider waits for an answer.
struct Waiting {
    callback: Callback,
    handed_over: oneshot::Sender<Result<(), BusError>>,
}

impl Groups {
    /// Starts a collector for each kind in `tasks`.
    pub(crate) fn start(
        settings: &Settings,
        bus: &Arc<dyn Bus>,
        metrics: &IngressMetrics,
        tasks: &TaskTracker,
    ) -> Self {
        let start = |kind: CallbackKind| {
            // As many as can be in flight, so that handing over never waits for a place.
            let (sender, inbox) = mpsc::channel(settings.in_flight_max.get());
            let collector = Collector {
                kind,
                wait: settings.group_wait,
                callbacks_max: settings.group_max.get(),
                bytes_max: settings.group_bytes_max,
                publishes: Arc::new(Semaphore::new(settings.publishes_max.get())),
                publisher: Arc::new(Publisher {
                    bus: bus.clone(),
                    kind,
                    timeout: settings.publish_timeout,
                    metrics: metrics.clone(),
                }),
            };
            tasks.spawn(collector.run(inbox, tasks.clone()));
            sender
        };
        Self {
            status: start(CallbackKind::Status),
            message: start(CallbackKind::Message),
        }
    }

    /// Puts `callback` on the bus together with its neighbours in time and waits for the confirm.
    ///
    /// # Errors
    /// What the bus said about the group. It may have been taken all the same: a provider that then
    /// repeats the callback does no harm.
    pub(crate) async fn hand_over(
        &self,
        kind: CallbackKind,
        callback: Callback,
    ) -> Result<(), BusError> {
        let (handed_over, confirmed) = oneshot::channel();
        let inbox = match kind {
            CallbackKind::Status => &self.status,
            CallbackKind::Message => &self.message,
        };
        let sent = inbox
            .send(Waiting {
                callback,
                handed_over,
            })
            .await;
        sent.map_err(|_| BusError::Closed)?;
        // The place of the local spool: when this is `Err`, the callback goes there instead and the
        // answer stays 2xx. Until it exists the provider is told 503.
        confirmed.await.unwrap_or(Err(BusError::Closed))
    }
}

struct Collector {
    kind: CallbackKind,
    wait: Duration,
    callbacks_max: usize,
    bytes_max: usize,
    publishes: Arc<Semaphore>,
    publisher: Arc<Publisher>,
}

impl Collector {
    async fn run(self, mut inbox: mpsc::Receiver<Waiting>, tasks: TaskTracker) {
        while let Some(first) = inbox.recv().await {
            let group = self.collect(first, &mut inbox).await;
            let permit = self.publishes.clone().acquire_owned().await;
            let publisher = self.publisher.clone();
            tasks.spawn(async move {
                let _permit = permit; // given back however this ends
                publisher.publish(group).await;
            });
        }
        tracing::debug!(kind = self.kind.as_str(), "no more callbacks to collect");
    }

    /// `first` and what follows it before the time is over or the group is full.
    async fn collect(&self, first: Waiting, inbox: &mut mpsc::Receiver<Waiting>) -> Vec<Waiting> {
        let time_over = tokio::time::sleep(self.wait);
        tokio::pin!(time_over);
        let mut bytes = first.callback.body.len();
        let mut group = vec![first];
        while group.len() < self.callbacks_max && bytes < self.bytes_max {
            let next = tokio::select! {
                biased;
                next = inbox.recv() => next,
                () = &mut time_over => break,
            };
            let Some(next) = next else { break };
            bytes += next.callback.body.len();
            group.push(next);
        }
        group
    }
}

struct Publisher {
    bus: Arc<dyn Bus>,
    kind: CallbackKind,
    timeout: Duration,
    metrics: IngressMetrics,
}

impl Publisher {
    async fn publish(&self, group: Vec<Waiting>) {
        let (callbacks, waiting): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|one| (one.callback, one.handed_over))
            .unzip();
        let confirmed = self.confirmed(callbacks).await;
        let labels = [
            self.kind.as_str(),
            if confirmed.is_ok() {
                "confirmed"
            } else {
                "failed"
            },
        ];
        self.metrics.groups.with_label_values(&labels).inc();
        self.metrics
            .grouped
            .with_label_values(&labels)
            .inc_by(waiting.len() as u64);
        for handed_over in waiting {
            // Whoever hung up meanwhile does not hear it; the callback is on the bus all the same.
            let _ = handed_over.send(confirmed.clone());
        }
    }

    async fn confirmed(&self, callbacks: Vec<Callback>) -> Result<(), BusError> {
        let group = CallbackGroup {
            v: CALLBACKS_VERSION,
            callbacks,
        };
        let body = serde_json::to_vec(&group)
            .map_err(|why| BusError::Unavailable(Arc::from(format!("group not written: {why}"))))?;
        let queue = match self.kind {
            CallbackKind::Status => queue::STATUS_CALLBACKS,
            CallbackKind::Message => queue::MESSAGE_CALLBACKS,
        };
        let name = format!("{}-{:032x}", self.kind.as_str(), fastrand::u128(..));
        let outgoing = Outgoing::new(Route::Queue(queue.to_owned()), name, body);
        tokio::time::timeout(self.timeout, self.bus.publish(vec![outgoing]))
            .await
            .unwrap_or_else(|_| Err(BusError::Unavailable(Arc::from("no confirm in time"))))
    }
}
