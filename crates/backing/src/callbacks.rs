//! Groups of callbacks on their way through a service: opened, and the callbacks that are not
//! finished kept: parked for another try, passed on to the other queue, or put with the dead
//! letters. Those travel as groups again, so that redriving them is just publishing them to the
//! queue that the header names.

use std::collections::BTreeMap;

use bus::{Delivery, Outgoing, RetryTier, Route};
use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use message::callback::{CALLBACKS_VERSION, Callback, CallbackGroup};
use serde::Deserialize;

use crate::{dead_letter, fingerprint};

/// Header: how often a callback has been parked.
const PARKED: &str = "parked";
/// Header: the callback came to the URL of the other kind and was passed on once.
const FORWARDED: &str = "forwarded";

/// A queue of callbacks as the service that consumes it sees it.
#[derive(Debug, Clone, Copy)]
pub struct CallbackQueue {
    /// Its name.
    pub name: &'static str,
    /// The queue of the callbacks that this service does not read.
    pub other: &'static str,
    /// The service, in the headers of its dead letters.
    pub stage: &'static str,
}

/// Why something is with the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The group is no JSON, or not of this shape.
    UnreadableGroup,
    /// The group is of a version that this release does not know.
    UnknownVersion,
    /// No provider of that name.
    UnknownProvider,
    /// It is no callback of its provider.
    Malformed,
    /// A status or kind that the provider's table does not have.
    Unrecognised,
    /// A receipt with neither a reference of ours nor an id of its provider's.
    NoReference,
    /// A receipt for a message that did not become known in time.
    UnknownMessage,
    /// A receipt for a message that its sender did not carry.
    ForeignOrganization,
    /// Neither service reads it.
    Misrouted,
    /// What the ledger holds about it can not be read.
    LedgerDamaged,
}

impl Reason {
    /// The word in headers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
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

/// A callback with what its way so far was.
#[derive(Debug)]
pub struct Taken {
    /// The callback.
    pub callback: Callback,
    /// How often it has waited for its message to become known.
    pub parked: u8,
    /// It came from the other callback queue; sending it back would be a circle.
    pub forwarded: bool,
}

impl Taken {
    /// Whether what it says at this position is still to be done.
    #[must_use]
    pub fn is_pending(&self, position: u32) -> bool {
        let pending = &self.callback.pending;
        pending.is_empty() || pending.contains(&position)
    }

    /// The request as the ingress had it, as far as reading needs it; nothing if its target is none.
    #[must_use]
    pub fn request(&self) -> Option<Request<Bytes>> {
        Request::builder()
            .method(self.callback.method.as_str())
            .uri(self.callback.target.as_str())
            .header(CONTENT_TYPE, self.callback.content_type.as_str())
            .body(Bytes::from(self.callback.body.clone()))
            .ok()
    }
}

/// The callbacks of `delivery`.
///
/// # Errors
/// Why it can not be read, for [`CallbackQueue::poison`].
pub fn open(delivery: &Delivery) -> Result<Vec<Taken>, Reason> {
    let parked = delivery
        .header(PARKED)
        .and_then(|times| times.parse().ok())
        .unwrap_or(0);
    let forwarded = delivery.header(FORWARDED).is_some();
    let why = match serde_json::from_slice::<CallbackGroup>(&delivery.body) {
        Ok(group) if group.v == CALLBACKS_VERSION => {
            let callbacks = group.callbacks.into_iter();
            let taken = callbacks.map(|callback| Taken {
                callback,
                parked,
                forwarded,
            });
            return Ok(taken.collect());
        }
        read => read.err().map(|why| why.classify()),
    };
    let reason = unreadable(&delivery.body);
    tracing::error!(
        message_id = delivery.message_id,
        ?why,
        reason = reason.as_str(),
        "group of callbacks put with the dead letters"
    );
    Err(reason)
}

/// A newer version may well have another shape: that is no reason to call it malformed.
fn unreadable(body: &[u8]) -> Reason {
    #[derive(Deserialize)]
    struct Versioned {
        v: u8,
    }
    match serde_json::from_slice::<Versioned>(body) {
        Ok(Versioned { v }) if v != CALLBACKS_VERSION => Reason::UnknownVersion,
        _ => Reason::UnreadableGroup,
    }
}

impl CallbackQueue {
    /// The dead letter of a group that can not be read, byte for byte.
    #[must_use]
    pub fn poison(&self, delivery: &Delivery, reason: Reason) -> Outgoing {
        let letter = Outgoing::new(Route::Dead, &delivery.message_id, delivery.body.clone());
        dead_letter(letter, reason.as_str(), self.stage, self.name)
    }
}

/// Callbacks that are not finished.
#[derive(Debug)]
pub struct Kept {
    queue: CallbackQueue,
    /// By how often they will have been parked then, and for how long they wait.
    parked: BTreeMap<(u8, RetryTier), Vec<Callback>>,
    forwarded: Vec<Callback>,
    dead: BTreeMap<Reason, Vec<Callback>>,
}

impl Kept {
    /// None yet, of those that came over `queue`.
    #[must_use]
    pub fn of(queue: CallbackQueue) -> Self {
        Self {
            queue,
            parked: BTreeMap::new(),
            forwarded: Vec::new(),
            dead: BTreeMap::new(),
        }
    }

