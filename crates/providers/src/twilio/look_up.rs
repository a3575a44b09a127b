//! The status of one message by its SID. Source: `shared/providers/twilio.md`, section 9.

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use message::Connection;
use serde::Deserialize;

use super::{authorization, codes, messages_url, outcome, unsendable};
use crate::{
    Found, Receipt, ReceiptStatus, Sought, StatusLookUp, SubmitClass, SubmitOutcome, Unsendable,
    json,
};

#[derive(Debug)]
pub(super) struct LookUp;

impl StatusLookUp for LookUp {
    fn messages_per_request(&self) -> usize {
        1
    }

    /// Our reference is not part of the message: it is in its callback URL only.
    fn finds_by_reference(&self) -> bool {
        false
    }

    fn build_request(
        &self,
        connection: &Connection,
        sought: &[Sought<'_>],
    ) -> Result<Request<Bytes>, Unsendable> {
        let [message] = sought else {
            return Err(Unsendable::Count {
                given: sought.len(),
                max: 1,
            });
        };
        if message.provider_message_id.is_empty() {
            return Err(unsendable(connection, "the message has no SID"));
        }
        let rest = format!("/{}.json", message.provider_message_id);
        Request::get(messages_url(connection, &rest))
            .header(header::AUTHORIZATION, authorization(connection)?)
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| unsendable(connection, "its base URL or a SID does not make a URL"))
    }

    fn read_response(
        &self,
        sought: &[Sought<'_>],
        response: &Response<Bytes>,
    ) -> Result<Vec<Found>, SubmitOutcome> {
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(vec![Found::Unknown; sought.len()]);
        }
        if !response.status().is_success() {
            let refused = outcome(response);
            // Asking again is always safe: nothing is in doubt here.
            return Err(match refused.class {
                SubmitClass::InDoubt { .. } => {
                    SubmitOutcome::new(SubmitClass::Transient, refused.code)
                }
                _ => refused,
            });
        }
        let unreadable = || SubmitOutcome::new(SubmitClass::Transient, "unreadable_answer");
        let message: Message = json::read(response.body()).ok_or_else(unreadable)?;
        let error_code = message.error_code.unwrap_or_default();
        let found = match codes::status_word(&message.status) {
            codes::Word::Status(status) => {
                let expired =
                    status == ReceiptStatus::Failed && error_code == codes::VALIDITY_EXPIRED;
                Found::Receipt(Receipt {
                    reference: sought.first().map(|one| one.reference.to_owned()),
                    provider_message_id: Some(message.sid),
                    status: if expired {
                        ReceiptStatus::Expired
                    } else {
                        status
                    },
                    error_code,
                    part: None,
                    parts: None,
                    account_fault: false,
                    about_repetition: false,
                })
            }
            codes::Word::Inbound | codes::Word::Unknown => Found::Unknown,
        };
        Ok(vec![found])
    }
}

#[derive(Deserialize)]
struct Message {
    sid: String,
    status: String,
    #[serde(default, deserialize_with = "json::text")]
    error_code: Option<String>,
}
