//! The Conversation Batch API: one definition for up to 1000 recipients, each with parameters of its own.
//!
//! Source: `shared/providers/sinch.md`, section 3.2. A request is refused as a whole or taken as a whole; a recipient that
//! cannot be processed (a placeholder without a value, a sender that is none once it is filled in) gets a `FAILED` receipt.
//! A refused batch accepts nothing (unconfirmed).

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::definition::{self, Definition, Identity};
use super::errors::Refusal;
use super::fields::{self, Object};
use super::template;
use crate::locked;

const RECIPIENTS_MAX: usize = 1_000;
const METADATA_CHARACTERS_MAX: usize = 1_024;
const RESERVED_KEY: &str = "_batch_id";
/// The key under which a client's reference travels, by convention of its clients.
const REFERENCE_KEY: &str = "ref";
const AHEAD_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// A batch that is sent later than this is sent at a round time.
const AT_ONCE_WITHIN: Duration = Duration::from_secs(60);
const ROUNDED_TO_SECONDS: i64 = 300;

/// One recipient, filled in.
#[derive(Debug)]
pub(crate) struct Entry {
    /// `None` if the recipient is no number at all.
    pub recipient: Option<u64>,
    pub text: String,
    pub sender: Option<String>,
    pub reference: String,
    /// The merged metadata beside the reference.
    pub rest: Vec<(String, String)>,
    /// Whether every placeholder has a value.
    pub complete: bool,
}

/// Reads the recipients leniently; what a strict reading refuses is empty here.
pub(crate) fn entries(root: &Value) -> Vec<Entry> {
    let at = |pointer| root.pointer(pointer).and_then(Value::as_str);
    let text = at("/message/text_message/text").unwrap_or_default();
    let sender = at("/channel_properties/SMS_SENDER");
    let shared = fields::strings_if_any(root, "message_metadata");
    let list = root.get("recipient_and_params").and_then(Value::as_array);
    let entry = |entry: &Value| {
        let parameters = fields::strings_if_any(entry, "parameters");
        let mut complete = true;
        let mut fill = |text: &str| {
            let filled = template::fill(text, &parameters);
            complete &= filled.is_some();
            filled.unwrap_or_else(|| text.to_owned())
        };
        let text = fill(text);
        let sender = sender.map(&mut fill);
        let mut metadata: BTreeMap<String, String> = shared
            .iter()
            .map(|(key, value)| ((*key).to_owned(), fill(value)))
            .collect();
        // The recipient's own metadata wins, and is no part of the definition: nothing is filled into it.
        for (key, value) in fields::strings_if_any(entry, "message_metadata") {
            metadata.insert(key.to_owned(), value.to_owned());
        }
        Entry {
            recipient: definition::recipient_if_any(entry),
            text,
            sender,
            reference: metadata.remove(REFERENCE_KEY).unwrap_or_default(),
            rest: metadata.into_iter().collect(),
            complete,
        }
    };
    list.into_iter().flatten().map(entry).collect()
}

/// A batch that may be sent.
#[derive(Debug)]
pub(crate) struct Checked {
    pub definition: Definition,
    /// One per entry, in order.
    pub recipients: Vec<Identity>,
    pub metadata: BTreeMap<String, String>,
    pub send_after: OffsetDateTime,
    /// How long that is from now; nothing for a batch that goes out at once.
    pub delay: Duration,
}

/// Stage one: checks the whole request.
pub(crate) fn check(root: &Object, now: OffsetDateTime) -> Result<Checked, Refusal> {
    let definition = Definition::check(root, true)?;
    let batch_metadata = metadata(root, "batch_metadata")?;
    metadata(root, "message_metadata")?;
    metadata(root, "conversation_metadata")?;
    let list = match root.get("recipient_and_params") {
        Some(Value::Array(list)) if (1..=RECIPIENTS_MAX).contains(&list.len()) => list,
        _ => {
            return Err(Refusal::invalid(
                "recipient_and_params must have 1 to 1000 entries",
            ));
        }
    };
    let entry = |(index, entry): (usize, &Value)| {
        let one = |entry: &Object| {
            fields::strings(entry, "parameters", usize::MAX)?;
            metadata(entry, "message_metadata")?;
            definition::recipient(entry)
        };
        let entry = entry.as_object();
        entry
            .ok_or_else(|| Refusal::invalid("the recipient is not an object"))
            .and_then(one)
            .map_err(|refusal| refusal.within(&format!("recipient_and_params[{index}]")))
    };
    let recipients = list
        .iter()
        .enumerate()
        .map(entry)
        .collect::<Result<_, _>>()?;
    let (send_after, delay) = send_after(root, now)?;
    Ok(Checked {
        definition,
        recipients,
        metadata: batch_metadata,
        send_after,
        delay,
    })
}

