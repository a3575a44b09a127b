//! The ledger in Redis. Every script touches one hash slot and gets all its keys as `KEYS`, so the
//! same code runs on one server and on a cluster; every call is idempotent, because a call that
//! timed out has an unknown outcome. What lies where: `keys.rs`.

use std::{sync::Arc, time::Duration};

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
    ThrottleReport, id_index, sealing::Sealer,
};
use keys::Keys;
use link::Link;
use scripts::Scripts;
pub use settings::RedisSettings;
use windows::Windows;

mod accounts;
mod batches;
mod buckets;
mod conversations;
mod distributions;
mod ids;
mod inbound;
mod keys;
mod limits;
mod lines;
mod link;
mod opt_outs;
mod queues;
mod rows;
mod scripts;
mod settings;
mod windows;
mod workers;

/// The ledger in Redis.
pub struct RedisLedger {
    link: Link,
    keys: Keys,
    scripts: Scripts,
    settings: RedisSettings,
    sealer: Arc<Sealer>,
    conversations: Windows<OrganizationId>,
    ids: Windows<ConnectionId>,
    ask_senders: opt_outs::AskSenders,
}

impl RedisLedger {
    /// Connects to `url`, or to the cluster that the comma-separated nodes of `url` belong to.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] if nobody answers within the connect timeout and its retries;
    /// [`LedgerError::Unusable`] if the URL or the settings make no sense or the server would evict
    /// keys.
    pub async fn connect(
        url: &str,
        settings: RedisSettings,
        sealer: Arc<Sealer>,
    ) -> Result<Arc<Self>, LedgerError> {
        let keys = Keys::new(&settings.key_prefix)?;
        let link = Link::connect(url, &settings).await?;
        link.require_no_eviction().await?;
        Ok(Arc::new(Self {
            link,
            keys,
            scripts: Scripts::new(),
            settings,
            sealer,
            conversations: Windows::default(),
            ids: Windows::default(),
            ask_senders: opt_outs::AskSenders::default(),
        }))
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn register_batch(&self, batch: &BatchRecord) -> Result<Registered, LedgerError> {
        // The distribution first: if the process dies in between, a repetition of the batch lists
        // it again, which changes nothing, and a batch that nobody registered has no rows.
        if !distributions::add_batch(self, batch).await? {
            return Ok(Registered::Cancelled);
        }
        batches::register(self, batch).await
    }

    async fn write_rows(&self, batch: BatchKey, rows: &[NewRow]) -> Result<(), LedgerError> {
        rows::write(self, batch, rows).await
    }

    async fn mark_published(&self, batch: BatchKey) -> Result<(), LedgerError> {
        batches::mark_published(self, batch).await
    }

    async fn batch(&self, batch: BatchKey) -> Result<Option<BatchRecord>, LedgerError> {
        batches::get(self, batch).await
    }

    async fn counts(&self, batch: BatchKey) -> Result<Counts, LedgerError> {
        batches::counts(self, batch).await
    }

    async fn rows(&self, batch: BatchKey, first: u32, limit: u32) -> Result<Vec<Row>, LedgerError> {
        rows::list(self, batch, first, limit).await
    }

    async fn record_refused_batch(&self, refused: &RefusedBatch) -> Result<(), LedgerError> {
        inbound::refuse(self, refused).await
    }

    async fn refused_batches(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<RefusedBatch>, LedgerError> {
        inbound::refused(self, organization).await
    }

    async fn claim(&self, claim: &ClaimRequest) -> Result<Vec<Claim>, LedgerError> {
        // Two slots, so two calls: sent together, they cost one round trip.
        let check = async {
            if claim.exempt_from_opt_out {
                Ok(vec![false; claim.rows.len()])
            } else {
                opt_outs::are_out(self, &claim.organization_id, &claim.sender, &claim.rows).await
            }
        };
        let (mut claims, are_out) = tokio::try_join!(rows::claim(self, claim), check)?;
        for (found, is_out) in claims.iter_mut().zip(are_out) {
            if *found == Claim::Fresh && is_out {
                *found = Claim::OptedOut;
            }
        }
        Ok(claims)
    }

    async fn settle(&self, settle: &SettleRequest) -> Result<Vec<Settled>, LedgerError> {
        // Three slots, sent together.
        let remember = conversations::remember(self, settle);
        let told = match settle.index_ids {
            true => id_index::told(settle),
            false => Vec::new(),
        };
        let enter = ids::enter(self, &settle.connection_id, &told);
        let (settled, (), ()) = tokio::try_join!(rows::settle(self, settle), remember, enter)?;
        Ok(settled)
    }

    async fn lease(&self, asked: &[LeaseRequest]) -> Result<Vec<Lease>, LedgerError> {
        limits::lease(self, asked).await
    }

    async fn throttled(&self, report: &ThrottleReport) -> Result<LimitState, LedgerError> {
        limits::throttled(self, report).await
    }

    async fn limit(&self, scope: &LimitScope, per_second: f64) -> Result<LimitState, LedgerError> {
        limits::state(self, scope, per_second).await
    }

    async fn set_limit(
        &self,
        scope: &LimitScope,
        per_second: Option<f64>,
    ) -> Result<(), LedgerError> {
        limits::set(self, scope, per_second).await
    }

    async fn merge(
        &self,
        batch: BatchKey,
        reports: &[RowReport],
        now: Timestamp,
    ) -> Result<Vec<Settled>, LedgerError> {
        rows::merge(self, batch, reports, now).await
    }

    async fn by_provider_id(
        &self,
        connection: &ConnectionId,
        ids: &[&str],
    ) -> Result<Vec<Option<Reference>>, LedgerError> {
        ids::look_up(self, connection, ids).await
    }

    async fn latest_message(
        &self,
        organization: &OrganizationId,
        sender: &str,
        number: Msisdn,
    ) -> Result<Option<Conversation>, LedgerError> {
        conversations::latest(self, organization, sender, number).await
    }

    async fn was_seen(
        &self,
        organization: &OrganizationId,
        name: &str,
    ) -> Result<bool, LedgerError> {
        inbound::was_seen(self, organization, name).await
    }

    async fn mark_seen(
        &self,
        organization: &OrganizationId,
        name: &str,
        keep_for: Duration,
    ) -> Result<(), LedgerError> {
        inbound::mark_seen(self, organization, name, keep_for).await
    }

    async fn join_part(
        &self,
        organization: &OrganizationId,
        message: &str,
        part: &InboundPart,
    ) -> Result<Joined, LedgerError> {
        inbound::join_part(self, organization, message, part).await
    }

    async fn change_opt_out(&self, change: &OptOutChange) -> Result<bool, LedgerError> {
        opt_outs::change(self, change).await
    }

    async fn standings(
        &self,
        organization: &OrganizationId,
        numbers: &[Msisdn],
    ) -> Result<Vec<Option<Standing>>, LedgerError> {
        opt_outs::standings(self, organization, numbers).await
    }

    async fn sender_standings(
        &self,
        organization: &OrganizationId,
        number: Msisdn,
    ) -> Result<Vec<Standing>, LedgerError> {
        opt_outs::towards_senders(self, organization, number).await
    }

    async fn distribution(
        &self,
        organization: &OrganizationId,
        distribution: &DistributionId,
    ) -> Result<Option<DistributionRecord>, LedgerError> {
        let one = std::slice::from_ref(distribution);
        Ok(distributions::get(self, organization, one).await?.pop())
    }

    async fn distributions(
        &self,
        organization: &OrganizationId,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<DistributionRecord>, LedgerError> {
        distributions::newest(self, organization, offset, limit).await
    }

    async fn set_distribution_state(
        &self,
        organization: &OrganizationId,
        distribution: &DistributionId,
        state: DistributionState,
    ) -> Result<bool, LedgerError> {
        distributions::set_state(self, organization, distribution, state).await
    }

    async fn cancel_rows(&self, batch: BatchKey, now: Timestamp) -> Result<Vec<Row>, LedgerError> {
        rows::cancel(self, batch, now).await
    }

    async fn reopen(
        &self,
        batch: BatchKey,
        rows: &[u32],
        now: Timestamp,
    ) -> Result<Vec<u32>, LedgerError> {
        rows::reopen(self, batch, rows, now).await
    }

    async fn open_queue(&self, queue: &QueueEntry) -> Result<(), LedgerError> {
        queues::open(self, queue).await
    }

    async fn close_queue(&self, name: &str) -> Result<(), LedgerError> {
        queues::close(self, name).await
    }

    async fn queues(&self, known_version: Option<u64>) -> Result<Option<QueueList>, LedgerError> {
        queues::list(self, known_version).await
    }

    async fn attend(&self, worker: &str, lease: Duration) -> Result<Vec<String>, LedgerError> {
        workers::attend(self, worker, lease).await
    }

    async fn leave(&self, worker: &str) -> Result<(), LedgerError> {
        workers::leave(self, worker).await
    }

    async fn add_connection(&self, connection: &Connection) -> Result<(), LedgerError> {
        accounts::add(self, connection).await
    }

    async fn connections(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<Connection>, LedgerError> {
        accounts::of(self, organization).await
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>, LedgerError> {
        accounts::get(self, id).await
    }

    async fn delete_connection(
        &self,
        organization: &OrganizationId,
        id: &ConnectionId,
        at: Timestamp,
    ) -> Result<bool, LedgerError> {
        accounts::delete(self, organization, id, at).await
    }

    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<OrganizationSettings, LedgerError> {
        accounts::settings(self, organization).await
    }

    async fn set_organization(
        &self,
        organization: &OrganizationId,
        settings: &OrganizationSettings,
    ) -> Result<(), LedgerError> {
        accounts::set_settings(self, organization, settings).await
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.link.ping().await
    }
}
