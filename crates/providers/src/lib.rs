//! What each provider's wire says: build a request, read an answer, verify a callback, read it.
//! Pure functions over bytes: no socket, no clock, no logging, no Redis. Adding a provider is one
//! module, one fixture folder, one line in [`PROVIDERS`] and its form.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use message::{Connection, ConnectionId, MessageState, Msisdn, Reference, Timestamp};

pub mod form;
mod parameters;
mod retry_after;
mod signature;
pub mod twilio;

pub use form::{Field, FieldFault, Form};

/// One provider. No default bodies: a hole is a compile error.
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// The slug in URLs, metrics and connections.
    fn slug(&self) -> &'static str;

    /// What it can do: the worker decides by this, never by name.
    fn capabilities(&self) -> &'static Capabilities;

    /// Which fields a connection has, how they are checked, and what the sender's forms are.
    fn form(&self) -> &'static Form;

    /// The request that hands over `messages`, at most [`Capabilities::messages_per_request`].
    /// `public_url` is where callbacks shall come, without a slash at its end.
    ///
    /// # Errors
    /// [`Unsendable`] if no request can be built for them.
    fn build_request(
        &self,
        connection: &Connection,
        messages: &[MtMessage<'_>],
        public_url: &str,
    ) -> Result<Request<Bytes>, Unsendable>;

    /// What an answer means for each of `messages`, in their order. Infallible: "no idea" is an
    /// outcome, and the most important one to get right.
    fn read_response(
        &self,
        messages: &[MtMessage<'_>],
        response: &Response<Bytes>,
    ) -> Vec<SubmitOutcome>;

    /// Checks that `callback` comes from the account of `connection`, at `now`. The only way to
    /// obtain a [`Verified`]. `public_urls` are all URLs under which the ingress is reachable.
    ///
    /// # Errors
    /// [`CallbackRefused`] with the HTTP status it shall be answered with.
    fn verify_callback<'a>(
        &self,
        connection: &Connection,
        callback: &'a Request<Bytes>,
        public_urls: &[String],
        now: Timestamp,
    ) -> Result<Verified<'a>, CallbackRefused>;

    /// What a verified callback says. `kind` is what the path claims; a provider whose one webhook
    /// serves both reads what the body is.
    ///
    /// # Errors
    /// [`Malformed`] if it lacks what it must have; it is acknowledged all the same.
    fn read_callback(
        &self,
        callback: Verified<'_>,
        kind: CallbackKind,
    ) -> Result<Vec<Reading>, Malformed>;

    /// What the provider wants to hear when a callback was taken.
    fn callback_answer(&self, kind: CallbackKind) -> CallbackAnswer;
}

/// Every provider the fleet knows.
pub static PROVIDERS: &[&dyn Provider] = &[&twilio::Twilio];

/// The provider with this slug.
#[must_use]
pub fn provider(slug: &str) -> Option<&'static dyn Provider> {
    PROVIDERS
        .iter()
        .copied()
        .find(|provider| provider.slug() == slug)
}

/// What a provider can do, declared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capabilities {
    /// Messages with different texts in one request.
    pub messages_per_request: usize,
    /// Whether our reference comes back in receipts.
    pub echoes_reference: bool,
    /// Whether one receipt comes per part rather than per message.
    pub receipts_per_part: bool,
    /// Whether a message's status can be looked up.
    pub status_look_up: bool,
    /// Whether the provider itself answers opt-out keywords sent to its ordinary numbers.
    pub answers_keywords: bool,
    /// Segments per second a connection may send where its administrator said nothing.
    pub segments_per_second: f64,
    /// HTTP methods of its callbacks.
    pub callback_methods: &'static [&'static str],
    /// Content types of its callbacks, without parameters.
    pub callback_content_types: &'static [&'static str],
}

/// One MT message, rendered and ready for the wire.
#[derive(Debug, Clone, Copy)]
pub struct MtMessage<'a> {
    /// Our name for it, echoed in its receipts.
    pub reference: Reference,
    /// The recipient.
    pub to: Msisdn,
    /// The text in NFC.
    pub text: &'a str,
    /// How long it is worth sending.
    pub validity: Duration,
}

/// What a provider's answer means for the message. Six classes, because six things can be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// Taken for delivery.
    Accepted {
        /// The provider's id.
        provider_message_id: String,
    },
    /// This message is refused for good: the same submission would be refused again.
    Rejected {
        /// Why, in the fleet's words.
        reason: RejectReason,
        /// Why, in the provider's.
        code: String,
    },
    /// Every message on this connection would be, until an operator acts: credentials, credit.
    AccountRefused {
        /// The provider's code.
        code: String,
    },
    /// Too fast: certainly not taken, and the limit, not the message, has to change.
    Throttled {
        /// When to try again, if the provider said so.
        retry_after: Option<Duration>,
        /// The provider's code.
        code: String,
    },
    /// Refused for now and certainly not taken; this message tries again later.
    Transient {
        /// The provider's code.
        code: String,
    },
    /// Taken or not, nobody can say.
    InDoubt {
        /// What made it so: `http_502`, `timeout`, `unreadable_answer`.
        code: String,
    },
}

