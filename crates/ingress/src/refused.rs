//! Why a callback was not taken, and the one place that says which HTTP status that is.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use bus::BusError;
use providers::CallbackRefused;

/// Why a callback was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no organisation of that id has a connection")]
    UnknownOrganization,
    #[error("the organisation has no connection of this provider")]
    NoConnection,
    #[error("callbacks of this provider do not come by this method")]
    WrongMethod { allowed: &'static [&'static str] },
    #[error("callbacks of this provider do not have this content type")]
    WrongType,
    #[error("the body is compressed")]
    Compressed,
    #[error("the body has more than {max} bytes")]
    TooLarge { max: usize },
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    #[error("the body ended early")]
    Broken,
    #[error(transparent)]
    Unverified(#[from] CallbackRefused),
    #[error("too many callbacks at once")]
    Overloaded,
    #[error("the organisation's connections can not be looked up: {0}")]
    LedgerAway(Arc<str>),
    #[error("not handed over: {0}")]
    NotHandedOver(#[from] BusError),
}

impl Refused {
    /// The HTTP status. A missing signature is answered like a wrong one, as Twilio's page asks.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::UnknownOrganization | Self::NoConnection => StatusCode::NOT_FOUND,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::WrongType | Self::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Unverified(
                CallbackRefused::Unsigned { .. }
                | CallbackRefused::BadSignature { .. }
                | CallbackRefused::Replayed
                | CallbackRefused::UnknownScheme { .. },
            ) => StatusCode::FORBIDDEN,
            Self::Overloaded | Self::LedgerAway(_) | Self::NotHandedOver(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The label in `smsfleet_ingress_callbacks_total`.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::UnknownOrganization => "unknown_organization",
            Self::NoConnection => "no_connection",
            Self::WrongMethod { .. } => "wrong_method",
            Self::WrongType => "wrong_type",
            Self::Compressed => "compressed",
            Self::TooLarge { .. } => "too_large",
            Self::TooSlow(_) => "too_slow",
            Self::Broken => "broken",
            Self::Unverified(CallbackRefused::Unsigned { .. }) => "unsigned",
            Self::Unverified(CallbackRefused::BadSignature { .. }) => "bad_signature",
            Self::Unverified(CallbackRefused::Replayed) => "replayed",
            Self::Unverified(CallbackRefused::UnknownScheme { .. }) => "unknown_scheme",
            Self::Overloaded => "overloaded",
            Self::LedgerAway(_) => "ledger_away",
            Self::NotHandedOver(_) => "broker_away",
        }
    }

    /// The answer. Its body is empty: whoever forges a callback shall learn nothing from it.
    pub(crate) fn answer(&self, retry_after: Duration) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let status = self.status();
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, retry_after.as_secs().max(1).into());
        }
        if let Self::WrongMethod { allowed } = self
            && let Ok(allowed) = HeaderValue::from_str(&allowed.join(", "))
        {
            headers.insert(header::ALLOW, allowed);
        }
        // What is left of the body would be read as the next request.
        if matches!(
            self,
            Self::TooLarge { .. } | Self::TooSlow(_) | Self::Broken
        ) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unproven_origin_is_answered_403() {
        let connection = message::ConnectionId::new("C_1").expect("valid");
        for refused in [
            CallbackRefused::Unsigned {
                header: "X-Twilio-Signature",
            },
            CallbackRefused::BadSignature { connection },
            CallbackRefused::Replayed,
            CallbackRefused::UnknownScheme { why: "shared key" },
        ] {
            assert_eq!(Refused::from(refused).status(), StatusCode::FORBIDDEN);
        }
    }

    #[test]
    fn whoever_is_asked_to_come_back_is_told_when() {
        let answer = Refused::Overloaded.answer(Duration::from_secs(3));
        assert_eq!(answer.headers()[header::RETRY_AFTER], "3");
    }
}
