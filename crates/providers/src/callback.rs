//! Callbacks: who sent them, and what they say.

use std::borrow::Cow;

use bytes::Bytes;
use http::Request;
use message::{
    Connection, ConnectionId, MessageState, Msisdn, OrganizationId, Sender, Timestamp,
    event::Keyword, opt_out::OptOutKind,
};

/// What the path of a callback says that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallbackKind {
    /// Delivery receipts.
    Status,
    /// Inbound messages.
    Message,
}

impl CallbackKind {
    /// The path segment.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Message => "message",
        }
    }
}

/// A callback whose origin is proven. [`crate::Provider::verify_callback`] makes it; so does
/// [`Verified::already`], for bytes that the ingress verified before they went onto the bus.
#[derive(Debug, Clone)]
pub struct Verified<'a> {
    request: &'a Request<Bytes>,
    sender: Option<Cow<'a, Sender>>,
    nonce: Option<String>,
}

impl<'a> Verified<'a> {
    /// For [`crate::Provider::verify_callback`]: proven by a secret of `connection`.
    pub(crate) fn by(connection: &'a Connection, request: &'a Request<Bytes>) -> Self {
        Self {
            request,
            sender: Some(Cow::Borrowed(&connection.sender)),
            nonce: None,
        }
    }

    /// The same, signed over a nonce that must not come twice.
    pub(crate) fn with_nonce(self, nonce: impl Into<String>) -> Self {
        Self {
            nonce: Some(nonce.into()),
            ..self
        }
    }

    /// For callbacks taken from the fleet's own queues, which only the ingress can fill. `sender` is
    /// the one of the connection that verified it, where the caller knows it.
    #[must_use]
    pub fn already(request: &'a Request<Bytes>, sender: Option<&'a Sender>) -> Self {
        Self {
            request,
            sender: sender.map(Cow::Borrowed),
            nonce: None,
        }
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &'a Request<Bytes> {
        self.request
    }

    /// Who the connection's messages are from: what an inbound message was written to if the
    /// provider does not say.
    #[must_use]
    pub fn sender(&self) -> Option<&Sender> {
        self.sender.as_deref()
    }

    /// Signed once only: a second callback with it, however genuine, says nothing new.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }
}

/// Why a callback was turned away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackRefused {
    /// Its provider does not call by this method.
    #[error("callbacks of this provider do not come by this method")]
    WrongMethod {
        /// The methods that it calls by.
        allowed: &'static [&'static str],
    },
    /// Its provider does not send this content type.
    #[error("callbacks of this provider do not have this content type")]
    WrongType,
    /// Nothing to check.
    #[error("callback carries no `{header}`")]
    Unsigned {
        /// What was looked for.
        header: &'static str,
    },
    /// Nothing to check, of a provider that sends the callback again, signed, after a 5xx.
    #[error("callback carries no `{header}`, its repetition may")]
    UnsignedYet {
        /// What was looked for.
        header: &'static str,
    },
    /// The signature, or the credentials, are not this connection's.
    #[error("signature does not match connection {connection}")]
    BadSignature {
        /// Which.
        connection: ConnectionId,
    },
    /// Signed too long ago, or in the future.
    #[error("callback was not signed just now")]
    OutOfTime,
    /// It asks for a scheme that the connection is not set up for, or that is never accepted.
    #[error("signing scheme is not accepted: {why}")]
    UnknownScheme {
        /// Which.
        why: &'static str,
    },
}

/// A verified callback that can not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("callback can not be read: {why}")]
pub struct Malformed {
    /// What is missing or wrong; never a number or a text.
    pub why: &'static str,
}

/// One thing a callback says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A delivery receipt.
    Receipt(Receipt),
    /// An inbound message.
    Inbound(Inbound),
    /// The provider itself says that somebody opted out or in again.
    OptOut(ProviderOptOut),
    /// A status that the table does not know: kept, counted, never guessed.
    Unrecognised {
        /// The provider's word.
        status: String,
    },
    /// Known to mean nothing for us.
    Ignored,
}

