//! The body of `POST /sms/3/messages`.
//!
//! Source: shared/providers/infobip.md, section 2. Unknown fields are ignored. A binary content is not offered.

use std::time::Duration;

use serde_json::Value;

use super::Details;
use super::fields::{Fields, Place};
use super::notes::Note;
use super::request::{Entry, Request, VALIDITY_MAX, Version, new_bulk_id};
use super::times;

const TO_MAX: usize = 64;
const MESSAGE_ID_MAX: usize = 200;
const BULK_ID_MAX: usize = 100;
pub(super) const CALLBACK_DATA_MAX: usize = 4_000;
const CAMPAIGN_MAX: usize = 255;
pub(super) const TRANSLITERATIONS: &[&str] = &[
    "NONE",
    "TURKISH",
    "GREEK",
    "CYRILLIC",
    "SERBIAN_CYRILLIC",
    "BULGARIAN_CYRILLIC",
    "CENTRAL_EUROPEAN",
    "BALTIC",
    "PORTUGUESE",
    "COLOMBIAN",
    "NON_UNICODE",
    "ALL",
];
pub(super) const LANGUAGES: &[&str] = &["TR", "ES", "PT", "AUTODETECT"];
const TIME_UNITS: &[&str] = &["SECONDS", "MINUTES", "HOURS"];
const SPEED_UNITS: &[&str] = &["MINUTE", "HOUR", "DAY"];

/// Reads the body; never fails.
pub(crate) fn read(body: &Value) -> Request {
    let mut fields = Fields::default();
    let root = Place::root(body);
    let mut entries = Vec::new();
    for message in fields.list(&root, "messages") {
        entries.extend(read_message(&mut fields, &message));
    }
    let mut bulk_id = None;
    let mut counts = false;
    if let Some(options) = fields.object(&root, "options") {
        counts = fields
            .flag(&options, "includeSmsCountInResponse")
            .unwrap_or_default();
        if let Some(schedule) = fields.object(&options, "schedule") {
            bulk_id = fields.text(&schedule, "bulkId", BULK_ID_MAX);
            read_schedule(&mut fields, &schedule);
        }
    }
    Request {
        version: Version::V3,
        entries,
        bulk_id: bulk_id.unwrap_or_else(new_bulk_id),
        counts,
        violations: fields.violations,
    }
}

/// Scheduling is checked and then not done: the message goes at once.
pub(super) fn read_schedule(fields: &mut Fields, schedule: &Place<'_>) {
    if let Some(at) = fields.unlimited(schedule, "sendAt")
        && times::read(&at).is_none()
    {
        fields.forbid(schedule, "sendAt", "must be a date and time");
    }
    if let Some(limit) = fields.object(schedule, "sendingSpeedLimit") {
        let amount = fields.count(&limit, "amount");
        fields.required(&limit, "amount", amount);
        fields.word(&limit, "timeUnit", SPEED_UNITS);
    }
}

fn read_message(fields: &mut Fields, message: &Place<'_>) -> Vec<Entry> {
    let mut common = Entry {
        sender: fields.unlimited(message, "sender").unwrap_or_default(),
        ..Entry::default()
    };
    let content = fields.object(message, "content");
    if let Some(content) = fields.required(message, "content", content) {
        common.text = read_text(fields, &content).into();
        fields.word(&content, "transliteration", TRANSLITERATIONS);
        if let Some(language) = fields.object(&content, "language") {
            fields.word(&language, "languageCode", LANGUAGES);
        }
    }
    if let Some(options) = fields.object(message, "options") {
        common.validity = read_validity(fields, &options);
        common.note.campaign = fields.text(&options, "campaignReferenceId", CAMPAIGN_MAX);
        if let Some(platform) = fields.object(&options, "platform") {
            read_platform(fields, &platform, &mut common.note);
        }
        if let Some(regional) = fields.object(&options, "regional") {
            read_india(fields, &regional);
        }
    }
    if let Some(webhooks) = fields.object(message, "webhooks") {
        common.note.callback_data = fields.text(&webhooks, "callbackData", CALLBACK_DATA_MAX);
        common.details = read_webhooks(fields, &webhooks);
    }
    let destinations = fields.list(message, "destinations");
    if destinations.is_empty() {
        // One message is meant, whoever should have had it.
        return vec![common];
    }
    let read = |destination: &Place<'_>| {
        let to = fields.text(destination, "to", TO_MAX);
        let id = fields.text(destination, "messageId", MESSAGE_ID_MAX);
        Entry {
            to: fields.required(destination, "to", to).unwrap_or_default(),
            message_id: id.unwrap_or_default().into(),
            path: destination.path("to"),
            ..common.clone()
        }
    };
    destinations.iter().map(read).collect()
}

