//! What the gate posts with: HTTP Basic, JSON, and its patience.
//!
//! Source: `shared/providers/link-mobility.md`, sections 6.3 and 8. How long the gate waits for an answer and between two
//! attempts is not documented.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

use super::accounts::LinkMobilityAccount;
use crate::behaviour::SignatureVariant;
use crate::engine::auth::basic_value;
use crate::webhook::{Callback, RetryPolicy};

/// The scheme in lower case, which is as good; and the header twice, which is not.
pub(crate) const VARIANTS: &[&str] = &[LOWER_CASE, TWICE];
const LOWER_CASE: &str = "lower_case_scheme";
const TWICE: &str = "two_headers";

/// With a first pause of 200 ms and doubling this is almost a minute, in which a test can restart what it tests.
const RETRIES: u8 = 8;

/// A call of the gate's.
pub(crate) fn post(
    account: &LinkMobilityAccount,
    url: &str,
    body: &Value,
    signature: &SignatureVariant,
) -> Callback {
    let mut headers = authorization(account, signature);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Callback {
        method: Method::POST,
        url: url.to_owned(),
        headers,
        body: body.to_string(),
        retry_headers: HeaderMap::new(),
        policy: policy(account),
    }
}

/// Only a 2xx is an answer to LINK: everything else is repeated.
fn policy(account: &LinkMobilityAccount) -> RetryPolicy {
    RetryPolicy {
        retries: RETRIES,
        on_connect: true,
        on_timeout: true,
        on_429: true,
        on_4xx: true,
        on_5xx: true,
        attempt_timeout: Duration::from_secs(10),
        total_timeout: account.ttl(),
        doubling: true,
        wants_a_body: account.acknowledge,
    }
}

fn authorization(account: &LinkMobilityAccount, signature: &SignatureVariant) -> HeaderMap {
    let forged = format!("not {}", account.password);
    let password = match signature {
        SignatureVariant::Missing => return HeaderMap::new(),
        SignatureVariant::Forged => &forged,
        SignatureVariant::AccountSecret | SignatureVariant::Variant(_) => &account.password,
    };
    let mut headers = HeaderMap::new();
    let Some(value) = basic_value(&account.username, password) else {
        return headers;
    };
    match signature {
        SignatureVariant::Variant(word) if word == LOWER_CASE => {
            let lower = value
                .to_str()
                .unwrap_or_default()
                .replacen("Basic", "basic", 1);
            let lower = HeaderValue::from_str(&lower).unwrap_or(value);
            headers.insert(AUTHORIZATION, lower);
        }
        SignatureVariant::Variant(word) if word == TWICE => {
            headers.append(AUTHORIZATION, value.clone());
            headers.append(AUTHORIZATION, value);
        }
        _ => {
            headers.insert(AUTHORIZATION, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(user: &str, password: &str, signature: &SignatureVariant) -> Vec<String> {
        let account = LinkMobilityAccount::new(user, password);
        let headers = authorization(&account, signature);
        let values = headers.get_all(AUTHORIZATION).iter();
        values
            .map(|value| value.to_str().expect("base64").to_owned())
            .collect()
    }

    #[test]
    fn the_header_is_the_pages() {
        for (user, password, wanted) in [
            ("acme_sms", "Pa55w0rd!", "Basic YWNtZV9zbXM6UGE1NXcwcmQh"),
            ("svc-link", "a:b:c/€", "Basic c3ZjLWxpbms6YTpiOmMv4oKs"),
            (
                "användare",
                "lösen ord",
                "Basic YW52w6RuZGFyZTpsw7ZzZW4gb3Jk",
            ),
        ] {
            let found = values(user, password, &SignatureVariant::AccountSecret);
            assert_eq!(found, [wanted]);
        }
    }

    #[test]
    fn a_forged_a_missing_and_a_doubled_header_are_no_account_s_and_lower_case_is() {
        let with = |signature| values("acme_sms", "Pa55w0rd!", &signature);
        let right = "Basic YWNtZV9zbXM6UGE1NXcwcmQh";
        assert_ne!(with(SignatureVariant::Forged), [right]);
        assert!(with(SignatureVariant::Missing).is_empty());
        assert_eq!(with(SignatureVariant::variant(TWICE)), [right, right]);
        let lower = with(SignatureVariant::variant(LOWER_CASE));
        assert_eq!(lower, ["basic YWNtZV9zbXM6UGE1NXcwcmQh"]);
    }
}
