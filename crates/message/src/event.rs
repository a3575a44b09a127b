//! What the fleet tells the rest of the platform: on `sms.events` (topic
//! `<organization>.<distribution>.<kind>`) and on `sms.replies`.

use serde::{Deserialize, Serialize};

use crate::{
    BatchId, ConnectionId, DistributionId, MaskedMsisdn, MessageState, OrganizationId, Reference,
    Refusal, Timestamp, opt_out::OptOutChange,
};

/// The version events are written in.
pub const EVENT_VERSION: u8 = 1;

/// One AMQP message on `sms.events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// Messages of one batch that reached the same status.
    Status(StatusEvents),
    /// Rows, or a whole batch, that intake refused.
    Refused(RefusedEvent),
    /// A subscriber's standing changed.
    OptOut(OptOutEvent),
}

/// Messages of one batch that reached the same status at about the same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusEvents {
    /// [`EVENT_VERSION`].
    pub v: u8,
    /// Whose.
    pub organization_id: OrganizationId,
    /// Which mailing.
    pub distribution_id: DistributionId,
    /// Which batch.
    pub batch_id: BatchId,
    /// The status all of them reached.
    pub status: MessageState,
    /// The messages.
    pub messages: Vec<StatusEvent>,
}

/// One message's new status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusEvent {
    /// `<reference>:<status>`: the same whenever the same news is told again.
    pub event_id: String,
    /// Position in the batch's history: consumers that see a lower one later ignore it.
    pub seq: u32,
    /// The message.
    pub reference: Reference,
    /// Its row in the batch, for schedulers that think in rows.
    pub row: u32,
    /// The recipient, masked.
    pub to: MaskedMsisdn,
    /// Attempts made so far.
    pub attempt: u8,
    /// The provider's error code or the fleet's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The provider's id of the message, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_message_id: Option<String>,
    /// The connection that carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// When the fleet learned it.
    pub at: Timestamp,
}

/// What intake refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedEvent {
    /// [`EVENT_VERSION`].
    pub v: u8,
    /// The same whenever the same refusal is told again.
    pub event_id: String,
    /// Whose; nothing when not even that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// Which mailing, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution_id: Option<DistributionId>,
    /// Which batch, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// Every fault found, at most as many as fit in one event; the others follow in the next.
    pub refusals: Vec<Refusal>,
    /// When.
    pub at: Timestamp,
}

/// A subscriber opted out or in again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptOutEvent {
    /// [`EVENT_VERSION`].
    pub v: u8,
    /// The same whenever the same change is told again.
    pub event_id: String,
    /// The change with its evidence; the only event with a full number, because a directory
    /// service has nothing else to find its contact by.
    pub change: OptOutChange,
}

/// One inbound message on `sms.replies`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplyEvent {
    /// [`EVENT_VERSION`].
    pub v: u8,
    /// The same whenever the same reply is told again.
    pub event_id: String,
    /// Whose.
    pub organization_id: OrganizationId,
    /// The connection it arrived over.
    pub connection_id: ConnectionId,
    /// The message it answers, if one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<ReplyTo>,
    /// Who wrote: a full number, because survey services answer it.
    pub from: String,
    /// Which of our senders they wrote to.
    pub to: String,
    /// What they wrote.
    pub text: String,
    /// Parts that the carrier, the provider or the fleet joined.
    pub parts: u8,
    /// Not all parts arrived in time: each gap in the text is a `…`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// What the keyword rules made of it.
    pub keyword: Keyword,
    /// The provider's id of the inbound message.
    pub provider_message_id: String,
    /// When the ingress took it.
    pub received_at: Timestamp,
}

/// The message that a reply answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The message.
    pub reference: Reference,
    /// Its mailing.
    pub distribution_id: DistributionId,
    /// Its batch.
    pub batch_id: BatchId,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// What the keyword rules make of an inbound text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keyword {
    /// STOP and its kin.
    OptOut,
    /// START, UNSTOP.
    OptIn,
    /// HELP, INFO.
    Help,
    /// An ordinary reply.
    None,
}
