//! What each kind of queue is declared with.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};

use super::{
    declare::REQUEUE,
    settings::{AmqpSettings, QueueType},
    version::Version,
};
use crate::{RetryTier, topology::queue as fixed};

/// What a queue is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Work waits in it; what cannot be processed ends in `sms.dead`.
    Work,
    /// The same for one distribution, with a lease.
    Send,
    /// Messages wait in it until they are old enough.
    Tier(RetryTier),
    /// The end of the line.
    Dead,
}

/// The arguments of a queue as the settings want it, and behind them those of the other type: what
/// it was born with if it is ours and elder than the settings.
pub(super) fn attempts(settings: &AmqpSettings, version: Version, kind: Kind) -> [FieldTable; 2] {
    let other = match settings.queue_type {
        QueueType::Quorum => QueueType::Classic,
        QueueType::Classic => QueueType::Quorum,
    };
    [settings.queue_type, other].map(|queue_type| arguments(settings, version, kind, queue_type))
}

fn arguments(
    settings: &AmqpSettings,
    version: Version,
    kind: Kind,
    queue_type: QueueType,
) -> FieldTable {
    // Quorum queues had no message TTL before 3.10, and said nothing when asked for one.
    let queue_type = match kind {
        Kind::Tier(_) | Kind::Dead if version < Version::TIMED_QUORUM_QUEUES => QueueType::Classic,
        _ => queue_type,
    };
    let mut table = FieldTable::default();
    let mut set = |name: &str, value: AMQPValue| {
        table.insert(name.into(), value);
    };
    set("x-queue-type", text(queue_type.as_str()));
    set("x-overflow", text("reject-publish"));
    let length_max = match kind {
        Kind::Dead => settings.dead_letter_length_max,
        Kind::Work | Kind::Send | Kind::Tier(_) => settings.queue_length_max,
    };
    set("x-max-length", number(length_max));
    match kind {
        Kind::Work | Kind::Send => {
            set("x-dead-letter-exchange", text(""));
            set("x-dead-letter-routing-key", text(fixed::DEAD));
        }
        Kind::Tier(tier) => {
            set("x-message-ttl", milliseconds(tier.delay()));
            set("x-dead-letter-exchange", text(REQUEUE));
        }
        Kind::Dead => set("x-message-ttl", milliseconds(settings.dead_letter_ttl)),
    }
    if let Kind::Send = kind {
        set("x-expires", milliseconds(settings.send_queue_lease));
    }
    if queue_type == QueueType::Quorum {
        match kind {
            Kind::Work | Kind::Send => {
                set("x-delivery-limit", number(settings.delivery_limit.get()));
            }
            // Browsing takes a letter and gives it back, which counts. Nothing is behind this
            // queue, and RabbitMQ 4 limits to 20 where nothing is said: then browsing would delete.
            Kind::Dead => set("x-delivery-limit", number(i32::MAX)),
            // Nobody consumes it.
            Kind::Tier(_) => {}
        }
        if version >= Version::TIMED_QUORUM_QUEUES {
            set("x-dead-letter-strategy", text("at-least-once"));
        }
    }
    table
}

pub(super) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn number(value: impl Into<i64>) -> AMQPValue {
    AMQPValue::LongLongInt(value.into())
}

fn milliseconds(duration: Duration) -> AMQPValue {
    number(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 4] = [
        Kind::Work,
        Kind::Send,
        Kind::Tier(RetryTier::M5),
        Kind::Dead,
    ];

    fn wanted(queue_type: QueueType, version: Version, kind: Kind) -> FieldTable {
        let settings = AmqpSettings {
            queue_type,
            ..AmqpSettings::default()
        };
        let [first, _] = attempts(&settings, version, kind);
        first
    }

    #[test]
    fn every_queue_is_bounded_and_refuses_rather_than_loses() {
        for queue_type in [QueueType::Quorum, QueueType::Classic] {
            for kind in KINDS {
                let table = wanted(queue_type, Version(3, 10), kind);
                assert!(table.contains_key("x-max-length"), "{kind:?}");
                assert_eq!(
                    table.inner().get("x-overflow"),
                    Some(&text("reject-publish"))
                );
            }
        }
    }

    #[test]
    fn a_consumed_quorum_queue_has_a_positive_delivery_limit_and_all_dead_letter_at_least_once() {
        for kind in KINDS {
            let table = wanted(QueueType::Quorum, Version(4, 2), kind);
            let limit = table.inner().get("x-delivery-limit");
            assert!(
                matches!(limit, Some(AMQPValue::LongLongInt(1..))) || matches!(kind, Kind::Tier(_)),
                "{kind:?}"
            );
            assert!(table.contains_key("x-dead-letter-strategy"), "{kind:?}");
            let table = wanted(QueueType::Classic, Version(4, 2), kind);
            assert!(!table.contains_key("x-delivery-limit"), "{kind:?}");
            assert!(!table.contains_key("x-dead-letter-strategy"), "{kind:?}");
        }
    }

    #[test]
    fn before_3_10_what_needs_a_message_ttl_is_classic() {
        for (kind, expected) in [
            (Kind::Work, "quorum"),
            (Kind::Tier(RetryTier::S5), "classic"),
            (Kind::Dead, "classic"),
        ] {
            let table = wanted(QueueType::Quorum, Version(3, 9), kind);
            assert_eq!(table.inner().get("x-queue-type"), Some(&text(expected)));
            assert!(!table.contains_key("x-dead-letter-strategy"), "{kind:?}");
        }
    }
}
