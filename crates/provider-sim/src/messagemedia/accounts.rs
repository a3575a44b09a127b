//! MessageMedia's customers: their API key, what they own, and the switches that support sets for them.

use anyhow::{Context, ensure};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::keys::{Key, MessageMediaDigest};
use crate::engine::{self, Accounts, auth};
use crate::settings::{AccountLimits, TwinAccount};

/// Sends what names no sender, if the account lists no number. One of Australia's fictitious mobile numbers.
const DEFAULT_NUMBER: &str = "+61491570110";

/// One customer's account at MessageMedia.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageMediaAccount {
    /// The API key: user of HTTP Basic, and the account's name in the audit.
    pub username: String,
    /// The API secret: password of HTTP Basic.
    pub password: String,
    /// `account_id` in callbacks. Empty: the user name.
    pub account_id: String,
    /// Numbers with `+`, short codes and alphanumeric tags that are registered to the account. Empty: any well-formed
    /// sender is. From one that is not registered a message is taken, and rejected with code 303 afterwards.
    pub senders: Vec<String>,
    /// The private key that signs callbacks, in PEM form. Empty: one is made at the start. The public key is told by
    /// [`MessageMediaAccount::public_key`] or, while the twin runs, by `GET /v1/iam/signature_keys/enabled`.
    pub webhook_private_key: Option<String>,
    /// The digest that this key signs with.
    pub webhook_digest: MessageMediaDigest,
    /// URL of the account's webhook for the events `RECEIVED_SMS` and `OPT_OUT_SMS`, with the templates of
    /// `shared/providers/messagemedia.md`, section 6. Empty: unsolicited messages and opt-outs are not pushed.
    pub account_webhook: Option<String>,
    /// How often a push to the account's webhook is repeated, 0 to 5.
    pub account_webhook_retries: u8,
    /// An opt-out is pushed to the account's webhook only, and not as a reply to the message's callback URL as well. What
    /// MessageMedia does is not documented.
    pub opt_outs_by_account_webhook_only: bool,
    /// How much it may ask at once. MessageMedia documents no limit; over this one an edge proxy answers 429.
    pub limits: AccountLimits,
    /// *De-Duplication*: the same text to the same number within 24 hours is taken, and rejected with code 305.
    pub de_duplication: bool,
    /// The account handles opt-outs itself, so that the blacklist is kept and has no effect.
    pub handles_opt_outs_itself: bool,
    /// Messages after which the usage threshold is reached: those beyond are taken, and rejected with code 301.
    pub usage_max: Option<u64>,
    /// The twin, which speaks plain HTTP, takes the connection for TLS older than 1.3: +65 recipients are refused with 422.
    pub old_tls: bool,
    /// Receipts say how many segments are billed.
    pub tells_billing_units: bool,
}

impl MessageMediaAccount {
    /// An account with any sender, no limit and no webhook of its own, whose key is made at the start of the twin.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
            ..Self::default()
        }
    }

    /// The account with a new key, for whoever needs the public key before the twin runs.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn with_new_key(self) -> anyhow::Result<Self> {
        let pem = Key::generate(self.webhook_digest)?.private_pem()?;
        Ok(Self {
            webhook_private_key: Some(pem),
            ..self
        })
    }

    /// The public key in PEM form, if the account has a key before the twin is started.
    ///
    /// # Errors
    /// If the private key cannot be read.
    pub fn public_key(&self) -> anyhow::Result<Option<String>> {
        Ok(self.key()?.map(|key| key.public_pem()))
    }

    pub(crate) fn key(&self) -> anyhow::Result<Option<Key>> {
        let pem = self.webhook_private_key.as_deref();
        pem.map(|pem| Key::from_pem(pem, self.webhook_digest).context("webhook_private_key"))
            .transpose()
    }

    pub(crate) fn account_id(&self) -> &str {
        if self.account_id.is_empty() {
            &self.username
        } else {
            &self.account_id
        }
    }

    /// The number that sends what names no sender.
    pub(crate) fn default_number(&self) -> &str {
        let numbers = self.senders.iter().map(String::as_str);
        numbers
            .filter(|own| is_number(own))
            .find(|own| own.starts_with('+'))
            .unwrap_or(DEFAULT_NUMBER)
    }
}

impl TwinAccount for MessageMediaAccount {
    fn name(&self) -> &str {
        &self.username
    }

    fn senders(&self) -> &[String] {
        &self.senders
    }

    fn limits(&self) -> &AccountLimits {
        &self.limits
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.username.is_empty(), "username is missing");
        ensure!(!self.username.contains(':'), "username contains a colon");
        ensure!(!self.password.is_empty(), "password is missing");
        ensure!(
            self.account_webhook_retries <= 5,
            "account_webhook_retries is {}, and 5 at most",
            self.account_webhook_retries
        );
        self.key().map(drop)
    }
}

impl std::fmt::Debug for MessageMediaAccount {
    // Password and key may be real ones: somebody will point the fleet's own configuration at a twin.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageMediaAccount")
            .field("username", &self.username)
            .field("password", &"[redacted]")
            .field("webhook_private_key", &"[redacted]")
            .field("senders", &self.senders)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// MessageMedia's account in the engine's books.
pub(crate) type Account = engine::Account<MessageMediaAccount>;

/// Who asks, if the `Authorization` header is HTTP Basic with a key and secret that belong together.
pub(crate) fn authenticate<'a>(
    accounts: &'a Accounts<MessageMediaAccount>,
    headers: &HeaderMap,
) -> Option<&'a Account> {
    let (user, password) = auth::basic(headers)?;
    accounts
        .named(&user)
        .filter(|account| account.settings.password == password)
}

/// A long number with plus, or a short code: something that people can write to.
pub(crate) fn is_number(sender: &str) -> bool {
    let digits = sender.strip_prefix('+').unwrap_or(sender);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_checked_and_shows_no_secret() {
        assert!(MessageMediaAccount::new("", "s").check().is_err());
        assert!(MessageMediaAccount::new("k:1", "s").check().is_err());
        assert!(MessageMediaAccount::new("k", "").check().is_err());
        let mut account = MessageMediaAccount::new("k", "very:secret")
            .with_new_key()
            .expect("a key");
        account.check().expect("it is consistent");
        let public = account.public_key().expect("readable").expect("there");
        assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\nMIIB"));
        let shown = format!("{account:?}");
        assert!(
            !shown.contains("very") && !shown.contains("BEGIN"),
            "{shown}"
        );
        account.webhook_private_key = Some("nonsense".into());
        let error = format!("{:#}", account.check().expect_err("no key"));
        assert!(
            error.starts_with("webhook_private_key") && !error.contains("nonsense"),
            "{error}"
        );
    }

    #[test]
    fn the_default_number_is_the_first_long_number_of_the_account() {
        let mut account = MessageMediaAccount::new("k", "s");
        assert_eq!(account.default_number(), DEFAULT_NUMBER);
        account.senders = vec!["Survey".into(), "12345".into(), "+61491570156".into()];
        assert_eq!(account.default_number(), "+61491570156");
    }
}
