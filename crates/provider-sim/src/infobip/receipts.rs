//! Reports: what is told of a message, in either form, and the callback that carries many of them.
//!
//! Source: shared/providers/infobip.md, section 6.

use std::time::{Duration, SystemTime};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

use super::accounts::{InfobipAccount, InfobipReportForm};
use super::notes::Note;
use super::statuses::{self, Status};
use super::{Details, Infobip, causes, credentials, times};
use crate::behaviour::SignatureVariant;
use crate::chance::{Dice, Subject};
use crate::engine::{Phase, Provider, Receipt, View};
use crate::webhook::{Callback, RetryPolicy};

/// In one callback.
pub(crate) const REPORTS_MAX: usize = 100;
/// About twenty repeats within about two days, whatever went wrong; the real pauses grow from a minute to hours.
const RETRIES: u8 = 20;
const RETRY_TIME: Duration = Duration::from_secs(48 * 3_600);
const PRICE: f64 = 0.031;

/// What is known of a message, for reports and logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub name: &'a str,
    pub to: &'a str,
    pub sender: &'a str,
    pub sent_at: SystemTime,
    /// When it came into that status, if that is the last one.
    pub done_at: Option<SystemTime>,
    pub segments: u32,
    pub status: Status,
    /// The engine's error code.
    pub code: Option<&'a str>,
    pub note: Option<&'a Note>,
}

/// The name of a message: the client's, or Infobip's if it gave none.
pub(crate) fn name(message: &View<Details>) -> String {
    if message.reference.is_empty() {
        Infobip::IDS.write(message.number)
    } else {
        message.reference.to_string()
    }
}

/// The report of a receipt.
pub(crate) fn of_receipt(
    receipt: &Receipt<Details>,
    note: Option<&Note>,
    form: InfobipReportForm,
) -> Value {
    let message = &receipt.message;
    // Taken from the message rather than from the clock, so that a report that comes twice is the same report.
    let second = match receipt.phase == message.phase {
        true => message.updated,
        false => message.sent.unwrap_or(message.updated),
    };
    let (name, to) = (name(message), message.to.to_string());
    Facts {
        name: &name,
        to: &to,
        sender: &message.sender,
        sent_at: sent_at(message),
        done_at: Some(times::of_second(second, share(message))),
        segments: message.segments.into(),
        status: status(message, receipt.phase, receipt.code),
        code: receipt.code,
        note,
    }
    .report(form)
}

/// When a message was sent, or taken if it was not.
pub(crate) fn sent_at(message: &View<Details>) -> SystemTime {
    let second = message.sent.unwrap_or(message.created);
    times::of_second(second, share(message) / 2.0)
}

/// When a message came into its last status.
pub(crate) fn done_at(message: &View<Details>) -> Option<SystemTime> {
    let done = times::of_second(message.updated, share(message));
    message.phase.is_final().then_some(done)
}

/// The status of a message in a phase. A passing report says of one half of the messages that the operator has it.
pub(crate) fn status(message: &View<Details>, phase: Phase, code: Option<&str>) -> Status {
    let to_operator = Dice(0).roll("to the operator", subject(message)) < 0.5;
    statuses::of_phase(phase, code, to_operator)
}

fn share(message: &View<Details>) -> f64 {
    Dice(0).roll("milliseconds", subject(message))
}

fn subject(message: &View<Details>) -> Subject<'_> {
    Subject {
        recipient: message.to,
        reference: &message.reference,
        turn: 0,
    }
}

impl Facts<'_> {
    /// One of the `results` of a callback.
    pub fn report(&self, form: InfobipReportForm) -> Value {
        let note = self.note;
        let callback_data = note.and_then(|note| note.callback_data.as_deref());
        let campaign = note.and_then(|note| note.campaign.as_deref());
        let entity = note.and_then(|note| note.entity.as_deref());
        let application = note.and_then(|note| note.application.as_deref());
        let mut report = json!({
            "bulkId": note.map(|note| note.bulk_id.as_str()),
            "messageId": self.name,
            "to": self.to,
            "sentAt": times::write(self.sent_at),
            "doneAt": self.done_at.map(times::write),
            "mccMnc": mcc_mnc(self.to),
            "callbackData": callback_data,
            "price": self.price(),
            "status": self.status.json(),
            "error": causes::error(self.code, form),
            "campaignReferenceId": campaign,
        });
        match form {
            InfobipReportForm::V2 => {
                report["from"] = json!(self.sender);
                report["smsCount"] = json!(self.segments);
                report["entityId"] = json!(entity);
                report["applicationId"] = json!(application);
                return report;
            }
            InfobipReportForm::V3 => {
                report["sender"] = json!(self.sender);
                report["messageCount"] = json!(self.segments);
                if entity.is_some() || application.is_some() {
                    report["platform"] = json!({"entityId": entity, "applicationId": application});
                }
            }
        }
        without_nulls(report)
    }

    /// One of the `results` of the logs.
    pub fn log(&self, text: &str) -> Value {
        let note = self.note;
        let entity = note.and_then(|note| note.entity.as_deref());
        let application = note.and_then(|note| note.application.as_deref());
        let platform = json!({"entityId": entity, "applicationId": application});
        let has_platform = entity.is_some() || application.is_some();
        without_nulls(json!({
            "sender": self.sender,
            "destination": self.to,
            "bulkId": note.map(|note| note.bulk_id.as_str()),
            "messageId": self.name,
            "sentAt": times::write(self.sent_at),
            "doneAt": self.done_at.map(times::write),
            "messageCount": self.segments,
            "mccMnc": mcc_mnc(self.to),
            "price": self.price(),
            "content": {"text": text},
            "campaignReferenceId": note.and_then(|note| note.campaign.as_deref()),
            "platform": has_platform.then_some(platform),
            "status": self.status.json(),
            "error": causes::error(self.code, InfobipReportForm::V3),
        }))
    }

    fn price(&self) -> Value {
        let price = if self.status.is_refusal() { 0.0 } else { PRICE };
        json!({"pricePerMessage": price, "currency": "EUR"})
    }
}

