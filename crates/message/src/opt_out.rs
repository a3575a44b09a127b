//! A standing refusal of a subscriber towards an organisation, and its end.

use serde::{Deserialize, Serialize};

use crate::{ConnectionId, Msisdn, OrganizationId, Timestamp};

/// One change of a subscriber's standing, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptOutChange {
    /// Towards whom.
    pub organization_id: OrganizationId,
    /// Who.
    pub number: Msisdn,
    /// Out or in again.
    pub kind: OptOutKind,
    /// When, by the provider's receive time where there is one. Order of changes: the later one
    /// holds, at a tie the opt-out.
    pub at: Timestamp,
    /// Towards which sender only ([`crate::Sender::key`]); nothing for the whole organisation. Known
    /// from a provider's refusal, which may hold for the number that it refused and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// How the fleet came to know.
    pub source: OptOutSource,
    /// The connection it came over, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// The provider's id of the inbound message, or an operator's note.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence: String,
}

/// Which way a standing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOutKind {
    /// No more messages.
    OptOut,
    /// Messages again.
    OptIn,
}

/// How an opt-out or opt-in became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOutSource {
    /// The recipient texted a keyword.
    Keyword,
    /// The provider said so: in an answer, a receipt or beside an inbound message.
    Provider,
    /// An operator or a program over the API.
    Api,
    /// A list was imported.
    Import,
}

/// The latest change known for a number.
pub type Standing = OptOutChange;
