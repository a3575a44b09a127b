//! The Message object: one id and one text for up to 50 recipients, each of which is a message of the engine.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;

use super::coding::Coding;
use super::receipts;
use super::{Details, MessageBird};
use crate::engine::{Engine, IdForm, Phase, View};

/// The name of a message that went to one recipient.
pub(crate) const IDS: IdForm = IdForm::Hex32("");

/// What the recipients of one request have in common: MessageBird gives them one id.
#[derive(Clone, Eq, Hash, PartialEq)]
pub(crate) struct Group {
    /// Half of the id. In the other half is the first recipient, so that a look-up finds the messages without an index.
    salt: u64,
    /// With the code of those that failed at once, who have no message.
    recipients: Vec<(u64, Option<&'static str>)>,
}

impl Group {
    pub fn new(recipients: Vec<(u64, Option<&'static str>)>) -> Self {
        Self {
            salt: fastrand::u64(..),
            recipients,
        }
    }

    /// 32 hexadecimal digits, as every id.
    pub fn id(&self) -> String {
        let first = self
            .recipients
            .first()
            .map_or(0, |(recipient, _)| *recipient);
        format!("{:016x}{:016x}", self.salt, self.salt ^ first)
    }

    /// The first recipient behind an id, if it is one of a group.
    fn first(id: &str) -> Option<u64> {
        let hex = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let salt = u64::from_str_radix(id.get(..16).filter(|_| hex)?, 16).ok()?;
        Some(salt ^ u64::from_str_radix(id.get(16..)?, 16).ok()?)
    }
}

impl std::fmt::Debug for Group {
    // Numbers of people are nobody's business, and the id has one inside.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("recipients", &self.recipients.len())
            .finish_non_exhaustive()
    }
}

/// The id that the customer knows a message by.
pub(crate) fn id_of(message: &View<Details>) -> String {
    let group = message.details.group.as_ref();
    group.map_or_else(|| IDS.write(message.number), Group::id)
}

/// A message as `POST` and `GET` answer it.
#[derive(Debug)]
pub(crate) struct Resource {
    pub id: String,
    pub originator: Arc<str>,
    pub body: Arc<str>,
    pub reference: Arc<str>,
    pub coding: Coding,
    pub flash: bool,
    pub validity_seconds: Option<u32>,
    /// Seconds since 1970.
    pub created: u32,
    pub items: Vec<Item>,
}

/// One recipient of it.
#[derive(Debug)]
pub(crate) struct Item {
    pub recipient: u64,
    pub phase: Phase,
    pub code: Option<&'static str>,
    /// Seconds since 1970.
    pub at: u32,
    pub parts: u32,
}

impl Item {
    pub fn of(message: &View<Details>) -> Self {
        Self {
            recipient: message.to,
            phase: message.phase,
            code: message.code,
            at: message.updated,
            parts: message.segments.into(),
        }
    }

    /// A recipient that failed at once.
    pub fn failed(recipient: u64, code: &'static str, at: u32, parts: u32) -> Self {
        Self {
            recipient,
            phase: Phase::Rejected,
            code: Some(code),
            at,
            parts,
        }
    }

    pub fn status(&self) -> &'static str {
        receipts::word(self.phase)
    }
}

impl Resource {
    /// The account's message of this id.
    pub fn find(engine: &Engine<MessageBird>, account: u16, id: &str) -> Option<Self> {
        let messages = engine.messages();
        let in_a_group = Group::first(id).and_then(|person| {
            messages
                .newest_first(account, Some(person), None)
                .filter_map(|id| messages.view(id))
                .find(|message| id_of(message) == id)
        });
        let message = match in_a_group {
            Some(message) => message,
            None => messages.view(messages.find(account, IDS.read(id, messages.run)?)?)?,
        };
        // A number inside a group names nothing that the customer was told.
        (id_of(&message) == id).then(|| {
            let others = |person| {
                let mut known = messages
                    .newest_first(account, Some(person), None)
                    .filter_map(|id| messages.view(id));
                known.find(|other| other.details.group == message.details.group)
            };
            Self::of(&message, others)
        })
    }

    /// The message of the customer's id that `message` belongs to; `others` finds the messages of its group.
    pub fn of(message: &View<Details>, others: impl Fn(u64) -> Option<View<Details>>) -> Self {
        let items = match &message.details.group {
            None => vec![Item::of(message)],
            Some(group) => {
                let parts = message.segments.into();
                let item = |&(person, failed): &(u64, Option<&'static str>)| match failed {
                    Some(code) => Some(Item::failed(person, code, message.created, parts)),
                    None => others(person).map(|other| Item::of(&other)),
                };
                group.recipients.iter().filter_map(item).collect()
            }
        };
        Self {
            id: id_of(message),
            originator: Arc::clone(&message.sender),
            body: Arc::clone(&message.text),
            reference: Arc::clone(&message.reference),
            coding: message.details.coding,
            flash: message.details.flash,
            validity_seconds: message.details.validity_seconds,
            created: message.created,
            items,
        }
    }

