//! The steps of one batch. Each is idempotent, and the comment beside it says what a crash right
//! there leaves behind.

use bus::{Declared, Delivery, Outgoing, Route, SendQueue, Topic};
use bytes::Bytes;
use ledger::{BatchRecord, DistributionState, NewRow, QueueEntry, RefusedBatch, Registered, Row};
use message::{
    BatchKey, Class, Connection, MessageState, Method, Reference, Refusal, Rule,
    connection::OrganizationSettings,
    event::{EVENT_VERSION, Event, StatusEvent, StatusEvents},
};

use crate::{
    checks::{Checked, Terms, check},
    chunking::{Wrapping, cut},
    connection::choose,
    digest::digest,
    metrics::Outcome,
    patience::Halt,
    reading::{Draft, DraftRow, Head, Lane, Limits, Names, read},
    refusals::{events, of_batch, source},
    service::{Intake, now},
};

/// Rows in one call to the ledger.
const ROWS_PER_CALL: usize = 1_000;
/// Refusals kept with a refused batch; its events have all of them.
const REFUSALS_KEPT_MAX: usize = 100;
/// How much of an oversized body is kept in the dead queue.
const BURIED_BYTES_MAX: usize = 64 * 1024;
/// How often a queue may be born again under one batch before the batch is handed back.
const BIRTHS_MAX: u8 = 5;

/// A batch that was read without fault, and what was decided about its organisation.
struct Sound {
    head: Head,
    template: message::template::Template,
    rows: Vec<DraftRow>,
    late: Option<Refusal>,
    organization: OrganizationSettings,
}

impl Intake {
    /// From bytes to a decision. `Ok` means that the delivery may be acked.
    pub(crate) async fn decide(&self, delivery: &Delivery, lane: Lane) -> Result<Outcome, Halt> {
        let body = &delivery.body;
        if body.len() > self.settings.body_bytes_max {
            let detail = format!(
                "{} bytes; at most {}",
                body.len(),
                self.settings.body_bytes_max
            );
            let fault = of_batch("", Rule::TooLarge, detail);
            return self.refuse_unread(delivery, lane, Names::default(), vec![fault]).await;
        }
        let draft = self.read(body.clone(), lane).await?;
        let organization = match &draft.names.organization_id {
            Some(id) => {
                self.patience
                    .until("look up organisation", || self.ledger.organization(id))
                    .await?
            }
            None => OrganizationSettings::default(),
        };
        let Draft { names, head, template, segments_max, rows, faults, late } = draft;
        match (head, template) {
            (Some(head), Some(template)) => {
                let sound = Sound { head, template, rows, late, organization };
                self.decide_sound(delivery, names, sound).await
            }
            (_, template) => {
                let known = names.organization_id.is_some();
                let mut refusals: Vec<Refusal> = faults.into_iter().chain(late).collect();
                let misshapen = refusals.iter().any(|fault| fault.rule == Rule::Malformed);
                refusals.extend(if known {
                    let region = organization.default_region;
                    let checked = self.check(rows, template, segments_max, region).await?;
                    checked.refusals
                } else {
                    let bad = rows.into_iter().filter_map(Result::err);
                    bad.flat_map(|row| row.refusals).collect()
                });
                if misshapen {
                    self.refuse_unread(delivery, lane, names, refusals).await
                } else {
                    self.refuse(body, names, refusals).await
                }
            }
        }
    }

