//! Asking a provider what became of messages: for doubts, and for receipts that are overdue.

use bytes::Bytes;
use http::{Request, Response};
use message::{Connection, Msisdn};

use crate::{Receipt, SubmitOutcome, Unsendable};

/// How a provider is asked for the status of messages.
pub trait StatusLookUp: Send + Sync + std::fmt::Debug {
    /// Messages that one request asks for, at most.
    fn messages_per_request(&self) -> usize;

    /// Whether a message can be found by our reference, so that even a doubt can be settled; else it
    /// takes the provider's id.
    fn finds_by_reference(&self) -> bool;

    /// The request that asks for `sought`.
    ///
    /// # Errors
    /// [`Unsendable`] if the connection's fields do not make one, or an id is missing.
    fn build_request(
        &self,
        connection: &Connection,
        sought: &[Sought<'_>],
    ) -> Result<Request<Bytes>, Unsendable>;

    /// What the answer says about each of `sought`, in their order and number.
    ///
    /// # Errors
    /// What made the whole answer useless: throttled, transient, the account's, or unreadable.
    fn read_response(
        &self,
        sought: &[Sought<'_>],
        response: &Response<Bytes>,
    ) -> Result<Vec<Found>, SubmitOutcome>;
}

/// A message whose status is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    /// Our name for it.
    pub reference: &'a str,
    /// The provider's id; empty if it is not known.
    pub provider_message_id: &'a str,
    /// The recipient.
    pub to: Msisdn,
}

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The message, as a receipt would tell it.
    Receipt(Receipt),
    /// The provider does not know it (any more).
    Unknown,
}
