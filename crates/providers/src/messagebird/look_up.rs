//! The status of one message: by its id, or among those to its recipient by our reference.
//! Source: `shared/providers/messagebird.md`, section 9.

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use message::Connection;
use serde::Deserialize;
use serde_json::Value;

use super::{
    answer::{Lookup, Message, errors, refusal},
    authorization, codes, unsendable, url,
};
use crate::{
    Found, Receipt, ReceiptStatus, Sought, StatusLookUp, SubmitClass, SubmitOutcome, Unsendable,
    json,
};

#[derive(Debug)]
pub(super) struct LookUp;

/// Messages that one page of a list has, at most.
const PAGE: usize = 200;

impl StatusLookUp for LookUp {
    fn messages_per_request(&self) -> usize {
        1
    }

    /// There is no search for it, but every message in a list has it.
    fn finds_by_reference(&self) -> bool {
        true
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
        if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(unsendable(connection, "the message's id is none"));
        }
        // An empty reference would find every message that has none.
        if id.is_empty() && message.reference.is_empty() {
            return Err(unsendable(connection, "the message has no name"));
        }
        let path = if id.is_empty() {
            let recipient = message.to.digits();
            format!("/messages?direction=mt&recipient={recipient}&offset=0&limit={PAGE}")
        } else {
            format!("/messages/{id}")
        };
        Request::get(url(connection, &path))
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
        if is_unknown(response) {
            return Ok(vec![Found::Unknown; sought.len()]);
        }
        if !response.status().is_success() {
            let refused = refusal(response, "");
            // Asking again is always safe: nothing is in doubt here.
            return Err(match refused.class {
                SubmitClass::InDoubt { .. } => transient(refused.code),
                _ => refused,
            });
        }
        sought.iter().map(|one| find(one, response)).collect()
    }
}

/// Code 20; a 404 without it says that the URL is wrong.
fn is_unknown(response: &Response<Bytes>) -> bool {
    response.status() == StatusCode::NOT_FOUND
        && errors(response.body())
            .iter()
            .any(|error| error.code == codes::NOT_FOUND)
}

fn transient(code: impl Into<String>) -> SubmitOutcome {
    SubmitOutcome::new(SubmitClass::Transient, code)
}

fn find(sought: &Sought<'_>, response: &Response<Bytes>) -> Result<Found, SubmitOutcome> {
    let unreadable = || transient("unreadable_answer");
    if !sought.provider_message_id.is_empty() {
        let message = json::read::<Message>(response.body());
        let message = message.filter(|message| !message.id.is_empty());
        return message
            .map(|message| found(sought, message))
            .ok_or_else(unreadable);
    }
    let list: List = json::read(response.body()).ok_or_else(unreadable)?;
    let listed = list.items.len();
    let messages: Option<Vec<Message>> = list.items.into_iter().map(json::object).collect();
    let ours = messages
        .ok_or_else(unreadable)?
        .into_iter()
        .find(|message| message.reference.as_deref() == Some(sought.reference));
    match ours {
        Some(message) => Ok(found(sought, message)),
        // What is on the next page may be ours: that it is unknown is not proven.
        None if listed >= PAGE || list.total_count.is_some_and(|total| total > listed as i64) => {
            Err(transient("more_than_one_page"))
        }
        None => Ok(Found::Unknown),
    }
}

/// As a receipt would tell it. What is found was taken at least, even if it says no more: an answer
/// that it is unknown could make somebody send it again.
fn found(sought: &Sought<'_>, message: Message) -> Found {
    let (status, error_code) = match message.item(sought.to) {
        Lookup::NoItems => (ReceiptStatus::Accepted, String::new()),
        Lookup::Missing => (ReceiptStatus::Rejected, String::new()),
        Lookup::Item(item) => (
            codes::status_word(&item.status, &item.error_code).unwrap_or(ReceiptStatus::Accepted),
            item.error_code,
        ),
    };
    Found::Receipt(Receipt {
        reference: message.reference.filter(|reference| !reference.is_empty()),
        provider_message_id: Some(message.id),
        status,
        error_code,
        part: None,
        parts: None,
        account_fault: false,
        about_repetition: false,
    })
}

#[derive(Deserialize)]
struct List {
    items: Vec<Value>,
    #[serde(default, rename = "totalCount", deserialize_with = "json::integer")]
    total_count: Option<i64>,
}
