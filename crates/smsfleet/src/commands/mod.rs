//! The commands that speak to a running fleet over its control API.

pub mod connections;
pub mod dead_letters;
pub mod distributions;
pub(crate) mod handover;
pub mod opt_outs;
pub mod organizations;
pub mod providers;
pub mod send;

use message::OrganizationId;
use serde_json::Value;

use crate::{
    api::Api,
    exit::Failure,
    output::{self, cell},
};

/// Where a command sends its requests, and how it prints the answers.
#[derive(Debug, Clone)]
pub struct Session {
    /// The API.
    pub api: Api,
    /// JSON for programs rather than tables for people.
    pub json: bool,
}

/// Whose things a command is about.
#[derive(Debug, Clone, clap::Args)]
pub struct Whose {
    /// The organisation's id.
    #[arg(
        long,
        short = 'o',
        env = "SMSFLEET_API_ORGANIZATION",
        value_name = "ID"
    )]
    pub organization: OrganizationId,
}

impl Whose {
    fn query(&self) -> [(&'static str, &str); 1] {
        [("organization_id", self.organization.as_str())]
    }
}

impl Session {
    /// A list: `{"items": […]}` or a table with a column for each of `columns` (heading, key).
    fn list(&self, items: &[Value], columns: &[(&str, &str)], none: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(output::json(&serde_json::json!({ "items": items }))?);
        }
        if items.is_empty() {
            return Ok(output::line(none)?);
        }
        let headings: Vec<_> = columns.iter().map(|(heading, _)| *heading).collect();
        let mut table = output::table(&headings);
        for item in items {
            table.add_row(columns.iter().map(|(_, key)| cell(item, key)));
        }
        Ok(output::line(&table.to_string())?)
    }

    /// One thing: as JSON, or in words.
    fn one(&self, answer: &Value, words: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        if self.json {
            Ok(output::json(answer)?)
        } else {
            Ok(output::line(&words(answer))?)
        }
    }
}

/// A thing with a line for each of its plain members, nested ones with dots.
fn described(value: &Value) -> String {
    let mut table = output::table(&["", ""]);
    let mut rows = Vec::new();
    flatten("", value, &mut rows);
    for (key, text) in rows {
        table.add_row([key, text]);
    }
    // Headings would only say "name" and "value".
    table.set_header(Vec::<String>::new());
    table.to_string()
}

fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let Value::Object(members) = value else {
        rows.push((
            prefix.to_owned(),
            cell(&serde_json::json!({ "v": value }), "v"),
        ));
        return;
    };
    for (name, value) in members {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        flatten(&key, value, rows);
    }
}
