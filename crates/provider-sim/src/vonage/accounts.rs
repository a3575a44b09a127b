//! Vonage's customers: their keys and secrets, what their account is set to, and whom the API refuses them.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::engine;
use crate::settings::{AccountLimits, TwinAccount};

/// Characters of an API key.
const KEY_LENGTH: usize = 8;

/// One customer's account at Vonage.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct VonageAccount {
    /// Names the account; 8 letters and digits.
    pub api_key: String,
    /// The password of the API.
    pub api_secret: String,
    /// The key of the webhooks' signatures. Empty: webhooks are not signed, as at Vonage until its support switches that on.
    pub signature_secret: Option<String>,
    /// How the webhooks of the SMS API are signed.
    pub signature_method: VonageSignature,
    /// The wire format of the SMS API's webhooks.
    pub webhook_format: VonageFormat,
    /// The format of webhooks, whichever API a message was sent by.
    pub api: VonageApi,
    /// URL of the receipts of messages that name none.
    pub status_webhook: Option<String>,
    /// URL of inbound messages.
    pub inbound_webhook: Option<String>,
    /// The application in the claims of signed Messages webhooks; it may be absent.
    pub application_id: Option<String>,
    /// The SMS API names its messages by UUIDs rather than by 16 hexadecimal digits. In an account with the webhooks of
    /// the Messages API it always does.
    pub uuid_message_ids: bool,
    /// Numbers without plus, short codes and names of the account. Empty: any well-formed sender is taken for its own.
    pub senders: Vec<String>,
    /// Whether the account may send at all.
    pub standing: VonageStanding,
    /// The recipients of a trial account, as digits; everybody else is refused. Empty: no trial.
    pub white_list: Option<Vec<String>>,
    /// Recipients, as digits, whom the API refuses, and the status it says: 7 for a barred number, 33 for one that is out
    /// of use, any other one.
    pub refused_recipients: BTreeMap<String, u16>,
    /// Recipients, as digits, of whose long texts the SMS API takes the first part and throttles the others, as it does
    /// when the limit is reached within a message.
    pub cut_off_recipients: Vec<String>,
    /// Opt-Out Assist: Vonage blocks a number of the account for a person who writes STOP to it. Really a service for
    /// numbers of the USA and Canada; the twin does it for all of the account's.
    pub opt_out_assist: bool,
    /// How much it may ask at once. Vonage's own limit is 30 requests a second.
    pub limits: AccountLimits,
}

/// The account's signature method.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VonageSignature {
    /// MD5 of the text and the secret behind it; Vonage's default.
    #[default]
    Md5hash,
    /// HMAC-MD5.
    Md5,
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA512.
    Sha512,
}

/// The account's webhook format.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VonageFormat {
    /// Parameters in the query.
    Get,
    /// A form.
    #[default]
    Post,
    /// A flat JSON object of strings.
    PostJson,
}

/// One of Vonage's two APIs for SMS.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VonageApi {
    /// `/sms/json`, with the parameter `sig` in webhooks.
    #[default]
    Sms,
    /// `/v1/messages`, with a JWT in front of webhooks.
    Messages,
}

/// Whether an account may send.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VonageStanding {
    /// It may.
    #[default]
    Good,
    /// Suspended: status 8.
    Barred,
    /// Its credit is used up: status 9.
    OutOfCredit,
    /// It may not use HTTP: status 11.
    NotEnabled,
}

impl VonageAccount {
    /// An account with nothing but its credentials.
    pub fn new(api_key: &str, api_secret: &str) -> Self {
        Self {
            api_key: api_key.to_owned(),
            api_secret: api_secret.to_owned(),
            ..Self::default()
        }
    }
}

impl TwinAccount for VonageAccount {
    fn name(&self) -> &str {
        &self.api_key
    }

    fn senders(&self) -> &[String] {
        &self.senders
    }

    fn limits(&self) -> &AccountLimits {
        &self.limits
    }

    fn check(&self) -> anyhow::Result<()> {
        let alphanumeric = self.api_key.bytes().all(|b| b.is_ascii_alphanumeric());
        ensure!(
            alphanumeric && self.api_key.len() == KEY_LENGTH,
            "api_key is not {KEY_LENGTH} letters and digits"
        );
        ensure!(!self.api_secret.is_empty(), "api_secret is missing");
        ensure!(
            self.signature_secret.as_deref() != Some(""),
            "signature_secret is empty; leave it out for unsigned webhooks"
        );
        Ok(())
    }
}

impl std::fmt::Debug for VonageAccount {
    // The secrets may be real ones: somebody will point the fleet's own configuration at a twin.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VonageAccount")
            .field("api_key", &self.api_key)
            .field("api_secret", &"[redacted]")
            .field("signature_method", &self.signature_method)
            .field("webhook_format", &self.webhook_format)
            .field("api", &self.api)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Vonage's account in the engine's books.
pub(crate) type Account = engine::Account<VonageAccount>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_length_and_an_empty_secret_are_refused() {
        let good = VonageAccount::new("a1b2c3d4", "s");
        good.check().expect("it has all that it needs");
        let bad = [
            VonageAccount::new("a1b2c3d", "s"),
            VonageAccount::new("a1b2-3d4", "s"),
            VonageAccount::new("a1b2c3d4", ""),
            VonageAccount {
                signature_secret: Some(String::new()),
                ..good
            },
        ];
        assert!(bad.iter().all(|account| account.check().is_err()));
    }

    #[test]
    fn the_secrets_do_not_show_in_debug_output_and_settings_read_from_text() {
        let text = r#"{"api_key":"a1b2c3d4","api_secret":"very-secret","signature_secret":"too-secret",
                       "signature_method":"sha256","webhook_format":"post_json","api":"messages",
                       "refused_recipients":{"353861234567":7},"standing":"out_of_credit"}"#;
        let account: VonageAccount = serde_json::from_str(text).expect("the sample is valid");
        assert_eq!(account.signature_method, VonageSignature::Sha256);
        assert_eq!(account.refused_recipients["353861234567"], 7);
        assert!(!format!("{account:?}").contains("secret\""));
        assert!(!format!("{account:?}").contains("too-secret"));
        assert!(!format!("{account:?}").contains("very-secret"));
    }
}
