//! `smsfleet providers`: who can carry messages, and what their connections are made of.

use serde_json::Value;

use super::Session;
use crate::{
    exit::Failure,
    output::{self, cell},
};

/// Shows the providers with the fields of their connections.
///
/// # Errors
/// See [`Failure`].
pub async fn run(session: &Session) -> Result<(), Failure> {
    let items = session.api.items(&["providers"], &[], usize::MAX).await?;
    if session.json {
        return Ok(output::json(&serde_json::json!({ "items": items }))?);
    }
    let mut table = output::table(&["provider", "field", "secret", "required", "what it is"]);
    for provider in &items {
        let slug = cell(provider, "provider");
        let fields = provider.get("fields").and_then(Value::as_array);
        for field in fields.into_iter().flatten() {
            let flag = |key| match cell(field, key).as_str() {
                "true" => "yes",
                _ => "",
            };
            let what = format!("{}: {}", cell(field, "label"), cell(field, "hint"));
            table.add_row([
                slug.as_str(),
                &cell(field, "key"),
                flag("secret"),
                flag("required"),
                &what,
            ]);
        }
        let what = cell(provider, "sender.hint");
        table.add_row([slug.as_str(), "sender", "", "yes", &what]);
    }
    Ok(output::line(&table.to_string())?)
}
