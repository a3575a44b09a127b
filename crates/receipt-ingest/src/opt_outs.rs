//! Opt-outs that a provider signals beside a receipt: error 21610 and its kin.

use message::{
    OrganizationId,
    callback::Callback,
    opt_out::{OptOutChange, OptOutSource},
};
use providers::ProviderOptOut;

/// The change that a signal means for `organization`, towards `sender` only if one is given.
pub(crate) fn change(
    organization: OrganizationId,
    sender: Option<String>,
    callback: &Callback,
    signal: &ProviderOptOut,
) -> OptOutChange {
    OptOutChange {
        organization_id: organization,
        number: signal.number,
        kind: signal.kind,
        at: callback.received_at,
        sender,
        source: OptOutSource::Provider,
        connection_id: Some(callback.connection_id.clone()),
        evidence: format!("{}:{}", callback.provider, signal.code),
    }
}