/// An empty text is refused like a missing one; the page is silent about it.
pub(super) fn read_text(fields: &mut Fields, place: &Place<'_>) -> String {
    let text = fields.unlimited(place, "text");
    if text.as_deref() == Some("") {
        fields.forbid(place, "text", "must not be empty");
    }
    fields.required(place, "text", text).unwrap_or_default()
}

fn read_validity(fields: &mut Fields, options: &Place<'_>) -> Option<Duration> {
    let period = fields.object(options, "validityPeriod")?;
    let amount = fields.count(&period, "amount");
    let amount = fields.required(&period, "amount", amount);
    let seconds = match fields.word(&period, "timeUnit", TIME_UNITS).as_deref() {
        Some("SECONDS") => 1,
        Some("HOURS") => 3_600,
        _ => 60,
    };
    let validity = Duration::from_secs(amount?.saturating_mul(seconds));
    if validity > VALIDITY_MAX {
        fields.forbid(&period, "amount", "must be at most 48 hours");
    }
    Some(validity)
}

pub(super) fn read_platform(fields: &mut Fields, place: &Place<'_>, note: &mut Note) {
    note.entity = fields.text(place, "entityId", CAMPAIGN_MAX);
    note.application = fields.text(place, "applicationId", CAMPAIGN_MAX);
}

/// Needs the principal wherever it is given.
pub(super) fn read_india(fields: &mut Fields, regional: &Place<'_>) {
    let Some(dlt) = fields.object(regional, "indiaDlt") else {
        return;
    };
    let principal = fields.unlimited(&dlt, "principalEntityId");
    fields.required(&dlt, "principalEntityId", principal);
    fields.unlimited(&dlt, "contentTemplateId");
    fields.unlimited(&dlt, "telemarketerId");
}