    /// It comes again after a while, for those of the things that it says which are `pending`, or
    /// for all if none is named.
    pub fn park(&mut self, taken: &Taken, tier: RetryTier, pending: Vec<u32>) {
        let times = taken.parked.saturating_add(1);
        let parked = self.parked.entry((times, tier)).or_default();
        parked.push(Callback {
            pending,
            ..taken.callback.clone()
        });
    }

    /// Those of the things that it says which are `pending` are for the reader of the other queue.
    ///
    /// # Errors
    /// If it was that reader who passed it on.
    pub fn forward(&mut self, taken: &Taken, pending: Vec<u32>) -> Result<(), Reason> {
        if taken.forwarded {
            return Err(Reason::Misrouted);
        }
        self.forwarded.push(Callback {
            pending,
            ..taken.callback.clone()
        });
        Ok(())
    }

    /// It ends with the dead letters, because of those of the things that it says which are
    /// `pending`, or of all if none is named: a redrive does only those again.
    pub fn bury(&mut self, taken: &Taken, reason: Reason, pending: Vec<u32>) {
        let dead = self.dead.entry(reason).or_default();
        dead.push(Callback {
            pending,
            ..taken.callback.clone()
        });
    }

    /// One message per fate.
    #[must_use]
    pub fn into_messages(self) -> Vec<Outgoing> {
        let queue = self.queue;
        let park = |((times, tier), callbacks): ((u8, _), _)| {
            let route = Route::Delayed {
                queue: queue.name.to_owned(),
                tier,
            };
            group(route, callbacks).with_header(PARKED, times.to_string())
        };
        let bury = |(reason, callbacks): (Reason, _)| {
            let letter = group(Route::Dead, callbacks);
            dead_letter(letter, reason.as_str(), queue.stage, queue.name)
        };
        let mut messages: Vec<_> = self.parked.into_iter().map(park).collect();
        messages.extend(self.dead.into_iter().map(bury));
        if !self.forwarded.is_empty() {
            let route = Route::Queue(queue.other.to_owned());
            messages.push(group(route, self.forwarded).with_header(FORWARDED, "1"));
        }
        messages
    }
}

/// A group, named by its content: the same leftovers of work that is done again have the same name.
fn group(route: Route, callbacks: Vec<Callback>) -> Outgoing {
    let group = CallbackGroup {
        v: CALLBACKS_VERSION,
        callbacks,
    };
    let body = serde_json::to_vec(&group).expect("a group was JSON before and is again");
    Outgoing::new(route, fingerprint([body.as_slice()]), body)
}

#[cfg(test)]
mod tests {
    use bus::{Acker, queue};
    use message::{ConnectionId, OrganizationId, Timestamp};

    use super::*;

    const QUEUE: CallbackQueue = CallbackQueue {
        name: queue::STATUS_CALLBACKS,
        other: queue::MESSAGE_CALLBACKS,
        stage: "a-test",
    };

    struct Nobody;

    #[async_trait::async_trait]
    impl Acker for Nobody {
        async fn ack(self: Box<Self>) {}
        fn give_back(self: Box<Self>) {}
    }

    fn delivery(body: impl Into<Bytes>, headers: Vec<(String, String)>) -> Delivery {
        Delivery::new(body.into(), "m1".into(), headers, false, Box::new(Nobody))
    }

    fn callback(body: &str) -> Callback {
        Callback {
            organization_id: OrganizationId::new("ORG_1").expect("valid"),
            connection_id: ConnectionId::new("C_1").expect("valid"),
            provider: "twilio-sms".into(),
            received_at: Timestamp::from_millis(1),
            method: "POST".into(),
            target: "/twilio-sms/ORG_1/status?x=1".into(),
            content_type: "application/x-www-form-urlencoded".into(),
            body: body.into(),
            pending: Vec::new(),
        }
    }

    fn taken(body: &str) -> Taken {
        Taken {
            callback: callback(body),
            parked: 0,
            forwarded: false,
        }
    }

