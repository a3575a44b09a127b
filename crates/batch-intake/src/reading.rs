//! Bytes in, a draft out. One bad field does not hide another: everything that is wrong with the
//! batch itself is listed, and every row is read on its own.

use std::{sync::LazyLock, time::Duration};

use message::{
    Batch, BatchId, ConnectionId, DistributionId, DoubtPolicy, Method, OrganizationId, Recipient,
    Refusal, Rule, Timestamp,
    batch::{InternalBatch, RECIPIENTS_MAX},
    template::Template,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    refusals::of_batch,
    syntax::{Items, Object, broken, kind, place, shown},
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
    /// A scheduler's [`Batch`].
    Schedulers,
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

/// One row: read, or what is wrong with it and its bytes, which the digest needs.
pub(crate) type DraftRow = Result<Recipient, BadRow>;

#[derive(Debug)]
pub(crate) struct BadRow {
    pub(crate) raw: Box<str>,
    pub(crate) refusals: Vec<Refusal>,
}

/// Bytes a text may have before anything is filled in; ten times what ten segments hold.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Placeholders a text may have: with the bound on values, this bounds what rendering can cost.
const PLACEHOLDERS_MAX: usize = 64;
/// Bytes a row may have.
const ROW_BYTES_MAX: usize = 64 * 1024;

const ID: &str = "1 to 64 characters of A-Z a-z 0-9 _ -";
const BATCH_ID: &str = "1 to 128 characters of A-Z a-z 0-9 _ - . :";
const METHOD: &str = "`invite`, `reminder`, `thank_you` or `interactive`";
const ON_DOUBT: &str = "`hold` or `resend`";
const TIME: &str = "an RFC 3339 date and time";
const NAMES: [&str; 9] = [
    "organization_id",
    "distribution_id",
    "batch_id",
    "method",
    "text",
    "recipients",
    "expires_at",
    "on_doubt",
    "max_segments",
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
        Lane::Schedulers => draft.fill(Members::new(text, object), None, limits, now),
        Lane::Internal => {
            let mut outer = Members::new(text, object);
            let internal = InternalHead::read(&mut outer);
            outer.refuse_unknown(&INTERNAL_NAMES);
            draft.faults.append(&mut outer.faults);
            if let Some((batch, internal)) = internal {
                match serde_json::from_str::<Object<'_>>(batch.get()) {
                    Ok(inner) => {
                        draft.fill(Members::new(text, inner), Some(internal), limits, now);
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
    fn fill(
        &mut self,
        mut members: Members<'_>,
        internal: Option<Internal>,
        limits: Limits,
        now: Timestamp,
    ) {
        let organization_id = members.required::<OrganizationId>("organization_id", ID);
        let distribution_id = members.required::<DistributionId>("distribution_id", ID);
        let batch_id = members.required::<BatchId>("batch_id", BATCH_ID);
        let method = members.required::<Method>("method", METHOD);
        let text = members.required::<String>("text", "a string");
        self.template = text.as_deref().and_then(|text| members.template(text));
        let recipients = members.raw("recipients");
        let expires_at = members.optional::<Option<Timestamp>>("expires_at", TIME);
        let on_doubt = members.optional::<DoubtPolicy>("on_doubt", ON_DOUBT);
        self.segments_max = members.segments_max(limits.segments_max);
        self.rows = recipients.map_or_else(Vec::new, |raw| members.rows(raw));
        members.refuse_unknown(&NAMES);
        self.faults.append(&mut members.faults);

        let given = expires_at.clone().flatten().flatten();
        self.late = given.and_then(|at| late(at, limits.expiry_max, now));
        self.names = Names {
            organization_id: organization_id.clone(),
            distribution_id: distribution_id.clone(),
            batch_id: batch_id.clone(),
        };
        if !self.faults.is_empty() {
            return;
        }
        let defaults = &*CONTRACT_DEFAULTS;
        let head = || {
            Some(Head {
                organization_id: organization_id?,
                distribution_id: distribution_id?,
                batch_id: batch_id?,
                method: method?,
                text: text?,
                on_doubt: on_doubt?.unwrap_or(defaults.on_doubt),
                segments_max: self.segments_max?,
                expires_at_given: given,
                expires_at: given.unwrap_or_else(|| now.plus(limits.expiry_default)),
                internal,
            })
        };
        self.head = head();
    }
}

/// What the contract fills in where a batch is silent, asked of the contract itself.
static CONTRACT_DEFAULTS: LazyLock<Batch> = LazyLock::new(|| {
    let silent = r#"{"batch":{"organization_id":"x","distribution_id":"x","batch_id":"x",
        "method":"invite","text":"x","recipients":[]},
        "exempt_from_opt_out":false,"connection_id":"x"}"#;
    serde_json::from_str::<InternalBatch>(silent)
        .expect("a batch that leaves out what may be left out is a batch")
        .batch
});

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

/// The members of one object, and what was found wrong while reading them.
struct Members<'a> {
    text: &'a str,
    object: Object<'a>,
    faults: Vec<Refusal>,
}

impl<'a> Members<'a> {
    fn new(text: &'a str, object: Object<'a>) -> Self {
        Self {
            text,
            object,
            faults: Vec::new(),
        }
    }

    fn fault(&mut self, field: &str, rule: Rule, detail: String) {
        self.faults.push(of_batch(field, rule, detail));
    }

    fn find(&self, name: &str) -> Option<&'a RawValue> {
        self.object
            .members
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| *value)
    }

    fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let found = self.find(name);
        if found.is_none() {
            self.fault(name, Rule::Malformed, "is missing".to_owned());
        }
        found
    }

    fn required<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Option<T> {
        let raw = self.raw(name)?;
        self.value(name, raw, expected)
    }

    /// The inner `None` is a member that was left out; the outer one a faulty member.
    fn optional<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Option<Option<T>> {
        match self.find(name) {
            None => Some(None),
            Some(raw) => self.value(name, raw, expected).map(Some),
        }
    }

    fn value<T: DeserializeOwned>(
        &mut self,
        name: &str,
        raw: &RawValue,
        expected: &str,
    ) -> Option<T> {
        let value = serde_json::from_str(raw.get()).ok();
        if value.is_none() {
            let (found, at) = (kind(raw), place(self.text, raw));
            let same = if expected == found { "another" } else { found };
            self.fault(
                name,
                Rule::Malformed,
                format!("expected {expected}, found {same} at {at}"),
            );
        }
        value
    }

    fn template(&mut self, text: &str) -> Option<Template> {
        let fault = if text.len() > TEXT_BYTES_MAX {
            format!("{} bytes; at most {TEXT_BYTES_MAX}", text.len())
        } else if text.matches("{{").count() > PLACEHOLDERS_MAX {
            format!("more than {PLACEHOLDERS_MAX} placeholders")
        } else {
            match Template::compile(text) {
                Ok(template) => return Some(template),
                Err(fault) => fault.to_string(),
            }
        };
        self.fault("text", Rule::Template, fault);
        None
    }

    fn segments_max(&mut self, allowed: u8) -> Option<u8> {
        let Some(raw) = self.find("max_segments") else {
            return Some(CONTRACT_DEFAULTS.max_segments.min(allowed));
        };
        if serde_json::from_str::<f64>(raw.get()).is_err() {
            return self.value("max_segments", raw, "a whole number");
        }
        let asked = serde_json::from_str::<u8>(raw.get()).ok();
        let fits = asked.filter(|asked| (1..=allowed).contains(asked));
        if fits.is_none() {
            self.fault(
                "max_segments",
                Rule::SegmentLimit,
                format!("expected 1 to {allowed}, a whole number"),
            );
        }
        fits
    }

    fn rows(&mut self, raw: &RawValue) -> Vec<DraftRow> {
        let Ok(list) = serde_json::from_str::<Items<'_, RECIPIENTS_MAX>>(raw.get()) else {
            let detail = format!("expected an array, found {}", kind(raw));
            self.fault("recipients", Rule::Malformed, detail);
            return Vec::new();
        };
        if list.count == 0 || list.count > RECIPIENTS_MAX {
            self.fault(
                "recipients",
                Rule::RecipientCount,
                format!("{} recipients; expected 1 to {RECIPIENTS_MAX}", list.count),
            );
            return Vec::new();
        }
        (0..).zip(list.items).map(row).collect()
    }

    fn refuse_unknown(&mut self, known: &[&str]) {
        let members = std::mem::take(&mut self.object.members);
        for (at, (name, _)) in members.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                self.fault(&shown(name), Rule::Malformed, "no such field".to_owned());
            } else if members[..at].iter().any(|(earlier, _)| earlier == name) {
                self.fault(name, Rule::Malformed, "is there twice".to_owned());
            }
        }
        if self.object.more > 0 {
            let detail = format!("{} more fields that do not exist", self.object.more);
            self.fault("", Rule::Malformed, detail);
        }
    }
}

