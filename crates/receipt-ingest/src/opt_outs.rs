//! Opt-outs that a provider signals beside a receipt: error 21610 and its kin.

use bus::{Outgoing, Route, Topic};
use message::{
    OrganizationId,
    callback::Callback,
    event::{EVENT_VERSION, Event, OptOutEvent},
    opt_out::{OptOutChange, OptOutKind, OptOutSource},
};
use providers::ProviderOptOut;
use sha2::{Digest, Sha256};

/// The change that a signal means for `organization`.
pub(crate) fn change(
    organization: OrganizationId,
    callback: &Callback,
    signal: &ProviderOptOut,
) -> OptOutChange {
    OptOutChange {
        organization_id: organization,
        number: signal.number,
        kind: signal.kind,
        at: callback.received_at,
        source: OptOutSource::Provider,
        connection_id: Some(callback.connection_id.clone()),
        evidence: format!("{}:{}", callback.provider, signal.code),
    }
}

/// The event about `change`; `distribution` is the mailing it belongs to, if that is known.
pub(crate) fn event(change: OptOutChange, distribution: Option<&str>) -> Outgoing {
    let word = word(change.kind);
    let key = format!(
        "{}.{}.{word}",
        change.organization_id,
        distribution.unwrap_or("none")
    );
    // Made of what the change is, so that telling it again is recognised; a hash, because the name
    // of a message may be logged anywhere and the number may not.
    let digest = Sha256::new()
        .chain_update(change.organization_id.as_str())
        .chain_update([0])
        .chain_update(change.number.as_u64().to_be_bytes())
        .chain_update(change.at.as_millis().to_be_bytes())
        .chain_update(word)
        .finalize();
    let digest: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let event_id = format!("{word}:{digest}");
    let event = Event::OptOut(OptOutEvent {
        v: EVENT_VERSION,
        event_id: event_id.clone(),
        change,
    });
    let body = serde_json::to_vec(&event).expect("events have string keys only");
    Outgoing::new(Route::Topic(Topic::Events, key), event_id, body)
}

/// The last word of the routing key, and the label in metrics.
pub(crate) const fn word(kind: OptOutKind) -> &'static str {
    match kind {
        OptOutKind::OptOut => "opt_out",
        OptOutKind::OptIn => "opt_in",
    }
}
