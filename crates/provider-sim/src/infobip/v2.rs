//! The body of the older `POST /sms/2/text/advanced`, which still answers.
//!
//! Source: shared/providers/infobip.md, section 2.

use std::time::Duration;

use serde_json::Value;

use super::Details;
use super::fields::{Fields, Place};
use super::request::{Entry, Request, VALIDITY_MAX, Version, new_bulk_id};
use super::v3;

const TO_MAX: usize = 50;
const MESSAGE_ID_MAX: usize = 200;
const BULK_ID_MAX: usize = 100;

/// Reads the body; never fails.
pub(crate) fn read(body: &Value) -> Request {
    let mut fields = Fields::default();
    let root = Place::root(body);
    let mut entries = Vec::new();
    for message in fields.list(&root, "messages") {
        entries.extend(read_message(&mut fields, &message));
    }
    let bulk_id = fields.unlimited(&root, "bulkId");
    let counts = fields.flag(&root, "includeSmsCountInResponse");
    v3::read_schedule(&mut fields, &root);
    Request {
        version: Version::V2,
        entries,
        bulk_id: bulk_id.map_or_else(new_bulk_id, |id| clipped(&id, BULK_ID_MAX)),
        counts: counts.unwrap_or_default(),
        violations: fields.violations,
    }
}

fn read_message(fields: &mut Fields, message: &Place<'_>) -> Vec<Entry> {
    let mut common = Entry {
        sender: fields.unlimited(message, "from").unwrap_or_default(),
        text: v3::read_text(fields, message).into(),
        ..Entry::default()
    };
    fields.word(message, "transliteration", v3::TRANSLITERATIONS);
    if let Some(language) = fields.object(message, "language") {
        fields.word(&language, "languageCode", v3::LANGUAGES);
    }
    common.validity = fields
        .count(message, "validityPeriod")
        .map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    if common.validity > Some(VALIDITY_MAX) {
        fields.forbid(message, "validityPeriod", "must be at most 2880");
    }
    fields.flag(message, "flash");
    fields.word(message, "notifyContentType", &["application/json"]);
    common.details = Details {
        url: fields.url(message, "notifyUrl"),
        intermediate: fields
            .flag(message, "intermediateReport")
            .unwrap_or_default(),
        silent: false,
    };
    common.note.callback_data = fields.text(message, "callbackData", v3::CALLBACK_DATA_MAX);
    v3::read_platform(fields, message, &mut common.note);
    if let Some(regional) = fields.object(message, "regional") {
        v3::read_india(fields, &regional);
    }
    let destinations = fields.list(message, "destinations");
    if destinations.is_empty() {
        return vec![common];
    }
    let read = |destination: &Place<'_>| {
        let to = fields.text(destination, "to", TO_MAX);
        let id = fields.unlimited(destination, "messageId");
        Entry {
            to: fields.required(destination, "to", to).unwrap_or_default(),
            message_id: clipped(&id.unwrap_or_default(), MESSAGE_ID_MAX).into(),
            path: destination.path("to"),
            ..common.clone()
        }
    };
    destinations.iter().map(read).collect()
}

/// A long name is not refused but cut.
fn clipped(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_older_form_is_read_and_long_names_are_cut() {
        let body = json!({"bulkId": "b".repeat(120), "includeSmsCountInResponse": true, "messages": [{
            "from": "QUALTRICS", "text": "x", "destinations": [{"to": "353861112233", "messageId": "m".repeat(220)}],
            "notifyUrl": "https://sms.example.org/status", "intermediateReport": true, "validityPeriod": 720,
            "callbackData": "batch-77", "entityId": "e", "flash": false}]});
        let request = read(&body);
        assert_eq!(request.violations, []);
        let entry = &request.entries[0];
        assert_eq!((request.bulk_id.len(), entry.message_id.len()), (100, 200));
        assert_eq!(entry.validity, Some(Duration::from_secs(12 * 3600)));
        assert!(request.counts && entry.details.intermediate && entry.details.url.is_some());
        assert_eq!(entry.note.entity.as_deref(), Some("e"));
    }

    #[test]
    fn it_has_limits_of_its_own() {
        let body = json!({"messages": [{"text": "x", "destinations": [{"to": "1".repeat(51)}], "validityPeriod": 2881}]});
        let violations = read(&body).violations;
        let paths: Vec<_> = violations.iter().map(|v| v.property.as_str()).collect();
        assert_eq!(
            paths,
            [
                "messages[0].validityPeriod",
                "messages[0].destinations[0].to"
            ]
        );
    }
}