    /// A batch without a fault of its own: new, seen before, or cut short the last time.
    async fn decide_sound(
        &self,
        delivery: &Delivery,
        names: Names,
        sound: Sound,
    ) -> Result<Outcome, Halt> {
        let Sound { head, template, rows, late, organization } = sound;
        let (rows, digest) = {
            let head = head.clone();
            self.work(move || {
                let digest = digest(&head, &rows);
                (rows, digest)
            })
            .await?
        };
        let key = BatchKey::of(&head.organization_id, &head.batch_id);
        let _turn = self.in_hand.turn(key).await;
        let known = self
            .patience
            .until("look up batch", || self.ledger.batch(key))
            .await?;
        let conflict = |names| self.refuse_one(&delivery.body, names, "batch_id", Rule::BatchConflict);
        match &known {
            Some(known) if known.digest != digest => return conflict(names).await,
            Some(known) if known.published => return Ok(Outcome::Repeated),
            _ => {}
        }
        let region = organization.default_region.clone();
        let recipients = rows.len();
        let checked = self
            .check(rows, Some(template), Some(head.segments_max), region)
            .await?;
        let (record, connection, outcome) = match known {
            Some(known) => {
                let connection = self.recorded_connection(&known).await?;
                (known, connection, Outcome::Finished)
            }
            None => {
                let chosen = choose(
                    &*self.ledger,
                    &self.patience,
                    &head,
                    &organization,
                    self.settings.default_organization.as_ref(),
                )
                .await?;
                let connection = match (late, chosen) {
                    (None, Ok(connection)) => connection,
                    (late, chosen) => {
                        let none = chosen.err().map(|why| {
                            let detail = why.detail().to_owned();
                            of_batch("organization_id", Rule::NoConnection, detail)
                        });
                        let faults = late.into_iter().chain(none).chain(checked.refusals);
                        return self.refuse(&delivery.body, names, faults.collect()).await;
                    }
                };
                let record = new_record(&head, key, digest, &connection, recipients);
                let registered = self
                    .patience
                    .until("register batch", || self.ledger.register_batch(&record))
                    .await?;
                match registered {
                    Registered::New => (record, connection, Outcome::Taken),
                    Registered::Known(known) if known.published => return Ok(Outcome::Repeated),
                    Registered::Known(known) => {
                        let connection = self.recorded_connection(&known).await?;
                        (known, connection, Outcome::Finished)
                    }
                    Registered::Conflict => return conflict(names).await,
                    Registered::Cancelled => {
                        return self
                            .refuse_one(
                                &delivery.body,
                                names,
                                "distribution_id",
                                Rule::DistributionCancelled,
                            )
                            .await;
                    }
                }
            }
        };
        self.hand_on(&names, &head, record, &connection, checked, outcome)
            .await
    }

    /// A registered batch: rows, then chunks, then the mark. A crash before the mark leaves an
    /// unpublished batch, and its delivery comes back.
    async fn hand_on(
        &self,
        names: &Names,
        head: &Head,
        record: BatchRecord,
        connection: &Connection,
        checked: Checked,
        outcome: Outcome,
    ) -> Result<Outcome, Halt> {
        let Checked { good, entries, refusals } = checked;
        let (accepted, refused, recipients) = (good.len(), refusals.len(), entries.len());
        let working = self.permit().await;
        self.write_rows(record.key, &entries).await?;
        drop(entries);
        let source = record.key.to_string();
        self.publish(events(&source, names, &refusals, now())).await?;
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
            let (rate, seconds) = (connection.segments_per_second, self.settings.seconds_per_chunk);
            let chunks = {
                let (record, text) = (record.clone(), head.text.clone());
                let exempt = head.internal.as_ref().is_some_and(|i| i.exempt_from_opt_out);
                let queue = queue.name();
                self.blocking(move || {
                    let wrapping = Wrapping {
                        record: &record,
                        text: &text,
                        exempt_from_opt_out: exempt,
                        queue: &queue,
                    };
                    let chunks = cut(good, rate, seconds.get());
                    chunks.into_iter().map(|rows| wrapping.wrap(rows)).collect::<Vec<_>>()
                })
                .await?
            };
            drop(working); // what follows is waiting
            self.publish_chunks(&queue, &record, &chunks).await?;
        }
        self.patience
            .until("mark batch published", || self.ledger.mark_published(record.key))
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

