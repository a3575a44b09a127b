//! Which connections an organisation has: asked of the ledger, believed for a moment, asked once
//! however many callbacks wait for the answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ledger::Ledger;
use message::{Connection, OrganizationId};
use prometheus::IntCounter;

/// Connections by organisation.
pub(crate) struct Connections {
    ledger: Arc<dyn Ledger>,
    fresh_for: Duration,
    organizations_max: usize,
    stale_lookups: IntCounter,
    remembered: Mutex<HashMap<OrganizationId, Arc<Slot>>>,
}

/// One organisation's place. Whoever holds the lock asks the ledger; the others wait for the answer.
type Slot = tokio::sync::Mutex<Option<Answer>>;

struct Answer {
    at: Instant,
    found: Result<Arc<[Connection]>, Arc<str>>,
}

impl Connections {
    pub(crate) fn new(
        ledger: Arc<dyn Ledger>,
        fresh_for: Duration,
        organizations_max: usize,
        stale_lookups: IntCounter,
    ) -> Self {
        let remembered = Mutex::default();
        Self {
            ledger,
            fresh_for,
            organizations_max,
            stale_lookups,
            remembered,
        }
    }

    /// The connections of `organization`, deleted ones included; none if nobody knows it. While the
    /// ledger is away the last known ones serve, however old: connections are immutable and deleted
    /// ones verify too, so the worst is that a brand-new connection is not known yet.
    ///
    /// # Errors
    /// Why the ledger can not be asked, if nothing is remembered either.
    pub(crate) async fn of(
        &self,
        organization: &OrganizationId,
    ) -> Result<Arc<[Connection]>, Arc<str>> {
        let slot = self.slot(organization);
        let mut answer = slot.lock().await;
        if let Some(known) = &*answer
            && known.at.elapsed() < self.fresh_for
        {
            return known.found.clone();
        }
        let asked = self.ledger.connections(organization).await;
        let found = match (asked, answer.take()) {
            (Ok(connections), _) => Ok(connections.into()),
            (
                Err(why),
                Some(Answer {
                    found: Ok(known), ..
                }),
            ) if !known.is_empty() => {
                tracing::warn!(%organization, "verifying by remembered connections: {why}");
                self.stale_lookups.inc();
                Ok(known)
            }
            (Err(why), _) => Err(Arc::from(why.to_string())),
        };
        // A failure is an answer too: those who waited for this one must not ask one by one.
        *answer = Some(Answer {
            at: Instant::now(),
            found: found.clone(),
        });
        found
    }

    fn slot(&self, organization: &OrganizationId) -> Arc<Slot> {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = remembered.get(organization) {
            return slot.clone();
        }
        if remembered.len() >= self.organizations_max {
            // Strangers who try ids fill the place first; real organisations survive them.
            remembered.retain(|_, slot| {
                slot.try_lock()
                    .map_or(true, |answer| is_real(answer.as_ref()))
            });
        }
        if remembered.len() >= self.organizations_max {
            remembered.clear();
        }
        remembered.entry(organization.clone()).or_default().clone()
    }
}

fn is_real(answer: Option<&Answer>) -> bool {
    matches!(answer, Some(Answer { found: Ok(known), .. }) if !known.is_empty())
}
