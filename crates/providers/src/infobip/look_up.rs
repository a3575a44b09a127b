//! The log of the last 48 hours, read without using anything up.
//! Source: `shared/providers/infobip.md`, section 9.

use std::collections::HashMap;

use bytes::Bytes;
use http::{Request, Response};
use message::Connection;
use serde_json::Value;

use super::{
    answer::{self, Meaning},
    callback::{Report, Results},
    codes::{DUPLICATE, Status},
    request::{origin, unsendable, with_headers},
};
use crate::{
    Found, Receipt, ReceiptStatus, Sought, StatusLookUp, SubmitClass, SubmitOutcome, Unsendable,
    json,
};

/// As many as fit into a query of 2048 characters.
const IDS_MAX: usize = 40;

/// The most lines that an answer may have: a repeated submission may have left one of its own.
const LINES_MAX: usize = 1000;

#[derive(Debug)]
pub(super) struct LookUp;

impl StatusLookUp for LookUp {
    fn messages_per_request(&self) -> usize {
        IDS_MAX
    }

    /// Our reference is its id.
    fn finds_by_reference(&self) -> bool {
        true
    }

    fn build_request(
        &self,
        connection: &Connection,
        sought: &[Sought<'_>],
    ) -> Result<Request<Bytes>, Unsendable> {
        let (given, max) = (sought.len(), IDS_MAX);
        if given == 0 || given > max {
            return Err(Unsendable::Count { given, max });
        }
        let mut ids = String::new();
        for one in sought {
            if one.reference.is_empty() {
                return Err(unsendable(connection, "the message has no reference"));
            }
            if !ids.is_empty() {
                ids.push(',');
            }
            ids.extend(form_urlencoded::byte_serialize(one.reference.as_bytes()));
        }
        let origin = origin(connection)?;
        let url = format!("{origin}/sms/3/logs?messageId={ids}&limit={LINES_MAX}");
        with_headers(Request::get(url), connection)?
            .body(Bytes::new())
            .map_err(|_| unsendable(connection, "its base URL does not make a URL"))
    }

    fn read_response(
        &self,
        sought: &[Sought<'_>],
        response: &Response<Bytes>,
    ) -> Result<Vec<Found>, SubmitOutcome> {
        if !response.status().is_success() {
            let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            let code = answer::code(response.status(), &body);
            let class = match answer::meaning(response.status(), response.headers()) {
                // Asking again is always safe: nothing is in doubt here, and no message is refused.
                Meaning::Whole(SubmitClass::InDoubt { .. })
                | Meaning::TooLarge
                | Meaning::OneOfThem => SubmitClass::Transient,
                Meaning::Whole(class) => class,
            };
            return Err(SubmitOutcome::new(class, code));
        }
        let Results { results } = json::read(response.body())
            .ok_or_else(|| SubmitOutcome::new(SubmitClass::Transient, "unreadable_answer"))?;
        let mut receipts = HashMap::new();
        for line in results {
            let Some(line) = json::object::<Report>(line) else {
                continue;
            };
            let Some(id) = line.message_id() else {
                continue;
            };
            let status = line.status().unwrap_or_default();
            // What a repeated submission was refused with does not hide what became of the first.
            if status.id == Some(DUPLICATE) && receipts.contains_key(id) {
                continue;
            }
            receipts.insert(id.to_owned(), receipt(&line, &status));
        }
        let found = sought.iter().map(|one| {
            let receipt = receipts.get(one.reference).cloned();
            receipt.map_or(Found::Unknown, Found::Receipt)
        });
        Ok(found.collect())
    }
}

/// What is in the log was accepted, whatever its status may mean.
fn receipt(line: &Report, status: &Status) -> Receipt {
    line.receipt(status).unwrap_or_else(|| Receipt {
        reference: line.message_id().map(str::to_owned),
        provider_message_id: line.message_id().map(str::to_owned),
        status: ReceiptStatus::Accepted,
        error_code: String::new(),
        part: None,
        parts: None,
        account_fault: false,
        about_repetition: false,
    })
}