/// Reads one row by the contract's own type; only if that fails, looks for every reason.
fn row((row, raw): (u32, &RawValue)) -> DraftRow {
    let bad = |refusals| {
        Err(BadRow {
            raw: raw.get().into(),
            refusals,
        })
    };
    if raw.get().len() > ROW_BYTES_MAX {
        let detail = format!("{} bytes; at most {ROW_BYTES_MAX}", raw.get().len());
        return bad(vec![of_row(row, "recipients", detail)]);
    }
    serde_json::from_str::<Recipient>(raw.get()).or_else(|_| bad(row_faults(row, raw)))
}

fn row_faults(row: u32, raw: &RawValue) -> Vec<Refusal> {
    let Ok(object) = serde_json::from_str::<Object<'_>>(raw.get()) else {
        let detail = format!("expected an object, found {}", kind(raw));
        return vec![of_row(row, "recipients", detail)];
    };
    let mut faults = Vec::new();
    let mut expect = |field: &str, expected: &str, value: &RawValue| {
        if kind(value) != expected {
            let detail = format!("expected {expected}, found {}", kind(value));
            faults.push(of_row(row, field, detail));
        }
    };
    let (mut to, mut unknown) = (false, Vec::new());
    for (name, value) in &object.members {
        match name.as_str() {
            "to" => {
                to = true;
                expect("to", "a string", value);
            }
            "fields" => match serde_json::from_str::<Object<'_>>(value.get()) {
                Ok(fields) => {
                    for (name, value) in &fields.members {
                        expect(&format!("fields.{}", shown(name)), "a string", value);
                    }
                }
                Err(_) => expect("fields", "an object", value),
            },
            other => unknown.push(shown(other)),
        }
    }
    for name in unknown {
        faults.push(of_row(row, &name, "no such field".to_owned()));
    }
    if !to {
        faults.push(of_row(row, "to", "is missing".to_owned()));
    }
    if faults.is_empty() {
        // A member twice, or a broken escape in a value: rare enough to go without a name.
        let detail = "not a recipient: a field is there twice or a string is broken".to_owned();
        faults.push(of_row(row, "recipients", detail));
    }
    faults
}

fn of_row(row: u32, field: &str, detail: String) -> Refusal {
    Refusal {
        row: Some(row),
        field: field.to_owned(),
        rule: Rule::Malformed,
        detail,
    }
}
