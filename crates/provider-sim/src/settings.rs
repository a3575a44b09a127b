//! What a twin is started with: where it listens, whose accounts it has, how it behaves at first.

use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::behaviour::TwinBehaviour;

/// Everything that is fixed while a twin runs, and the behaviour that it starts with. `A` is the provider's account.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwinSettings<A> {
    /// Address to bind; port 0 takes a free one, which [`RunningTwin::base_url`](crate::RunningTwin::base_url) tells.
    pub listen: SocketAddr,
    /// The customers' accounts. Without one every request is refused as unauthenticated.
    pub accounts: Vec<A>,
    /// Callbacks on their way at once. Those that are due beyond it wait, as they would at the provider.
    pub callbacks_in_flight_max: u16,
    /// How the twin behaves until somebody changes it.
    pub behaviour: TwinBehaviour,
}

impl<A> Default for TwinSettings<A> {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: Vec::new(),
            callbacks_in_flight_max: 128,
            behaviour: TwinBehaviour::default(),
        }
    }
}

impl<A: TwinAccount> TwinSettings<A> {
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
            account
                .check()
                .with_context(|| format!("accounts[{number}]"))?;
            let name = account.name();
            ensure!(
                !self.accounts[..number]
                    .iter()
                    .any(|other| other.name() == name),
                "accounts[{number}]: {name} is there twice"
            );
        }
        self.behaviour.check()
    }
}

/// One customer's account at a provider: what all twins have to know of it. The rest is the provider's own, and its
/// `Debug` must not show a secret, because somebody will point the fleet's own configuration at a twin.
pub trait TwinAccount: Clone + Debug + Send + Sync + 'static {
    /// What the account is called in the audit and by whoever authenticates: the user, the project, the account id.
    fn name(&self) -> &str;
    /// Numbers, short codes and names that the account may send from. Empty: any well-formed sender is taken for its own.
    fn senders(&self) -> &[String];
    /// How much it may ask at once.
    fn limits(&self) -> &AccountLimits;
    /// Checks what the types cannot say: that name and secrets are there.
    ///
    /// # Errors
    /// Names the setting and the rule that it breaks.
    fn check(&self) -> anyhow::Result<()>;
}

/// How much an account may ask of the API.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountLimits {
    /// What the API takes in a second; over it the answer is the provider's "too many". Empty: no limit.
    pub per_second: Option<NonZeroU32>,
    /// What `per_second` counts.
    pub counted_in: CountedIn,
    /// How many may come at once after a pause. Empty: a second's worth, so only a sustained excess is refused.
    pub burst: Option<NonZeroU32>,
    /// `Retry-After` of such an answer, in whole seconds rounded up. Empty: it is absent, as it may be at the provider.
    #[serde(with = "humantime_serde")]
    pub retry_after: Option<Duration>,
    /// Requests in flight above which the API answers "too many". Empty: no limit.
    pub max_concurrent: Option<NonZeroU32>,
}

impl AccountLimits {
    /// The value of a `Retry-After` header, if there is to be one.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after
            .map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedIn {
    /// HTTP requests, whatever is in them.
    #[default]
    Requests,
    /// The messages in them.
    Messages,
    /// Segments of the texts, which is what carriers count.
    Segments,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::TwilioAccount;

    #[test]
    fn settings_read_from_text_with_defaults_and_refuse_unknown_keys() {
        let text = r#"{"accounts":[{"account_sid":"AC1","auth_token":"t","limits":{"retry_after":"2s","per_second":5}}],
                       "behaviour":{"latency":"20ms","replies":{"stop":{"count":3}}}}"#;
        let settings: TwinSettings<TwilioAccount> =
            serde_json::from_str(text).expect("the sample is valid");
        assert_eq!(settings.accounts[0].limits.retry_after_seconds(), Some(2));
        assert_eq!(settings.behaviour.latency, Duration::from_millis(20));
        assert_eq!(settings.behaviour.replies.stop.count, Some(3));
        settings.check().expect("the sample is consistent");

        let error = serde_json::from_str::<TwinSettings<TwilioAccount>>(r#"{"acounts":[]}"#)
            .expect_err("a misspelt key is refused");
        assert!(error.to_string().contains("acounts"), "{error}");
    }

    #[test]
    fn an_account_without_a_name_or_named_twice_is_refused() {
        let with = |accounts| TwinSettings {
            accounts,
            ..TwinSettings::default()
        };
        let nameless = with(vec![TwilioAccount::new("", "token")]);
        assert!(nameless.check().is_err());
        let twice = with(vec![
            TwilioAccount::new("A", "t"),
            TwilioAccount::new("A", "t"),
        ]);
        let error = twice.check().expect_err("named twice");
        assert!(error.to_string().contains("accounts[1]"), "{error}");
    }

    #[test]
    fn the_auth_token_does_not_show_in_debug_output() {
        let shown = format!("{:?}", TwilioAccount::new("A", "very-secret"));
        assert!(!shown.contains("very-secret"), "{shown}");
    }
}
