//! Callbacks that are not finished: parked for another try, passed on to the other queue, or put
//! with the dead letters. They travel as groups again, so that redriving them is just publishing
//! them to the queue that the header names.

use std::collections::BTreeMap;

use bus::{Delivery, Outgoing, RetryTier, Route, queue};
use message::callback::{CALLBACKS_VERSION, Callback, CallbackGroup};
use sha2::{Digest, Sha256};

/// Header: how often a callback has been parked.
pub(crate) const PARKED: &str = "parked";
/// Header: the callback came to the URL of the other kind and was passed on once.
pub(crate) const FORWARDED: &str = "forwarded";

/// How long a callback about an unknown message waits.
const PARKED_FOR: RetryTier = RetryTier::S30;

/// Why something is with the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reason {
    UnreadableGroup,
    UnknownVersion,
    UnknownProvider,
    Malformed,
    Unrecognised,
    NoReference,
    UnknownMessage,
    ForeignOrganization,
    Misrouted,
    LedgerDamaged,
}

impl Reason {
    /// The word in headers and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::UnreadableGroup => "unreadable_group",
            Self::UnknownVersion => "unknown_version",
            Self::UnknownProvider => "unknown_provider",
            Self::Malformed => "malformed_callback",
            Self::Unrecognised => "unrecognised_status",
            Self::NoReference => "no_reference",
            Self::UnknownMessage => "unknown_message",
            Self::ForeignOrganization => "foreign_organization",
            Self::Misrouted => "misrouted",
            Self::LedgerDamaged => "ledger_damaged",
        }
    }
}

/// The dead letter of a group that can not be read, byte for byte.
pub(crate) fn poison(delivery: &Delivery, reason: Reason) -> Outgoing {
    let outgoing = Outgoing::new(Route::Dead, &delivery.message_id, delivery.body.clone());
    labelled(outgoing, reason)
}

fn labelled(outgoing: Outgoing, reason: Reason) -> Outgoing {
    outgoing
        .with_header("reason", reason.as_str())
        .with_header("stage", "receipt-ingest")
        .with_header("version", env!("CARGO_PKG_VERSION"))
        .with_header("queue", queue::STATUS_CALLBACKS)
}

/// The callbacks of a round that are not finished.
#[derive(Default)]
pub(crate) struct Kept {
    /// By how often they will have been parked then.
    parked: BTreeMap<u8, Vec<Callback>>,
    forwarded: Vec<Callback>,
    dead: BTreeMap<Reason, Vec<Callback>>,
}

impl Kept {
    pub(crate) fn park(&mut self, callback: &Callback, times: u8) {
        self.parked.entry(times).or_default().push(callback.clone());
    }

    pub(crate) fn forward(&mut self, callback: &Callback) {
        self.forwarded.push(callback.clone());
    }

    pub(crate) fn bury(&mut self, callback: &Callback, reason: Reason) {
        self.dead.entry(reason).or_default().push(callback.clone());
    }

    /// One message per fate.
    pub(crate) fn into_messages(self) -> Vec<Outgoing> {
        let park = |(times, callbacks): (u8, _)| {
            let queue = queue::STATUS_CALLBACKS.to_owned();
            group(
                Route::Delayed {
                    queue,
                    tier: PARKED_FOR,
                },
                callbacks,
            )
            .with_header(PARKED, times.to_string())
        };
        let bury = |(reason, callbacks)| labelled(group(Route::Dead, callbacks), reason);
        let mut messages: Vec<_> = self.parked.into_iter().map(park).collect();
        messages.extend(self.dead.into_iter().map(bury));
        if !self.forwarded.is_empty() {
            let route = Route::Queue(queue::MESSAGE_CALLBACKS.to_owned());
            messages.push(group(route, self.forwarded).with_header(FORWARDED, "1"));
        }
        messages
    }
}

fn group(route: Route, callbacks: Vec<Callback>) -> Outgoing {
    let group = CallbackGroup {
        v: CALLBACKS_VERSION,
        callbacks,
    };
    let body = serde_json::to_vec(&group).expect("a group was JSON before and is again");
    // Named by its content: the same leftovers of a round that is done again have the same name.
    let name = Sha256::digest(&body)
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    Outgoing::new(route, name, body)
}
