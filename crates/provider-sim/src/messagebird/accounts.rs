//! MessageBird's customers: their keys, their webhooks, and how MessageBird calls those.

use anyhow::{Context, ensure};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::engine::{self, Accounts, auth};
use crate::settings::{AccountLimits, TwinAccount};

/// One customer's account at MessageBird.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageBirdAccount {
    /// Names the account in the audit. MessageBird itself knows its customers by their keys only, and a key is a secret.
    pub name: String,
    /// The key of the API. One that begins `test_` checks and answers, and sends, bills, reports and remembers nothing.
    pub access_key: String,
    /// The key of the signatures; its bytes are the HMAC key as they stand.
    pub signing_key: String,
    /// Numbers (digits without plus), short codes and names of the account. Empty: any well-formed originator is taken
    /// for its own. Another one is refused as an invalid `originator`; the documentation does not say how.
    pub senders: Vec<String>,
    /// Originators that a carrier wants registered and does not know: what they send fails with code 104.
    pub unregistered_senders: Vec<String>,
    /// Where status reports go, unless a message names a `reportUrl` of its own.
    pub status_webhook: Option<String>,
    /// Where the flow takes what people write.
    pub inbound_webhook: Option<String>,
    /// How status reports travel.
    pub reports: MessageBirdReports,
    /// What calls the inbound webhook.
    pub inbound: MessageBirdInbound,
    /// How callbacks are signed.
    pub signatures: MessageBirdSignatures,
    /// Whether recipients that opted out, or whose carrier does not know the originator, fail in the answer to the send
    /// (an item `delivery_failed`) instead of a report.
    pub fails_at_once: bool,
    /// What is left of the prepaid amount, in euros. At 0 or below nothing is taken any more; sending costs nothing.
    /// Empty: enough.
    pub balance: Option<f64>,
    /// How much it may ask at once.
    pub limits: AccountLimits,
}

/// How status reports travel.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageBirdReports {
    /// GET, all parameters in the query: MessageBird's default.
    #[default]
    Query,
    /// POST with a form.
    Form,
    /// POST with a flat JSON object.
    Json,
}

/// What calls the inbound webhook.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageBirdInbound {
    /// A step of a flow that posts JSON.
    #[default]
    FlowJson,
    /// A step of a flow that posts a form.
    FlowForm,
    /// Number forwarding without a flow: GET with a query.
    Forwarding,
    /// Forwarding of a shared short code, whose keys are others: a form.
    ShortCode,
}

/// How callbacks are signed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageBirdSignatures {
    /// `MessageBird-Signature-JWT`, HS256.
    #[default]
    Jwt,
    /// `MessageBird-Signature` beside `MessageBird-Request-Timestamp`.
    Timestamp,
}

impl MessageBirdAccount {
    /// An account with any sender, no limit and no webhook.
    pub fn new(
        name: impl Into<String>,
        access_key: impl Into<String>,
        signing_key: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            access_key: access_key.into(),
            signing_key: signing_key.into(),
            ..Self::default()
        }
    }

    /// Whether it only plays.
    pub(crate) fn is_test(&self) -> bool {
        self.access_key.starts_with("test_")
    }

    /// Whether there is nothing left to send with.
    pub(crate) fn is_broke(&self) -> bool {
        !self.is_test() && self.balance.is_some_and(|left| left <= 0.0)
    }
}

impl TwinAccount for MessageBirdAccount {
    fn name(&self) -> &str {
        &self.name
    }

    fn senders(&self) -> &[String] {
        &self.senders
    }

    fn limits(&self) -> &AccountLimits {
        &self.limits
    }

    fn check(&self) -> anyhow::Result<()> {
        let is_key = |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(!self.name.is_empty(), "name is missing");
        ensure!(
            is_key(&self.access_key),
            "access_key is missing, or has characters that no key has"
        );
        ensure!(
            is_key(&self.signing_key),
            "signing_key is missing, or has characters that no key has"
        );
        for (name, url) in [
            ("status_webhook", &self.status_webhook),
            ("inbound_webhook", &self.inbound_webhook),
        ] {
            if let Some(url) = url {
                reqwest::Url::parse(url).with_context(|| format!("{name} is no URL"))?;
            }
        }
        ensure!(
            self.balance.is_none_or(f64::is_finite),
            "balance is no amount"
        );
        Ok(())
    }
}

impl std::fmt::Debug for MessageBirdAccount {
    // The keys may be real ones: somebody will point the fleet's own configuration at a twin.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageBirdAccount")
            .field("name", &self.name)
            .field("access_key", &"[redacted]")
            .field("signing_key", &"[redacted]")
            .field("senders", &self.senders)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// MessageBird's account in the engine's books.
pub(crate) type Account = engine::Account<MessageBirdAccount>;

/// Whose key the request carries.
pub(crate) fn authenticate<'a>(
    accounts: &'a Accounts<MessageBirdAccount>,
    headers: &HeaderMap,
) -> Option<&'a Account> {
    let key = auth::credentials(headers, "AccessKey")?;
    accounts
        .iter()
        .find(|account| account.settings.access_key == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;
    use std::time::Instant;

    #[test]
    fn only_a_known_key_of_the_right_scheme_comes_in() {
        let both = vec![
            MessageBirdAccount::new("one", "live_1", "k"),
            MessageBirdAccount::new("two", "test_2", "k"),
        ];
        let accounts = Accounts::new(both, Instant::now()).expect("two accounts");
        let name = |value: &str| {
            let value = value.parse().expect("a header value");
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            authenticate(&accounts, &headers).map(|account| account.settings.name.clone())
        };
        assert_eq!(name("AccessKey live_1").as_deref(), Some("one"));
        assert_eq!(name("AccessKey test_2").as_deref(), Some("two"));
        for wrong in [
            "AccessKey live_",
            "AccessKey",
            "AccessKey ",
            "Bearer live_1",
            "live_1",
        ] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
        assert!(authenticate(&accounts, &HeaderMap::new()).is_none());
    }

    #[test]
    fn an_account_says_what_it_lacks_and_shows_no_key() {
        let account = MessageBirdAccount::new("one", "very-secret", "more-secret");
        account.check().expect("it is complete");
        let shown = format!("{account:?}");
        assert!(!shown.contains("secret"), "{shown}");
        for (broken, about) in [
            (MessageBirdAccount::new("", "a", "k"), "name"),
            (MessageBirdAccount::new("one", "a b", "k"), "access_key"),
            (MessageBirdAccount::new("one", "a", ""), "signing_key"),
            (
                MessageBirdAccount {
                    status_webhook: Some("not a url".into()),
                    ..account.clone()
                },
                "status_webhook",
            ),
            (
                MessageBirdAccount {
                    balance: Some(f64::NAN),
                    ..account.clone()
                },
                "balance",
            ),
        ] {
            let error = broken.check().expect_err(about);
            assert!(error.to_string().contains(about), "{error}");
        }
    }
}
