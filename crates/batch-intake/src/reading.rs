//! Bytes in, a draft out. One bad field does not hide another: everything that is wrong with the
//! batch itself is listed, and every row is read on its own.

use std::time::Duration;

use message::{
    BatchId, ConnectionId, DistributionId, DoubtPolicy, Method, OrganizationId, Refusal, Rule,
    Timestamp, Weight, template::Template,
};
use serde_json::value::RawValue;

use crate::{
    members::{CONTRACT_DEFAULTS, Members},
    refusals::of_batch,
    rows::DraftRow,
    syntax::{Object, broken, kind},
};

/// What a batch may ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) segments_max: u8,
    pub(crate) expiry_default: Duration,
    pub(crate) expiry_max: Duration,
}

/// Which queue a batch came from, and so which of the two shapes it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// A scheduler's [`Batch`](message::Batch).
    Schedulers,
    /// The same, laid aside in this one of the queues for that.
    Waiting(usize),
    /// The fleet's own [`InternalBatch`].
    Internal,
}

/// What could be read of a batch.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) names: Names,
    /// Everything but the rows; nothing if `faults` has anything.
    pub(crate) head: Option<Head>,
    /// The text, if it is a template.
    pub(crate) template: Option<Template>,
    /// Segments a rendered text may have, if that could be read.
    pub(crate) segments_max: Option<u8>,
    /// The rows in their order, each read or with its faults.
    pub(crate) rows: Vec<DraftRow>,
    /// What is wrong with the batch itself, whenever it is read.
    pub(crate) faults: Vec<Refusal>,
    /// What is wrong with its time: a fault of a new batch, none of one that was taken in time.
    pub(crate) late: Option<Refusal>,
}

/// The names a refusal is filed under.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) organization_id: Option<OrganizationId>,
    pub(crate) distribution_id: Option<DistributionId>,
    pub(crate) batch_id: Option<BatchId>,
}

/// A batch without its rows.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) organization_id: OrganizationId,
    pub(crate) distribution_id: DistributionId,
    pub(crate) batch_id: BatchId,
    pub(crate) method: Method,
    pub(crate) text: String,
    pub(crate) on_doubt: DoubtPolicy,
    pub(crate) segments_max: u8,
    /// No part of the digest: it changes nothing about what is sent to whom.
    pub(crate) weight: Option<Weight>,
    /// As the scheduler wrote it: part of the digest.
    pub(crate) expires_at_given: Option<Timestamp>,
    /// With the default filled in.
    pub(crate) expires_at: Timestamp,
    /// Set for the fleet's own batches.
    pub(crate) internal: Option<Internal>,
}

/// What only the fleet's own batches say.
#[derive(Debug, Clone)]
pub(crate) struct Internal {
    pub(crate) connection_id: ConnectionId,
    pub(crate) exempt_from_opt_out: bool,
}

const ID: &str = "1 to 64 characters of A-Z a-z 0-9 _ -";
const BATCH_ID: &str = "1 to 128 characters of A-Z a-z 0-9 _ - . :";
const METHOD: &str = "`invite`, `reminder`, `thank_you` or `interactive`";
const ON_DOUBT: &str = "`hold` or `resend`";
const TIME: &str = "an RFC 3339 date and time";
const WEIGHT: &str = "a whole number from 1 to 100";
const NAMES: [&str; 10] = [
    "organization_id",
    "distribution_id",
    "batch_id",
    "method",
    "text",
    "recipients",
    "expires_at",
    "on_doubt",
    "max_segments",
    "weight",
];
const INTERNAL_NAMES: [&str; 3] = ["batch", "exempt_from_opt_out", "connection_id"];

