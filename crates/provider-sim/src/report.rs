//! What the audit says: the types of `GET /_twin/audit`, which separate processes read back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that a twin has seen since its start or its last reset.
///
/// Every message that was asked for is in exactly one of these, so they add up to `totals.requests`: `accepted`,
/// `refused` (all codes), `repeated`, `throttled`, `ambiguous_not_taken`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct AuditReport {
    /// The figures.
    pub totals: Totals,
    /// References that were accepted more than once: people who were texted twice. Empty, or somebody has to explain.
    pub doubled: Vec<AuditEntry>,
    /// Everybody who said STOP and whose webhook was acknowledged.
    pub stops: Vec<StopRecord>,
    /// What was accepted, second by second.
    pub per_second: Vec<Second>,
    /// One per account, recipient and reference. Empty in a summary.
    #[serde(default)]
    pub entries: Vec<AuditEntry>,
}

/// The figures of an audit.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Totals {
    /// HTTP requests to send, whatever became of them. One may ask for many messages.
    #[serde(default)]
    pub http_requests: u64,
    /// Messages that were asked for, each time anew; a request that could not be read counts as one.
    pub requests: u64,
    /// Messages that were taken, the ambiguous ones included.
    pub accepted: u64,
    /// Their segments.
    pub accepted_segments: u64,
    /// Different (account, recipient, reference) among the accepted; equal to `accepted` if nothing was sent twice.
    pub accepted_references: u64,
    /// Refusals by the provider's error code, 429 excepted.
    pub refused: BTreeMap<String, u64>,
    /// Asked for again under the same id, recognised as the same message, and not sent a second time.
    #[serde(default)]
    pub repeated: u64,
    /// Answered 429, because of a limit or by a fault.
    pub throttled: u64,
    /// Taken, though the client was answered with a 5xx, nothing, or a reset.
    pub ambiguous_taken: u64,
    /// Not taken, and answered with a 5xx, nothing, or a reset.
    pub ambiguous_not_taken: u64,
    /// Accepted messages by their present status.
    pub statuses: BTreeMap<String, u64>,
    /// Status callbacks.
    pub callbacks: PostTotals,
    /// Inbound messages.
    pub inbound: InboundTotals,
    /// Send requests for people whose STOP had been acknowledged before, taken or not.
    pub requests_after_stop: u64,
    /// The longest time from such an acknowledgement to such a request.
    pub worst_late_ms: u64,
}

/// What became of callbacks. Where one HTTP request carries several reports, each report is counted.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct PostTotals {
    /// Answered 2xx.
    pub ok: u64,
    /// Not answered 2xx in the end, by HTTP status, or `connect` or `timeout`.
    pub failed: BTreeMap<String, u64>,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Receipts that were posted a second time on purpose.
    pub duplicated: u64,
    /// Receipts that were left out on purpose.
    pub lost: u64,
}

/// What became of inbound messages.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct InboundTotals {
    /// The webhook's answers.
    pub posts: PostTotals,
    /// Messages whose posts were all answered 2xx, whether they went out once, in parts or to several webhooks. A STOP
    /// that is told as a reply and under a name of its own as an opt-out counts as two.
    #[serde(default)]
    pub acknowledged: u64,
    /// Opt-outs, opt-ins and requests for help that the provider recognised.
    pub keywords: BTreeMap<String, u64>,
    /// Of those: answered by the provider itself and declared so to the customer.
    pub answered_by_provider: u64,
    /// Answers that the provider could not read as its reply format; they are errors in the customer's console.
    pub unreadable_answers: u64,
    /// Messages to an account without a webhook.
    pub no_webhook: u64,
}

/// What happened under one name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct AuditEntry {
    /// The account.
    pub account: String,
    /// The recipient, in E.164 with `+`.
    pub recipient: String,
    /// The client's name for the message, exactly as it stood in the callback URL. Empty if there was none: then all such
    /// messages to one recipient share an entry, which is not counted as doubled.
    pub reference: String,
    /// Send requests.
    pub requests: u32,
    /// The latest of them after an acknowledged STOP of the recipient, in milliseconds after that acknowledgement; 0 if
    /// there was none. So an answer to the STOP can be told from a mailing that did not heed it.
    #[serde(default)]
    pub worst_late_ms: u64,
    /// Messages that were taken. More than one means a person was texted twice.
    pub accepted: u32,
    /// Present status of the message last accepted, in the provider's word.
    pub status: Option<String>,
    /// The same in a word that means the same at every twin: `accepted`, `queued`, `sent`, `delivered`, `undelivered`,
    /// `failed`, `expired` or `rejected`.
    #[serde(default)]
    pub phase: Option<String>,
    /// Error code of that status.
    pub error_code: Option<String>,
}

/// A person who said STOP.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct StopRecord {
    /// The account that the person wrote to.
    pub account: String,
    /// The person.
    pub recipient: String,
    /// When the webhook of the STOP was answered 2xx, in milliseconds since 1970.
    pub acknowledged_unix_ms: u64,
    /// Whether the person opted in again later. Requests after that are not counted.
    pub lifted: bool,
    /// Send requests for this person after that acknowledgement.
    pub requests_after: u64,
    /// The latest of them, in milliseconds after the acknowledgement.
    pub worst_late_ms: u64,
}

/// One second of accepted traffic.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Second {
    /// The second, since 1970.
    pub unix_seconds: u64,
    /// Messages accepted in it.
    pub accepted: u64,
    /// Their segments.
    pub segments: u64,
}
