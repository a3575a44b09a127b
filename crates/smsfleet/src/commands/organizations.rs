//! `smsfleet organizations`: what was decided about an organisation.

use message::OrganizationId;
use serde_json::{Value, json};

use super::{Session, described};
use crate::exit::Failure;

/// What was decided about an organisation.
#[derive(Debug, clap::Subcommand)]
pub enum Organizations {
    /// Shows it.
    Show {
        /// The organisation.
        #[arg(value_name = "ID")]
        id: OrganizationId,
    },
    /// Changes what is given and leaves the rest.
    Set {
        /// The organisation.
        #[arg(value_name = "ID")]
        id: OrganizationId,
        /// The region whose national numbers are understood, such as `FR`; empty for none.
        #[arg(long, value_name = "REGION")]
        default_region: Option<String>,
        /// The name in confirmations; empty for the organisation's id.
        #[arg(long, value_name = "NAME")]
        brand: Option<String>,
        /// Whether it may never send over the fleet's default connection.
        #[arg(long, value_name = "true|false")]
        forbid_default_connection: Option<bool>,
    },
}

impl Organizations {
    /// Does it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let api = &session.api;
        match self {
            Self::Show { id } => {
                let answer = api.get(&["organizations", id.as_str()], &[]).await?;
                session.one(&answer, described)
            }
            Self::Set {
                id,
                default_region,
                brand,
                forbid_default_connection,
            } => {
                let path = ["organizations", id.as_str()];
                let known = api.get(&path, &[]).await?;
                let change = Change {
                    default_region,
                    brand,
                    forbid_default_connection,
                };
                let answer = api.put(&path, &[], &change.onto(&known)).await?;
                session.one(&answer, |_| format!("organisation {id} changed"))
            }
        }
    }
}

struct Change {
    default_region: Option<String>,
    brand: Option<String>,
    forbid_default_connection: Option<bool>,
}

impl Change {
    /// What the API takes: exactly the settings, without what it only shows beside them.
    fn onto(self, known: &Value) -> Value {
        let text = |given: Option<String>, key: &str| match given {
            Some(text) if text.is_empty() => Value::Null,
            Some(text) => json!(text),
            None => known.get(key).cloned().unwrap_or(Value::Null),
        };
        let forbidden = known
            .get("forbid_default_connection")
            .and_then(Value::as_bool);
        json!({
            "default_region": text(self.default_region, "default_region"),
            "brand": text(self.brand, "brand"),
            "forbid_default_connection":
                self.forbid_default_connection.or(forbidden).unwrap_or(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_stays_and_an_empty_text_unsets() {
        let known = json!({"organization_id": "O", "default_region": "FR", "brand": "Acme",
            "forbid_default_connection": true});
        let change = Change {
            default_region: None,
            brand: Some(String::new()),
            forbid_default_connection: None,
        };
        assert_eq!(
            change.onto(&known),
            json!({"default_region": "FR", "brand": null, "forbid_default_connection": true})
        );
    }
}
