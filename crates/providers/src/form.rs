//! The form of a connection: one declarative table per provider that CLI, API and the console
//! share. A filled form is checked as a whole, so that all its faults are reported at once.

use std::collections::BTreeMap;

use message::{Secret, Sender};

/// What a provider's connections are made of.
#[derive(Debug)]
pub struct Form {
    /// The provider's name for people.
    pub provider_name: &'static str,
    /// The provider's own fields in the order they are asked for, without `name` and `sender`.
    pub fields: &'static [Field],
    /// The keys of fields that name a host to send to, with or without a scheme.
    pub hosts: &'static [&'static str],
    /// What may be entered as sender, for people.
    pub sender_hint: &'static str,
    /// Reads the sender in the provider's order of forms.
    pub read_sender: fn(&str) -> Result<Sender, &'static str>,
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// The key in configuration and API.
    pub key: &'static str,
    /// The label in the provider's own words.
    pub label: &'static str,
    /// Whether it is kept sealed and never shown.
    pub secret: bool,
    /// Whether it must be filled in.
    pub required: bool,
    /// Whether it is kept as typed: else white space around it is taken off.
    pub as_typed: bool,
    /// Where to find it and what it looks like.
    pub hint: &'static str,
    /// `Err` with what is expected.
    pub check: fn(&str) -> Result<(), &'static str>,
}

/// A field that every provider's connections have.
pub const REQUESTS_IN_FLIGHT: Field = Field {
    key: "requests_in_flight",
    label: "Requests in flight",
    secret: false,
    required: false,
    as_typed: false,
    hint: "how many requests the account may answer at once, 1 to 5000, if the provider told you; else left empty",
    check: |value| match value.parse::<u16>() {
        Ok(1..=5000) => Ok(()),
        _ => Err("a number from 1 to 5000"),
    },
};

const COMMON_FIELDS: [&Field; 1] = [&REQUESTS_IN_FLIGHT];

/// One fault of a filled form.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldFault {
    /// The field's key.
    pub field: String,
    /// What is expected; never the value, which may be a secret.
    pub expected: String,
}

/// A form without faults.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled {
    /// Who the messages are from.
    pub sender: Sender,
    /// Plain fields.
    pub fields: BTreeMap<String, String>,
    /// Secret fields.
    pub secrets: BTreeMap<String, Secret>,
}

impl Form {
    /// Its fields in the order they are asked for: the provider's own, then those that all have.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().chain(COMMON_FIELDS)
    }

    /// Checks `sender` and `values` against the table; empty values count as left out.
    ///
    /// # Errors
    /// Every fault, in the order of the table; keys that the table does not have come last.
    pub fn fill(
        &self,
        sender: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<Filled, Vec<FieldFault>> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, expected: &str| {
            faults.push(FieldFault {
                field: field.to_owned(),
                expected: expected.to_owned(),
            });
        };
        let mut fields = BTreeMap::new();
        let mut secrets = BTreeMap::new();
        for field in self.fields() {
            let value = values.get(field.key).map_or("", String::as_str);
            let value = if field.as_typed { value } else { value.trim() };
            if value.is_empty() {
                if field.required {
                    fault(field.key, field.hint);
                }
                continue;
            }
            if let Err(expected) = (field.check)(value) {
                fault(field.key, expected);
            } else if field.secret {
                secrets.insert(field.key.to_owned(), Secret::new(value.to_owned()));
            } else {
                fields.insert(field.key.to_owned(), value.to_owned());
            }
        }
        for key in values
            .keys()
            .filter(|key| self.fields().all(|field| field.key != *key))
        {
            fault(key, "no such field in this provider's form");
        }
        match (self.read_sender)(sender.trim()) {
            Ok(sender) if faults.is_empty() => Ok(Filled {
                sender,
                fields,
                secrets,
            }),
            Ok(_) => Err(faults),
            Err(expected) => {
                faults.insert(
                    0,
                    FieldFault {
                        field: "sender".to_owned(),
                        expected: expected.to_owned(),
                    },
                );
                Err(faults)
            }
        }
    }
}
