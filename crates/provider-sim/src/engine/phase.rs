//! Where a message is on its way, in words that no provider uses.

/// A stage of a message's life. The twin has the provider's word for each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// Taken; nothing chosen yet.
    Accepted,
    /// Waiting to be sent.
    Queued,
    /// Handed to the carrier.
    Sent,
    /// The carrier could not deliver it.
    Undelivered,
    /// Taken, and then never sent.
    Failed,
    /// On the handset.
    Delivered,
    /// Its validity ended before it was sent.
    Expired,
    /// Refused after it was taken, by an opt-out or a filter. Never by chance: only the twin decides it.
    Rejected,
}

impl Phase {
    /// The word in the audit, the same for all providers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
        }
    }

    /// A message moves to a higher rank only.
    pub fn rank(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Queued => 1,
            Self::Sent => 2,
            Self::Undelivered | Self::Failed | Self::Delivered | Self::Expired | Self::Rejected => {
                3
            }
        }
    }

    /// Nothing comes after it.
    pub fn is_final(self) -> bool {
        self.rank() == 3
    }

    /// Whether a carrier had the message.
    pub fn was_sent(self) -> bool {
        matches!(self, Self::Sent | Self::Delivered | Self::Undelivered)
    }

    /// The phase of a whole message whose part has just moved to `news`: delivered when all parts are, ended by the first
    /// part that ends otherwise.
    pub fn of_parts(parts: &[Self], news: Self) -> Self {
        if news.is_final() && news != Self::Delivered {
            return news;
        }
        if parts.iter().all(|&part| part == Self::Delivered) {
            return Self::Delivered;
        }
        // A part that was delivered has been sent; the others are on their way.
        let furthest = parts.iter().copied().max_by_key(|part| part.rank());
        match furthest {
            Some(part) if part.rank() < Self::Sent.rank() => part,
            Some(_) => Self::Sent,
            None => news,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Phase::{Delivered, Queued, Sent, Undelivered};
    use super::*;

    #[test]
    fn a_message_is_delivered_with_its_last_part_and_lost_with_its_first() {
        for (parts, news, wanted) in [
            (&[Queued, Queued][..], Queued, Queued),
            (&[Sent, Queued], Sent, Sent),
            (&[Delivered, Queued], Delivered, Sent),
            (&[Delivered, Delivered], Delivered, Delivered),
            (&[Delivered, Undelivered], Undelivered, Undelivered),
        ] {
            assert_eq!(Phase::of_parts(parts, news), wanted, "{parts:?}");
        }
    }
}