/// The callback for reports of messages with the same details; `None` if there is nowhere to post them.
pub(crate) fn callback(
    account: &InfobipAccount,
    details: &Details,
    results: Vec<Value>,
    signature: &SignatureVariant,
) -> Option<Callback> {
    let own = details.url.as_deref();
    let url = own.or(account.status_webhook.as_deref())?;
    let signs = own.is_none() || account.basic_on_message_urls;
    let body = json!({ "results": results });
    Some(post(account, url, signs.then_some(signature), &body))
}

/// A callback of any kind. Without a signature it goes out without credentials.
pub(crate) fn post(
    account: &InfobipAccount,
    url: &str,
    signature: Option<&SignatureVariant>,
    body: &Value,
) -> Callback {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(value) = signature.and_then(|signature| credentials::header(account, signature)) {
        headers.insert(AUTHORIZATION, value);
    }
    Callback {
        method: Method::POST,
        url: url.to_owned(),
        headers,
        body: body.to_string(),
        retry_headers: HeaderMap::new(),
        policy: RetryPolicy {
            retries: RETRIES,
            on_connect: true,
            on_timeout: true,
            on_429: true,
            on_4xx: true,
            on_5xx: true,
            attempt_timeout: account.webhook_timeout,
            total_timeout: RETRY_TIME,
            doubling: false,
            wants_a_body: false,
        },
    }
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

/// A network of the country, for the countries of the tests' numbers.
fn mcc_mnc(to: &str) -> Option<&'static str> {
    const NETWORKS: &[(&str, &str)] = &[
        ("1", "310260"),
        ("33", "20801"),
        ("353", "27201"),
        ("358", "24405"),
        ("44", "23410"),
        ("46", "24001"),
        ("49", "26201"),
        ("61", "50501"),
    ];
    NETWORKS
        .iter()
        .find(|(prefix, _)| to.starts_with(prefix))
        .map(|(_, network)| *network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_fields_of_the_pages_example_in_either_form() {
        let note = Note {
            bulk_id: "4093847561029384756".into(),
            callback_data: Some("batch-77".into()),
            entity: Some("e".into()),
            ..Note::default()
        };
        let at = |text| times::read(text).expect("a time");
        let facts = Facts {
            name: "sf-01JABCDEF0001",
            to: "353861112233",
            sender: "868686",
            sent_at: at("2025-03-04T08:15:30.120+0000"),
            done_at: Some(at("2025-03-04T08:15:33.907+0000")),
            segments: 1,
            status: statuses::status(5).expect("it is in the table"),
            code: None,
            note: Some(&note),
        };
        let mut wanted = json!({
            "bulkId":"4093847561029384756","messageId":"sf-01JABCDEF0001","to":"353861112233","sender":"868686",
            "sentAt":"2025-03-04T08:15:30.120+0000","doneAt":"2025-03-04T08:15:33.907+0000","messageCount":1,
            "mccMnc":"27201","callbackData":"batch-77","price":{"pricePerMessage":0.031,"currency":"EUR"},
            "status":{"groupId":3,"groupName":"DELIVERED","id":5,"name":"DELIVERED_TO_HANDSET","description":"Message delivered to handset"},
            "error":{"groupId":0,"groupName":"OK","id":0,"name":"NO_ERROR","description":"No Error","permanent":false}});
        let mut report = facts.report(InfobipReportForm::V3);
        let platform = report.as_object_mut().and_then(|r| r.remove("platform"));
        assert_eq!(
            platform,
            Some(json!({"entityId": "e", "applicationId": null}))
        );
        assert_eq!(report, wanted);
        let fields = wanted.as_object_mut().expect("an object");
        for (new, old) in [("sender", "from"), ("messageCount", "smsCount")] {
            let value = fields.remove(new).unwrap_or_default();
            fields.insert(old.into(), value);
        }
        wanted["error"]["groupName"] = json!("Ok");
        wanted["entityId"] = json!("e");
        for absent in ["applicationId", "campaignReferenceId"] {
            wanted[absent] = Value::Null;
        }
        assert_eq!(facts.report(InfobipReportForm::V2), wanted);
    }
}
