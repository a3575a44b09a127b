//! The ledger in the process: for `smsfleet demo`, `smsfleet standalone` and tests. It forgets
//! everything when the process ends; nothing is written anywhere, so nothing is sealed either.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use message::{
    BatchKey, Connection, ConnectionId, DistributionId, Msisdn, OrganizationId, Reference,
    Timestamp,
    connection::OrganizationSettings,
    opt_out::{OptOutChange, Standing},
};

use crate::{
    BatchRecord, Claim, ClaimRequest, Conversation, Counts, DistributionRecord, DistributionState,
    InboundPart, Joined, Lease, LeaseRequest, Ledger, LedgerError, LimitScope, LimitState, NewRow,
    QueueEntry, QueueList, RefusedBatch, Registered, Row, RowReport, SettleRequest, Settled,
    ThrottleReport, id_index,
};
use accounts::Accounts;
use batches::Batches;
use conversations::Conversations;
use distributions::Distributions;
use ids::Ids;
use inbound::Inbound;
use joining::Joining;
use limits::Limits;
use opt_outs::OptOuts;
use queues::Queues;
use workers::Workers;

mod accounts;
mod batch;
mod batches;
mod conversations;
mod distributions;
mod ids;
mod inbound;
mod joining;
mod limits;
mod opt_outs;
mod queues;
mod workers;

/// The ledger in the process.
#[derive(Default)]
pub struct EmbeddedLedger {
    // Where two are held at once, they are taken in this order.
    distributions: Mutex<Distributions>,
    batches: Mutex<Batches>,
    conversations: Mutex<Conversations>,
    ids: Mutex<Ids>,
    opt_outs: Mutex<OptOuts>,
    limits: Mutex<Limits>,
    inbound: Mutex<Inbound>,
    joining: Mutex<Joining>,
    queues: Mutex<Queues>,
    workers: Mutex<Workers>,
    accounts: Mutex<Accounts>,
}

impl EmbeddedLedger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
}

/// A panic while a lock is held ends the process anyway: the guard is taken as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch is locked alone, behind a look into the map of all of them, so that a long step over
/// one does not stop the others.
impl EmbeddedLedger {
    fn in_batch<T>(&self, key: BatchKey, step: impl FnOnce(&mut batch::Batch) -> T) -> Option<T> {
        let batch = lock(&self.batches).get(key)?;
        Some(step(&mut lock(&batch)))
    }

    fn in_registered<T>(
        &self,
        key: BatchKey,
        step: impl FnOnce(&mut batch::Batch) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.in_batch(key, step)
            .unwrap_or_else(|| Err(LedgerError::not_registered(key)))
    }
}

#[async_trait]
impl Ledger for EmbeddedLedger {
    async fn register_batch(&self, batch: &BatchRecord) -> Result<Registered, LedgerError> {
        let mut distributions = lock(&self.distributions);
        let mut batches = lock(&self.batches);
        for ended in batches.sweep() {
            distributions.drop_batch(&ended);
        }
        if !distributions.add_batch(batch) {
            return Ok(Registered::Cancelled);
        }
        Ok(batches.register(batch))
    }

    async fn write_rows(&self, batch: BatchKey, rows: &[NewRow]) -> Result<(), LedgerError> {
        self.in_registered(batch, |batch| batch.write_rows(rows))
    }

    async fn mark_published(&self, batch: BatchKey) -> Result<(), LedgerError> {
        self.in_registered(batch, |batch| {
            batch.record.published = true;
            Ok(())
        })
    }

    async fn batch(&self, batch: BatchKey) -> Result<Option<BatchRecord>, LedgerError> {
        Ok(self.in_batch(batch, |batch| batch.record.clone()))
    }

    async fn counts(&self, batch: BatchKey) -> Result<Counts, LedgerError> {
        Ok(self
            .in_batch(batch, |batch| batch.counts())
            .unwrap_or_default())
    }

