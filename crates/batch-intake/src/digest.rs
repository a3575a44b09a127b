//! The fingerprint of a batch's content: equal for the same content in other spacing or another
//! order of members, different for everything that changes what is sent to whom.

use message::DoubtPolicy;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{reading::Head, refusals::hex, rows::DraftRow};

/// SHA-256 over every field with its length before it, so that no two contents run together.
pub(crate) fn digest(head: &Head, rows: &[DraftRow]) -> String {
    let mut canon = Canon(Sha256::new());
    for text in [
        head.organization_id.as_str(),
        head.distribution_id.as_str(),
        head.batch_id.as_str(),
        &head.text,
    ] {
        canon.text(text);
    }
    canon.number(head.method as u64);
    canon.number(match head.on_doubt {
        DoubtPolicy::Hold => 0,
        DoubtPolicy::Resend => 1,
    });
    canon.number(u64::from(head.segments_max));
    // The default is counted from the moment of arrival, which is no content.
    canon.number(head.expires_at_given.map_or(0, |at| at.as_millis()));
    if let Some(internal) = &head.internal {
        canon.text(internal.connection_id.as_str());
        canon.number(u64::from(internal.exempt_from_opt_out));
    }
    canon.number(rows.len() as u64);
    for row in rows {
        match row {
            Ok(recipient) => {
                canon.tag(b'r');
                canon.text(&recipient.to);
                canon.number(recipient.fields.len() as u64);
                for (name, value) in recipient.fields.iter() {
                    canon.text(name);
                    canon.text(value);
                }
            }
            Err(bad) => match serde_json::from_str(&bad.raw) {
                Ok(value) => canon.value(&value),
                Err(_) => canon.text(&bad.raw), // nested beyond reason: its bytes must do
            },
        }
    }
    hex(&canon.0.finalize())
}

struct Canon(Sha256);

impl Canon {
    fn tag(&mut self, tag: u8) {
        self.0.update([tag]);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text);
    }

    /// Depth is bounded: serde_json refuses to build a value nested deeper than 128.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.tag(b'n'),
            Value::Bool(value) => self.tag(if *value { b't' } else { b'f' }),
            Value::Number(number) => {
                self.tag(b'#');
                self.text(&number.to_string());
            }
            Value::String(text) => {
                self.tag(b's');
                self.text(text);
            }
            Value::Array(items) => {
                self.tag(b'a');
                self.number(items.len() as u64);
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(members) => {
                self.tag(b'o');
                self.number(members.len() as u64);
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(name, _)| *name);
                for (name, value) in members {
                    self.text(name);
                    self.value(value);
                }
            }
        }
    }
}
