//! Twilio's customers: their account, who they are, and which numbers are a service's.

use anyhow::ensure;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Twilio;
use super::errors::Refusal;
use crate::chance::{Dice, Subject};
use crate::engine::{self, Accounts, auth};
use crate::settings::{AccountLimits, TwinAccount};

/// Sends for a Messaging Service whose account lists no number. From a range reserved for examples.
const POOL_NUMBER: &str = "+12025550100";

/// One customer's account at Twilio.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwilioAccount {
    /// Names the account.
    pub account_sid: String,
    /// The password of the API and the key of the signatures.
    pub auth_token: String,
    /// Numbers, short codes, alphanumeric ids and Messaging Services of the account. Empty: any well-formed sender is
    /// taken for its own. Where a service is listed, the account's numbers are the pool of that service.
    pub senders: Vec<String>,
    /// URL that inbound messages are posted to, connection overrides after `#` included.
    pub inbound_webhook: Option<String>,
    /// How much it may ask at once.
    pub limits: AccountLimits,
    /// Twilio answers STOP, START and HELP by itself and says so in the inbound request (Advanced Opt-Out).
    pub advanced_opt_out: bool,
    /// Test credentials: only Twilio's magic sender works, and nothing is sent or reported.
    pub test_credentials: bool,
    /// Signs the callbacks while the behaviour's signature is the variant `shared_key`.
    pub shared_key: Option<SharedKey>,
}

/// A key that the customer shares with Twilio, named in a header.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SharedKey {
    /// The key's public id.
    pub id: String,
    /// The key.
    pub secret: String,
    /// The digest.
    pub algorithm: SharedKeyAlgorithm,
}

/// The digest of a shared key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedKeyAlgorithm {
    /// HMAC-SHA1.
    HmacSha1,
    /// HMAC-SHA256.
    HmacSha256,
}

impl TwilioAccount {
    /// An account with any sender, no limit and no webhook.
    pub fn new(account_sid: impl Into<String>, auth_token: impl Into<String>) -> Self {
        Self {
            account_sid: account_sid.into(),
            auth_token: auth_token.into(),
            ..Self::default()
        }
    }

    /// The number that a service uses towards one person; always the same one, as Twilio's sticky sender.
    pub(crate) fn pool_number(&self, recipient: u64) -> &str {
        let numbers: Vec<&str> = self
            .senders
            .iter()
            .map(String::as_str)
            .filter(|own| is_number(own))
            .collect();
        let person = Subject {
            recipient,
            reference: "",
            turn: 0,
        };
        Dice(0)
            .pick("pool number", person, &numbers)
            .copied()
            .unwrap_or(POOL_NUMBER)
    }

    /// The service whose pool `sender` is in, if the settings say so.
    pub(crate) fn service_of(&self, sender: &str) -> Option<&str> {
        let listed = is_number(sender) && self.senders.iter().any(|own| own == sender);
        self.senders
            .iter()
            .map(String::as_str)
            .find(|own| listed && own.starts_with("MG"))
    }
}

impl TwinAccount for TwilioAccount {
    fn name(&self) -> &str {
        &self.account_sid
    }

    fn senders(&self) -> &[String] {
        &self.senders
    }

    fn limits(&self) -> &AccountLimits {
        &self.limits
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.account_sid.is_empty(), "account_sid is missing");
        ensure!(!self.auth_token.is_empty(), "auth_token is missing");
        Ok(())
    }
}

impl std::fmt::Debug for TwilioAccount {
    // The token may be a real one: somebody will point the fleet's own configuration at a twin.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TwilioAccount")
            .field("account_sid", &self.account_sid)
            .field("auth_token", &"[redacted]")
            .field("senders", &self.senders)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedKey")
            .field("id", &self.id)
            .field("secret", &"[redacted]")
            .field("algorithm", &self.algorithm)
            .finish()
    }
}

/// Twilio's account in the engine's books.
pub(crate) type Account = engine::Account<TwilioAccount>;

impl Twilio {
    /// Who asks, and whether the account in the path is theirs.
    pub(crate) fn authenticate<'a>(
        accounts: &'a Accounts<TwilioAccount>,
        headers: &HeaderMap,
        sid: &str,
        path: &str,
    ) -> Result<&'a Account, Refusal> {
        let caller = auth::basic(headers)
            .and_then(|(user, password)| {
                let account = accounts.named(&user)?;
                (account.settings.auth_token == password).then_some(account)
            })
            .ok_or_else(|| Refusal::new(20003, ""))?;
        if caller.settings.account_sid == sid {
            Ok(caller)
        } else {
            Err(Refusal::new(20404, path))
        }
    }
}

/// A long number with plus, or a short code.
pub(crate) fn is_number(sender: &str) -> bool {
    let digits = sender.strip_prefix('+').unwrap_or(sender);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use http::header::AUTHORIZATION;
    use std::time::Instant;

    fn accounts() -> Accounts<TwilioAccount> {
        let mut first = TwilioAccount::new("AC1", "token:with:colons");
        first.senders = vec!["MG1".into(), "+12025550101".into(), "+12025550102".into()];
        let both = vec![first, TwilioAccount::new("AC2", "t")];
        Accounts::new(both, Instant::now()).expect("two accounts")
    }

    fn basic(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = format!("Basic {}", STANDARD.encode(text));
        headers.insert(
            AUTHORIZATION,
            value.parse().expect("base64 is a header value"),
        );
        headers
    }

    #[test]
    fn only_the_owner_of_an_account_comes_in() {
        let accounts = accounts();
        let code = |headers: &HeaderMap, sid| {
            Twilio::authenticate(&accounts, headers, sid, "/p")
                .err()
                .map(|r| r.code)
        };
        assert_eq!(code(&basic("AC1:token:with:colons"), "AC1"), None);
        assert_eq!(code(&basic("AC1:wrong"), "AC1"), Some(20003));
        assert_eq!(code(&basic("AC9:t"), "AC9"), Some(20003));
        assert_eq!(code(&HeaderMap::new(), "AC1"), Some(20003));
        assert_eq!(code(&basic("AC2:t"), "AC1"), Some(20404));
    }

    #[test]
    fn a_listed_number_belongs_to_the_listed_service_and_a_person_meets_one_number() {
        let accounts = accounts();
        let account = &accounts.get(0).expect("it is there").settings;
        assert_eq!(account.service_of("+12025550102"), Some("MG1"));
        assert_eq!(account.service_of("+12025550199"), None);
        assert_eq!(
            account.pool_number(33_639_980_001),
            account.pool_number(33_639_980_001)
        );
        let other = &accounts.get(1).expect("it is there").settings;
        assert_eq!(other.pool_number(33_639_980_001), POOL_NUMBER);
    }
}