    /// What was published, as its consumer takes it.
    fn delivered(message: &Outgoing) -> Vec<Taken> {
        let delivery = delivery(message.body.clone(), message.headers.clone());
        open(&delivery).expect("a group of ours")
    }

    #[test]
    fn a_parked_callback_comes_back_as_it_was_and_knows_how_often_it_waited() {
        let first = taken("a=1");
        let mut kept = Kept::of(QUEUE);
        kept.park(&first, RetryTier::S5, vec![2, 7]);
        let messages = kept.into_messages();
        let route = Route::Delayed {
            queue: QUEUE.name.into(),
            tier: RetryTier::S5,
        };
        assert_eq!(messages[0].route, route);
        let again = delivered(&messages[0]);
        let pending = Callback {
            pending: vec![2, 7],
            ..first.callback
        };
        assert_eq!(again[0].callback, pending);
        assert_eq!(again[0].parked, 1);
        let mut kept = Kept::of(QUEUE);
        kept.park(&again[0], RetryTier::M1, Vec::new());
        let again = delivered(&kept.into_messages()[0]);
        assert_eq!(again[0].parked, 2);
        assert!(again[0].callback.pending.is_empty());
    }

    #[test]
    fn what_neither_service_reads_is_passed_on_once_and_then_misrouted() {
        let mut kept = Kept::of(QUEUE);
        let forwarded = kept.forward(&taken("a=1"), vec![1]);
        forwarded.expect("not yet passed on");
        let messages = kept.into_messages();
        assert_eq!(messages[0].route, Route::Queue(QUEUE.other.into()));
        let there = delivered(&messages[0]);
        assert!(there[0].is_pending(1) && !there[0].is_pending(0));
        let mut kept = Kept::of(QUEUE);
        let back = kept.forward(&there[0], Vec::new());
        assert_eq!(back, Err(Reason::Misrouted));
        assert!(kept.into_messages().is_empty());
    }

    #[test]
    fn the_dead_share_a_letter_by_reason_and_name_the_queue_they_came_from() {
        let mut kept = Kept::of(QUEUE);
        for (body, reason) in [
            ("a=1", Reason::Malformed),
            ("a=2", Reason::NoReference),
            ("a=3", Reason::Malformed),
        ] {
            kept.bury(&taken(body), reason, Vec::new());
        }
        let letters = kept.into_messages();
        assert!(letters.iter().all(|letter| letter.route == Route::Dead));
        let of: Vec<_> = letters.iter().map(|one| delivered(one).len()).collect();
        assert_eq!(of, [2, 1]);
        let queue = ("queue".to_owned(), QUEUE.name.to_owned());
        assert!(letters.iter().all(|one| one.headers.contains(&queue)));
    }

    #[test]
    fn the_same_leftovers_have_the_same_name() {
        let name = |bodies: &[&str]| {
            let mut kept = Kept::of(QUEUE);
            for body in bodies {
                kept.park(&taken(body), RetryTier::S5, Vec::new());
            }
            kept.into_messages().remove(0).message_id
        };
        assert_eq!(name(&["a", "b"]), name(&["a", "b"]));
        assert_ne!(name(&["a", "b"]), name(&["a"]));
    }

    #[test]
    fn what_can_not_be_read_is_a_letter_byte_for_byte_with_its_reason() {
        for (body, reason) in [
            ("no json", Reason::UnreadableGroup),
            ("", Reason::UnreadableGroup),
            (r#"{"v":1}"#, Reason::UnreadableGroup),
            (r#"{"v":2,"callbacks":[]}"#, Reason::UnknownVersion),
            (r#"{"v":2,"letters":7}"#, Reason::UnknownVersion),
        ] {
            let delivery = delivery(body, Vec::new());
            assert_eq!(open(&delivery).err(), Some(reason), "{body}");
            assert_eq!(QUEUE.poison(&delivery, reason).body, body);
        }
    }

    #[test]
    fn a_header_that_is_no_number_counts_as_never_parked() {
        let group = r#"{"v":1,"callbacks":[]}"#;
        for times in ["", "-1", "256", "many"] {
            let headers = vec![(PARKED.to_owned(), times.to_owned())];
            assert!(open(&delivery(group, headers)).is_ok(), "{times}");
        }
    }

    #[test]
    fn a_callback_becomes_the_request_that_it_was_unless_its_target_is_none() {
        let request = taken("a=1").request().expect("a request");
        assert_eq!(request.uri().query(), Some("x=1"));
        assert_eq!(request.body(), "a=1");
        let mut broken = taken("a=1");
        broken.callback.target = "no target".into();
        assert!(broken.request().is_none());
    }
}
