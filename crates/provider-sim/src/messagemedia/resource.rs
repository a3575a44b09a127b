//! The message as the API reads and writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::receipts;
use super::{Details, IDS, field};
use crate::engine::{Asked, View};
use crate::segments;

/// One message, in a request or an answer. An explicit null is an absent field, because the vendor's SDKs write those.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wire {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_report: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_expiry_timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_number_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// In a request it has no meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Value>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}

impl Wire {
    pub fn destination(&self) -> &str {
        self.destination_number.as_deref().unwrap_or_default()
    }

    pub fn text(&self) -> &str {
        self.content.as_deref().unwrap_or_default()
    }

    pub fn format(&self) -> &str {
        self.format.as_deref().unwrap_or("SMS")
    }

    /// The client's own name for it: MessageMedia has no field for that, so it is a pair of the metadata.
    fn reference(&self) -> &str {
        let reference = self.metadata.as_ref().and_then(|pairs| pairs.get("ref"));
        reference.and_then(Value::as_str).unwrap_or_default()
    }

    pub fn asked(&self) -> Asked {
        Asked {
            recipient: field::recipient(self.destination()),
            reference: self.reference().into(),
            segments: segments::count(self.text()),
        }
    }

    /// What is kept of it beside what the engine keeps. The reference is the engine's, so that many messages share it.
    pub fn details(&self) -> Details {
        let pairs = self.metadata.iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Details {
            callback_url: self.callback_url.clone(),
            delivery_report: self.delivery_report.unwrap_or(false),
            names_sender: self.source_number.is_some(),
            sender_type: self.source_number_type.clone(),
            scheduled: self.scheduled.clone(),
            has_ref: self
                .metadata
                .as_ref()
                .is_some_and(|pairs| pairs.contains_key("ref")),
            metadata: pairs
                .filter(|(key, _)| *key != "ref")
                .map(|(key, value)| (key.clone(), text(value)))
                .collect(),
        }
    }

    /// The echo of a message that is taken.
    pub fn taken(self, message_id: String, status: &str) -> Self {
        Self {
            message_id: Some(message_id.into()),
            status: Some(status.into()),
            ..self
        }
    }

    /// A message that was taken before. Its expiry is not kept, and so not shown.
    pub fn of(message: &View<Details>, cancelled: bool) -> Self {
        let details = &message.details;
        let sender = details.names_sender.then(|| message.sender.to_string());
        let status = match &details.scheduled {
            Some(_) if cancelled => "cancelled",
            _ => receipts::status(message),
        };
        Self {
            callback_url: details.callback_url.clone(),
            content: Some(message.text.to_string()),
            destination_number: Some(format!("+{}", message.to)),
            delivery_report: Some(details.delivery_report),
            format: Some("SMS".into()),
            metadata: Some(metadata(message)),
            scheduled: details.scheduled.clone(),
            source_number: sender,
            source_number_type: details.sender_type.clone(),
            ..Self::default()
        }
        .taken(IDS.write(message.number), status)
    }

    pub fn json(&self) -> Value {
        // Strings, a bool and a map: there is nothing that JSON could not hold.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The metadata of a message as it was sent; empty if there was none.
pub(crate) fn metadata(message: &View<Details>) -> Map<String, Value> {
    let pairs: &BTreeMap<String, String> = &message.details.metadata;
    let mut map: Map<String, Value> = pairs
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    if message.details.has_ref {
        map.insert("ref".to_owned(), json!(&*message.reference));
    }
    map
}