fn metadata(of: &Object, name: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let map = fields::strings(of, name, METADATA_CHARACTERS_MAX)?;
    if map.contains_key(RESERVED_KEY) {
        return Err(Refusal::invalid(format!(
            "{name}: {RESERVED_KEY} is reserved"
        )));
    }
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Ok(map.into_iter().map(own).collect())
}

fn send_after(root: &Object, now: OffsetDateTime) -> Result<(OffsetDateTime, Duration), Refusal> {
    let Some(text) = fields::text(root, "send_after", 64)? else {
        return Ok((now, Duration::ZERO));
    };
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Refusal::invalid("send_after is not a time"))?;
    let ahead = Duration::try_from(at - now).unwrap_or_default();
    if ahead > AHEAD_MAX {
        return Err(Refusal::invalid("send_after is more than 7 days ahead"));
    }
    if ahead <= AT_ONCE_WITHIN {
        return Ok((at, ahead));
    }
    let seconds = at.unix_timestamp() + i64::from(at.nanosecond() > 0);
    let rounded = (seconds + ROUNDED_TO_SECONDS - 1).div_euclid(ROUNDED_TO_SECONDS);
    let at = OffsetDateTime::from_unix_timestamp(rounded * ROUNDED_TO_SECONDS).unwrap_or(at);
    Ok((at, Duration::try_from(at - now).unwrap_or_default()))
}

/// The batches that were taken, for look-ups.
#[derive(Debug, Default)]
pub(crate) struct Batches(Mutex<HashMap<String, Batch>>);

/// A batch that was taken.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Of the engine's run, which a reset of the twin changes.
    pub run: u64,
    pub account: u16,
    pub metadata: BTreeMap<String, String>,
    pub send_after: String,
    pub starts: Instant,
    /// When its last message leaves the queue.
    pub done: Instant,
}

impl Batches {
    pub fn remember(&self, id: String, batch: Batch) {
        let mut batches = locked(&self.0);
        batches.retain(|_, known| known.run == batch.run);
        batches.insert(id, batch);
    }

    /// The batch, if one of these accounts has it.
    pub fn find(&self, accounts: &[u16], run: u64, id: &str, now: Instant) -> Option<Value> {
        let batches = locked(&self.0);
        let batch = batches.get(id)?;
        (batch.run == run && accounts.contains(&batch.account)).then(|| batch.json(id, now))
    }

    /// The batches of these accounts with this in their `batch_metadata`.
    pub fn with_metadata(
        &self,
        accounts: &[u16],
        run: u64,
        (key, value): (&str, &str),
        now: Instant,
    ) -> Vec<Value> {
        locked(&self.0)
            .iter()
            .filter(|(_, batch)| batch.run == run && accounts.contains(&batch.account))
            .filter(|(_, batch)| batch.metadata.get(key).is_some_and(|own| own == value))
            .map(|(id, batch)| batch.json(id, now))
            .collect()
    }
}

