//! The status of one message by the vendor's id. Source: `shared/providers/messagemedia.md`, section 9.

use bytes::Bytes;
use http::{Request, Response, header};
use message::Connection;
use serde::Deserialize;

use super::{authorization, base_url, codes, unsendable};
use crate::{
    Found, Receipt, Sought, StatusLookUp, SubmitClass, SubmitOutcome, Unsendable, json,
    retry_after::retry_after,
};

#[derive(Debug)]
pub(super) struct LookUp;

impl StatusLookUp for LookUp {
    fn messages_per_request(&self) -> usize {
        1
    }

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
        let id = message.provider_message_id;
        // A UUID by documentation. It came from outside, and must not lead to another resource.
        let is_one_segment = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if id.is_empty() || !is_one_segment {
            return Err(unsendable(connection, "the message has no usable id"));
        }
        Request::get(format!("{}/v1/messages/{id}", base_url(connection)))
            .header(header::AUTHORIZATION, authorization(connection)?)
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| unsendable(connection, "its base URL does not make a URL"))
    }

    /// Asking again is always safe, so nothing is ever in doubt here.
    fn read_response(
        &self,
        sought: &[Sought<'_>],
        response: &Response<Bytes>,
    ) -> Result<Vec<Found>, SubmitOutcome> {
        let status = response.status().as_u16();
        let refused = |class| Err(SubmitOutcome::new(class, format!("http_{status}")));
        match status {
            200..=299 => {
                let found = sought.iter().map(|one| found(one, response.body()));
                found
                    .collect::<Option<_>>()
                    .ok_or_else(|| SubmitOutcome::new(SubmitClass::Transient, "unreadable_answer"))
            }
            // Unknown, or older than 45 days.
            404 => Ok(vec![Found::Unknown; sought.len()]),
            401..=403 => refused(SubmitClass::AccountRefused),
            429 => refused(SubmitClass::Throttled {
                retry_after: retry_after(response.headers()),
            }),
            _ => refused(SubmitClass::Transient),
        }
    }
}

/// Nothing if the answer is about another message, or in words that nobody knows: the vendor knows
/// the message then, only we do not know more than before.
fn found(sought: &Sought<'_>, body: &[u8]) -> Option<Found> {
    let Message { message_id, status } = json::read(body)?;
    let is_it = message_id.is_none_or(|id| id.eq_ignore_ascii_case(sought.provider_message_id));
    // There is no error code here, so a `failed` is the gateway's.
    let status = codes::status(&status?, "").filter(|_| is_it)?;
    Some(Found::Receipt(Receipt {
        reference: Some(sought.reference.to_owned()),
        provider_message_id: Some(sought.provider_message_id.to_owned()),
        status,
        error_code: String::new(),
        part: None,
        parts: None,
        account_fault: false,
        about_repetition: false,
    }))
}

#[derive(Deserialize)]
struct Message {
    #[serde(default, deserialize_with = "json::text")]
    message_id: Option<String>,
    #[serde(default, deserialize_with = "json::text")]
    status: Option<String>,
}
