//! How a refusal is told: as events of a bounded size whose ids do not depend on when or how often
//! they are told.

use bus::{Outgoing, Route, Topic};
use message::{
    BatchId, DistributionId, OrganizationId, Refusal, Rule, Timestamp,
    event::{EVENT_VERSION, Event, RefusedEvent},
};
use sha2::{Digest, Sha256};

use crate::reading::Names;

/// Refusals in one event.
const REFUSALS_PER_EVENT: usize = 1_000;

/// The routing word for a name that could not be read.
const UNKNOWN: &str = "unknown";

/// A fault of the batch as a whole.
pub(crate) fn of_batch(field: &str, rule: Rule, detail: String) -> Refusal {
    Refusal {
        row: None,
        field: field.to_owned(),
        rule,
        detail,
    }
}

/// The events that tell `refusals`; `source` names what they are about: a batch key, or the hash of
/// a body that has no readable name.
pub(crate) fn events(
    source: &str,
    names: &Names,
    refusals: &[Refusal],
    at: Timestamp,
) -> Vec<Outgoing> {
    let organization = names
        .organization_id
        .as_ref()
        .map_or(UNKNOWN, OrganizationId::as_str);
    let distribution = names
        .distribution_id
        .as_ref()
        .map_or(UNKNOWN, DistributionId::as_str);
    let key = format!("{organization}.{distribution}.refused");
    refusals
        .chunks(REFUSALS_PER_EVENT)
        .map(|part| {
            // Named by what it says: the same batch refused for another reason is other news.
            let event_id = format!("{source}:refused:{}", fingerprint(part));
            let event = Event::Refused(RefusedEvent {
                v: EVENT_VERSION,
                event_id: event_id.clone(),
                organization_id: names.organization_id.clone(),
                distribution_id: names.distribution_id.clone(),
                batch_id: names.batch_id.clone(),
                refusals: part.to_vec(),
                at,
            });
            let body = serde_json::to_vec(&event).expect("an event is made of JSON values only");
            Outgoing::new(Route::Topic(Topic::Events, key.clone()), event_id, body)
        })
        .collect()
}

/// What a body without a readable name is called.
pub(crate) fn source(names: &Names, body: &[u8]) -> String {
    match (&names.organization_id, &names.batch_id) {
        (Some(organization), Some(batch)) => batch_key(organization, batch),
        _ => hex(&Sha256::digest(body)[..8]),
    }
}

fn batch_key(organization: &OrganizationId, batch: &BatchId) -> String {
    message::BatchKey::of(organization, batch).to_string()
}

fn fingerprint(refusals: &[Refusal]) -> String {
    let mut hash = Sha256::new();
    for refusal in refusals {
        hash.update(refusal.row.map_or([0xFF; 4], u32::to_be_bytes));
        hash.update(refusal.rule.as_str());
        hash.update([0]);
        hash.update(&refusal.field);
        hash.update([0]);
    }
    hex(&hash.finalize()[..8])
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every character");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_refusals_are_ten_events_with_stable_ids() {
        let refusals: Vec<Refusal> = (0..10_000)
            .map(|row| Refusal {
                row: Some(row),
                ..of_batch("to", Rule::InvalidNumber, "not a number".to_owned())
            })
            .collect();
        let tell = |at| {
            events(
                "key",
                &Names::default(),
                &refusals,
                Timestamp::from_millis(at),
            )
        };
        let (first, again) = (tell(1), tell(2));
        assert_eq!(first.len(), 10);
        let ids = |told: &[Outgoing]| -> std::collections::BTreeSet<String> {
            told.iter().map(|one| one.message_id.clone()).collect()
        };
        assert_eq!(ids(&first), ids(&again));
        assert_eq!(ids(&first).len(), 10);
        assert_eq!(
            first[0].route,
            Route::Topic(Topic::Events, "unknown.unknown.refused".to_owned())
        );
    }
}
