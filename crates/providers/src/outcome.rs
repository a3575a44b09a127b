//! What a provider's answer means.

use std::time::Duration;

use message::ConnectionId;

/// What an answer means for the messages of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// One for each message, in their order.
    pub outcomes: Vec<SubmitOutcome>,
    /// What would make the rest of the request succeed.
    pub hint: Option<Hint>,
}

/// What to do with the [`SubmitClass::Transient`] messages of an answer, at once and without
/// counting an attempt: they were certainly not taken, and it was not their fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// One of them made the provider refuse the whole request, and nobody knows which: submit them
    /// in halves.
    Split,
    /// The messages that made the provider refuse the whole request are rejected: submit the others.
    Resubmit,
    /// The access token is over: renew it and submit once more. A second time it is the account.
    RefreshToken,
}

/// What a provider's answer means for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitOutcome {
    /// What can be done next.
    pub class: SubmitClass,
    /// The provider's code, or the fleet's word where there is none: `http_502`,
    /// `unreadable_answer`. Empty if it was accepted without one.
    pub code: String,
    /// The provider's id; empty if the answer named none. A message that was not accepted may have
    /// one too.
    pub provider_message_id: String,
    /// The ids of all parts, where each has its own; else empty.
    pub part_ids: Vec<String>,
}

/// Six classes, because six things can be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitClass {
    /// Taken for delivery.
    Accepted,
    /// This message is refused for good: the same submission would be refused again.
    Rejected(RejectReason),
    /// Every message on this connection would be, until an operator acts: credentials, credit.
    AccountRefused,
    /// Too fast: certainly not taken, and the limit, not the message, has to change.
    Throttled {
        /// When to try again, if the provider said so.
        retry_after: Option<Duration>,
    },
    /// Refused for now and certainly not taken; this message tries again later.
    Transient,
    /// Taken or not, nobody can say.
    InDoubt {
        /// Some parts were taken and others not: sending again would text pieces twice.
        partial: bool,
    },
}

impl SubmitClass {
    /// Nobody knows.
    pub const DOUBT: Self = Self::InDoubt { partial: false };

    /// The class's name in metrics and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected(_) => "rejected",
            Self::AccountRefused => "account_refused",
            Self::Throttled { .. } => "throttled",
            Self::Transient => "transient",
            Self::InDoubt { .. } => "in_doubt",
        }
    }

    /// Why, in the fleet's words, where the class has a reason.
    #[must_use]
    pub const fn reason(self) -> Option<RejectReason> {
        match self {
            Self::Rejected(reason) => Some(reason),
            Self::InDoubt { partial: true } => Some(RejectReason::Partial),
            Self::Accepted
            | Self::AccountRefused
            | Self::Throttled { .. }
            | Self::Transient
            | Self::InDoubt { partial: false } => None,
        }
    }
}

impl SubmitOutcome {
    /// An outcome without an id.
    #[must_use]
    pub fn new(class: SubmitClass, code: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            provider_message_id: String::new(),
            part_ids: Vec::new(),
        }
    }

    /// Taken under this id.
    #[must_use]
    pub fn accepted(provider_message_id: impl Into<String>) -> Self {
        Self::new(SubmitClass::Accepted, "").with_id(provider_message_id)
    }

    /// Taken or not, for the reason that `code` names.
    #[must_use]
    pub fn in_doubt(code: impl Into<String>) -> Self {
        Self::new(SubmitClass::DOUBT, code)
    }

    /// The same with the provider's id.
    #[must_use]
    pub fn with_id(self, provider_message_id: impl Into<String>) -> Self {
        Self {
            provider_message_id: provider_message_id.into(),
            ..self
        }
    }
}

impl Answer {
    /// The same outcome for every message of the request.
    #[must_use]
    pub fn all(messages: usize, outcome: SubmitOutcome) -> Self {
        Self {
            outcomes: vec![outcome; messages],
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(self, hint: Hint) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }
}

/// Why a message was refused, in the fleet's words.
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

/// Why a message is not even submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalRefusal {
    /// In the fleet's words.
    pub reason: RejectReason,
    /// What exactly: `unsupported_character`.
    pub code: &'static str,
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
    /// The request would need an access token, and there is none.
    #[error("connection {connection} has no access token")]
    NoAccessToken {
        /// Which.
        connection: ConnectionId,
    },
}
