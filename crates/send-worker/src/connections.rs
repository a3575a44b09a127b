//! Connections by id, believed for a short while: a deletion works within that time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use ledger::{Ledger, LedgerError};
use message::{Connection, ConnectionId};
use tokio::time::Instant;

type Known = (Instant, Option<Arc<Connection>>);

pub(crate) struct Connections {
    ledger: Arc<dyn Ledger>,
    believed_for: Duration,
    known: Mutex<HashMap<ConnectionId, Known>>,
}

/// Connections remembered at once; past it the cache starts anew, which costs one look-up each.
const KNOWN_MAX: usize = 50_000;

impl Connections {
    pub(crate) fn new(ledger: Arc<dyn Ledger>, believed_for: Duration) -> Self {
        Self {
            ledger,
            believed_for,
            known: Mutex::default(),
        }
    }

    /// The connection, deleted ones included; `None` if there never was one of that id.
    pub(crate) async fn get(
        &self,
        id: &ConnectionId,
    ) -> Result<Option<Arc<Connection>>, LedgerError> {
        let now = Instant::now();
        let fresh = |(since, _): &&Known| now.duration_since(*since) < self.believed_for;
        if let Some((_, found)) = self
            .known
            .lock()
            .expect("no code panics in here")
            .get(id)
            .filter(fresh)
        {
            return Ok(found.clone());
        }
        let found = self.ledger.connection(id).await?.map(Arc::new);
        let mut known = self.known.lock().expect("no code panics in here");
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(id.clone(), (now, found.clone()));
        Ok(found)
    }
}
