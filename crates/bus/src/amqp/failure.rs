//! What lapin's errors mean for a caller of the bus.

use lapin::{Error, ErrorKind};

use crate::BusError;

/// AMQP reply codes that a caller can do something about.
/// Source: AMQP 0-9-1, section 1.2, and rabbitmq.com/amqp-0-9-1-reference.
mod code {
    pub(super) const ACCESS_REFUSED: u16 = 403;
    pub(super) const NOT_FOUND: u16 = 404;
    pub(super) const RESOURCE_LOCKED: u16 = 405;
    pub(super) const PRECONDITION_FAILED: u16 = 406;
    pub(super) const NOT_IMPLEMENTED: u16 = 540;
    pub(super) const INTERNAL_ERROR: u16 = 541;
}

/// The error of an operation on `queue`. Only one operation is under way at a time on a connection
/// that this is used for: RabbitMQ answers an operation on a broken quorum queue by closing the
/// whole connection, and then that operation has to be known.
pub(super) fn of_queue(queue: &str, error: &Error) -> BusError {
    let ErrorKind::ProtocolError(reply) = error.kind() else {
        return unavailable(error);
    };
    match reply.get_id() {
        code::NOT_FOUND => BusError::NoSuchQueue(queue.into()),
        code::ACCESS_REFUSED
        | code::RESOURCE_LOCKED
        | code::PRECONDITION_FAILED
        | code::NOT_IMPLEMENTED
        | code::INTERNAL_ERROR => BusError::Unusable {
            queue: queue.into(),
            why: reply.get_message().as_str().into(),
        },
        _ => unavailable(error),
    }
}

pub(super) fn unavailable(error: &Error) -> BusError {
    BusError::Unavailable(error.to_string().into())
}

pub(super) fn timed_out(what: &str) -> BusError {
    BusError::Unavailable(format!("no answer to {what} in time").into())
}

pub(super) fn is_precondition_failed(error: &Error) -> bool {
    reply_code(error) == Some(code::PRECONDITION_FAILED)
}

fn reply_code(error: &Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(reply) => Some(reply.get_id()),
        _ => None,
    }
}

/// Whether the broker refused a declaration only because the queue was born under other settings,
/// which it keeps: it works as well as it did. A queue that lacks an argument altogether is
/// somebody else's.
pub(super) fn is_elder_setting(error: &BusError) -> bool {
    const MAY_DIFFER: [&str; 5] = [
        "x-expires",
        "x-max-length",
        "x-delivery-limit",
        "x-message-ttl",
        "x-queue-type",
    ];
    // `PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received
    // 'quorum' but current is 'classic'`; a number is `the value '1' of type 'signedint'`, and one
    // that is missing is `none`.
    let BusError::Unusable { why, .. } = error else {
        return false;
    };
    why.split_once("inequivalent arg '")
        .and_then(|(_, rest)| rest.split_once('\''))
        .is_some_and(|(argument, rest)| {
            let both_have_it = !rest.contains("received none") && !rest.contains("is none");
            MAY_DIFFER.contains(&argument) && both_have_it
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_value_of_a_setting_is_an_elder_setting() {
        let refused = |argument: &str, current: &str| BusError::Unusable {
            queue: "q".into(),
            why: format!(
                "PRECONDITION_FAILED - inequivalent arg '{argument}' for queue 'q' in vhost '/': \
                 received the value '1' of type 'signedint' but current is {current}"
            )
            .into(),
        };
        let value = "the value '2' of type 'signedint'";
        assert!(is_elder_setting(&refused("x-expires", value)));
        assert!(is_elder_setting(&refused("x-queue-type", value)));
        assert!(!is_elder_setting(&refused("x-expires", "none")));
        assert!(!is_elder_setting(&refused("durable", value)));
        assert!(!is_elder_setting(&BusError::Closed));
    }
}
