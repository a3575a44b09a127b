//! What a twin is started with: where it listens, whose accounts it has, how it behaves at first.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::behaviour::TwinBehaviour;

/// Everything that is fixed while a twin runs, and the behaviour that it starts with.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwinSettings {
    /// Address to bind; port 0 takes a free one, which [`RunningTwin::base_url`](crate::RunningTwin::base_url) tells.
    pub listen: SocketAddr,
    /// The customers' accounts. Without one every request is answered with 401.
    pub accounts: Vec<TwinAccount>,
    /// Callbacks on their way at once. Those that are due beyond it wait, as they would at the provider.
    pub callbacks_in_flight_max: u16,
    /// How the twin behaves until somebody changes it.
    pub behaviour: TwinBehaviour,
}

impl Default for TwinSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: Vec::new(),
            callbacks_in_flight_max: 128,
            behaviour: TwinBehaviour::default(),
        }
    }
}

impl TwinSettings {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the setting and the rule that it breaks.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.callbacks_in_flight_max > 0,
            "callbacks_in_flight_max is 0: no callback could ever be posted"
        );
        for (number, account) in self.accounts.iter().enumerate() {
            let sid = &account.account_sid;
            ensure!(
                !sid.is_empty(),
                "accounts[{number}]: account_sid is missing"
            );
            ensure!(
                !account.auth_token.is_empty(),
                "accounts[{number}]: auth_token is missing"
            );
            ensure!(
                !self.accounts[..number]
                    .iter()
                    .any(|other| &other.account_sid == sid),
                "accounts[{number}]: account_sid {sid} is there twice"
            );
        }
        self.behaviour.check()
    }
}

/// One customer's account at the provider.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwinAccount {
    /// Names the account; at Twilio the Account SID.
    pub account_sid: String,
    /// The password of the API and the key of the signatures.
    pub auth_token: String,
    /// Numbers, short codes, alphanumeric ids and Messaging Services of the account. Empty: any well-formed sender is
    /// taken for its own. Where a service is listed, the account's numbers are the pool of that service.
    pub senders: Vec<String>,
    /// URL that inbound messages are posted to, connection overrides after `#` included.
    pub inbound_webhook: Option<String>,
    /// Requests or segments that the API takes in a second; over it is 429. Empty: no limit.
    pub per_second: Option<NonZeroU32>,
    /// What `per_second` counts.
    pub counted_in: CountedIn,
    /// How many may come at once after a pause. Empty: a second's worth, so only a sustained excess is refused.
    pub burst: Option<NonZeroU32>,
    /// `Retry-After` of a 429, in whole seconds rounded up. Empty: the header is absent, as it may be at the provider.
    #[serde(with = "humantime_serde")]
    pub retry_after: Option<Duration>,
    /// Requests in flight above which the API answers 429. Empty: no limit.
    pub max_concurrent: Option<NonZeroU32>,
    /// The provider answers STOP, START and HELP by itself and says so in the inbound request (Advanced Opt-Out).
    pub advanced_opt_out: bool,
    /// Test credentials: only the provider's magic sender works, and nothing is sent or reported.
    pub test_credentials: bool,
}

impl TwinAccount {
    /// An account with any sender, no limit and no webhook.
    pub fn new(account_sid: impl Into<String>, auth_token: impl Into<String>) -> Self {
        Self {
            account_sid: account_sid.into(),
            auth_token: auth_token.into(),
            ..Self::default()
        }
    }
}

impl std::fmt::Debug for TwinAccount {
    // The token may be a real one: somebody will point the fleet's own configuration at a twin.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TwinAccount")
            .field("account_sid", &self.account_sid)
            .field("auth_token", &"[redacted]")
            .field("senders", &self.senders)
            .field("per_second", &self.per_second)
            .finish_non_exhaustive()
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedIn {
    /// Requests, whatever is in them.
    #[default]
    Requests,
    /// Segments of the texts, which is what carriers count.
    Segments,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_from_text_with_defaults_and_refuse_unknown_keys() {
        let text = r#"{"accounts":[{"account_sid":"AC1","auth_token":"t","retry_after":"2s","per_second":5}],
                       "behaviour":{"latency":"20ms","replies":{"stop":{"count":3}}}}"#;
        let settings: TwinSettings = serde_json::from_str(text).expect("the sample is valid");
        assert_eq!(
            settings.accounts[0].retry_after,
            Some(Duration::from_secs(2))
        );
        assert_eq!(settings.behaviour.latency, Duration::from_millis(20));
        assert_eq!(settings.behaviour.replies.stop.count, Some(3));
        settings.check().expect("the sample is consistent");

        let error = serde_json::from_str::<TwinSettings>(r#"{"acounts":[]}"#)
            .expect_err("a misspelt key is refused");
        assert!(error.to_string().contains("acounts"), "{error}");
    }

    #[test]
    fn an_account_without_a_name_or_named_twice_is_refused() {
        let with = |accounts| TwinSettings {
            accounts,
            ..TwinSettings::default()
        };
        let nameless = with(vec![TwinAccount::new("", "token")]);
        assert!(nameless.check().is_err());
        let twice = with(vec![TwinAccount::new("A", "t"), TwinAccount::new("A", "t")]);
        let error = twice.check().expect_err("named twice");
        assert!(error.to_string().contains("accounts[1]"), "{error}");
    }

    #[test]
    fn the_auth_token_does_not_show_in_debug_output() {
        let shown = format!("{:?}", TwinAccount::new("A", "very-secret"));
        assert!(!shown.contains("very-secret"), "{shown}");
    }
}
