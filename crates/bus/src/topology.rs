//! Names: every exchange and queue of the fleet, once.

use std::time::Duration;

use message::{Chunk, Class, ConnectionId, DistributionId, OrganizationId};
use serde::{Deserialize, Serialize};

/// The fleet's fixed queues.
pub mod queue {
    /// Batches from schedulers.
    pub const BATCHES: &str = "sms.batches";
    /// Batches that the fleet itself makes: confirmations and help texts.
    pub const INTERNAL_BATCHES: &str = "sms.batches.internal";
    /// Batches that intake laid aside because their organisation has others in its hands: by a
    /// hash of the organisation.
    pub const WAITING_BATCHES: [&str; 8] = [
        "sms.batches.waiting.0",
        "sms.batches.waiting.1",
        "sms.batches.waiting.2",
        "sms.batches.waiting.3",
        "sms.batches.waiting.4",
        "sms.batches.waiting.5",
        "sms.batches.waiting.6",
        "sms.batches.waiting.7",
    ];
    /// Groups of verified delivery receipts.
    pub const STATUS_CALLBACKS: &str = "sms.callbacks.status";
    /// Groups of verified inbound messages.
    pub const MESSAGE_CALLBACKS: &str = "sms.callbacks.message";
    /// What nobody could process, with its reason.
    pub const DEAD: &str = "sms.dead";

    /// All of them.
    pub const ALL: [&str; 13] = [
        BATCHES,
        INTERNAL_BATCHES,
        WAITING_BATCHES[0],
        WAITING_BATCHES[1],
        WAITING_BATCHES[2],
        WAITING_BATCHES[3],
        WAITING_BATCHES[4],
        WAITING_BATCHES[5],
        WAITING_BATCHES[6],
        WAITING_BATCHES[7],
        STATUS_CALLBACKS,
        MESSAGE_CALLBACKS,
        DEAD,
    ];
}

/// The queue of one distribution on one connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SendQueue {
    /// Whose mailing.
    pub organization_id: OrganizationId,
    /// The connection that sends.
    pub connection_id: ConnectionId,
    /// The mailing.
    pub distribution_id: DistributionId,
    /// Bulk or express.
    pub class: Class,
}

impl SendQueue {
    /// The queue that `chunk` belongs into.
    #[must_use]
    pub fn of(chunk: &Chunk) -> Self {
        Self {
            organization_id: chunk.organization_id.clone(),
            connection_id: chunk.connection_id.clone(),
            distribution_id: chunk.distribution_id.clone(),
            class: chunk.class,
        }
    }

    /// `sms.send.<connection>.<organization>.<distribution>`, with `.express` behind it for that
    /// class. The organisation is part of the name because two organisations may use the same
    /// distribution id on the fleet's default connection.
    #[must_use]
    pub fn name(&self) -> String {
        let express = match self.class {
            Class::Express => ".express",
            Class::Bulk => "",
        };
        format!(
            "sms.send.{}.{}.{}{express}",
            self.connection_id, self.organization_id, self.distribution_id
        )
    }
}

/// How long a message waits before it is tried again: a queue each, because a message TTL inside
/// one queue waits behind its elders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RetryTier {
    /// 5 seconds.
    S5,
    /// 15 seconds.
    S15,
    /// 30 seconds.
    S30,
    /// 1 minute.
    M1,
    /// 5 minutes.
    M5,
    /// 15 minutes.
    M15,
    /// 1 hour.
    H1,
}

impl RetryTier {
    /// From the shortest to the longest.
    pub const ALL: [Self; 7] = [
        Self::S5,
        Self::S15,
        Self::S30,
        Self::M1,
        Self::M5,
        Self::M15,
        Self::H1,
    ];

    /// The delay.
    #[must_use]
    pub const fn delay(self) -> Duration {
        Duration::from_secs(match self {
            Self::S5 => 5,
            Self::S15 => 15,
            Self::S30 => 30,
            Self::M1 => 60,
            Self::M5 => 300,
            Self::M15 => 900,
            Self::H1 => 3600,
        })
    }

    /// The shortest tier that waits at least `delay`; the longest if none does.
    #[must_use]
    pub fn at_least(delay: Duration) -> Self {
        Self::ALL
            .into_iter()
            .find(|tier| tier.delay() >= delay)
            .unwrap_or(Self::H1)
    }

    /// The tier's exchange and queue: `sms.retry.300s`.
    #[must_use]
    pub fn name(self) -> String {
        format!("sms.retry.{}s", self.delay().as_secs())
    }
}
