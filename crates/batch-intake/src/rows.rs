//! One row at a time, so that a row of a wrong shape is named and the others go on.

use message::{Recipient, Refusal, Rule};
use serde_json::value::RawValue;

use crate::syntax::{Object, kind, shown};

/// One row: read, or what is wrong with it and its bytes, which the digest needs.
pub(crate) type DraftRow = Result<Recipient, BadRow>;

/// A row of a wrong shape.
#[derive(Debug)]
pub(crate) struct BadRow {
    pub(crate) raw: Box<str>,
    pub(crate) refusals: Vec<Refusal>,
}

/// Bytes a row may have.
const ROW_BYTES_MAX: usize = 64 * 1024;

/// Reads one row by the contract's own type; only if that fails, looks for every reason.
pub(crate) fn read_row((row, raw): (u32, &RawValue)) -> DraftRow {
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