impl SubmitOutcome {
    /// The class's name in metrics and in the API.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Rejected { .. } => "rejected",
            Self::AccountRefused { .. } => "account_refused",
            Self::Throttled { .. } => "throttled",
            Self::Transient { .. } => "transient",
            Self::InDoubt { .. } => "in_doubt",
        }
    }
}

/// Why a provider refused a message, in the fleet's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// The recipient's number is not usable.
    InvalidRecipient,
    /// The recipient opted out at the provider.
    OptedOut,
    /// Content or recipient is blocked.
    Blocked,
    /// The account may not send there.
    UnsupportedDestination,
    /// The sender is not usable.
    BadSender,
    /// The text is too long.
    TooLong,
    /// Some parts were taken, some not.
    Partial,
    /// Anything else.
    Other,
}

impl RejectReason {
    /// The name in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRecipient => "invalid_recipient",
            Self::OptedOut => "opted_out",
            Self::Blocked => "blocked",
            Self::UnsupportedDestination => "unsupported_destination",
            Self::BadSender => "bad_sender",
            Self::TooLong => "too_long",
            Self::Partial => "partial",
            Self::Other => "other",
        }
    }
}

/// Why no request can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// The connection's fields do not make a request: a bad base URL, say.
    #[error("connection {connection} can not send: {why}")]
    Connection {
        /// Which.
        connection: ConnectionId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More messages than one request takes, or none.
    #[error("{given} messages for a request that takes 1 to {max}")]
    Count {
        /// Given.
        given: usize,
        /// Allowed.
        max: usize,
    },
}

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

/// A callback whose origin is proven. [`Provider::verify_callback`] makes it; so does
/// [`Verified::already`], for bytes that the ingress verified before they went onto the bus.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    request: &'a Request<Bytes>,
}

impl<'a> Verified<'a> {
    /// For callbacks taken from the fleet's own queues, which only the ingress can fill.
    #[must_use]
    pub const fn already(request: &'a Request<Bytes>) -> Self {
        Self { request }
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &'a Request<Bytes> {
        self.request
    }
}

/// Why a callback was turned away. The HTTP status it is answered with is [`Self::status`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackRefused {
    /// Nothing to check.
    #[error("callback carries no `{header}`")]
    Unsigned {
        /// What was looked for.
        header: &'static str,
    },
    /// The signature, or the credentials, are not this connection's.
    #[error("signature does not match connection {connection}")]
    BadSignature {
        /// Which.
        connection: ConnectionId,
    },
    /// Signed long ago, or seen before.
    #[error("callback is too old or was replayed")]
    Replayed,
    /// It asks for a scheme that the connection is not set up for.
    #[error("signing scheme is not configured: {why}")]
    UnknownScheme {
        /// Which.
        why: &'static str,
    },
}

impl CallbackRefused {
    /// The HTTP status it is answered with.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unsigned { .. }
            | Self::BadSignature { .. }
            | Self::Replayed
            | Self::UnknownScheme { .. } => 403,
        }
    }
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

/// A delivery receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Our reference, where it came back.
    pub reference: Option<Reference>,
    /// The provider's id.
    pub provider_message_id: String,
    /// What it reports: accepted, sent, expired, undelivered, failed or delivered.
    pub state: MessageState,
    /// The provider's error code; empty where there is none.
    pub error_code: String,
    /// Which part, counted from 1, where receipts come per part.
    pub part: Option<(u8, u8)>,
}

/// An inbound message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// The provider's id.
    pub provider_message_id: String,
    /// Who wrote: `+E.164`, or whatever else the provider names.
    pub from: String,
    /// Which of our senders they wrote to, in [`message::Sender::key`]'s spelling.
    pub to: String,
    /// The pool they wrote to, where the provider names it.
    pub service: Option<String>,
    /// What they wrote; may be empty.
    pub text: String,
    /// Parts that the carrier joined.
    pub parts: u8,
    /// Pictures and such that came with it.
    pub media: u8,
    /// The provider's own verdict; it has answered the person already then.
    pub provider_verdict: Option<message::event::Keyword>,
}

/// The provider's own opt-out signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderOptOut {
    /// Who.
    pub number: Msisdn,
    /// Out or in again.
    pub kind: message::opt_out::OptOutKind,
    /// The provider's code or event name.
    pub code: String,
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
pub fn callback_path(
    kind: CallbackKind,
    slug: &str,
    organization: &message::OrganizationId,
) -> String {
    format!(
        "/distribution-providers/v1/receive/distribution/{}/{slug}/{organization}",
        kind.as_str()
    )
}