/// Reports in XML are not offered; a request for them is refused, where Infobip would send them.
fn read_webhooks(fields: &mut Fields, webhooks: &Place<'_>) -> Details {
    fields.word(webhooks, "contentType", &["application/json"]);
    let Some(delivery) = fields.object(webhooks, "delivery") else {
        return Details::default();
    };
    Details {
        url: fields.url(&delivery, "url"),
        intermediate: fields
            .flag(&delivery, "intermediateReport")
            .unwrap_or_default(),
        silent: fields.flag(&delivery, "notify") == Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn violations(body: &Value) -> Vec<String> {
        let read = read(body);
        read.violations.into_iter().map(|v| v.property).collect()
    }

    #[test]
    fn the_example_of_the_page_is_read_as_two_messages() {
        let body = json!({"messages":[
          {"sender":"868686","destinations":[{"to":"353861112233","messageId":"sf-01JABCDEF0001"}],
           "content":{"text":"Hi Aoife, rate your visit: https://svy.example.org/a1"},
           "webhooks":{"callbackData":"batch-77"}},
          {"sender":"868686","destinations":[{"to":"4915112345678","messageId":"sf-01JABCDEF0002"}],
           "content":{"text":"Grüß dich Jörg, 10 € Gutschein: https://svy.example.org/b2"},
           "options":{"validityPeriod":{"amount":240,"timeUnit":"MINUTES"}},
           "webhooks":{"callbackData":"batch-77"}}
        ]});
        let request = read(&body);
        assert_eq!(request.violations, []);
        let [first, second] = &request.entries[..] else {
            panic!("two entries")
        };
        assert_eq!(
            (first.recipient(), first.validity),
            (Some(353_861_112_233), None)
        );
        assert_eq!(&*first.message_id, "sf-01JABCDEF0001");
        assert_eq!(second.validity, Some(Duration::from_secs(240 * 60)));
        assert_eq!(second.note.callback_data.as_deref(), Some("batch-77"));
        assert!(!request.counts && request.bulk_id.len() == 19);
    }

    #[test]
    fn every_field_that_the_schema_forbids_is_named() {
        assert_eq!(violations(&json!({})), ["messages"]);
        assert_eq!(violations(&json!({"messages": []})), ["messages"]);
        let body =
            json!({"messages": [{"destinations": [], "content": {}}, {"destinations": [{}]}, 7]});
        let wanted = [
            "messages[0].content.text",
            "messages[0].destinations",
            "messages[1].content",
            "messages[1].destinations[0].to",
            "messages[2].content",
            "messages[2].destinations",
        ];
        assert_eq!(violations(&body), wanted);
        let with = |message: Value| {
            let mut whole =
                json!({"destinations": [{"to": "353861112233"}], "content": {"text": "x"}});
            for (key, value) in message.as_object().expect("an object") {
                whole[key] = value.clone();
            }
            violations(&json!({"messages": [whole]}))
        };
        assert!(with(json!({})).is_empty());
        let long = "x".repeat(4_001);
        for (message, wanted) in [
            (json!({"sender": 868686}), "sender"),
            (json!({"content": {"text": ""}}), "content.text"),
            (json!({"content": {"text": 7}}), "content.text"),
            (
                json!({"content": {"text": "x", "transliteration": "KLINGON"}}),
                "content.transliteration",
            ),
            (
                json!({"content": {"text": "x", "language": {"languageCode": "XX"}}}),
                "content.language.languageCode",
            ),
            (
                json!({"destinations": [{"to": "1".repeat(65)}]}),
                "destinations[0].to",
            ),
            (
                json!({"destinations": [{"to": 353861112233_u64}]}),
                "destinations[0].to",
            ),
            (
                json!({"destinations": [{"to": "353861112233", "messageId": "m".repeat(201)}]}),
                "destinations[0].messageId",
            ),
            (
                json!({"options": {"validityPeriod": {}}}),
                "options.validityPeriod.amount",
            ),
            (
                json!({"options": {"validityPeriod": {"amount": 49, "timeUnit": "HOURS"}}}),
                "options.validityPeriod.amount",
            ),
            (
                json!({"options": {"validityPeriod": {"amount": 1, "timeUnit": "DAYS"}}}),
                "options.validityPeriod.timeUnit",
            ),
            (
                json!({"options": {"campaignReferenceId": "c".repeat(256)}}),
                "options.campaignReferenceId",
            ),
            (
                json!({"options": {"regional": {"indiaDlt": {"contentTemplateId": "t"}}}}),
                "options.regional.indiaDlt.principalEntityId",
            ),
            (
                json!({"webhooks": {"callbackData": long}}),
                "webhooks.callbackData",
            ),
            (
                json!({"webhooks": {"contentType": "application/xml"}}),
                "webhooks.contentType",
            ),
            (
                json!({"webhooks": {"delivery": {"url": "nowhere"}}}),
                "webhooks.delivery.url",
            ),
            (
                json!({"webhooks": {"delivery": {"notify": "yes"}}}),
                "webhooks.delivery.notify",
            ),
        ] {
            assert_eq!(with(message), [format!("messages[0].{wanted}")]);
        }
        let options = |schedule: Value| {
            let message =
                json!({"destinations": [{"to": "353861112233"}], "content": {"text": "x"}});
            violations(&json!({"messages": [message], "options": {"schedule": schedule}}))
        };
        assert_eq!(
            options(json!({"bulkId": "b".repeat(101)})),
            ["options.schedule.bulkId"]
        );
        assert_eq!(
            options(json!({"sendAt": "tomorrow"})),
            ["options.schedule.sendAt"]
        );
        assert!(
            options(json!({"sendAt": "2026-08-01T16:10:00.000+0000", "bulkId": "b"})).is_empty()
        );
    }

    #[test]
    fn a_message_has_one_entry_for_each_destination() {
        let body = json!({"messages": [{"destinations": [{"to": "353861112233"}, {"to": ""}],
                          "content": {"text": "x"}, "webhooks": {"delivery": {"intermediateReport": true}}}],
                          "options": {"includeSmsCountInResponse": true, "schedule": {"bulkId": "b-1"}}});
        let request = read(&body);
        assert!(
            request.violations.is_empty(),
            "an empty `to` is the entry's own trouble"
        );
        assert_eq!(request.entries.len(), 2);
        assert!(request.entries[1].details.intermediate && request.counts);
        assert_eq!(request.bulk_id, "b-1");
        assert_eq!(request.entries[1].path, "messages[0].destinations[1].to");
    }
}
