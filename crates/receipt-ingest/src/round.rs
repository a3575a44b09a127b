//! One round: read, merge, publish. Whoever calls it acks afterwards, or, if it could not be
//! finished, lets everything come back.

use std::{sync::Arc, time::SystemTime};

use backing::{
    callbacks::{CallbackQueue, Kept, Reason, Taken, open},
    news::{self, News},
    patience::{Patience, Undone},
};
use bus::{Bus, Delivery, Outgoing, RetryTier, queue};
use futures_util::{StreamExt, stream};
use ledger::Ledger;
use message::{BatchKey, OrganizationId, Timestamp};

use crate::{
    ReceiptMetrics, Settings,
    names::{Names, Remembered},
    opt_outs,
    outcome::Outcome,
    reading::{Reports, Signal, read},
};

const QUEUE: CallbackQueue = CallbackQueue {
    name: queue::STATUS_CALLBACKS,
    other: queue::MESSAGE_CALLBACKS,
    stage: "receipt-ingest",
    parked_for: RetryTier::S30,
};

/// What every round needs.
pub(crate) struct Rounds {
    pub(crate) settings: Settings,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) metrics: ReceiptMetrics,
    pub(crate) names: Remembered,
    pub(crate) patience: Patience,
}

/// What became of one batch's reports: events, and callbacks that are not finished.
struct Merged {
    events: Vec<Outgoing>,
    unfinished: Vec<(usize, Unfinished)>,
}

/// Why a callback is not finished.
#[derive(Clone, Copy)]
enum Unfinished {
    /// Its message is unknown; that may pass.
    Unknown,
    /// It never will be.
    Dead(Reason),
}

impl Rounds {
    /// Does everything about `deliveries` but the ack.
    ///
    /// # Errors
    /// If the process stops first; then nothing of it counts and all of it comes back.
    pub(crate) async fn work(&self, deliveries: &[Delivery]) -> Result<(), Undone> {
        let (mut out, mut kept, mut taken) = (Vec::new(), Kept::of(QUEUE), Vec::new());
        for delivery in deliveries {
            match open(delivery) {
                Ok(callbacks) => taken.extend(callbacks),
                Err(reason) => {
                    self.metrics
                        .kept
                        .with_label_values(&[reason.as_str()])
                        .inc();
                    out.push(QUEUE.poison(delivery, reason));
                }
            }
        }
        let read = read(&taken, &mut kept, &self.metrics);
        let now = Timestamp::from(SystemTime::now());
        let merges = read.reports.iter();
        let merges: Vec<_> = merges
            .map(|(batch, reports)| self.merge(*batch, reports, &taken, now))
            .collect();
        let mut merges = stream::iter(merges).buffer_unordered(self.settings.merges_max.get());
        let mut unfinished = Vec::new();
        while let Some(merged) = merges.next().await {
            let merged = merged?;
            out.extend(merged.events);
            unfinished.extend(merged.unfinished);
        }
        drop(merges);
        self.keep(&taken, unfinished, &mut kept);
        for signal in &read.signals {
            out.extend(self.opt_out(signal, &taken).await?);
        }
        out.extend(kept.into_messages());
        if out.is_empty() {
            return Ok(());
        }
        self.patience.bus(|| self.bus.publish(out.clone())).await
    }

    async fn merge(
        &self,
        batch: BatchKey,
        reports: &Reports,
        taken: &[Taken],
        now: Timestamp,
    ) -> Result<Merged, Undone> {
        match self.merge_known(batch, reports, taken, now).await {
            Err(Undone::Hopeless(why)) => {
                tracing::error!(%batch, receipts = reports.rows.len(), "receipts put with the dead letters: {why}");
                let dead = |index: &usize| (*index, Unfinished::Dead(Reason::LedgerDamaged));
                Ok(Merged {
                    events: Vec::new(),
                    unfinished: reports.callbacks.iter().map(dead).collect(),
                })
            }
            done => done,
        }
    }

    async fn merge_known(
        &self,
        batch: BatchKey,
        reports: &Reports,
        taken: &[Taken],
        now: Timestamp,
    ) -> Result<Merged, Undone> {
        let mut unfinished = Vec::new();
        let Some(names) = self.names(batch).await? else {
            self.count("unknown", reports.rows.len());
            let unknown = |index: &usize| (*index, Unfinished::Unknown);
            unfinished.extend(reports.callbacks.iter().map(unknown));
            return Ok(Merged {
                events: Vec::new(),
                unfinished,
            });
        };
        let (mut rows, mut callbacks) = (Vec::new(), Vec::new());
        for (report, index) in reports.rows.iter().zip(&reports.callbacks) {
            let from = &taken[*index].callback.organization_id;
            if self.may_report(&names, batch, report.row, from).await? {
                rows.push(report.clone());
                callbacks.push(*index);
            } else {
                self.count("foreign", 1);
                tracing::error!(organization = %from, owner = %names.organization_id, %batch, row = report.row,
                    "receipt for a message of another organisation: refused");
                unfinished.push((*index, Unfinished::Dead(Reason::ForeignOrganization)));
            }
        }
        let found = self
            .patience
            .ledger(|| self.ledger.merge(batch, &rows, now))
            .await?;
        let mut news = News::new(names.about(batch), now);
        for ((report, settled), index) in rows.iter().zip(found).zip(callbacks) {
            let outcome = Outcome::of(report, settled, &mut news);
            self.count(outcome.as_str(), 1);
            match outcome {
                Outcome::Changed | Outcome::Repeated | Outcome::Outranked => {}
                Outcome::Unknown => unfinished.push((index, Unfinished::Unknown)),
                Outcome::NeverSent => {
                    self.metrics.never_sent.inc();
                    tracing::error!(%batch, row = report.row, reported = %report.state,
                        organization = %names.organization_id, distribution = %names.distribution_id,
                        "receipt for a message that was never handed over: nothing changed");
                }
            }
        }
        Ok(Merged {
            events: news.into_messages(),
            unfinished,
        })
    }

