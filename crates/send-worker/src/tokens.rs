//! Access tokens: one per connection for all its requests, renewed before it is over, and fetched
//! once however many requests wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use message::{Connection, ConnectionId, Secret};
use providers::{AccessToken, AccessTokens, SubmitClass, SubmitOutcome};
use tokio::time::Instant;

use crate::submit::{NoAnswer, Submitter};

/// A token that is over before then is renewed: a request must not carry it past its end.
const MARGIN: Duration = Duration::from_secs(60);

/// How long a refusal stands for everybody who asks: those who waited for it must not ask the token
/// endpoint one by one, and it has limits of its own.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// Ceilings of the random pauses after the token endpoint's 429 or a failure to reach it.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(16),
];

/// Connections whose tokens are remembered; past it all are fetched anew.
const KNOWN_MAX: usize = 10_000;

#[derive(Default)]
pub(crate) struct Tokens {
    known: Mutex<HashMap<ConnectionId, Arc<Slot>>>,
}

/// One connection's token. Whoever holds the lock fetches it; the others wait for the answer.
type Slot = tokio::sync::Mutex<Option<Known>>;

struct Known {
    until: Instant,
    answer: Result<Secret, SubmitOutcome>,
}

impl Tokens {
    /// The token of `connection`.
    ///
    /// # Errors
    /// What the lack of one means for the messages that wait for it; they were not submitted.
    pub(crate) async fn get(
        &self,
        tokens: &'static dyn AccessTokens,
        connection: &Connection,
        submitter: &Submitter,
    ) -> Result<Secret, SubmitOutcome> {
        let slot = self.slot(&connection.id);
        let mut known = slot.lock().await;
        if let Some(known) = &*known
            && Instant::now() < known.until
        {
            return known.answer.clone();
        }
        let fetched = fetch(tokens, connection, submitter).await;
        let good_for = match &fetched {
            // However short-lived, it serves the request that it was fetched for.
            Ok(token) => token.expires_in.saturating_sub(MARGIN).max(REFUSED_FOR),
            Err(_) => REFUSED_FOR,
        };
        let answer = fetched.map(|fetched| fetched.token);
        *known = Some(Known {
            until: Instant::now() + good_for,
            answer: answer.clone(),
        });
        answer
    }

    /// `token` was refused: forgets it, unless somebody has renewed it meanwhile.
    pub(crate) async fn forget(&self, connection: &ConnectionId, token: &Secret) {
        let slot = self.slot(connection);
        let mut known = slot.lock().await;
        if let Some(Known {
            answer: Ok(held), ..
        }) = &*known
            && held == token
        {
            *known = None;
        }
    }

    fn slot(&self, connection: &ConnectionId) -> Arc<Slot> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX && !known.contains_key(connection) {
            known.clear();
        }
        known.entry(connection.clone()).or_default().clone()
    }
}

async fn fetch(
    tokens: &'static dyn AccessTokens,
    connection: &Connection,
    submitter: &Submitter,
) -> Result<AccessToken, SubmitOutcome> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let request = tokens.build_request(connection).map_err(|why| {
            tracing::error!(connection = %connection.id, "{why}");
            SubmitOutcome::new(SubmitClass::AccountRefused, "unsendable")
        })?;
        let refused = match submitter.submit(request).await {
            Ok(response) => match tokens.read_response(&response) {
                Ok(token) => return Ok(token),
                Err(refused) => refused,
            },
            // Whether the token was made does not matter: no message was submitted.
            Err(NoAnswer::NotSent(code) | NoAnswer::Unknown(code)) => {
                SubmitOutcome::new(SubmitClass::Transient, code)
            }
        };
        let pause = match refused.class {
            SubmitClass::Throttled { .. } => pauses.next(),
            _ => None,
        };
        let Some(ceiling) = pause else {
            tracing::warn!(connection = %connection.id, class = refused.class.as_str(), code = refused.code, "no access token");
            return Err(refused);
        };
        tokio::time::sleep(ceiling.mul_f64(fastrand::f64())).await;
    }
}
