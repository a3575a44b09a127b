//! Access tokens, for providers whose requests carry one instead of the account's own secret.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use message::{Connection, Secret};

use crate::{SubmitOutcome, Unsendable};

/// Where a provider's access tokens come from.
pub trait AccessTokens: Send + Sync + std::fmt::Debug {
    /// The request for a token of `connection`.
    ///
    /// # Errors
    /// [`Unsendable`] if its fields do not make one.
    fn build_request(&self, connection: &Connection) -> Result<Request<Bytes>, Unsendable>;

    /// The token in an answer.
    ///
    /// # Errors
    /// What the refusal means for every message that waits for the token: throttled, transient or
    /// the account's. Never in doubt: nothing was submitted.
    fn read_response(&self, response: &Response<Bytes>) -> Result<AccessToken, SubmitOutcome>;
}

/// An access token.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// The token.
    pub token: Secret,
    /// How long it is good for, from its answer on.
    pub expires_in: Duration,
}
