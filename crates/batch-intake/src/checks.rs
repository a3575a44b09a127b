//! What makes a row a message: a number that can be texted, nobody twice, every placeholder filled,
//! and a text that is neither empty nor too long.

use std::collections::{BTreeSet, HashSet};

use ledger::NewRow;
use message::{
    Msisdn, Recipient, Refusal, Rule, chunk::ChunkRow, number::normalise, segments::measure,
    template::Template,
};

use crate::rows::DraftRow;

/// The rows of a batch, decided.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// What can be sent, in order, with only those fields that the text names.
    pub(crate) good: Vec<ChunkRow>,
    /// Every row as the ledger enters it.
    pub(crate) entries: Vec<NewRow>,
    /// Every fault of every row.
    pub(crate) refusals: Vec<Refusal>,
}

/// By what rows are checked. Without a template (the batch is refused anyway) the numbers still are.
pub(crate) struct Terms<'a> {
    pub(crate) template: Option<&'a Template>,
    pub(crate) segments_max: u8,
    pub(crate) default_region: Option<&'a str>,
}

/// Characters that one segment holds at most.
const SEGMENT_CHARACTERS_MAX: usize = 160;

/// Checks all rows. The first *good* row with a number keeps it: a bad one would take it away from
/// somebody who could be texted.
pub(crate) fn check(rows: Vec<DraftRow>, terms: &Terms<'_>) -> Checked {
    let names = terms.template.map(Template::fields).unwrap_or_default();
    let mut seen = HashSet::with_capacity(rows.len());
    let mut text = String::new();
    let mut checked = Checked {
        good: Vec::with_capacity(rows.len()),
        entries: Vec::with_capacity(rows.len()),
        refusals: Vec::new(),
    };
    for (row, draft) in (0..).zip(rows) {
        let (to, mut faults, found) = match draft {
            Err(bad) => (None, bad.refusals, None),
            Ok(recipient) => {
                let mut faults = Faults { row, list: vec![] };
                let to = match normalise(&recipient.to, terms.default_region) {
                    Ok(number) => Some(number),
                    Err(fault) => {
                        faults.add("to", Rule::InvalidNumber, fault.to_string());
                        None
                    }
                };
                let segments = faults.text(&recipient, terms, &names, &mut text);
                (to, faults.list, to.zip(segments).zip(Some(recipient)))
            }
        };
        if let Some(((number, segments), recipient)) = found
            && faults.is_empty()
        {
            if seen.insert(number) {
                checked
                    .good
                    .push(chunk_row(row, number, segments, recipient, &names));
            } else {
                faults.push(Refusal {
                    row: Some(row),
                    field: "to".to_owned(),
                    rule: Rule::Duplicate,
                    detail: "an earlier row has the same number".to_owned(),
                });
            }
        }
        checked.entries.push(NewRow {
            row,
            to: to.map(Msisdn::masked),
            invalid: faults
                .first()
                .map(|fault| format!("{}:{}", fault.rule.as_str(), fault.field)),
        });
        checked.refusals.append(&mut faults);
    }
    checked
}

fn chunk_row(
    row: u32,
    to: Msisdn,
    segments: u8,
    recipient: Recipient,
    names: &BTreeSet<&str>,
) -> ChunkRow {
    let mut fields = recipient.fields;
    fields.retain(|name| names.contains(name));
    ChunkRow {
        row,
        to,
        segments,
        fields,
    }
}

/// The faults of one row.
struct Faults {
    row: u32,
    list: Vec<Refusal>,
}

impl Faults {
    fn add(&mut self, field: &str, rule: Rule, detail: String) {
        self.list.push(Refusal {
            row: Some(self.row),
            field: field.to_owned(),
            rule,
            detail,
        });
    }

