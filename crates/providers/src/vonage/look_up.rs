//! The status of messages by the Reports API, which Vonage charges for by the record: a connection
//! has to switch it on. Source: `shared/providers/vonage.md`, section 9.

use bytes::Bytes;
use http::{Request, Response, header};
use message::Connection;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Api, answer,
    answer::is_code,
    authorization,
    codes::{NO_ERROR, sms_word},
    request::url,
    unsendable,
};
use crate::{Found, Receipt, Sought, StatusLookUp, SubmitClass, SubmitOutcome, Unsendable, json};

const REPORTS_API: &str = "https://api.nexmo.com";
const MESSAGES_MAX: usize = 20;

#[derive(Debug)]
pub(super) struct LookUp;

impl StatusLookUp for LookUp {
    fn messages_per_request(&self) -> usize {
        MESSAGES_MAX
    }

    /// Whether records have our reference is unconfirmed, and nothing says that they can be asked
    /// for by it.
    fn finds_by_reference(&self) -> bool {
        false
    }

    fn build_request(
        &self,
        connection: &Connection,
        sought: &[Sought<'_>],
    ) -> Result<Request<Bytes>, Unsendable> {
        if connection.field("reports_api") != "on" {
            return Err(unsendable(connection, "its status look-ups are off"));
        }
        if Api::of(connection) == Api::Messages {
            return Err(unsendable(
                connection,
                "only messages of the SMS API can be looked up",
            ));
        }
        if !(1..=MESSAGES_MAX).contains(&sought.len()) {
            return Err(Unsendable::Count {
                given: sought.len(),
                max: MESSAGES_MAX,
            });
        }
        let mut target = url(
            connection,
            "reports_base_url",
            REPORTS_API,
            "/v2/reports/records?account_id=",
        );
        target.extend([
            connection.field("account_sid"),
            "&product=SMS&direction=outbound&id=",
        ]);
        for (index, message) in sought.iter().enumerate() {
            if message.provider_message_id.is_empty() {
                return Err(unsendable(connection, "a message has no id"));
            }
            target.extend((index > 0).then_some(","));
            target.extend(form_urlencoded::byte_serialize(
                message.provider_message_id.as_bytes(),
            ));
        }
        Request::get(target)
            .header(header::AUTHORIZATION, authorization(connection)?)
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| unsendable(connection, "its base URL does not make a URL"))
    }

    fn read_response(
        &self,
        sought: &[Sought<'_>],
        response: &Response<Bytes>,
    ) -> Result<Vec<Found>, SubmitOutcome> {
        if !response.status().is_success() {
            let refused = answer::refused(response.status().as_u16(), response);
            // Asking again is always safe: nothing is in doubt here.
            return Err(match refused.class {
                SubmitClass::InDoubt { .. } => {
                    SubmitOutcome::new(SubmitClass::Transient, refused.code)
                }
                _ => refused,
            });
        }
        let unreadable = || SubmitOutcome::new(SubmitClass::Transient, "unreadable_answer");
        let report: Report = json::read(response.body()).ok_or_else(unreadable)?;
        let records: Vec<Record> = report
            .records
            .into_iter()
            .filter_map(json::object)
            .collect();
        Ok(sought.iter().map(|one| found(one, &records)).collect())
    }
}

/// Of a message of several parts only the first one's id is asked for, and speaks for all.
fn found(sought: &Sought<'_>, records: &[Record]) -> Found {
    let id = sought.provider_message_id;
    let record = records
        .iter()
        .find(|record| record.message_id.as_deref() == Some(id));
    let status = |record: &Record| sms_word(record.status.as_deref()?);
    let Some((record, status)) = record.and_then(|record| Some((record, status(record)?))) else {
        return Found::Unknown;
    };
    let code = record.error_code.as_deref();
    let code = code.filter(|code| is_code(code) && *code != NO_ERROR);
    Found::Receipt(Receipt {
        reference: Some(sought.reference.to_owned()),
        provider_message_id: Some(id.to_owned()),
        status,
        error_code: code.unwrap_or_default().to_owned(),
        part: None,
        parts: None,
        account_fault: false,
        about_repetition: false,
    })
}

#[derive(Deserialize)]
struct Report {
    records: Vec<Value>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default, deserialize_with = "json::text")]
    message_id: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    error_code: Option<String>,
}
