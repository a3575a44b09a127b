//! `smsfleet opt-outs`: who does not want to be texted.

use serde_json::{Value, json};

use super::{Session, Whose};
use crate::{exit::Failure, output::cell};

/// Who does not want to be texted by an organisation.
#[derive(Debug, clap::Subcommand)]
pub enum OptOuts {
    /// Shows what is known about a number.
    Show {
        #[command(flatten)]
        who: Who,
    },
    /// Opts a number out.
    Add {
        #[command(flatten)]
        who: Who,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// Lifts an opt-out. The provider's own block stays until the person writes START.
    Remove {
        #[command(flatten)]
        who: Who,
    },
}

/// One subscriber, seen from one organisation.
#[derive(Debug, clap::Args)]
pub struct Who {
    #[command(flatten)]
    whose: Whose,
    /// The number in international form, `+33639980001`.
    #[arg(value_name = "NUMBER", allow_hyphen_values = true)]
    number: String,
}

impl OptOuts {
    /// Does it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let api = &session.api;
        match self {
            Self::Show { who } => {
                let path = ["opt-outs", who.number.as_str()];
                let answer = api.get(&path, &who.whose.query()).await?;
                session.one(&answer, super::described)
            }
            Self::Add { who, note } => {
                let path = ["opt-outs", who.number.as_str()];
                let body = match note.is_empty() {
                    true => json!({}),
                    false => json!({ "note": note }),
                };
                let answer = api.put(&path, &who.whose.query(), &body).await?;
                session.one(&answer, standing)
            }
            Self::Remove { who } => {
                let path = ["opt-outs", who.number.as_str()];
                let answer = api.delete(&path, &who.whose.query()).await?;
                session.one(&answer, standing)
            }
        }
    }
}

fn standing(answer: &Value) -> String {
    match cell(answer, "opted_out").as_str() {
        "true" => "opted out: will not be texted".to_owned(),
        _ => "not opted out: may be texted".to_owned(),
    }
}
