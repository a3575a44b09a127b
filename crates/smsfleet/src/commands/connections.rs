//! `smsfleet connections`: an organisation's accounts at its providers.

use std::{collections::BTreeMap, io::Read as _, path::PathBuf};

use anyhow::{Context as _, anyhow};
use message::ConnectionId;
use serde_json::{Value, json};

use super::{Session, Whose};
use crate::{
    exit::{Failure, OrUsage as _},
    output::cell,
};

/// An organisation's accounts at its providers.
#[derive(Debug, clap::Subcommand)]
pub enum Connections {
    /// Shows them in their order: the first active one sends.
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Adds one behind the others and prints the webhook URLs to paste at the provider.
    Add(Box<Add>),
    /// Shows or sets how many segments a second one may send; workers follow within two seconds.
    Limit {
        #[command(flatten)]
        whose: Whose,
        /// The connection.
        #[arg(value_name = "ID")]
        id: ConnectionId,
        /// Segments per second; left out, the limit is only shown.
        #[arg(value_name = "RATE", conflicts_with = "reset")]
        rate: Option<f64>,
        /// Back to the rate that it was added with.
        #[arg(long)]
        reset: bool,
    },
    /// Deletes one. It still verifies callbacks and settles receipts of what it sent.
    Delete {
        #[command(flatten)]
        whose: Whose,
        /// The connection.
        #[arg(value_name = "ID")]
        id: ConnectionId,
    },
}

/// Adds a connection. `smsfleet providers` lists the fields of each provider.
#[derive(Debug, clap::Args)]
pub struct Add {
    #[command(flatten)]
    whose: Whose,
    /// The provider's slug.
    #[arg(long, value_name = "SLUG")]
    provider: String,
    /// What to call it.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Who the messages are from: a number, a short code, a name, or a pool's id.
    #[arg(long, value_name = "SENDER")]
    sender: String,
    /// A field of the provider's form.
    #[arg(long = "field", value_parser = pair, value_name = "KEY=VALUE")]
    fields: Vec<(String, String)>,
    /// A secret field, read from a file; `-` reads standard input.
    #[arg(long = "secret-file", value_parser = pair, value_name = "KEY=FILE")]
    secret_files: Vec<(String, String)>,
    /// A secret field, read from an environment variable.
    #[arg(long = "secret-env", value_parser = pair, value_name = "KEY=VARIABLE")]
    secret_variables: Vec<(String, String)>,
    /// The rate limit; the provider's usual one if left out.
    #[arg(long, value_name = "N")]
    segments_per_second: Option<f64>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=…".to_owned()),
    }
}

impl Connections {
    /// Does it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List { whose } => {
                let items = session
                    .api
                    .items(&["connections"], &whose.query(), usize::MAX)
                    .await?;
                let columns = [
                    ("id", "id"),
                    ("provider", "provider"),
                    ("name", "name"),
                    ("sender", "sender"),
                    ("segments/s", "segments_per_second"),
                    ("added", "created_at"),
                    ("active", "active"),
                    ("deleted", "deleted_at"),
                ];
                session.list(&items, &columns, "no connection")
            }
            Self::Add(add) => add.run(session).await,
            Self::Limit {
                whose,
                id,
                rate,
                reset,
            } => {
                let path = ["connections", id.as_str(), "limit"];
                let answer = if rate.is_some() || reset {
                    let body = json!({ "segments_per_second": rate });
                    session.api.put(&path, &whose.query(), &body).await?
                } else {
                    session.api.get(&path, &whose.query()).await?
                };
                session.one(&answer, limited)
            }
            Self::Delete { whose, id } => {
                let answer = session
                    .api
                    .delete(&["connections", id.as_str()], &whose.query())
                    .await?;
                session.one(&answer, |_| format!("connection {id} deleted"))
            }
        }
    }
}

impl Add {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let plain = self.fields.into_iter().map(anyhow::Ok);
        let files = self
            .secret_files
            .into_iter()
            .map(|(key, file)| Ok((key, from_file(&file)?)));
        let variables = self
            .secret_variables
            .into_iter()
            .map(|(key, name)| Ok((key, from_variable(&name)?)));
        for entry in plain.chain(files).chain(variables) {
            let (key, value) = entry.or_usage()?;
            if fields.insert(key.clone(), value).is_some() {
                return Err(Failure::Usage(anyhow!("`{key}` is given twice")));
            }
        }
        let mut body = json!({
            "organization_id": self.whose.organization,
            "provider": self.provider,
            "name": self.name,
            "sender": self.sender,
            "fields": fields,
        });
        if let Some(rate) = self.segments_per_second {
            body["segments_per_second"] = json!(rate);
        }
        let answer = session.api.post(&["connections"], &[], &body).await?;
        session.one(&answer, added)
    }
}

/// A secret from a file, without the line break that editors leave.
fn from_file(name: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    if name == "-" {
        std::io::stdin()
            .read_to_string(&mut text)
            .context("standard input")?;
    } else {
        let path = PathBuf::from(name);
        text = std::fs::read_to_string(&path)
            .with_context(|| format!("secret file {}", path.display()))?;
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn from_variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).map_err(|_| anyhow!("the variable `{name}` is not set, or is no text"))
}

fn limited(answer: &Value) -> String {
    let cell = |key| cell(answer, key);
    let set = match answer["set"].is_null() {
        true => String::new(),
        false => format!(", set to {}", cell("set")),
    };
    format!(
        "connection {}: {} segments/s{set}, {} now",
        cell("id"),
        cell("segments_per_second"),
        cell("effective")
    )
}

fn added(answer: &Value) -> String {
    let mut text = format!("connection {} added", cell(answer, "id"));
    text.push_str("\nWebhook URLs for the provider's console:");
    for (kind, what) in [
        ("message", "inbound messages"),
        ("status", "delivery receipts"),
    ] {
        let url = cell(answer, &format!("webhooks.{kind}"));
        text.push_str(&format!("\n  {what:<18} {url}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_needs_a_key() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(pair("=x").is_err() && pair("x").is_err());
    }

    #[test]
    fn a_limit_names_what_was_added_what_is_set_and_what_holds() {
        let mut answer =
            json!({"id": "c1", "segments_per_second": 10.0, "set": null, "effective": 10.0});
        assert_eq!(limited(&answer), "connection c1: 10.0 segments/s, 10.0 now");
        answer["set"] = json!(5.0);
        answer["effective"] = json!(2.5);
        assert_eq!(
            limited(&answer),
            "connection c1: 10.0 segments/s, set to 5.0, 2.5 now"
        );
    }

    #[test]
    fn the_webhook_urls_are_printed_to_be_pasted() {
        let text = added(
            &json!({"id": "c1", "webhooks": {"message": "https://a/m", "status": "https://a/s"}}),
        );
        assert!(
            text.contains("connection c1 added") && text.contains("delivery receipts  https://a/s"),
            "{text}"
        );
    }
}
