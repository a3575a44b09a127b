//! Which connection carries a batch.

use ledger::Ledger;
use message::{Connection, OrganizationId, connection::OrganizationSettings};

use crate::{
    patience::{Halt, Patience},
    reading::Head,
};

/// Why no connection can carry a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoConnection {
    /// It has none, and there is no usable one for all.
    None,
    /// It has none, and may not use the one for all.
    Forbidden,
    /// The one that the fleet's own batch names is gone.
    Gone,
}

impl NoConnection {
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::None => "the organisation has no active connection",
            Self::Forbidden => {
                "the organisation has no active connection and forbids the default one"
            }
            Self::Gone => "the connection it is meant for is not active",
        }
    }
}

/// The connection for a new batch: the one it names, the organisation's first active one, or the
/// default organisation's, in this order.
pub(crate) async fn choose(
    ledger: &dyn Ledger,
    patience: &Patience,
    head: &Head,
    organization: &OrganizationSettings,
    default_organization: Option<&OrganizationId>,
) -> Result<Result<Connection, NoConnection>, Halt> {
    if let Some(internal) = &head.internal {
        let named = patience
            .until("look up connection", || {
                ledger.connection(&internal.connection_id)
            })
            .await?;
        return Ok(named
            .filter(Connection::is_active)
            .ok_or(NoConnection::Gone));
    }
    if let Some(own) = first_active(ledger, patience, &head.organization_id).await? {
        return Ok(Ok(own));
    }
    let Some(default) = default_organization.filter(|id| **id != head.organization_id) else {
        return Ok(Err(NoConnection::None));
    };
    if organization.forbid_default_connection {
        return Ok(Err(NoConnection::Forbidden));
    }
    let shared = first_active(ledger, patience, default).await?;
    Ok(shared.ok_or(NoConnection::None))
}

async fn first_active(
    ledger: &dyn Ledger,
    patience: &Patience,
    organization: &OrganizationId,
) -> Result<Option<Connection>, Halt> {
    let all = patience
        .until("list connections", || ledger.connections(organization))
        .await?;
    Ok(all.into_iter().find(Connection::is_active))
}
