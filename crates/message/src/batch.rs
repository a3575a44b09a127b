//! What a scheduler hands over, and how a refusal is said.

use serde::{Deserialize, Serialize};

use crate::{BatchId, DistributionId, Fields, OrganizationId, Timestamp, Weight};

/// Recipients a batch may have.
pub const RECIPIENTS_MAX: usize = 10_000;

/// A batch as it stands on the wire (`sms.batches` and `POST /v1/batches`), structurally sound but
/// not yet validated: the numbers are as the scheduler wrote them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Whose mailing.
    pub organization_id: OrganizationId,
    /// Which mailing.
    pub distribution_id: DistributionId,
    /// The idempotency key: the same id with the same content is one batch.
    pub batch_id: BatchId,
    /// What the mailing is for; decides the class it travels in.
    pub method: Method,
    /// The text with its `{{field}}` placeholders.
    pub text: String,
    /// Up to [`RECIPIENTS_MAX`] recipients; the position is the row.
    pub recipients: Vec<Recipient>,
    /// After this a message that has not left is not worth sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What to do with a message whose doubt nothing settled.
    #[serde(default)]
    pub on_doubt: DoubtPolicy,
    /// Billable segments a rendered text may have.
    #[serde(default = "segments_max_default")]
    pub max_segments: u8,
    /// The distribution's share of its connection from now on; without one it keeps the share that
    /// an earlier batch asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
}

fn segments_max_default() -> u8 {
    4
}

/// One row of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// The number, normalised by intake.
    pub to: String,
    /// Values of the placeholders.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub fields: Fields,
}

/// What a mailing is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A first invitation.
    Invite,
    /// A reminder to those who have not answered.
    Reminder,
    /// Thanks to those who have.
    ThankYou,
    /// A question of a running conversation; travels express.
    Interactive,
}

/// What happens to a message that is still in doubt when the doubt period ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtPolicy {
    /// Never a second SMS.
    #[default]
    Hold,
    /// Rather twice than never.
    Resend,
}

/// Why a row or a whole batch was not taken. The names are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    // The batch.
    /// Not JSON, not UTF-8, or not of the batch's shape.
    Malformed,
    /// More bytes than a batch may have.
    TooLarge,
    /// No recipient at all, or more than [`RECIPIENTS_MAX`].
    RecipientCount,
    /// The text is empty or a placeholder in it is not closed or not named.
    Template,
    /// `expires_at` has passed already or lies too far ahead.
    Expiry,
    /// `max_segments` is zero or more than the fleet allows.
    SegmentLimit,
    /// The organisation has no active connection and may not use the default one.
    NoConnection,
    /// The same batch id was handed over before with other content.
    BatchConflict,
    /// The distribution was cancelled.
    DistributionCancelled,
    // A row.
    /// Not a number that a message can be sent to.
    InvalidNumber,
    /// The same number as an earlier row, after normalising.
    Duplicate,
    /// A placeholder of the text has no value in this row.
    MissingField,
    /// The rendered text has more segments than `max_segments`, or is empty.
    TextLength,
}

impl Rule {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::RecipientCount => "recipient_count",
            Self::Template => "template",
            Self::Expiry => "expiry",
            Self::SegmentLimit => "segment_limit",
            Self::NoConnection => "no_connection",
            Self::BatchConflict => "batch_conflict",
            Self::DistributionCancelled => "distribution_cancelled",
            Self::InvalidNumber => "invalid_number",
            Self::Duplicate => "duplicate",
            Self::MissingField => "missing_field",
            Self::TextLength => "text_length",
        }
    }
}

/// One thing that is wrong: where, what, and by which rule. Never contains a full number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The row, or nothing when the whole batch is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u32>,
    /// The field in dotted form: `to`, `fields.first_name`, `recipients`.
    pub field: String,
    /// The rule that is broken.
    pub rule: Rule,
    /// What was expected and what was found, for a person.
    pub detail: String,
}

/// A batch that the fleet itself makes (confirmations, help texts) on `sms.batches.internal`: it
/// names its connection, because an answer comes from the sender that was written to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InternalBatch {
    /// The batch; travels express.
    pub batch: Batch,
    /// True for the one confirmation that an opted-out recipient still gets.
    pub exempt_from_opt_out: bool,
    /// The connection it goes out over.
    pub connection_id: crate::ConnectionId,
}
