//! Words about limits: which there are, what is asked of them and what they answer. The rule is in
//! `gcra.rs`.

use message::{ConnectionId, OrganizationId, Sender};

/// Names a limit. Limits of one group lie together, so that one round trip asks all of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitScope {
    pub(crate) group: String,
    pub(crate) name: String,
}

impl LimitScope {
    /// What a connection may send.
    #[must_use]
    pub fn connection(owner: &OrganizationId, connection: &ConnectionId) -> Self {
        Self {
            group: owner.to_string(),
            name: format!("connection:{connection}"),
        }
    }

    /// The connection whose own limit this is.
    #[must_use]
    pub fn connection_id(&self) -> Option<&str> {
        self.name.strip_prefix("connection:")
    }

    /// What a sender may send, over all connections of its organisation that have it.
    #[must_use]
    pub fn sender(owner: &OrganizationId, provider: &str, sender: &Sender) -> Self {
        Self {
            group: owner.to_string(),
            name: format!("sender:{provider}:{}", sender.key()),
        }
    }

    /// What the whole fleet may send over a provider.
    #[must_use]
    pub fn provider(slug: &str) -> Self {
        Self {
            group: format!("provider:{slug}"),
            name: "fleet".to_owned(),
        }
    }
}

/// Asks for tokens of a limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseRequest {
    /// The limit.
    pub scope: LimitScope,
    /// Segments per second, where no operator set another rate.
    pub per_second: f64,
    /// Segments wanted at most; a lease covers some 50 ms and never more than 250.
    pub want: u32,
    /// Segments that are of use only together: those of the next message.
    pub least: u32,
}

/// Tokens of a limit, each with its time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lease {
    /// The tokens.
    pub slices: Vec<Slice>,
    /// Microseconds from one token of a slice to the next.
    pub interval_micros: f64,
    /// Segments per second of the limit as it is now.
    pub per_second: f64,
    /// Segments per second of the limit when nothing narrows it.
    pub configured: f64,
    /// If nothing was granted: when asking again makes sense.
    pub retry_after_micros: u64,
}

impl Lease {
    /// Tokens in it.
    #[must_use]
    pub fn granted(&self) -> u32 {
        self.slices.iter().map(|slice| slice.tokens).sum()
    }
}

/// Tokens that are due one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// When the first is due, from the moment at which the store answered. A few milliseconds before
    /// it where the limit was idle.
    pub starts_in_micros: i64,
    /// How many.
    pub tokens: u32,
}

/// What a provider answered lately.
#[derive(Debug, Clone, PartialEq)]
pub struct ThrottleReport {
    /// The limit.
    pub scope: LimitScope,
    /// Segments per second, where no operator set another rate.
    pub per_second: f64,
    /// Answers that said "too fast",
    pub throttled: u32,
    /// of all answers.
    pub answers: u32,
    /// How long the provider said to wait.
    pub hold_millis: u64,
}

/// How a limit stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LimitState {
    /// The rate that an operator set, if one did.
    pub set: Option<f64>,
    /// Segments per second when nothing narrows it.
    pub configured: f64,
    /// Segments per second now.
    pub per_second: f64,
    /// Nobody gets tokens for so long.
    pub held_for_micros: u64,
    /// Another report changes the rate only after this.
    pub quiet_for_micros: u64,
    /// Whether the report that this answers narrowed it.
    pub cut: bool,
}
