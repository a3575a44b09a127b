//! The fields of a batch, read one by one, so that one bad field does not hide another.

use std::sync::LazyLock;

use message::{
    Batch, Refusal, Rule,
    batch::{InternalBatch, RECIPIENTS_MAX},
    template::Template,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    refusals::of_batch,
    rows::{DraftRow, read_row},
    syntax::{Items, Object, kind, place, shown},
};

/// Bytes a text may have before anything is filled in; ten times what ten segments hold.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Placeholders a text may have: with the bound on values, this bounds what rendering can cost.
const PLACEHOLDERS_MAX: usize = 64;

/// What the contract fills in where a batch is silent, asked of the contract itself.
pub(crate) static CONTRACT_DEFAULTS: LazyLock<Batch> = LazyLock::new(|| {
    let silent = r#"{"batch":{"organization_id":"x","distribution_id":"x","batch_id":"x",
        "method":"invite","text":"x","recipients":[]},
        "exempt_from_opt_out":false,"connection_id":"x"}"#;
    serde_json::from_str::<InternalBatch>(silent)
        .expect("a batch that leaves out what may be left out is a batch")
        .batch
});

/// The members of one object, and what was found wrong while reading them.
pub(crate) struct Members<'a> {
    text: &'a str,
    object: Object<'a>,
    pub(crate) faults: Vec<Refusal>,
}

impl<'a> Members<'a> {
    pub(crate) fn new(text: &'a str, object: Object<'a>) -> Self {
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

    pub(crate) fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let found = self.find(name);
        if found.is_none() {
            self.fault(name, Rule::Malformed, "is missing".to_owned());
        }
        found
    }

    pub(crate) fn required<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Option<T> {
        let raw = self.raw(name)?;
        self.value(name, raw, expected)
    }

    /// The inner `None` is a member that was left out; the outer one a faulty member.
    pub(crate) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Option<Option<T>> {
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

    pub(crate) fn template(&mut self, text: &str) -> Option<Template> {
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

    pub(crate) fn segments_max(&mut self, allowed: u8) -> Option<u8> {
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

    pub(crate) fn rows(&mut self, raw: &RawValue) -> Vec<DraftRow> {
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
        (0..).zip(list.items).map(read_row).collect()
    }

    pub(crate) fn refuse_unknown(&mut self, known: &[&str]) {
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
