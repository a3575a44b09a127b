//! Who a callback can come from, and who it does come from. Neither the path nor a header decides that:
//! the secret does.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use message::{Connection, Timestamp};
use providers::{CallbackRefused, PROVIDERS, Provider, Verified};

use crate::refused::Refused;

/// The provider that a path's slug means: whose own it is, else the first that is reached under it.
pub(crate) fn path_provider(slug: &str) -> Option<&'static dyn Provider> {
    providers::provider(slug).or_else(|| {
        let mut all = PROVIDERS.iter().copied();
        all.find(|provider| is_reached_under(*provider, slug))
    })
}

fn is_reached_under(provider: &dyn Provider, slug: &str) -> bool {
    provider.slug() == slug || provider.capabilities().callback_slugs.contains(&slug)
}

/// A connection that may have sent a callback, with its provider.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) provider: &'static dyn Provider,
}

/// The connections whose callbacks come under `slug`: those in use first, and behind them the deleted
/// ones, which still verify what they sent.
pub(crate) fn candidates<'c>(connections: &'c [Connection], slug: &str) -> Vec<Candidate<'c>> {
    let candidate = |connection: &'c Connection| {
        let provider = providers::provider(&connection.provider)?;
        is_reached_under(provider, slug).then_some(Candidate {
            connection,
            provider,
        })
    };
    let mut candidates: Vec<_> = connections.iter().filter_map(candidate).collect();
    candidates.sort_by_key(|one| !one.connection.is_active());
    candidates
}

/// Leaves the candidates whose callbacks have this form.
///
/// # Errors
/// If none has.
pub(crate) fn keep_fitting(
    candidates: &mut Vec<Candidate<'_>>,
    method: &Method,
    headers: &HeaderMap,
    has_body: bool,
) -> Result<(), Refused> {
    let (mut allowed, mut wrong_type) = (Vec::new(), false);
    candidates.retain(|one| {
        match one
            .provider
            .capabilities()
            .check_callback(method, headers, has_body)
        {
            Ok(()) => return true,
            Err(CallbackRefused::WrongMethod { allowed: methods }) => allowed.extend(methods),
            Err(_) => wrong_type = true,
        }
        false
    });
    if !candidates.is_empty() {
        return Ok(());
    }
    if wrong_type {
        return Err(Refused::WrongType);
    }
    allowed.sort_unstable();
    allowed.dedup();
    Err(Refused::WrongMethod { allowed })
}

/// The candidate whose secret proves where `callback` comes from. Which of several refusals is told
/// makes no difference to the sender; the one that says most is best for the log.
pub(crate) fn verify<'c>(
    candidates: &[Candidate<'c>],
    callback: &'c Request<Bytes>,
    public_urls: &[String],
    now: Timestamp,
) -> Result<(Candidate<'c>, Verified<'c>), CallbackRefused> {
    let mut refused = None;
    for one in candidates {
        let verified = one
            .provider
            .verify_callback(one.connection, callback, public_urls, now);
        let why = match verified {
            Ok(verified) => return Ok((*one, verified)),
            Err(why) => why,
        };
        if refused
            .as_ref()
            .is_none_or(|known| weight(&why) > weight(known))
        {
            refused = Some(why);
        }
    }
    Err(refused.unwrap_or(CallbackRefused::UnknownScheme {
        why: "no connection to check with",
    }))
}