/// A delivery receipt. It has our reference or the provider's id, mostly both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Our reference as it came back.
    pub reference: Option<String>,
    /// The provider's id, without what names a part.
    pub provider_message_id: Option<String>,
    /// What it reports.
    pub status: ReceiptStatus,
    /// The provider's error code; empty where there is none.
    pub error_code: String,
    /// Which part, where the receipt says so: as the provider counts, from 0 or from 1.
    pub part: Option<u8>,
    /// How many parts the message has, where the receipt says so.
    pub parts: Option<u8>,
    /// The account is at fault and not the message: somebody has to look at it.
    pub account_fault: bool,
    /// Only a repetition was refused, because the message had been taken: it says nothing about what
    /// becomes of that.
    pub about_repetition: bool,
}

/// What a receipt reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiptStatus {
    /// Taken by the provider.
    Accepted,
    /// Passed on to the carrier.
    Sent,
    /// On the handset.
    Delivered,
    /// Seen by the recipient; other channels than SMS say so.
    Read,
    /// Its validity ended.
    Expired,
    /// The carrier could not deliver it.
    Undelivered,
    /// Given up.
    Failed,
    /// Refused after it had been taken.
    Rejected,
}

impl ReceiptStatus {
    /// The name, as in `smsfleet inspect`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Expired => "expired",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }

    /// The message's state after it.
    #[must_use]
    pub const fn state(self) -> MessageState {
        match self {
            Self::Accepted => MessageState::Accepted,
            Self::Sent => MessageState::Sent,
            // Reading says more than we have a state for.
            Self::Delivered | Self::Read => MessageState::Delivered,
            Self::Expired => MessageState::Expired,
            Self::Undelivered => MessageState::Undelivered,
            Self::Failed => MessageState::Failed,
            Self::Rejected => MessageState::Rejected,
        }
    }
}

/// An inbound message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// The provider's id, or one made of what the message says.
    pub provider_message_id: String,
    /// Who wrote: `+E.164`, or whatever else the provider names.
    pub from: String,
    /// Which of our senders they wrote to, in [`message::Sender::key`]'s spelling, if it is said.
    pub to: Option<String>,
    /// The pool they wrote to, where the provider names it.
    pub service: Option<String>,
    /// What they wrote; may be empty.
    pub text: String,
    /// Parts that the carrier or the provider joined.
    pub parts: u8,
    /// Which part of a longer message this is, where nobody joined them.
    pub part: Option<InboundPart>,
    /// Pictures and such that came with it.
    pub media: u8,
    /// Our reference of the message that it answers, where the provider says so.
    pub answers: Option<String>,
    /// When the provider received it, where it says so legibly.
    pub received_at: Option<Timestamp>,
    /// The provider's own verdict; it has answered the person already then.
    pub provider_verdict: Option<Keyword>,
}

/// One of several parts of an inbound message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundPart {
    /// What its parts share, beside writer and addressee.
    pub reference: String,
    /// Counted from 1.
    pub number: u8,
    /// How many there are.
    pub total: u8,
}

/// The provider's own opt-out signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderOptOut {
    /// Who.
    pub number: Msisdn,
    /// Out or in again.
    pub kind: OptOutKind,
    /// Towards whom.
    pub scope: OptOutScope,
    /// The provider's code or event name.
    pub code: String,
}

/// Towards whom a provider's opt-out signal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OptOutScope {
    /// The person told us: everything of the organisation.
    Organization,
    /// Only known from the provider's refusal, and only about the sender it refused.
    Sender,
}

impl OptOutScope {
    /// The name, as in `smsfleet inspect`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Sender => "sender",
        }
    }
}

/// The HTTP answer for a callback that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackAnswer {
    /// 200 or 204.
    pub status: u16,
    /// Empty for none.
    pub content_type: &'static str,
    /// The body.
    pub body: &'static str,
}

/// The path under which a provider's callbacks for an organisation arrive.
#[must_use]
pub fn callback_path(kind: CallbackKind, slug: &str, organization: &OrganizationId) -> String {
    format!(
        "/distribution-providers/v1/receive/distribution/{}/{slug}/{organization}",
        kind.as_str()
    )
}
