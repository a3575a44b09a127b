//! A registered batch on its way to the workers. Each step is idempotent: whoever dies between two
//! of them leaves a batch that counts as unpublished, and its delivery comes back.

use std::time::Duration;

use bus::{Declared, Outgoing, Route, SendQueue, Topic};
use ledger::{BatchRecord, NewRow, QueueEntry};
use message::{BatchKey, Connection, Weight, chunk::ChunkRow};

use crate::{
    checks::Checked,
    chunking::{Wrapping, cut},
    metrics::Outcome,
    patience::Halt,
    reading::{Head, Names},
    refusals::events,
    service::{Intake, now},
    turns::Party,
};

/// Rows in one call to the ledger.
pub(crate) const ROWS_PER_CALL: u32 = 1_000;
/// How often a queue may be born again under one batch before the batch is handed back.
const BIRTHS_MAX: u8 = 5;
/// On top of what the broker asks for: rounding must not make a queue look younger than it is.
const SETTLING_MARGIN: Duration = Duration::from_millis(20);

impl Intake {
    /// A registered batch: rows, then chunks, then the mark. A crash before the mark leaves an
    /// unpublished batch, and its delivery comes back.
    pub(crate) async fn hand_on(
        &self,
        party: &Party,
        names: &Names,
        head: &Head,
        (record, connection): (BatchRecord, Connection),
        checked: Checked,
        outcome: Outcome,
    ) -> Result<Outcome, Halt> {
        let Checked {
            good,
            entries,
            refusals,
        } = checked;
        let (accepted, refused, recipients) = (good.len(), refusals.len(), entries.len());
        let working = self.turn(party).await;
        self.write_rows(record.key, &entries).await?;
        drop(entries);
        let source = record.key.to_string();
        self.publish(events(&source, names, &refusals, now()))
            .await?;
        let queue = SendQueue {
            organization_id: record.organization_id.clone(),
            connection_id: record.connection_id.clone(),
            distribution_id: record.distribution_id.clone(),
            class: record.class,
        };
        // After the rows, so that a cancel either finds them or is found here.
        let outcome = if self.is_cancelled(&record).await? {
            self.cancel(&record).await?;
            Outcome::Cancelled
        } else {
            outcome
        };
        if outcome != Outcome::Cancelled && !good.is_empty() {
            let rate = connection.segments_per_second;
            let chunks = self.chunks(head, &record, queue.name(), good, rate).await?;
            drop(working); // what follows is waiting
            self.publish_chunks(&queue, &record, head.weight, &chunks)
                .await?;
        }
        self.patience
            .until("mark batch published", || {
                self.ledger.mark_published(record.key)
            })
            .await?;
        for refusal in &refusals {
            self.metrics.refused(refusal.rule);
        }
        self.metrics.accepted(accepted);
        tracing::info!(
            organization = %record.organization_id,
            distribution = %record.distribution_id,
            batch = %record.batch_id,
            connection = %record.connection_id,
            recipients,
            accepted,
            refusals = refused,
            ?outcome,
            "batch decided"
        );
        Ok(outcome)
    }

    async fn chunks(
        &self,
        head: &Head,
        record: &BatchRecord,
        queue: String,
        rows: Vec<ChunkRow>,
        segments_per_second: f64,
    ) -> Result<Vec<Outgoing>, Halt> {
        let (record, text) = (record.clone(), head.text.clone());
        let internal = head.internal.as_ref();
        let exempt_from_opt_out = internal.is_some_and(|it| it.exempt_from_opt_out);
        let seconds = self.settings.seconds_per_chunk.get();
        self.blocking(move || {
            let wrapping = Wrapping {
                record: &record,
                text: &text,
                exempt_from_opt_out,
                queue: &queue,
            };
            cut(rows, segments_per_second, seconds)
                .into_iter()
                .map(|rows| wrapping.wrap(rows))
                .collect()
        })
        .await
    }

    async fn write_rows(&self, key: BatchKey, entries: &[NewRow]) -> Result<(), Halt> {
        for slice in entries.chunks(ROWS_PER_CALL as usize) {
            self.patience
                .until("write rows", || self.ledger.write_rows(key, slice))
                .await?;
        }
        Ok(())
    }

    /// Declares, lists, publishes, and waits until the queue keeps what it confirmed. The batch is
    /// marked only after that: a broker that dies within the wait takes a young queue with it, and
    /// the batch must then still count as unpublished.
    async fn publish_chunks(
        &self,
        queue: &SendQueue,
        record: &BatchRecord,
        weight: Option<Weight>,
        chunks: &[Outgoing],
    ) -> Result<(), Halt> {
        let entry = QueueEntry {
            name: queue.name(),
            organization_id: record.organization_id.clone(),
            distribution_id: record.distribution_id.clone(),
            connection_id: record.connection_id.clone(),
            class: record.class,
            expires_at: record.expires_at.plus(self.settings.queue_margin),
            weight,
        };
        let mut pauses = self.patience.pauses();
        let mut births = 0;
        loop {
            match self.publish_once(queue, &entry, chunks).await {
                Ok(true) => return Ok(()),
                // Born again while it settled: what it held may be gone with it.
                Ok(false) if births < BIRTHS_MAX => births += 1,
                Ok(false) => return Err(Halt::Stopped),
                Err(Halt::QueueGone) => self.patience.sleep(pauses.pause()).await?,
                Err(other) => return Err(other),
            }
        }
    }

    /// Whether what was published is in a queue that has settled.
    async fn publish_once(
        &self,
        queue: &SendQueue,
        entry: &QueueEntry,
        chunks: &[Outgoing],
    ) -> Result<bool, Halt> {
        let declare = async || {
            let _turn = self.declaring.turn(queue.clone()).await;
            self.patience
                .until("declare queue", || self.bus.declare_send_queue(queue))
                .await
        };
        let declared: Declared = declare().await?;
        self.patience
            .until("list queue", || self.ledger.open_queue(entry))
            .await?;
        for group in chunks.chunks(usize::from(self.settings.chunks_per_publish.get())) {
            self.patience
                .until("publish chunks", || self.bus.publish(group.to_vec()))
                .await?;
        }
        self.nudge().await;
        if declared.settles_in.is_zero() {
            return Ok(true);
        }
        let wait = declared.settles_in + SETTLING_MARGIN;
        self.patience.sleep(wait).await?;
        Ok(declare().await?.settles_in.is_zero())
    }

    /// Tells workers that the list of queues changed. They look every second anyway.
    async fn nudge(&self) {
        let route = Route::Topic(Topic::Control, "queues".to_owned());
        if let Err(error) = self
            .bus
            .publish(vec![Outgoing::new(route, "queues", "{}")])
            .await
        {
            tracing::debug!("nudge not published: {error}");
        }
    }
}
