//! One account at one provider with its sender. Immutable: a change is a new connection, and a
//! deleted one stays as a tombstone that still verifies the callbacks of what it sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ConnectionId, OrganizationId, Secret, Sender, Timestamp};

/// A connection as the fleet uses it, secrets opened. Which fields it has is the provider's table.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Who brought it.
    pub organization_id: OrganizationId,
    /// The provider's slug, `twilio-sms`.
    pub provider: String,
    /// What the administrator calls it.
    pub name: String,
    /// Who the messages are from.
    pub sender: Sender,
    /// Plain fields of the provider's form, by key.
    pub fields: BTreeMap<String, String>,
    /// Secret fields of the provider's form, by key.
    pub secrets: BTreeMap<String, Secret>,
    /// The rate limit in segments per second.
    pub segments_per_second: f64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was deleted, if it was.
    pub deleted_at: Option<Timestamp>,
}

impl Connection {
    /// Whether it may carry new messages.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// A plain field of the form; empty where the form left it out.
    #[must_use]
    pub fn field(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }

    /// A secret field of the form, unless it is missing or empty.
    #[must_use]
    pub fn secret(&self, key: &str) -> Option<&Secret> {
        self.secrets
            .get(key)
            .filter(|secret| !secret.reveal().is_empty())
    }
}

/// What an organisation's operator decided about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrganizationSettings {
    /// Never send over the fleet's default connection.
    pub forbid_default_connection: bool,
    /// The region whose national number forms are understood, ISO 3166 alpha-2; nothing: only `+…`.
    pub default_region: Option<String>,
    /// The name in confirmations; the organisation's id where nothing is set.
    pub brand: Option<String>,
}
