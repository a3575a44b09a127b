//! Who asks: Basic, the key and secret in the body, or a signed request.
//!
//! Source: `shared/providers/vonage.md`, sections 2, 4 and 8a. A wrong header is refused by HTTP, a wrong body by a status.

use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::accounts::{Account, VonageAccount};
use super::check::Refusal;
use super::parameters::Parameters;
use super::{problems, signature, statuses};
use crate::engine::{Accounts, auth};

/// A stranger.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Denied {
    /// The header is wrong.
    Http401,
    /// The parameters are.
    Status(Refusal),
}

impl Denied {
    /// What the audit calls it.
    pub fn code(&self) -> String {
        match self {
            Self::Http401 => "401".to_owned(),
            Self::Status(refusal) => refusal.status.to_string(),
        }
    }

    pub fn answer(&self) -> Response {
        match self {
            Self::Http401 => problems::authentication_failed(),
            Self::Status(refusal) => statuses::answer(vec![statuses::refused(*refusal)]),
        }
    }
}

/// Basic, the only way into the newer APIs; the twin has no applications whose JWT it could take.
pub(crate) fn by_header<'a>(
    accounts: &'a Accounts<VonageAccount>,
    headers: &HeaderMap,
) -> Option<&'a Account> {
    let (key, secret) = auth::basic(headers)?;
    by_secret(accounts, &key, &secret)
}

/// Any way into the SMS API. Who gives the credentials twice has to be right twice.
pub(crate) fn of_sms<'a>(
    accounts: &'a Accounts<VonageAccount>,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<&'a Account, Denied> {
    let status = |status, about| Err(Denied::Status(Refusal { status, about }));
    let has_header = headers.contains_key(AUTHORIZATION);
    let (key, secret) = (parameters.get("api_key"), parameters.get("api_secret"));
    if let Some(sig) = parameters.get("sig") {
        if has_header || secret.is_some() {
            return status(32, "");
        }
        return signed(accounts, parameters, sig);
    }
    let by_header = match by_header(accounts, headers) {
        None if has_header => return Err(Denied::Http401),
        found => found,
    };
    match (by_header, key, secret) {
        (Some(account), None, None) => Ok(account),
        (_, None, _) => status(2, "api_key"),
        (_, _, None) => status(2, "api_secret"),
        (by_header, Some(key), Some(secret)) => match by_secret(accounts, key, secret) {
            Some(account) if by_header.is_none_or(|other| other.number == account.number) => {
                Ok(account)
            }
            _ => status(4, ""),
        },
    }
}

fn by_secret<'a>(
    accounts: &'a Accounts<VonageAccount>,
    key: &str,
    secret: &str,
) -> Option<&'a Account> {
    let account = accounts.named(key)?;
    (account.settings.api_secret == secret).then_some(account)
}

/// A request that proves the signature secret instead of showing the other one.
fn signed<'a>(
    accounts: &'a Accounts<VonageAccount>,
    parameters: &Parameters,
    sig: &str,
) -> Result<&'a Account, Denied> {
    let status = |status, about| Err(Denied::Status(Refusal { status, about }));
    let Some(key) = parameters.get("api_key") else {
        return status(2, "api_key");
    };
    if parameters.get("timestamp").is_none() {
        return status(2, "timestamp");
    }
    let Some(account) = accounts.named(key) else {
        return status(4, "");
    };
    let own = account.settings.signature_secret.as_deref().map(|secret| {
        let method = account.settings.signature_method;
        signature::sig(method, secret, parameters.without("sig"))
    });
    if own.is_some_and(|own| own.eq_ignore_ascii_case(sig)) {
        Ok(account)
    } else {
        status(14, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vonage::VonageSignature;
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;
    use std::time::Instant;

    const NONE: Option<(&str, &str)> = None;

    fn ask(basic: Option<(&str, &str)>, body: &str) -> Result<u16, Denied> {
        let mut first = VonageAccount::new("a1b2c3d4", "secret:one");
        first.signature_secret = Some("my_secret_key_for_testing".into());
        first.signature_method = VonageSignature::Sha1;
        let second = VonageAccount::new("b1b2c3d4", "two");
        let accounts = Accounts::new(vec![first, second], Instant::now()).expect("two accounts");
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, form)]);
        if let Some((user, password)) = basic {
            let value = auth::basic_value(user, password).expect("base64 is a header value");
            headers.insert(AUTHORIZATION, value);
        }
        let parameters = Parameters::read(&headers, body.as_bytes());
        of_sms(&accounts, &headers, &parameters).map(|account| account.number)
    }

    fn refusal(result: Result<u16, Denied>) -> (u16, &'static str) {
        match result {
            Err(Denied::Status(refusal)) => (refusal.status, refusal.about),
            Err(Denied::Http401) => (401, ""),
            Ok(_) => (0, ""),
        }
    }

    #[test]
    fn the_header_and_the_body_let_the_owner_in() {
        assert_eq!(ask(Some(("a1b2c3d4", "secret:one")), ""), Ok(0));
        assert_eq!(ask(NONE, "api_key=b1b2c3d4&api_secret=two"), Ok(1));
        let both = ask(Some(("b1b2c3d4", "two")), "api_key=b1b2c3d4&api_secret=two");
        assert_eq!(both, Ok(1));
    }

    #[test]
    fn a_wrong_header_is_refused_by_http_and_a_wrong_body_by_a_status() {
        assert_eq!(refusal(ask(Some(("a1b2c3d4", "wrong")), "")), (401, ""));
        assert_eq!(refusal(ask(Some(("x", "two")), "")), (401, ""));
        assert_eq!(refusal(ask(NONE, "")), (2, "api_key"));
        assert_eq!(refusal(ask(NONE, "api_secret=two")), (2, "api_key"));
        assert_eq!(refusal(ask(NONE, "api_key=b1b2c3d4")), (2, "api_secret"));
        let wrong = "api_key=b1b2c3d4&api_secret=one";
        assert_eq!(refusal(ask(NONE, wrong)), (4, ""));
        let two_people = ask(
            Some(("a1b2c3d4", "secret:one")),
            "api_key=b1b2c3d4&api_secret=two",
        );
        assert_eq!(refusal(two_people), (4, ""));
    }

    #[test]
    fn a_signed_request_is_verified_and_must_not_carry_the_secret() {
        let pairs = [
            ("api_key", "a1b2c3d4"),
            ("timestamp", "1763037909"),
            ("text", "a&b"),
        ];
        let method = VonageSignature::Sha1;
        let sig = signature::sig(method, "my_secret_key_for_testing", pairs.into_iter());
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .append_pair("sig", &sig)
            .finish();
        assert_eq!(ask(NONE, &body), Ok(0));
        assert_eq!(ask(NONE, &body.replace(&sig, &sig.to_lowercase())), Ok(0));
        assert_eq!(refusal(ask(NONE, &format!("{body}&x=1"))), (14, ""));
        assert_eq!(
            refusal(ask(NONE, "api_key=b1b2c3d4&timestamp=1&sig=a")),
            (14, "")
        );
        assert_eq!(refusal(ask(NONE, "api_key=c&timestamp=1&sig=a")), (4, ""));
        assert_eq!(
            refusal(ask(NONE, "api_key=a1b2c3d4&sig=a")),
            (2, "timestamp")
        );
        let with_secret = format!("{body}&api_secret=x");
        assert_eq!(refusal(ask(NONE, &with_secret)), (32, ""));
        let with_header = ask(Some(("a1b2c3d4", "secret:one")), &body);
        assert_eq!(refusal(with_header), (32, ""));
    }
}