    /// Renders into `text`, which is reused from row to row; the segments if all is well.
    fn text(
        &mut self,
        recipient: &Recipient,
        terms: &Terms<'_>,
        names: &BTreeSet<&str>,
        text: &mut String,
    ) -> Option<u8> {
        let template = terms.template?;
        let characters_max = usize::from(terms.segments_max) * SEGMENT_CHARACTERS_MAX;
        // Before rendering: a long value in many placeholders would make a huge text of a small row.
        for name in names {
            let value = recipient.fields.get(name).unwrap_or_default();
            if value.len() > characters_max && value.chars().count() > characters_max {
                let detail = format!("more than {characters_max} characters");
                self.add(&format!("fields.{name}"), Rule::TextLength, detail);
                return None;
            }
        }
        if template.render(&recipient.fields, text).is_err() {
            self.missing(recipient, template, text);
            return None;
        }
        if text.trim().is_empty() {
            self.add("text", Rule::TextLength, "empty once filled in".to_owned());
            return None;
        }
        let segments = measure(text).segments;
        let fits = u8::try_from(segments)
            .ok()
            .filter(|n| *n <= terms.segments_max);
        if fits.is_none() {
            let detail = format!("{segments} segments; at most {}", terms.segments_max);
            self.add("text", Rule::TextLength, detail);
        }
        fits
    }

    /// Names every placeholder without a value: fills in one after the other until it renders.
    fn missing(&mut self, recipient: &Recipient, template: &Template, text: &mut String) {
        let mut fields = recipient.fields.clone();
        while let Err(missing) = template.render(&fields, text) {
            let detail = "the text names it, and it has no default".to_owned();
            self.add(
                &format!("fields.{}", missing.field),
                Rule::MissingField,
                detail,
            );
            fields.insert(missing.field, "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(to: &str, fields: &[(&str, &str)]) -> DraftRow {
        Ok(Recipient {
            to: to.to_owned(),
            fields: fields.iter().copied().collect(),
        })
    }

    fn checked(text: &str, rows: Vec<DraftRow>) -> Checked {
        let template = Template::compile(text).expect("a template");
        let terms = Terms {
            template: Some(&template),
            segments_max: 2,
            default_region: Some("FR"),
        };
        check(rows, &terms)
    }

    fn rules(checked: &Checked) -> Vec<(u32, &str, Rule)> {
        checked
            .refusals
            .iter()
            .map(|r| (r.row.expect("a row"), r.field.as_str(), r.rule))
            .collect()
    }

    #[test]
    fn a_number_written_in_two_ways_is_one_recipient_and_the_first_row_keeps_it() {
        let checked = checked(
            "Hello",
            vec![
                recipient("+33 6 12 00 00 01", &[]),
                recipient("0612000001", &[]),
                recipient("+33612000002", &[]),
            ],
        );
        assert_eq!(rules(&checked), [(1, "to", Rule::Duplicate)]);
        assert_eq!(
            checked.good.iter().map(|r| r.row).collect::<Vec<_>>(),
            [0, 2]
        );
        assert_eq!(checked.entries[1].invalid.as_deref(), Some("duplicate:to"));
    }

    #[test]
    fn a_bad_row_does_not_take_its_number_from_a_good_one() {
        let checked = checked(
            "Hi {{name}}",
            vec![
                recipient("+33612000001", &[]),
                recipient("+33612000001", &[("name", "Ana")]),
            ],
        );
        assert_eq!(rules(&checked), [(0, "fields.name", Rule::MissingField)]);
        assert_eq!(checked.good[0].row, 1);
    }

    #[test]
    fn every_fault_of_a_row_is_named() {
        let checked = checked(
            "{{a}} {{b}} {{c|x}}",
            vec![recipient("12", &[("d", "unused")])],
        );
        assert_eq!(
            rules(&checked),
            [
                (0, "to", Rule::InvalidNumber),
                (0, "fields.a", Rule::MissingField),
                (0, "fields.b", Rule::MissingField),
            ]
        );
    }

    #[test]
    fn a_text_that_is_empty_or_too_long_for_one_recipient_refuses_only_them() {
        let checked = checked(
            "{{t}}",
            vec![
                recipient("+33612000001", &[("t", " ")]),
                recipient("+33612000002", &[("t", &"x".repeat(307))]),
                recipient("+33612000003", &[("t", &"x".repeat(5_000))]),
                recipient("+33612000004", &[("t", &"x".repeat(306)), ("other", "y")]),
            ],
        );
        assert_eq!(
            rules(&checked),
            [
                (0, "text", Rule::TextLength),
                (1, "text", Rule::TextLength),
                (2, "fields.t", Rule::TextLength),
            ]
        );
        let [good] = &checked.good[..] else {
            panic!("one row is good")
        };
        assert_eq!((good.row, good.segments), (3, 2));
        assert_eq!(
            good.fields.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["t"]
        );
    }
}