    async fn rows(&self, batch: BatchKey, first: u32, limit: u32) -> Result<Vec<Row>, LedgerError> {
        Ok(self
            .in_batch(batch, |batch| batch.rows(first, limit))
            .unwrap_or_default())
    }

    async fn record_refused_batch(&self, refused: &RefusedBatch) -> Result<(), LedgerError> {
        lock(&self.inbound).refuse(refused);
        Ok(())
    }

    async fn refused_batches(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<RefusedBatch>, LedgerError> {
        Ok(lock(&self.inbound).refused(organization))
    }

    async fn claim(&self, claim: &ClaimRequest) -> Result<Vec<Claim>, LedgerError> {
        let Some(mut claims) = self.in_batch(claim.batch, |batch| batch.claim(claim)) else {
            return Ok(vec![Claim::Unknown; claim.rows.len()]);
        };
        if !claim.exempt_from_opt_out {
            let opt_outs = lock(&self.opt_outs);
            for (found, (_, to)) in claims.iter_mut().zip(&claim.rows) {
                let is_out = || opt_outs.is_out(&claim.organization_id, &claim.sender, *to);
                if *found == Claim::Fresh && is_out() {
                    *found = Claim::OptedOut;
                }
            }
        }
        Ok(claims)
    }

    async fn settle(&self, settle: &SettleRequest) -> Result<Vec<Settled>, LedgerError> {
        let settled = self.in_batch(settle.batch, |batch| batch.settle(settle));
        lock(&self.conversations).remember(settle);
        if settle.index_ids {
            lock(&self.ids).enter(&settle.connection_id, id_index::told(settle));
        }
        Ok(settled.unwrap_or_else(|| vec![Settled::Unknown; settle.rows.len()]))
    }

    async fn lease(&self, asked: &[LeaseRequest]) -> Result<Vec<Lease>, LedgerError> {
        Ok(lock(&self.limits).lease(asked))
    }

    async fn throttled(&self, report: &ThrottleReport) -> Result<LimitState, LedgerError> {
        Ok(lock(&self.limits).throttled(report))
    }

    async fn limit(&self, scope: &LimitScope, per_second: f64) -> Result<LimitState, LedgerError> {
        Ok(lock(&self.limits).state(scope, per_second))
    }

    async fn set_limit(
        &self,
        scope: &LimitScope,
        per_second: Option<f64>,
    ) -> Result<(), LedgerError> {
        lock(&self.limits).set(scope, per_second);
        Ok(())
    }

    async fn merge(
        &self,
        batch: BatchKey,
        reports: &[RowReport],
        now: Timestamp,
    ) -> Result<Vec<Settled>, LedgerError> {
        let merged = self.in_batch(batch, |batch| batch.merge(reports, now));
        let Some((settled, learned)) = merged else {
            return Ok(vec![Settled::Unknown; reports.len()]);
        };
        for (connection, name, reference) in learned {
            lock(&self.ids).enter(&connection, [(name, reference)]);
        }
        Ok(settled)
    }

    async fn by_provider_id(
        &self,
        connection: &ConnectionId,
        ids: &[&str],
    ) -> Result<Vec<Option<Reference>>, LedgerError> {
        Ok(lock(&self.ids).look_up(connection, ids))
    }

    async fn latest_message(
        &self,
        organization: &OrganizationId,
        sender: &str,
        number: Msisdn,
    ) -> Result<Option<Conversation>, LedgerError> {
        Ok(lock(&self.conversations).latest(organization, sender, number))
    }

    async fn was_seen(
        &self,
        organization: &OrganizationId,
        name: &str,
    ) -> Result<bool, LedgerError> {
        Ok(lock(&self.inbound).was_seen(organization, name))
    }

    async fn mark_seen(
        &self,
        organization: &OrganizationId,
        name: &str,
        keep_for: Duration,
    ) -> Result<(), LedgerError> {
        lock(&self.inbound).mark_seen(organization, name, keep_for);
        Ok(())
    }

    async fn join_part(
        &self,
        organization: &OrganizationId,
        message: &str,
        part: &InboundPart,
    ) -> Result<Joined, LedgerError> {
        Ok(lock(&self.joining).join(organization, message, part))
    }

    async fn change_opt_out(&self, change: &OptOutChange) -> Result<bool, LedgerError> {
        Ok(lock(&self.opt_outs).change(change))
    }

    async fn standings(
        &self,
        organization: &OrganizationId,
        numbers: &[Msisdn],
    ) -> Result<Vec<Option<Standing>>, LedgerError> {
        Ok(lock(&self.opt_outs).standings(organization, numbers))
    }

    async fn sender_standings(
        &self,
        organization: &OrganizationId,
        number: Msisdn,
    ) -> Result<Vec<Standing>, LedgerError> {
        Ok(lock(&self.opt_outs).towards_senders(organization, number))
    }

    async fn distribution(
        &self,
        organization: &OrganizationId,
        distribution: &DistributionId,
    ) -> Result<Option<DistributionRecord>, LedgerError> {
        Ok(lock(&self.distributions)
            .get(organization, distribution)
            .cloned())
    }

    async fn distributions(
        &self,
        organization: &OrganizationId,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<DistributionRecord>, LedgerError> {
        Ok(lock(&self.distributions).newest(organization, offset, limit))
    }

    async fn set_distribution_state(
        &self,
        organization: &OrganizationId,
        distribution: &DistributionId,
        state: DistributionState,
    ) -> Result<bool, LedgerError> {
        let found = lock(&self.distributions).set_state(organization, distribution, state);
        if found == Some(true) {
            lock(&self.queues).states_changed();
        }
        Ok(found.is_some())
    }

    async fn cancel_rows(&self, batch: BatchKey, now: Timestamp) -> Result<Vec<Row>, LedgerError> {
        Ok(self
            .in_batch(batch, |batch| batch.cancel_rows(now))
            .unwrap_or_default())
    }

    async fn reopen(
        &self,
        batch: BatchKey,
        rows: &[u32],
        now: Timestamp,
    ) -> Result<Vec<u32>, LedgerError> {
        Ok(self
            .in_batch(batch, |batch| batch.reopen(rows, now))
            .unwrap_or_default())
    }

    async fn open_queue(&self, queue: &QueueEntry) -> Result<(), LedgerError> {
        lock(&self.queues).open(queue);
        Ok(())
    }

    async fn close_queue(&self, name: &str) -> Result<(), LedgerError> {
        lock(&self.queues).close(name);
        Ok(())
    }

    async fn queues(&self, known_version: Option<u64>) -> Result<Option<QueueList>, LedgerError> {
        let distributions = lock(&self.distributions);
        Ok(lock(&self.queues).list(known_version, &distributions))
    }

    async fn attend(&self, worker: &str, lease: Duration) -> Result<Vec<String>, LedgerError> {
        Ok(lock(&self.workers).attend(worker, lease))
    }

    async fn leave(&self, worker: &str) -> Result<(), LedgerError> {
        lock(&self.workers).leave(worker);
        Ok(())
    }

    async fn add_connection(&self, connection: &Connection) -> Result<(), LedgerError> {
        lock(&self.accounts).add(connection);
        Ok(())
    }

    async fn connections(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<Connection>, LedgerError> {
        Ok(lock(&self.accounts).of(organization))
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, LedgerError> {
        Ok(lock(&self.accounts).get(id))
    }

    async fn delete_connection(
        &self,
        organization: &OrganizationId,
        id: &ConnectionId,
        at: Timestamp,
    ) -> Result<bool, LedgerError> {
        Ok(lock(&self.accounts).delete(organization, id, at))
    }

    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<OrganizationSettings, LedgerError> {
        Ok(lock(&self.accounts).settings(organization))
    }

    async fn set_organization(
        &self,
        organization: &OrganizationId,
        settings: &OrganizationSettings,
    ) -> Result<(), LedgerError> {
        lock(&self.accounts).set_settings(organization, settings);
        Ok(())
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}
