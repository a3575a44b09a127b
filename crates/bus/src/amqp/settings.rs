//! How the bus speaks to RabbitMQ: a section of every service's settings.

use std::{num::NonZeroU16, time::Duration};

use serde::Deserialize;

/// The connection and the arguments of the queues that it declares.
///
/// A queue keeps the arguments that it was born with. Other numbers and another `queue_type` are
/// used for what is declared from then on, with a warning about each elder queue; to change those
/// of a fixed queue or a retry tier, drain it and delete it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AmqpSettings {
    /// `"quorum"` for clusters, `"classic"` allowed on one node.
    pub queue_type: QueueType,
    /// What the broker's own pages call these connections.
    pub connection_name: String,
    /// A silent connection is given up after two of these. A value in the URL wins.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// For name resolution, TCP, TLS, log-in and declaring the topology together.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// A publish without its confirm after this long has failed.
    #[serde(with = "humantime_serde")]
    pub confirm_timeout: Duration,
    /// The same for a declaration, a purge, a look at a queue, an acknowledgement.
    #[serde(with = "humantime_serde")]
    pub operation_timeout: Duration,
    /// While the broker is away an operation waits this long for it, then fails.
    #[serde(with = "humantime_serde")]
    pub outage_patience: Duration,
    /// The longest pause between two attempts to reconnect.
    #[serde(with = "humantime_serde")]
    pub reconnect_pause_max: Duration,
    /// Groups of messages that may await their confirms at once: a channel each.
    pub publish_channels: NonZeroU16,
    /// Consumers get a channel each until there are so many, and share them then. A channel that
    /// waits for a slow queue holds up all its consumers; the broker allows 2,047 in all.
    pub consumer_channels_max: NonZeroU16,
    /// Deliveries of one message, each return and each crash counted, before it is dead
    /// (quorum queues only: classic ones do not count).
    pub delivery_limit: NonZeroU16,
    /// Messages in one queue; past it the broker refuses to take more and publishing fails.
    pub queue_length_max: u32,
    /// How long a distribution's queue lives without a consumer and without being declared again.
    ///
    /// Longer than any batch lives: the broker deletes such a queue **with the messages in it**.
    /// A paused distribution has no consumer, so this also bounds how long one may be paused.
    #[serde(with = "humantime_serde")]
    pub send_queue_lease: Duration,
    /// How long a dead letter is kept.
    #[serde(with = "humantime_serde")]
    pub dead_letter_ttl: Duration,
    /// How many are kept; past it the broker refuses more, because the alternative is silent loss.
    pub dead_letter_length_max: u32,
}

/// Which kind of queue is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueType {
    /// Replicated, at-least-once dead-lettering, counts deliveries. Not durable in its first second.
    Quorum,
    /// On one node, at-most-once dead-lettering. Durable at any age.
    Classic,
}

impl QueueType {
    /// The value of `x-queue-type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Classic => "classic",
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for AmqpSettings {
    fn default() -> Self {
        Self {
            queue_type: QueueType::Quorum,
            connection_name: "smsfleet".to_owned(),
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(15),
            confirm_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(10),
            outage_patience: Duration::from_secs(1),
            reconnect_pause_max: Duration::from_secs(3),
            publish_channels: NonZeroU16::new(16).unwrap_or(NonZeroU16::MIN),
            consumer_channels_max: NonZeroU16::new(512).unwrap_or(NonZeroU16::MIN),
            delivery_limit: NonZeroU16::new(20).unwrap_or(NonZeroU16::MIN),
            queue_length_max: 2_000_000,
            send_queue_lease: 8 * DAY,
            dead_letter_ttl: 14 * DAY,
            dead_letter_length_max: 1_000_000,
        }
    }
}