impl Batch {
    fn json(&self, id: &str, now: Instant) -> Value {
        let status = if now < self.starts {
            "SCHEDULED"
        } else if now < self.done {
            "READY"
        } else {
            "PROCESSED"
        };
        json!({
            "batch_id": id,
            "status": status,
            "meta_data": self.metadata,
            "send_after": self.send_after,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2025-03-04 09:15:00 UTC);

    fn request() -> Value {
        let one = |number: &str, text: &str, reference: &str| {
            json!({
                "recipient": {"identified_by": {"channel_identities": [{"channel": "SMS", "identity": number}]}},
                "parameters": {"t": text, "who": "Ada"},
                "message_metadata": {"ref": reference},
            })
        };
        json!({
            "app_id": "APP",
            "message": {"text_message": {"text": "${t}"}},
            "recipient_and_params": [
                one("+353851234567", "Hi", "sf-1"),
                one("4915112345678", "Hi ${who}", "sf-2"),
                one("+33199000001", "Hi ${nobody}", "sf-3"),
            ],
            "message_metadata": {"ref": "all", "list": "${who}"},
            "channel_properties": {"SMS_SENDER": "35312345678"},
        })
    }

    fn refused(pointer: &str, value: Value) -> Option<String> {
        let mut request = request();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        request.pointer_mut(parent).expect("its parent")[name] = value;
        let root = request.as_object().expect("an object");
        check(root, NOW).err().map(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn every_recipient_is_filled_in_and_one_that_cannot_be_says_so() {
        let entries = entries(&request());
        let read: Vec<_> = entries
            .iter()
            .map(|one| (one.text.as_str(), one.reference.as_str(), one.complete))
            .collect();
        let wanted = [
            ("Hi", "sf-1", true),
            ("Hi Ada", "sf-2", true),
            ("${t}", "sf-3", false),
        ];
        assert_eq!(read, wanted);
        assert_eq!(entries[1].recipient, Some(4_915_112_345_678));
        assert_eq!(entries[1].rest, [("list".to_owned(), "Ada".to_owned())]);
    }

    #[test]
    fn each_fault_refuses_the_whole_batch_and_names_its_place() {
        let first = request()["recipient_and_params"][0].clone();
        let many = |count: usize| json!(vec![&first; count]);
        let list = "/recipient_and_params";
        assert_eq!(refused("/x", json!(1)), None);
        assert_eq!(refused(list, many(1_000)), None);
        for (pointer, value, names) in [
            (list, json!([]), "recipient_and_params"),
            (list, json!({}), "recipient_and_params"),
            (list, many(1_001), "recipient_and_params"),
            (list, json!(["x"]), "recipient_and_params[0]"),
            (
                "/recipient_and_params/1/recipient",
                json!(null),
                "recipient_and_params[1]",
            ),
            (
                "/recipient_and_params/1/parameters",
                json!({"t": 1}),
                "parameters.t",
            ),
            (
                "/recipient_and_params/1/message_metadata",
                json!("sf-2"),
                "message_metadata",
            ),
            (
                "/recipient_and_params/1/message_metadata",
                json!({"_batch_id": "x"}),
                "reserved",
            ),
            ("/message_metadata", json!("sf-2"), "message_metadata"),
            ("/batch_metadata", json!({"a": 1}), "batch_metadata.a"),
            ("/message", json!(null), "text"),
            ("/send_after", json!("soon"), "send_after"),
            ("/send_after", json!("2025-03-12T09:15:00Z"), "send_after"),
        ] {
            let said = refused(pointer, value.clone()).unwrap_or_default();
            assert!(said.contains(names), "{pointer} = {value:.40}: {said}");
        }
    }

    #[test]
    fn a_batch_for_later_is_rounded_up_to_five_minutes() {
        for (asked, wanted, seconds) in [
            (
                "2025-03-04T09:15:40Z",
                datetime!(2025-03-04 09:15:40 UTC),
                40,
            ),
            (
                "2025-03-04T09:17:00Z",
                datetime!(2025-03-04 09:20:00 UTC),
                300,
            ),
            (
                "2025-03-04T09:20:00Z",
                datetime!(2025-03-04 09:20:00 UTC),
                300,
            ),
            (
                "2025-03-04T09:00:00Z",
                datetime!(2025-03-04 09:00:00 UTC),
                0,
            ),
        ] {
            let root = json!({"send_after": asked});
            let (at, delay) = send_after(root.as_object().expect("it is"), NOW).expect("a time");
            assert_eq!((at, delay.as_secs()), (wanted, seconds), "{asked}");
        }
    }
}