    async fn names(&self, batch: BatchKey) -> Result<Option<Arc<Names>>, Undone> {
        if let Some(names) = self.names.get(batch) {
            return Ok(Some(names));
        }
        let Some(record) = self.patience.ledger(|| self.ledger.batch(batch)).await? else {
            return Ok(None);
        };
        let connection = self
            .patience
            .ledger(|| self.ledger.connection(&record.connection_id))
            .await?;
        let owner =
            connection.map_or_else(|| record.organization_id.clone(), |c| c.organization_id);
        Ok(Some(self.names.put(batch, Names::new(record, owner))))
    }

    /// Whether `from`, whose secret the callback was signed with, carried this message. Without
    /// the question everybody with an account could report on everybody's messages.
    async fn may_report(
        &self,
        names: &Names,
        batch: BatchKey,
        row: u32,
        from: &OrganizationId,
    ) -> Result<bool, Undone> {
        if *from == names.organization_id || *from == names.connection_owner {
            return Ok(true);
        }
        // The batch may have moved to another connection since: then its row says which.
        let rows = self
            .patience
            .ledger(|| self.ledger.rows(batch, row, 1))
            .await?;
        let carrier = rows
            .into_iter()
            .find(|known| known.row == row)
            .and_then(|row| row.connection_id);
        let Some(carrier) = carrier else {
            return Ok(false);
        };
        let carrier = self
            .patience
            .ledger(|| self.ledger.connection(&carrier))
            .await?;
        Ok(carrier.is_some_and(|carrier| carrier.organization_id == *from))
    }

    /// A callback that says several things is kept once; being dead outranks being unknown.
    fn keep(&self, taken: &[Taken], unfinished: Vec<(usize, Unfinished)>, kept: &mut Kept) {
        let mut fates = std::collections::BTreeMap::new();
        for (index, fate) in unfinished {
            let known = fates.entry(index).or_insert(fate);
            if matches!(fate, Unfinished::Dead(_)) {
                *known = fate;
            }
        }
        for (index, fate) in fates {
            let one = &taken[index];
            let Taken {
                callback, parked, ..
            } = one;
            let reason = match fate {
                Unfinished::Unknown if *parked < self.settings.unknown_attempts.get() => {
                    self.metrics.parked.inc();
                    kept.park(one);
                    continue;
                }
                Unfinished::Unknown => {
                    let waited = QUEUE.parked_for.delay() * u32::from(*parked);
                    tracing::warn!(organization = %callback.organization_id, provider = callback.provider, ?waited,
                        "receipt for an unknown message put with the dead letters");
                    Reason::UnknownMessage
                }
                Unfinished::Dead(reason) => reason,
            };
            self.metrics
                .kept
                .with_label_values(&[reason.as_str()])
                .inc();
            kept.bury(one, reason);
        }
    }

    /// Records a provider's opt-out for the organisation whose message it is about.
    async fn opt_out(&self, signal: &Signal, taken: &[Taken]) -> Result<Option<Outgoing>, Undone> {
        let callback = &taken[signal.callback].callback;
        let names = match signal.about {
            Some(reference) => self.names(reference.batch).await?,
            None => None,
        };
        // Of an organisation that this callback may speak for; else of the one it came for.
        let names = names.filter(|names| {
            let from = &callback.organization_id;
            *from == names.organization_id || *from == names.connection_owner
        });
        let organization = names
            .as_ref()
            .map_or(&callback.organization_id, |names| &names.organization_id)
            .clone();
        let change = opt_outs::change(organization, callback, &signal.opt_out);
        let (whose, numbers) = (&change.organization_id, [change.number]);
        let before = self
            .patience
            .ledger(|| self.ledger.standings(whose, &numbers))
            .await?;
        self.patience
            .ledger(|| self.ledger.change_opt_out(&change))
            .await?;
        // Told if it is news, or if it was this very signal that made it known (then whoever
        // recorded it may have died before telling).
        let known = before.into_iter().flatten().next();
        let is_news = known.is_none_or(|known| known.kind != change.kind || known.at == change.at);
        if !is_news {
            return Ok(None);
        }
        self.metrics
            .opt_outs
            .with_label_values(&[news::word(change.kind)])
            .inc();
        let distribution = names.as_ref().map(|names| &names.distribution_id);
        Ok(Some(news::opt_out(change, distribution, None)))
    }

    fn count(&self, outcome: &str, n: usize) {
        self.metrics
            .merged
            .with_label_values(&[outcome])
            .inc_by(n as u64);
    }
}