    async fn write_rows(&self, key: BatchKey, entries: &[NewRow]) -> Result<(), Halt> {
        for slice in entries.chunks(ROWS_PER_CALL) {
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
        chunks: &[Outgoing],
    ) -> Result<(), Halt> {
        let entry = QueueEntry {
            name: queue.name(),
            organization_id: record.organization_id.clone(),
            distribution_id: record.distribution_id.clone(),
            connection_id: record.connection_id.clone(),
            class: record.class,
            expires_at: record.expires_at.plus(self.settings.queue_margin),
        };
        let mut pause = self.patience.first;
        let mut births = 0;
        loop {
            match self.publish_once(queue, &entry, chunks).await {
                Ok(true) => return Ok(()),
                // Born again while it settled: what it held may be gone with it.
                Ok(false) if births < BIRTHS_MAX => births += 1,
                Ok(false) => return Err(Halt::Stopped),
                Err(Halt::QueueGone) => self.patience.pause(&mut pause).await?,
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
        let declare = || {
            self.patience
                .until("declare queue", || self.bus.declare_send_queue(queue))
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
        self.patience.sleep(declared.settles_in).await?;
        // Rounding must not make a queue look younger than it is.
        self.patience.sleep(std::time::Duration::from_millis(20)).await?;
        Ok(declare().await?.settles_in.is_zero())
    }

    /// Tells workers that the list of queues changed. They look every second anyway.
    async fn nudge(&self) {
        let route = Route::Topic(Topic::Control, "queues".to_owned());
        if let Err(error) = self.bus.publish(vec![Outgoing::new(route, "queues", "{}")]).await {
            tracing::debug!("nudge not published: {error}");
        }
    }

    /// Publishes to the fixed queues and topics, which the bus declares again by itself: here a
    /// missing one is only another reason to wait.
    pub(crate) async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), Halt> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut pause = self.patience.first;
        loop {
            let publish = self
                .patience
                .until("publish", || self.bus.publish(messages.clone()));
            match publish.await {
                Err(Halt::QueueGone) => self.patience.pause(&mut pause).await?,
                other => return other,
            }
        }
    }

    async fn recorded_connection(&self, known: &BatchRecord) -> Result<Connection, Halt> {
        self.patience
            .until("look up connection", || {
                self.ledger.connection(&known.connection_id)
            })
            .await?
            .ok_or(Halt::Poison("connection_unknown"))
    }

    async fn is_cancelled(&self, record: &BatchRecord) -> Result<bool, Halt> {
        let distribution = self
            .patience
            .until("look up distribution", || {
                self.ledger
                    .distribution(&record.organization_id, &record.distribution_id)
            })
            .await?;
        Ok(distribution.is_some_and(|it| it.state == DistributionState::Cancelled))
    }

    /// The distribution was cancelled between registering and writing: its rows end as cancelled
    /// and are told, those that the ledger entered as cancelled by itself included.
    async fn cancel(&self, record: &BatchRecord) -> Result<(), Halt> {
        self.patience
            .until("cancel rows", || self.ledger.cancel_rows(record.key, now()))
            .await?;
        let mut first = 0;
        loop {
            let rows = self
                .patience
                .until("read rows", || {
                    self.ledger.rows(record.key, first, ROWS_PER_CALL as u32)
                })
                .await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            first = last.row + 1;
            self.publish(cancelled_events(record, &rows)).await?;
        }
    }

    /// Refuses a batch for one reason.
    async fn refuse_one(
        &self,
        body: &Bytes,
        names: Names,
        field: &str,
        rule: Rule,
    ) -> Result<Outcome, Halt> {
        let detail = match rule {
            Rule::BatchConflict => "this batch id was handed over before with other content",
            _ => "the distribution was cancelled",
        };
        let fault = of_batch(field, rule, detail.to_owned());
        self.refuse(body, names, vec![fault]).await
    }

    /// Refuses a whole batch: told, and kept for whoever asks. A crash in between tells it twice
    /// with the same event id.
    async fn refuse(
        &self,
        body: &Bytes,
        names: Names,
        refusals: Vec<Refusal>,
    ) -> Result<Outcome, Halt> {
        let at = now();
        let source = source(&names, body);
        self.publish(events(&source, &names, &refusals, at)).await?;
        for refusal in &refusals {
            self.metrics.refused(refusal.rule);
        }
        tracing::warn!(
            organization = names.organization_id.as_ref().map(ToString::to_string),
            batch = names.batch_id.as_ref().map(ToString::to_string),
            rule = refusals.first().map(|fault| fault.rule.as_str()),
            faults = refusals.len(),
            "batch refused"
        );
        if let Some(organization_id) = names.organization_id {
            let mut refusals = refusals;
            refusals.truncate(REFUSALS_KEPT_MAX);
            let refused = RefusedBatch {
                organization_id,
                distribution_id: names.distribution_id,
                batch_id: names.batch_id,
                refusals,
                at,
            };
            self.patience
                .until("record refusal", || self.ledger.record_refused_batch(&refused))
                .await?;
        }
        Ok(Outcome::Refused)
    }

    /// Refuses what is no batch at all and keeps it for a look: nobody may know that it was sent.
    async fn refuse_unread(
        &self,
        delivery: &Delivery,
        lane: Lane,
        names: Names,
        refusals: Vec<Refusal>,
    ) -> Result<Outcome, Halt> {
        let reason = refusals.first().map_or(Rule::Malformed, |fault| fault.rule);
        self.publish(vec![self.dead_letter(delivery, lane, reason.as_str())])
            .await?;
        self.refuse(&delivery.body, names, refusals).await
    }

    /// The delivery as a dead letter. One that is too large is cut, and so names no queue to be
    /// redriven to.
    pub(crate) fn dead_letter(&self, delivery: &Delivery, lane: Lane, reason: &str) -> Outgoing {
        let (body, whole) = if delivery.body.len() > self.settings.body_bytes_max {
            (delivery.body.slice(..BURIED_BYTES_MAX.min(delivery.body.len())), false)
        } else {
            (delivery.body.clone(), true)
        };
        let letter = Outgoing::new(Route::Dead, delivery.message_id.clone(), body)
            .with_header("reason", reason)
            .with_header("stage", "batch-intake")
            .with_header("version", env!("CARGO_PKG_VERSION"));
        if whole {
            letter.with_header("queue", lane.queue())
        } else {
            letter.with_header("cut_from_bytes", delivery.body.len().to_string())
        }
    }

    async fn read(&self, body: Bytes, lane: Lane) -> Result<Draft, Halt> {
        let limits = Limits {
            segments_max: self.settings.segments_max.get(),
            expiry_default: self.settings.expiry_default,
            expiry_max: self.settings.expiry_max,
        };
        self.work(move || read(&body, lane, limits, now())).await
    }

    async fn check(
        &self,
        rows: Vec<DraftRow>,
        template: Option<message::template::Template>,
        segments_max: Option<u8>,
        default_region: Option<String>,
    ) -> Result<Checked, Halt> {
        let segments_max = segments_max.unwrap_or(self.settings.segments_max.get());
        self.work(move || {
            let terms = Terms {
                template: template.as_ref(),
                segments_max,
                default_region: default_region.as_deref(),
            };
            check(rows, &terms)
        })
        .await
    }

    /// Computes off the reactor, so that heartbeats go on, and only as many at once as allowed.
    async fn work<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Halt> {
        let _permit = self.permit().await;
        self.blocking(compute).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Halt> {
        tokio::task::spawn_blocking(compute)
            .await
            .map_err(|_| Halt::Poison("panic"))
    }

    async fn permit(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.at_work.acquire().await.expect("permits are never closed")
    }
}

fn new_record(
    head: &Head,
    key: BatchKey,
    digest: String,
    connection: &Connection,
    recipients: usize,
) -> BatchRecord {
    let express = head.internal.is_some() || head.method == Method::Interactive;
    BatchRecord {
        key,
        organization_id: head.organization_id.clone(),
        distribution_id: head.distribution_id.clone(),
        batch_id: head.batch_id.clone(),
        digest,
        connection_id: connection.id.clone(),
        class: if express { Class::Express } else { Class::Bulk },
        recipients: u32::try_from(recipients).expect("a batch has at most 10,000 recipients"),
        on_doubt: head.on_doubt,
        expires_at: head.expires_at,
        created_at: now(),
        published: false,
    }
}

/// The news that rows will not be sent; nothing for rows that went another way.
fn cancelled_events(record: &BatchRecord, rows: &[Row]) -> Vec<Outgoing> {
    let status = MessageState::Cancelled;
    let at = now();
    let messages: Vec<StatusEvent> = rows
        .iter()
        .filter(|row| row.state == status)
        .filter_map(|row| {
            let reference = Reference { batch: record.key, row: row.row };
            Some(StatusEvent {
                event_id: format!("{reference}:{status}"),
                seq: row.seq,
                reference,
                row: row.row,
                to: row.to?,
                attempt: row.attempt,
                error_code: None,
                provider_message_id: None,
                connection_id: row.connection_id.clone(),
                at: row.changed_at.unwrap_or(at),
            })
        })
        .collect();
    let Some(first) = messages.first() else {
        return Vec::new();
    };
    let route = Route::Topic(
        Topic::Events,
        format!("{}.{}.{status}", record.organization_id, record.distribution_id),
    );
    let message_id = first.event_id.clone();
    let event = Event::Status(StatusEvents {
        v: EVENT_VERSION,
        organization_id: record.organization_id.clone(),
        distribution_id: record.distribution_id.clone(),
        batch_id: record.batch_id.clone(),
        status,
        messages,
    });
    let body = serde_json::to_vec(&event).expect("an event is made of JSON values only");
    vec![Outgoing::new(route, message_id, body)]
}
