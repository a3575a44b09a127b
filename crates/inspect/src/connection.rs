//! A connection as a question names it: the fields of the provider's form, sender and name beside.

use std::collections::BTreeMap;

use anyhow::Context as _;
use message::{Connection, ConnectionId, OrganizationId, Sender, Timestamp};
use providers::Provider;
use serde_json::{Map, Value};

/// A connection, and the fields of the question that no form knows.
pub(crate) struct Named {
    pub(crate) connection: Connection,
    pub(crate) unknown_fields: Vec<String>,
    /// Where the fleet is reachable, if the question says so.
    pub(crate) public_urls: Vec<String>,
}

/// The provider with this slug.
pub(crate) fn provider(slug: &str) -> anyhow::Result<&'static dyn Provider> {
    providers::provider(slug).with_context(|| {
        let known: Vec<_> = providers::PROVIDERS
            .iter()
            .map(|known| known.slug())
            .collect();
        format!("no provider {slug:?}; there are {}", known.join(", "))
    })
}

/// Reads the fields that are there; unlike a connection that is to be kept, one that is only asked
/// about may lack what the question does not need.
pub(crate) fn read(
    provider: &'static dyn Provider,
    mut given: Map<String, Value>,
    organization: Option<&str>,
) -> anyhow::Result<Named> {
    let form = provider.form();
    let name = text(given.remove("name").unwrap_or_default());
    let sender = match text(given.remove("sender").unwrap_or_default()).as_str() {
        "" => Sender::Alphanumeric("".into()),
        sender => (form.read_sender)(sender.trim())
            .map_err(|expected| anyhow::anyhow!("connection.sender: expected {expected}"))?,
    };
    let public_urls = match given.remove("public_base_url") {
        Some(Value::Array(urls)) => urls.into_iter().map(text).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(url) => vec![text(url)],
    };
    let (mut fields, mut secrets) = (BTreeMap::new(), BTreeMap::new());
    for field in form.fields() {
        let value = text(given.remove(field.key).unwrap_or_default());
        let value = if field.as_typed {
            value.as_str()
        } else {
            value.trim()
        };
        if value.is_empty() {
            continue;
        }
        (field.check)(value)
            .map_err(|expected| anyhow::anyhow!("connection.{}: expected {expected}", field.key))?;
        if field.secret {
            secrets.insert(field.key.to_owned(), message::Secret::new(value.to_owned()));
        } else {
            fields.insert(field.key.to_owned(), value.to_owned());
        }
    }
    let organization_id = OrganizationId::new(organization.unwrap_or("ORG"))
        .map_err(|why| anyhow::anyhow!("organization: {why}"))?;
    let connection = Connection {
        id: ConnectionId::new("inspected").context("a plain word")?,
        organization_id,
        provider: provider.slug().to_owned(),
        name,
        sender,
        fields,
        secrets,
        segments_per_second: provider.capabilities().segments_per_second,
        created_at: Timestamp::from_millis(0),
        deleted_at: None,
    };
    let mut public_urls: Vec<String> = public_urls;
    for url in &mut public_urls {
        url.truncate(url.trim_end_matches('/').len());
    }
    Ok(Named {
        connection,
        unknown_fields: given.into_iter().map(|(key, _)| key).collect(),
        public_urls,
    })
}

/// Forms are texts; a number or a switch may stand in JSON as what it is.
fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}