    /// The word of `type`.
    pub fn kind(&self) -> &'static str {
        if self.flash { "flash" } else { "sms" }
    }

    pub fn wire(&self) -> Wire<'_> {
        let count = |fits: fn(&Item) -> bool| self.items.iter().filter(|item| fits(item)).count();
        Wire {
            id: &self.id,
            href: format!("https://rest.messagebird.com/messages/{}", self.id),
            direction: "mt",
            kind: self.kind(),
            originator: &self.originator,
            body: &self.body,
            reference: (!self.reference.is_empty()).then_some(&self.reference),
            validity: self.validity_seconds,
            gateway: 10,
            type_details: json!({}),
            datacoding: self.coding.word(),
            mclass: u8::from(!self.flash),
            scheduled_datetime: None,
            created_datetime: rfc3339(self.created),
            recipients: Recipients {
                total_count: self.items.len(),
                total_sent_count: count(|item| item.phase != Phase::Rejected),
                total_delivered_count: count(|item| item.phase == Phase::Delivered),
                total_delivery_failed_count: count(|item| item.status() == "delivery_failed"),
                items: self.items.iter().map(WireItem::of).collect(),
            },
        }
    }

    pub fn json(&self) -> String {
        // Strings and numbers only: there is nothing that JSON could not hold.
        serde_json::to_string(&self.wire()).unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wire<'a> {
    id: &'a str,
    href: String,
    direction: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    originator: &'a str,
    body: &'a str,
    reference: Option<&'a str>,
    validity: Option<u32>,
    gateway: u8,
    type_details: serde_json::Value,
    datacoding: &'static str,
    mclass: u8,
    scheduled_datetime: Option<&'static str>,
    created_datetime: String,
    recipients: Recipients,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recipients {
    total_count: usize,
    total_sent_count: usize,
    total_delivered_count: usize,
    total_delivery_failed_count: usize,
    items: Vec<WireItem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireItem {
    /// A JSON number, though the request had a string.
    recipient: u64,
    status: &'static str,
    status_datetime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_error_code: Option<u16>,
    message_part_count: u32,
}

impl WireItem {
    fn of(item: &Item) -> Self {
        Self {
            recipient: item.recipient,
            status: item.status(),
            status_datetime: rfc3339(item.at),
            status_reason: receipts::reason(item.phase, item.code),
            status_error_code: item.code.and_then(|code| code.parse().ok()),
            message_part_count: item.parts,
        }
    }
}

/// A time in MessageBird's form, with the offset written out.
pub(crate) fn rfc3339(unix_seconds: u32) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+00:00");
    OffsetDateTime::from_unix_timestamp(unix_seconds.into())
        .ok()
        .and_then(|time| time.format(&form).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_the_fields_and_forms_of_the_documented_example() {
        let resource = Resource {
            id: "8d2f4b6a0c1e4f3a9b7d5c3e1f0a2b4c".into(),
            originator: "3197001234567".into(),
            body: "Bedankt! …".into(),
            reference: "sf-01JMBEXAMPLE01".into(),
            coding: Coding::Unicode,
            flash: false,
            validity_seconds: None,
            created: 1_741_076_130,
            items: vec![Item {
                recipient: 31_612_340_009,
                phase: Phase::Queued,
                code: None,
                at: 1_741_076_130,
                parts: 1,
            }],
        };
        let documented = r#"{"id":"8d2f4b6a0c1e4f3a9b7d5c3e1f0a2b4c","href":"https://rest.messagebird.com/messages/8d2f4b6a0c1e4f3a9b7d5c3e1f0a2b4c","direction":"mt","type":"sms","originator":"3197001234567","body":"Bedankt! …","reference":"sf-01JMBEXAMPLE01","validity":null,"gateway":10,"typeDetails":{},"datacoding":"unicode","mclass":1,"scheduledDatetime":null,"createdDatetime":"2025-03-04T08:15:30+00:00","recipients":{"totalCount":1,"totalSentCount":1,"totalDeliveredCount":0,"totalDeliveryFailedCount":0,"items":[{"recipient":31612340009,"status":"sent","statusDatetime":"2025-03-04T08:15:30+00:00","messagePartCount":1}]}}"#;
        assert_eq!(resource.json(), documented);
    }

    #[test]
    fn the_id_of_a_group_leads_to_its_first_recipient() {
        let group = Group::new(vec![(31_612_340_009, None), (12_025_550_101, Some("103"))]);
        let id = group.id();
        assert_eq!(id.len(), 32);
        assert_eq!(Group::first(&id), Some(31_612_340_009));
        for text in ["", "x", &id[1..], "é8d2f4b6a0c1e4f3a9b7d5c3e1f0a2b4"] {
            assert_eq!(Group::first(text), None, "{text}");
        }
    }
}
