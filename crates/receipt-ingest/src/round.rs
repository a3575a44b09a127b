//! One round: read, merge, publish. Whoever calls it acks afterwards, or, if it could not be
//! finished, lets everything come back.

use std::{borrow::Cow, collections::BTreeMap, mem, sync::Arc, time::SystemTime};

use backing::{
    callbacks::{CallbackQueue, Kept, Reason, Taken, open},
    news::{self, News},
    patience::{Patience, Undone},
};
use bus::{Bus, Delivery, Outgoing, queue};
use futures_util::{StreamExt, stream};
use ledger::{Ledger, RowReport};
use message::{BatchKey, OrganizationId, Reference, Timestamp, callback::Callback};
use providers::OptOutScope;

use crate::{
    ReceiptMetrics, Settings,
    names::{Names, Remembered},
    opt_outs,
    outcome::Outcome,
    patience,
    reading::{Read, Signal, read},
};

const QUEUE: CallbackQueue = CallbackQueue {
    name: queue::STATUS_CALLBACKS,
    other: queue::MESSAGE_CALLBACKS,
    stage: "receipt-ingest",
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

/// Reports about rows of one batch, each with its index among the round's receipts.
type Reports = Vec<(RowReport, usize)>;

/// What became of one batch's receipts: events, and receipts that are not finished.
#[derive(Default)]
struct Merged {
    events: Vec<Outgoing>,
    unfinished: Vec<(usize, Unfinished)>,
}

/// Why a receipt is not finished.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
        let mut read = read(&taken, &mut kept, &self.metrics);
        self.resolve(&mut read, &taken).await?;
        let now = Timestamp::from(SystemTime::now());
        let mut unfinished = Vec::new();
        let mut by_batch = BTreeMap::<BatchKey, Reports>::new();
        for (at, told) in read.receipts.iter_mut().enumerate() {
            match told.reference {
                Some(Reference { batch, row }) => {
                    let reports = by_batch.entry(batch).or_default();
                    reports.push((told.report(row), at));
                }
                None => unfinished.push((at, Unfinished::Unknown)),
            }
        }
        let merges: Vec<_> = by_batch
            .into_iter()
            .map(|(batch, reports)| self.merge(batch, reports, &read, &taken, now))
            .collect();
        let mut merges = stream::iter(merges).buffer_unordered(self.settings.merges_max.get());
        while let Some(merged) = merges.next().await {
            let merged = merged?;
            out.extend(merged.events);
            unfinished.extend(merged.unfinished);
        }
        drop(merges);
        self.keep(&read, &taken, unfinished, &mut kept);
        for signal in &read.signals {
            out.extend(self.opt_out(signal, &read, &taken).await?);
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
        reports: Reports,
        read: &Read,
        taken: &[Taken],
        now: Timestamp,
    ) -> Result<Merged, Undone> {
        let (rows, receipts): (Vec<_>, Vec<_>) = reports.into_iter().unzip();
        match self
            .merge_known(batch, rows, &receipts, read, taken, now)
            .await
        {
            Err(Undone::Hopeless(why)) => {
                tracing::error!(%batch, receipts = receipts.len(), "receipts put with the dead letters: {why}");
                let dead = |at| (at, Unfinished::Dead(Reason::LedgerDamaged));
                Ok(Merged {
                    events: Vec::new(),
                    unfinished: receipts.into_iter().map(dead).collect(),
                })
            }
            done => done,
        }
    }

    async fn merge_known(
        &self,
        batch: BatchKey,
        mut rows: Vec<RowReport>,
        receipts: &[usize],
        read: &Read,
        taken: &[Taken],
        now: Timestamp,
    ) -> Result<Merged, Undone> {
        let mut merged = Merged::default();
        let Some(names) = self.names(batch).await? else {
            self.count("unknown", rows.len());
            let unknown = receipts.iter().map(|at| (*at, Unfinished::Unknown));
            merged.unfinished.extend(unknown);
            return Ok(merged);
        };
        let mut told: Cow<'_, [usize]> = Cow::Borrowed(receipts);
        let from = |at: usize| &taken[read.receipts[at].callback].callback.organization_id;
        if !receipts.iter().all(|at| names.may_report(from(*at))) {
            let mut theirs = Vec::with_capacity(rows.len());
            for (report, at) in mem::take(&mut rows).into_iter().zip(receipts) {
                if self
                    .may_report(&names, batch, report.row, from(*at))
                    .await?
                {
                    theirs.push(*at);
                    rows.push(report);
                    continue;
                }
                self.count("foreign", 1);
                tracing::error!(organization = %from(*at), owner = %names.organization_id, %batch, row = report.row,
                    "receipt for a message of another organisation: refused");
                let foreign = Unfinished::Dead(Reason::ForeignOrganization);
                merged.unfinished.push((*at, foreign));
            }
            told = Cow::Owned(theirs);
        }
        let found = self
            .patience
            .ledger(|| self.ledger.merge(batch, &rows, now))
            .await?;
        let mut news = News::new(names.about(batch), now);
        let mut outcomes = BTreeMap::<_, usize>::new();
        for ((report, settled), at) in rows.iter().zip(found).zip(told.iter()) {
            let outcome = Outcome::of(report, settled, &mut news);
            *outcomes.entry(outcome.as_str()).or_default() += 1;
            match outcome {
                Outcome::Changed | Outcome::Repeated | Outcome::Outranked => {}
                Outcome::Unknown => merged.unfinished.push((*at, Unfinished::Unknown)),
                Outcome::NeverSent => {
                    self.metrics.never_sent.inc();
                    tracing::error!(%batch, row = report.row, reported = %report.state,
                        organization = %names.organization_id, distribution = %names.distribution_id,
                        "receipt for a message that was never handed over: nothing changed");
                }
            }
        }
        for (outcome, reports) in outcomes {
            self.count(outcome, reports);
        }
        merged.events = news.into_messages();
        Ok(merged)
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
        if names.may_report(from) {
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

    /// A callback that says several things is kept for those of them that are not finished.
    fn keep(
        &self,
        read: &Read,
        taken: &[Taken],
        unfinished: Vec<(usize, Unfinished)>,
        kept: &mut Kept,
    ) {
        let mut fates = BTreeMap::<(usize, Unfinished), Vec<u32>>::new();
        for (at, fate) in unfinished {
            let told = &read.receipts[at];
            let pending = fates.entry((told.callback, fate)).or_default();
            pending.push(told.position);
        }
        for ((index, fate), pending) in fates {
            let one = &taken[index];
            let Taken {
                callback, parked, ..
            } = one;
            let reason = match fate {
                Unfinished::Unknown => {
                    if let Some(tier) = patience::next(*parked, self.settings.unknown_for) {
                        self.metrics.parked.inc();
                        kept.park(one, tier, pending);
                        continue;
                    }
                    let waited = patience::waited(*parked);
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
            kept.bury(one, reason, pending);
        }
    }

    /// Records a provider's opt-out for the organisation whose message it is about.
    async fn opt_out(
        &self,
        signal: &Signal,
        read: &Read,
        taken: &[Taken],
    ) -> Result<Option<Outgoing>, Undone> {
        let callback = &taken[signal.callback].callback;
        let about = signal.about.and_then(|at| read.receipts[at].reference);
        let names = match about {
            Some(reference) => self.names(reference.batch).await?,
            None => None,
        };
        // Of an organisation that this callback may speak for; else of the one it came for.
        let names = names.filter(|names| names.may_report(&callback.organization_id));
        let organization = names
            .as_ref()
            .map_or(&callback.organization_id, |names| &names.organization_id)
            .clone();
        let sender = match signal.opt_out.scope {
            OptOutScope::Organization => None,
            OptOutScope::Sender => {
                let about = about.filter(|_| names.is_some());
                self.sender(about, callback).await?
            }
        };
        let change = opt_outs::change(organization, sender, callback, &signal.opt_out);
        let whose = &change.organization_id;
        let before = match &change.sender {
            None => {
                let numbers = [change.number];
                let ask = || self.ledger.standings(whose, &numbers);
                self.patience
                    .ledger(ask)
                    .await?
                    .into_iter()
                    .flatten()
                    .next()
            }
            Some(sender) => {
                let ask = || self.ledger.sender_standings(whose, change.number);
                let mut known = self.patience.ledger(ask).await?.into_iter();
                known.find(|known| known.sender.as_ref() == Some(sender))
            }
        };
        let in_force = self
            .patience
            .ledger(|| self.ledger.change_opt_out(&change))
            .await?;
        // Told if it is news, or if it was this very signal that made it known (then whoever
        // recorded it may have died before telling).
        let is_news = match before {
            None => in_force,
            Some(known) => (in_force && known.kind != change.kind) || known.at == change.at,
        };
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

    /// The sender that an opt-out holds for: whose message `about` was, or the one of the connection
    /// that the callback came over. Several connections may share an account, so the message knows
    /// better. Nothing, and so every sender, if nobody knows.
    async fn sender(
        &self,
        about: Option<Reference>,
        callback: &Callback,
    ) -> Result<Option<String>, Undone> {
        let mut carrier = None;
        if let Some(Reference { batch, row }) = about {
            let ask = || self.ledger.rows(batch, row, 1);
            let rows = self.patience.ledger(ask).await?.into_iter();
            carrier = rows
                .filter(|known| known.row == row)
                .find_map(|row| row.connection_id);
        }
        let carrier = carrier.as_ref().unwrap_or(&callback.connection_id);
        let connection = self
            .patience
            .ledger(|| self.ledger.connection(carrier))
            .await?;
        Ok(connection.map(|connection| connection.sender.key()))
    }

    fn count(&self, outcome: &str, n: usize) {
        self.metrics
            .merged
            .with_label_values(&[outcome])
            .inc_by(n as u64);
    }
}
