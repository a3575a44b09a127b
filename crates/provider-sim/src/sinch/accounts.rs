//! Sinch's customers: one account is one Conversation API app, with the key that may use it.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use super::definition::is_sender;
use crate::engine;
use crate::settings::{AccountLimits, TwinAccount};

/// The documented life of a token.
const TOKEN_LIFE: Duration = Duration::from_secs(3_600);
/// Messages that an app's queue holds.
const QUEUE_LIMIT: u32 = 500_000;

/// One customer's Conversation API app. Several accounts may share a key, a project, or both.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinchAccount {
    /// Names the account: the id of the app.
    pub app_id: String,
    /// The project in the path.
    pub project_id: String,
    /// Where the app lives. It is checked where the request's `Host` is one of Sinch's names; on the twin's own address
    /// every region answers.
    pub region: SinchRegion,
    /// The key's id: user of the token endpoint.
    pub client_id: String,
    /// The key's secret: password of the token endpoint.
    pub client_secret: String,
    /// Senders as they stand in `SMS_SENDER`, numbers without plus. Empty: any well-formed sender is taken for its own. A
    /// message that names none goes out from the first.
    pub senders: Vec<String>,
    /// Target of the webhook with the triggers `MESSAGE_DELIVERY` and `EVENT_DELIVERY`.
    pub status_webhook: Option<String>,
    /// Target of the webhook with the trigger `MESSAGE_INBOUND`, and, under consent management, `OPT_OUT` and `OPT_IN`.
    pub inbound_webhook: Option<String>,
    /// The secret token of both webhooks, as typed. Empty: their callbacks carry no signature headers.
    pub webhook_secret: String,
    /// Signs callbacks to a `callback_url` of a request (`secret_for_overridden_callback_urls`). Empty: those are unsigned.
    pub override_secret: String,
    /// How much it may ask at once. Sinch counts requests per project (800 a second); here every app has its own count.
    pub limits: AccountLimits,
    /// How long a token says it lives.
    #[serde(with = "humantime_serde")]
    pub token_life: Duration,
    /// How long it really lives, where that is not what it says: a clock that is wrong, a key that was revoked.
    #[serde(with = "humantime_serde")]
    pub token_ends_after: Option<Duration>,
    /// How fast the app's queue drains towards the channel; Sinch's default is 20. Empty: nothing waits.
    pub drain_per_second: Option<NonZeroU32>,
    /// Messages that may wait in that queue; one more is answered 429.
    pub queue_limit: u32,
    /// Consent management of the app. Empty: off, and a STOP is a text like any other.
    pub consent: Option<SinchConsent>,
    /// Days that sent messages can be looked up. Empty, as at Sinch: every look-up is a 404.
    pub retention_days: Option<NonZeroU16>,
    /// The status webhook also hears of events of another program with the same app (`event_delivery_report`), one with
    /// every inbound message: nothing that concerns the customer's messages.
    pub foreign_events: bool,
}

/// Where an app lives.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SinchRegion {
    /// European Union.
    #[default]
    Eu,
    /// United States.
    Us,
}

/// How an app manages consent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SinchConsent {
    /// Sinch blocks who opted out, and tells the customer.
    Primary,
    /// Sinch only tells the customer.
    Secondary,
}

impl SinchRegion {
    /// The label in host names.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Eu => "eu",
            Self::Us => "us",
        }
    }
}

impl Default for SinchAccount {
    fn default() -> Self {
        Self {
            app_id: String::new(),
            project_id: String::new(),
            region: SinchRegion::default(),
            client_id: String::new(),
            client_secret: String::new(),
            senders: Vec::new(),
            status_webhook: None,
            inbound_webhook: None,
            webhook_secret: String::new(),
            override_secret: String::new(),
            limits: AccountLimits::default(),
            token_life: TOKEN_LIFE,
            token_ends_after: None,
            drain_per_second: None,
            queue_limit: QUEUE_LIMIT,
            consent: None,
            retention_days: None,
            foreign_events: false,
        }
    }
}

impl SinchAccount {
    /// An app with any sender, no limit and no webhook.
    pub fn new(
        project_id: impl Into<String>,
        app_id: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        Self {
            project_id: project_id.into(),
            app_id: app_id.into(),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            ..Self::default()
        }
    }
}

impl TwinAccount for SinchAccount {
    fn name(&self) -> &str {
        &self.app_id
    }

    fn senders(&self) -> &[String] {
        &self.senders
    }

    fn limits(&self) -> &AccountLimits {
        &self.limits
    }

    fn check(&self) -> anyhow::Result<()> {
        for (name, value) in [
            ("app_id", &self.app_id),
            ("project_id", &self.project_id),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
        ] {
            ensure!(!value.is_empty(), "{name} is missing");
        }
        ensure!(
            !self.client_id.contains(':'),
            "client_id has a colon: HTTP Basic cannot carry it"
        );
        for sender in &self.senders {
            ensure!(
                is_sender(sender),
                "senders: {sender} is none; a number has no plus here"
            );
        }
        Ok(())
    }
}

impl std::fmt::Debug for SinchAccount {
    // The secrets may be real ones: somebody will point the fleet's own configuration at a twin.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinchAccount")
            .field("app_id", &self.app_id)
            .field("project_id", &self.project_id)
            .field("region", &self.region)
            .field("client_secret", &"[redacted]")
            .field("webhook_secret", &"[redacted]")
            .field("senders", &self.senders)
            .field("limits", &self.limits)
            .field("consent", &self.consent)
            .finish_non_exhaustive()
    }
}

/// Sinch's account in the engine's books.
pub(crate) type Account = engine::Account<SinchAccount>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug_output_and_a_sender_with_a_plus_is_refused() {
        let mut account = SinchAccount::new("p", "a", "c", "very-secret");
        account.webhook_secret = "very-secret".into();
        account.override_secret = "very-secret".into();
        assert!(!format!("{account:?}").contains("very-secret"));
        account.check().expect("it is complete");
        account.senders = vec!["35312345678".into(), "38100".into(), "Survey".into()];
        account.check().expect("they are well-formed");
        account.senders.push("+35312345678".into());
        assert!(account.check().is_err());
    }

    #[test]
    fn settings_read_with_sinchs_own_defaults() {
        let text = r#"{"app_id":"A","region":"us","consent":"primary","token_ends_after":"2s"}"#;
        let account: SinchAccount = serde_json::from_str(text).expect("the sample is valid");
        assert_eq!(account.token_life, TOKEN_LIFE);
        assert_eq!(account.token_ends_after, Some(Duration::from_secs(2)));
        assert_eq!(account.queue_limit, 500_000);
        assert_eq!(account.region.label(), "us");
    }
}