/// How much a refusal says: that there was a signature and it is wrong, first of all.
fn weight(refused: &CallbackRefused) -> u8 {
    match refused {
        CallbackRefused::BadSignature { .. } => 5,
        CallbackRefused::OutOfTime => 4,
        CallbackRefused::UnsignedYet { .. } => 3,
        CallbackRefused::UnknownScheme { .. } => 2,
        CallbackRefused::Unsigned { .. } => 1,
        CallbackRefused::WrongMethod { .. } | CallbackRefused::WrongType => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use message::{ConnectionId, OrganizationId, Secret, Sender};

    use super::*;
    use crate::fake::{FAKE, Fake};

    fn connection(id: &str, provider: &str, secret: &str) -> Connection {
        Connection {
            id: ConnectionId::new(id).expect("valid"),
            organization_id: OrganizationId::new("ORG_1").expect("valid"),
            provider: provider.into(),
            name: id.into(),
            sender: Sender::Alphanumeric("Acme".into()),
            fields: BTreeMap::new(),
            secrets: BTreeMap::from([("key".into(), Secret::new(secret.into()))]),
            segments_per_second: 1.0,
            created_at: Timestamp::from_millis(1),
            deleted_at: None,
        }
    }

    fn deleted(connection: Connection) -> Connection {
        Connection {
            deleted_at: Some(Timestamp::from_millis(2)),
            ..connection
        }
    }

    fn request(method: &str, content_type: &str, key: &str) -> Request<Bytes> {
        Request::builder()
            .method(method)
            .uri("/status/fake/ORG_1")
            .header("content-type", content_type)
            .header("x-key", key)
            .body(Bytes::new())
            .expect("a request")
    }

    fn of<'c>(connections: &'c [Connection], provider: &'static Fake) -> Vec<Candidate<'c>> {
        let candidate = |connection| Candidate {
            connection,
            provider,
        };
        connections.iter().map(candidate).collect()
    }

    #[test]
    fn those_in_use_are_asked_before_those_that_are_deleted() {
        let connections = [
            deleted(connection("C_old", "twilio-sms", "a")),
            connection("C_new", "twilio-sms", "b"),
            connection("C_other", "acme", "c"),
            connection("C_newer", "twilio-sms", "d"),
        ];
        let found = candidates(&connections, "twilio-sms");
        let ids: Vec<_> = found.iter().map(|one| one.connection.id.as_str()).collect();
        assert_eq!(ids, ["C_new", "C_newer", "C_old"]);
        assert!(
            candidates(&connections, "acme").is_empty(),
            "nobody knows it"
        );
        assert!(path_provider("acme").is_none());
        assert!(path_provider("twilio-sms").is_some());
    }

    #[test]
    fn a_form_is_refused_only_if_it_is_no_candidates() {
        let connections = [
            connection("C_1", "fake", "a"),
            connection("C_2", "twilio-sms", "b"),
        ];
        let twilio = path_provider("twilio-sms").expect("known");
        let both = || {
            vec![
                Candidate {
                    connection: &connections[0],
                    provider: &FAKE,
                },
                Candidate {
                    connection: &connections[1],
                    provider: twilio,
                },
            ]
        };
        let fitting = |method: &str, content_type: &str| {
            let request = request(method, content_type, "a");
            let mut candidates = both();
            keep_fitting(&mut candidates, request.method(), request.headers(), true)?;
            Ok::<_, Refused>(candidates.len())
        };
        assert_eq!(fitting("GET", "").expect("the fake's"), 1);
        assert_eq!(fitting("POST", "application/json").expect("both"), 2);
        assert!(matches!(
            fitting("POST", "text/xml"),
            Err(Refused::WrongType)
        ));
        let Err(Refused::WrongMethod { allowed }) = fitting("DELETE", "") else {
            panic!("nobody's method")
        };
        assert_eq!(allowed, ["GET", "POST"]);
    }

    #[test]
    fn the_secret_decides_and_the_refusal_that_says_most_is_told() {
        let connections = [
            connection("C_1", "fake", "a"),
            connection("C_2", "fake", "b"),
        ];
        let candidates = of(&connections, &FAKE);
        let now = Timestamp::from_millis(1);
        let verify = |key: &str| {
            let request = request("POST", "application/json", key);
            verify(&candidates, &request, &[], now).map(|(one, verified)| {
                let nonce = verified.nonce().map(str::to_owned);
                (one.connection.id.as_str().to_owned(), nonce)
            })
        };
        assert_eq!(verify("b"), Ok(("C_2".to_owned(), None)));
        assert_eq!(verify("wrong").map_err(|why| weight(&why)), Err(5));
        assert_eq!(verify("").map_err(|why| weight(&why)), Err(3));
    }
}
