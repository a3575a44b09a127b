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

/// The error of an operation on `queue`.
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

/// The broker stumbled, and closed the whole connection over it.
pub(super) fn is_internal(error: &Error) -> bool {
    reply_code(error) == Some(code::INTERNAL_ERROR)
}

fn reply_code(error: &Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(reply) => Some(reply.get_id()),
        _ => None,
    }
}

/// How a queue that exists differs from what was asked for, if it may be one of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// In an argument that belongs to a queue type: it may be of the other one.
    Type,
    /// In the value of a setting.
    Number,
}

/// `None` if `error` is no refusal or the queue is somebody else's.
pub(super) fn mismatch(error: &BusError) -> Option<Mismatch> {
    // `PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received
    // 'quorum' but current is 'classic'`; a number is `the value '1' of type 'signedint'`, and one
    // that is missing is `none`.
    let BusError::Unusable { why, .. } = error else {
        return None;
    };
    let (_, rest) = why.split_once("inequivalent arg '")?;
    let (argument, rest) = rest.split_once('\'')?;
    let one_lacks_it = rest.contains("received none") || rest.contains("is none");
    match argument {
        "x-queue-type" | "x-dead-letter-strategy" => Some(Mismatch::Type),
        "x-delivery-limit" if one_lacks_it => Some(Mismatch::Type),
        "x-expires" | "x-max-length" | "x-delivery-limit" | "x-message-ttl" if !one_lacks_it => {
            Some(Mismatch::Number)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_type_or_another_number_may_be_one_of_ours() {
        let refused = |argument: &str, received: &str, current: &str| BusError::Unusable {
            queue: "q".into(),
            why: format!(
                "PRECONDITION_FAILED - inequivalent arg '{argument}' for queue 'q' in vhost '/': \
                 received {received} but current is {current}"
            )
            .into(),
        };
        let (one, two) = (
            "the value '1' of type 'signedint'",
            "the value '2' of type 'signedint'",
        );
        for (argument, received, current, expected) in [
            ("x-expires", one, two, Some(Mismatch::Number)),
            ("x-expires", one, "none", None),
            ("x-max-length", "none", two, None),
            ("x-delivery-limit", one, two, Some(Mismatch::Number)),
            ("x-delivery-limit", one, "none", Some(Mismatch::Type)),
            (
                "x-queue-type",
                "'quorum'",
                "'classic'",
                Some(Mismatch::Type),
            ),
            ("x-dead-letter-strategy", "none", two, Some(Mismatch::Type)),
            ("x-dead-letter-exchange", one, "none", None),
            ("durable", "'true'", "'false'", None),
        ] {
            let error = refused(argument, received, current);
            assert_eq!(mismatch(&error), expected, "{error}");
        }
        assert_eq!(mismatch(&BusError::Closed), None);
    }
}
