//! Nonces of callbacks that were taken: signed once, they say nothing new a second time. What a process
//! took it remembers itself; what others took, the ledger does, as long as it answers at once. What
//! slips through does no harm: receipts and inbound messages are the same however often they come.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use backing::fingerprint;
use ledger::{Ledger, LedgerError, NONCE_SEEN_FOR};
use message::{ConnectionId, OrganizationId};

/// A provider waits for the answer meanwhile.
const LEDGER_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a ledger that did not answer is left alone.
const LEDGER_PAUSE: Duration = Duration::from_secs(2);

/// Nonces of callbacks that were taken.
pub(crate) struct Nonces {
    ledger: Arc<dyn Ledger>,
    remembered: Mutex<Remembered>,
}

/// In two generations: the elder is dropped whole when the younger is old or full.
struct Remembered {
    names: [HashSet<String>; 2],
    since: Instant,
    /// The ledger is not asked before.
    ledger_from: Instant,
}

/// Names that a generation holds: ten minutes of a thousand callbacks a second would be more, and
/// then the ledger still knows.
const GENERATION_MAX: usize = 100_000;

impl Nonces {
    pub(crate) fn new(ledger: Arc<dyn Ledger>) -> Self {
        let now = Instant::now();
        Self {
            ledger,
            remembered: Mutex::new(Remembered {
                names: Default::default(),
                since: now,
                ledger_from: now,
            }),
        }
    }

    /// The name of a nonce: short, whatever the provider sent.
    pub(crate) fn name(connection: &ConnectionId, nonce: &str) -> String {
        let nonce = fingerprint([nonce.as_bytes()]);
        format!("nonce:{connection}:{nonce}")
    }

    /// Whether a callback with this nonce was taken before.
    pub(crate) async fn was_taken(&self, organization: &OrganizationId, name: &str) -> bool {
        if self
            .remembered()
            .names
            .iter()
            .any(|names| names.contains(name))
        {
            return true;
        }
        let asked = self.ledger.was_seen(organization, name);
        self.at_once(asked).await.unwrap_or(false)
    }

    /// The callback with this nonce is on the bus.
    pub(crate) async fn take(&self, organization: &OrganizationId, name: String) {
        let marked = self.ledger.mark_seen(organization, &name, NONCE_SEEN_FOR);
        self.remembered().keep(name.clone());
        let _: Option<()> = self.at_once(marked).await;
    }

    /// The ledger's answer, if it has one at once.
    async fn at_once<T>(&self, call: impl Future<Output = Result<T, LedgerError>>) -> Option<T> {
        if Instant::now() < self.remembered().ledger_from {
            return None;
        }
        match tokio::time::timeout(LEDGER_TIMEOUT, call).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(_)) | Err(_) => {
                self.remembered().ledger_from = Instant::now() + LEDGER_PAUSE;
                None
            }
        }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn keep(&mut self, name: String) {
        if self.since.elapsed() > NONCE_SEEN_FOR || self.names[0].len() >= GENERATION_MAX {
            self.names[1] = std::mem::take(&mut self.names[0]);
            self.since = Instant::now();
        }
        self.names[0].insert(name);
    }
}

#[cfg(test)]
mod tests {
    use ledger::EmbeddedLedger;

    use super::*;

    #[tokio::test]
    async fn a_nonce_is_known_to_whoever_took_it_and_over_the_ledger_to_the_others() {
        let organization = OrganizationId::new("ORG_1").expect("valid");
        let connection = ConnectionId::new("C_1").expect("valid");
        let ledger = EmbeddedLedger::new();
        let (one, other) = (Nonces::new(ledger.clone()), Nonces::new(ledger));
        let alone = Nonces::new(EmbeddedLedger::new());
        let name = Nonces::name(&connection, "n-7");
        assert!(!one.was_taken(&organization, &name).await);
        one.take(&organization, name.clone()).await;
        assert!(one.was_taken(&organization, &name).await);
        assert!(other.was_taken(&organization, &name).await);
        assert!(!alone.was_taken(&organization, &name).await);
        let others = Nonces::name(&ConnectionId::new("C_2").expect("valid"), "n-7");
        assert!(!one.was_taken(&organization, &others).await);
    }

    #[tokio::test]
    async fn while_the_ledger_is_away_the_process_decides_alone_and_at_once() {
        let organization = OrganizationId::new("ORG_1").expect("valid");
        let nonces = Nonces::new(EmbeddedLedger::new());
        nonces.remembered().ledger_from = Instant::now() + LEDGER_PAUSE;
        let never = nonces.at_once(std::future::pending::<Result<(), _>>());
        assert_eq!(never.await, None);
        nonces.take(&organization, "a".into()).await;
        assert!(nonces.was_taken(&organization, "a").await);
        assert!(!nonces.was_taken(&organization, "b").await);
    }

    #[tokio::test]
    async fn a_ledger_that_does_not_answer_is_left_alone_for_a_moment() {
        let nonces = Nonces::new(EmbeddedLedger::new());
        let never = nonces.at_once(std::future::pending::<Result<(), _>>());
        assert_eq!(never.await, None);
        assert!(nonces.remembered().ledger_from > Instant::now());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let now = Instant::now();
        let mut remembered = Remembered {
            names: Default::default(),
            since: now,
            ledger_from: now,
        };
        for n in 0..GENERATION_MAX * 2 + 1 {
            remembered.keep(n.to_string());
        }
        assert_eq!(remembered.names[0].len(), 1);
        assert_eq!(remembered.names[1].len(), GENERATION_MAX);
    }
}
