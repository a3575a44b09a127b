//! A send request, whichever version of the API it came by.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Details;
use super::fields::Violation;
use super::notes::Note;
use crate::engine::Asked;
use crate::engine::phone::digits;
use crate::segments;

/// The longest validity, which is also the default.
pub(crate) const VALIDITY_MAX: Duration = Duration::from_secs(48 * 3600);

/// Which version's forms are spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Version {
    /// `/sms/3/messages`.
    V3,
    /// `/sms/2/text/advanced`.
    V2,
}

/// Everything that a request asks for, and everything that the schema forbids in it.
#[derive(Debug)]
pub(crate) struct Request {
    pub version: Version,
    /// One for each destination of each message.
    pub entries: Vec<Entry>,
    /// The client's name for the whole, or one of the twin's.
    pub bulk_id: String,
    /// Whether the answer tells the segments.
    pub counts: bool,
    pub violations: Vec<Violation>,
}

/// One text for one recipient.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// As it was given.
    pub to: String,
    /// The client's name for it; empty if it gives none.
    pub message_id: Arc<str>,
    pub sender: String,
    pub text: Arc<str>,
    pub validity: Option<Duration>,
    /// Where it is in the request.
    pub path: String,
    pub details: Details,
    /// What reports give back, its `bulk_id` not yet filled in.
    pub note: Note,
}

impl Request {
    /// What the engine books.
    pub fn asked(&self) -> Vec<Asked> {
        self.entries.iter().map(Entry::asked).collect()
    }
}

impl Entry {
    /// Digits of the recipient, if it could be one.
    pub fn recipient(&self) -> Option<u64> {
        digits(&self.to)
    }

    pub fn segments(&self) -> u32 {
        segments::count(&self.text)
    }

    fn asked(&self) -> Asked {
        Asked {
            recipient: self.recipient(),
            reference: Arc::clone(&self.message_id),
            segments: self.segments(),
        }
    }
}

/// The body as JSON; `None` if it is not even that.
pub(crate) fn json(body: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(body)
        .ok()
        .filter(Value::is_object)
}

/// A name for a request that has none, in the form of Infobip's.
pub(crate) fn new_bulk_id() -> String {
    fastrand::u64(1_000_000_000_000_000_000..9_999_999_999_999_999_999).to_string()
}
