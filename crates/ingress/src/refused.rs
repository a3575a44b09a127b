//! Why a callback was not taken, and the one place that says which HTTP status that is.

use std::{sync::Arc, time::Duration};

use bus::BusError;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use providers::{CallbackRefused, RefusedCallback};

/// Why a callback was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no organisation of that id has a connection")]
    UnknownOrganization,
    #[error("the organisation has no connection of this provider")]
    NoConnection,
    #[error("callbacks of this provider do not come by this method")]
    WrongMethod { allowed: Vec<&'static str> },
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
    Unverified(CallbackRefused),
    #[error("too many callbacks at once")]
    Overloaded,
    #[error("the organisation's connections can not be looked up: {0}")]
    LedgerAway(Arc<str>),
    #[error("not handed over: {0}")]
    NotHandedOver(#[from] BusError),
}

impl Refused {
    /// The HTTP status, under a path of the provider that answers what is not proven by `unproven`.
    /// A missing signature is answered like a wrong one. Where that is 401, so is an organisation
    /// that nobody knows: whoever guesses ids shall not learn which exist.
    pub(crate) fn status(&self, unproven: RefusedCallback) -> StatusCode {
        let status = StatusCode::from_u16(unproven.status).unwrap_or(StatusCode::FORBIDDEN);
        match self {
            Self::UnknownOrganization | Self::NoConnection => match status {
                StatusCode::UNAUTHORIZED => status,
                _ => StatusCode::NOT_FOUND,
            },
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::WrongType | Self::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Unverified(
                CallbackRefused::Unsigned { .. }
                | CallbackRefused::BadSignature { .. }
                | CallbackRefused::OutOfTime
                | CallbackRefused::UnknownScheme { .. },
            ) => status,
            Self::Unverified(CallbackRefused::WrongMethod { .. }) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unverified(CallbackRefused::WrongType) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            // Its provider repeats it after a 5xx, signed then.
            Self::Unverified(CallbackRefused::UnsignedYet { .. })
            | Self::Overloaded
            | Self::LedgerAway(_)
            | Self::NotHandedOver(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A form that is no callback's.
    pub(crate) fn of_form(why: CallbackRefused) -> Self {
        match why {
            CallbackRefused::WrongMethod { allowed } => Self::WrongMethod {
                allowed: allowed.to_vec(),
            },
            CallbackRefused::WrongType => Self::WrongType,
            other => Self::Unverified(other),
        }
    }

    /// The label in `smsfleet_ingress_callbacks_total`.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::UnknownOrganization => "unknown_organization",
            Self::NoConnection => "no_connection",
            Self::WrongMethod { .. } | Self::Unverified(CallbackRefused::WrongMethod { .. }) => {
                "wrong_method"
            }
            Self::WrongType | Self::Unverified(CallbackRefused::WrongType) => "wrong_type",
            Self::Compressed => "compressed",
            Self::TooLarge { .. } => "too_large",
            Self::TooSlow(_) => "too_slow",
            Self::Broken => "broken",
            Self::Unverified(CallbackRefused::Unsigned { .. }) => "unsigned",
            Self::Unverified(CallbackRefused::BadSignature { .. }) => "bad_signature",
            Self::Unverified(CallbackRefused::UnsignedYet { .. }) => "unsigned_yet",
            Self::Unverified(CallbackRefused::OutOfTime) => "out_of_time",
            Self::Unverified(CallbackRefused::UnknownScheme { .. }) => "unknown_scheme",
            Self::Overloaded => "overloaded",
            Self::LedgerAway(_) => "ledger_away",
            Self::NotHandedOver(_) => "broker_away",
        }
    }

    /// The answer. Its body is empty: whoever forges a callback shall learn nothing from it.
    pub(crate) fn answer(
        &self,
        unproven: RefusedCallback,
        retry_after: Duration,
    ) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        let status = self.status(unproven);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, retry_after.as_secs().max(1).into());
        }
        if status == StatusCode::UNAUTHORIZED && unproven.asks_for_basic {
            let challenge = HeaderValue::from_static(r#"Basic realm="sms""#);
            headers.insert(header::WWW_AUTHENTICATE, challenge);
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

    const FORBIDDEN: RefusedCallback = RefusedCallback {
        status: 403,
        asks_for_basic: false,
    };

    const BASIC: RefusedCallback = RefusedCallback {
        status: 401,
        asks_for_basic: true,
    };

    fn unproven() -> [Refused; 4] {
        let connection = message::ConnectionId::new("C_1").expect("valid");
        [
            CallbackRefused::Unsigned {
                header: "X-Twilio-Signature",
            },
            CallbackRefused::BadSignature { connection },
            CallbackRefused::OutOfTime,
            CallbackRefused::UnknownScheme { why: "shared key" },
        ]
        .map(Refused::Unverified)
    }

    #[test]
    fn every_unproven_origin_is_answered_as_its_provider_wants() {
        for refused in unproven() {
            assert_eq!(refused.status(FORBIDDEN), StatusCode::FORBIDDEN);
            let answer = refused.answer(BASIC, Duration::ZERO);
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            let challenge = &answer.headers()[header::WWW_AUTHENTICATE];
            assert_eq!(challenge, r#"Basic realm="sms""#);
            let silent = RefusedCallback {
                asks_for_basic: false,
                ..BASIC
            };
            let answer = refused.answer(silent, Duration::ZERO);
            assert!(!answer.headers().contains_key(header::WWW_AUTHENTICATE));
        }
    }

    #[test]
    fn where_a_wrong_secret_is_401_an_unknown_organisation_looks_the_same() {
        for refused in [Refused::UnknownOrganization, Refused::NoConnection] {
            let [wrong, ..] = unproven();
            let (answer, other) = (
                refused.answer(BASIC, Duration::ZERO),
                wrong.answer(BASIC, Duration::ZERO),
            );
            assert_eq!(answer.status(), other.status());
            assert_eq!(answer.headers(), other.headers());
            assert_eq!(refused.status(FORBIDDEN), StatusCode::NOT_FOUND);
        }
    }

    #[test]
    fn whoever_is_asked_to_come_back_is_told_when() {
        let yet = CallbackRefused::UnsignedYet {
            header: "Authorization",
        };
        for refused in [Refused::Overloaded, Refused::Unverified(yet)] {
            let answer = refused.answer(BASIC, Duration::from_secs(3));
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers()[header::RETRY_AFTER], "3");
        }
    }
}