/// Reads `body` as a batch of `lane` at `now`.
pub(crate) fn read(body: &[u8], lane: Lane, limits: Limits, now: Timestamp) -> Draft {
    let mut draft = Draft {
        names: Names::default(),
        head: None,
        template: None,
        segments_max: None,
        rows: Vec::new(),
        faults: Vec::new(),
        late: None,
    };
    let Ok(text) = std::str::from_utf8(body) else {
        draft.faults.push(unreadable(body));
        return draft;
    };
    let Ok(object) = serde_json::from_str::<Object<'_>>(text) else {
        draft.faults.push(unreadable(body));
        return draft;
    };
    match lane {
        Lane::Schedulers | Lane::Waiting(_) => {
            draft.head = draft.fill(Members::new(text, object), None, limits, now);
        }
        Lane::Internal => {
            let mut outer = Members::new(text, object);
            let internal = InternalHead::read(&mut outer);
            outer.refuse_unknown(&INTERNAL_NAMES);
            draft.faults.append(&mut outer.faults);
            if let Some((batch, internal)) = internal {
                match serde_json::from_str::<Object<'_>>(batch.get()) {
                    Ok(inner) => {
                        let inner = Members::new(text, inner);
                        draft.head = draft.fill(inner, Some(internal), limits, now);
                    }
                    Err(_) => draft.faults.push(of_batch(
                        "batch",
                        Rule::Malformed,
                        format!("expected an object, found {}", kind(batch)),
                    )),
                }
            }
        }
    }
    draft
}

/// The one fault of bytes that are no JSON object.
fn unreadable(body: &[u8]) -> Refusal {
    match broken(body) {
        Some(broken) => of_batch(&broken.path, Rule::Malformed, broken.why),
        None => of_batch("", Rule::Malformed, "expected an object".to_owned()),
    }
}

struct InternalHead;

impl InternalHead {
    fn read<'a>(outer: &mut Members<'a>) -> Option<(&'a RawValue, Internal)> {
        let batch = outer.raw("batch");
        let exempt = outer.required::<bool>("exempt_from_opt_out", "true or false");
        let connection = outer.required::<ConnectionId>("connection_id", ID);
        Some((
            batch?,
            Internal {
                exempt_from_opt_out: exempt?,
                connection_id: connection?,
            },
        ))
    }
}

impl Draft {
    /// Fills in everything but the head, which is the answer: nothing if anything is wrong.
    fn fill(
        &mut self,
        mut members: Members<'_>,
        internal: Option<Internal>,
        limits: Limits,
        now: Timestamp,
    ) -> Option<Head> {
        let organization_id = members.required::<OrganizationId>("organization_id", ID);
        let distribution_id = members.required::<DistributionId>("distribution_id", ID);
        let batch_id = members.required::<BatchId>("batch_id", BATCH_ID);
        let method = members.required::<Method>("method", METHOD);
        let text = members.required::<String>("text", "a string");
        self.template = text.as_deref().and_then(|text| members.template(text));
        let recipients = members.raw("recipients");
        let expires_at = members.optional::<Option<Timestamp>>("expires_at", TIME);
        let on_doubt = members.optional::<DoubtPolicy>("on_doubt", ON_DOUBT);
        let weight = members.optional::<Option<Weight>>("weight", WEIGHT);
        self.segments_max = members.segments_max(limits.segments_max);
        self.rows = recipients.map_or_else(Vec::new, |raw| members.rows(raw));
        members.refuse_unknown(&NAMES);
        self.faults.append(&mut members.faults);

        let given = expires_at.flatten().flatten();
        self.late = given.and_then(|at| late(at, limits.expiry_max, now));
        self.names = Names {
            organization_id: organization_id.clone(),
            distribution_id: distribution_id.clone(),
            batch_id: batch_id.clone(),
        };
        if !self.faults.is_empty() {
            return None;
        }
        let defaults = &*CONTRACT_DEFAULTS;
        Some(Head {
            organization_id: organization_id?,
            distribution_id: distribution_id?,
            batch_id: batch_id?,
            method: method?,
            text: text?,
            on_doubt: on_doubt?.unwrap_or(defaults.on_doubt),
            segments_max: self.segments_max?,
            weight: weight?.flatten(),
            expires_at_given: given,
            expires_at: given.unwrap_or_else(|| now.plus(limits.expiry_default)),
            internal,
        })
    }
}

fn late(at: Timestamp, longest: Duration, now: Timestamp) -> Option<Refusal> {
    if at <= now {
        return Some(of_batch(
            "expires_at",
            Rule::Expiry,
            format!("{at} has passed"),
        ));
    }
    (at.since(now) > longest).then(|| {
        of_batch(
            "expires_at",
            Rule::Expiry,
            format!("at most {} hours ahead", longest.as_secs() / 3600),
        )
    })
}
