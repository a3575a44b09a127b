//! From a delivery to callbacks, and from a callback back to the request that the provider sent.

use bus::{Delivery, Outgoing};
use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use message::callback::{CALLBACKS_VERSION, Callback, CallbackGroup};
use serde::Deserialize;

use crate::kept::{FORWARDED, PARKED, Reason, poison};

/// A callback with what its way so far was.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) callback: Callback,
    /// How often it has waited for the message that it answers to become known.
    pub(crate) parked: u8,
    /// It came from the other callback queue; sending it back would be a circle.
    pub(crate) forwarded: bool,
}

/// The callbacks of `delivery`.
///
/// # Errors
/// The dead letter of a group that can not be read.
pub(crate) fn open(delivery: &Delivery) -> Result<Vec<Taken>, Box<Outgoing>> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u8,
    }
    let parked = delivery
        .header(PARKED)
        .and_then(|times| times.parse().ok())
        .unwrap_or(0);
    let forwarded = delivery.header(FORWARDED).is_some();
    match serde_json::from_slice::<CallbackGroup>(&delivery.body) {
        Ok(group) if group.v == CALLBACKS_VERSION => Ok(group
            .callbacks
            .into_iter()
            .map(|callback| Taken {
                callback,
                parked,
                forwarded,
            })
            .collect()),
        // A newer version may well have another shape: that is no reason to call it malformed.
        read => {
            let reason = match serde_json::from_slice::<Versioned>(&delivery.body) {
                Ok(Versioned { v }) if v != CALLBACKS_VERSION => Reason::UnknownVersion,
                _ => Reason::UnreadableGroup,
            };
            let why = read.err().map(|why| why.classify());
            tracing::error!(
                message_id = delivery.message_id,
                ?why,
                reason = reason.as_str(),
                "group of callbacks put with the dead letters"
            );
            Err(Box::new(poison(delivery, reason)))
        }
    }
}

/// The request as the ingress had it, as far as reading needs it; nothing if its target is none.
pub(crate) fn request(callback: &Callback) -> Option<Request<Bytes>> {
    Request::builder()
        .method(callback.method.as_str())
        .uri(callback.target.as_str())
        .header(CONTENT_TYPE, callback.content_type.as_str())
        .body(Bytes::from(callback.body.clone()))
        .ok()
}
