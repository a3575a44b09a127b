//! Infobip's customers: their key, their webhooks, and how their account is set up.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};

use super::statuses;
use crate::engine::{self, Accounts};
use crate::settings::{AccountLimits, TwinAccount};

/// One customer's account at Infobip.
///
/// The numbers in it are written as Infobip writes them: digits without plus.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct InfobipAccount {
    /// What the audit calls the account; Infobip knows it by its key alone.
    pub name: String,
    /// What follows `App` in the `Authorization` header.
    pub api_key: String,
    /// Numbers, short codes and alphanumeric ids of the account. Empty: any well-formed sender is taken for its own.
    pub senders: Vec<String>,
    /// How much it may ask at once.
    pub limits: AccountLimits,
    /// Where reports go, unless a message names a URL of its own.
    pub status_webhook: Option<String>,
    /// Where messages from people go.
    pub inbound_webhook: Option<String>,
    /// Where blocks and their ends are told (a BLOCKLIST subscription).
    pub blocklist_webhook: Option<String>,
    /// Basic user of the webhooks.
    pub webhook_username: String,
    /// Basic password of the webhooks. With an empty user and password the calls carry no credentials.
    pub webhook_password: String,
    /// How long a webhook may take to answer: 1 to 90 seconds.
    #[serde(with = "humantime_serde")]
    pub webhook_timeout: Duration,
    /// Whether a URL that a message names gets the credentials too. No source says so, so by default it does not.
    pub basic_on_message_urls: bool,
    /// The form of the reports.
    pub report_form: InfobipReportForm,
    /// Passing states are reported although the message did not ask for it.
    pub intermediate_reports: bool,
    /// A refusal in the answer of a send is reported as well, as Infobip usually does.
    pub reports_refusals: bool,
    /// The key has the scope to send; without it the answer is 403.
    pub may_send: bool,
    /// Whether `violations[].property` tells which message of the request is meant.
    pub violations_have_index: bool,
    /// Recipients whose number begins so make the whole request one that the schema forbids (400). Nothing that a careful
    /// client sends does.
    pub violating_prefixes: Vec<String>,
    /// More messages in one request are answered with 413. Empty: no maximum, as in the documentation.
    pub messages_per_request_max: Option<u32>,
    /// Segments that are still paid for; what goes beyond is refused with status 12. Empty: enough.
    pub credits: Option<u64>,
    /// Recipients whose number begins so are refused with this status id. The longest prefix wins.
    pub refusals: BTreeMap<String, u16>,
    /// Senders that are refused with status 13.
    pub blocklisted_senders: Vec<String>,
    /// Refuses more than 20 different or 6 identical messages to one person within an hour, with status 20.
    pub flooding_filter: bool,
    /// How long a used `messageId` is refused. Empty: for ever, since nothing is documented.
    #[serde(with = "humantime_serde")]
    pub message_id_memory: Option<Duration>,
    /// Words that begin an inbound message and are cut out of its `cleanText`.
    pub keywords: Vec<String>,
    /// What Infobip itself does about a STOP.
    pub on_stop: InfobipOnStop,
}

/// The form of the reports, which Infobip's support sets for an account.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InfobipReportForm {
    /// `sender`, `messageCount`, `platform`.
    #[default]
    V3,
    /// `from`, `smsCount`, and an explicit null for what is not there.
    V2,
}

/// What a number's or a keyword's action does about a STOP.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct InfobipOnStop {
    /// How a later message ends.
    pub then: InfobipBlocked,
    /// Blocks all senders of the account, rather than the one that was written to.
    pub any_sender: bool,
    /// The STOP is not handed on to the customer.
    pub swallow: bool,
}

/// How a message to somebody who said STOP ends.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InfobipBlocked {
    /// Like any other: a STOP is a message like any other.
    #[default]
    NotAtAll,
    /// Refused in the answer, with status 14.
    RefusedWith14,
    /// Taken, and reported as rejected with error 2052 (destination blocklisted).
    ReportedWith2052,
    /// Taken, and reported with error 573 (blocked by the end user).
    ReportedWith573,
    /// Taken, and reported with error 603 (the recipient sent STOP).
    ReportedWith603,
}

impl Default for InfobipAccount {
    fn default() -> Self {
        Self {
            name: String::new(),
            api_key: String::new(),
            senders: Vec::new(),
            limits: AccountLimits::default(),
            status_webhook: None,
            inbound_webhook: None,
            blocklist_webhook: None,
            webhook_username: String::new(),
            webhook_password: String::new(),
            webhook_timeout: Duration::from_secs(15),
            basic_on_message_urls: false,
            report_form: InfobipReportForm::default(),
            intermediate_reports: false,
            reports_refusals: true,
            may_send: true,
            violations_have_index: true,
            violating_prefixes: Vec::new(),
            messages_per_request_max: None,
            credits: None,
            refusals: BTreeMap::new(),
            blocklisted_senders: Vec::new(),
            flooding_filter: false,
            message_id_memory: None,
            // So that a client which matches opt-outs against `cleanText` is found out.
            keywords: vec!["STOP".into()],
            on_stop: InfobipOnStop::default(),
        }
    }
}

impl InfobipAccount {
    /// An account with any sender, no limit and no webhook.
    pub fn new(name: impl Into<String>, api_key: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            api_key: api_key.into(),
            ..Self::default()
        }
    }

    /// The status with which this recipient is refused.
    pub(crate) fn refusal(&self, recipient: &str) -> Option<u16> {
        self.refusals
            .iter()
            .filter(|(prefix, _)| recipient.starts_with(prefix.as_str()))
            .max_by_key(|(prefix, _)| prefix.len())
            .map(|(_, id)| *id)
    }
}

impl TwinAccount for InfobipAccount {
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
        ensure!(!self.name.is_empty(), "name is missing");
        ensure!(!self.api_key.is_empty(), "api_key is missing");
        ensure!(
            !self.webhook_username.contains(':'),
            "webhook_username contains a colon, which ends the user of HTTP Basic"
        );
        ensure!(
            (Duration::from_secs(1)..=Duration::from_secs(90)).contains(&self.webhook_timeout),
            "webhook_timeout is not between 1 and 90 seconds"
        );
        for (prefix, id) in &self.refusals {
            let status = statuses::status(*id)
                .with_context(|| format!("refusals: {prefix} has the unknown status {id}"))?;
            ensure!(
                status.is_refusal(),
                "refusals: status {id} of {prefix} is no refusal"
            );
        }
        Ok(())
    }
}

impl std::fmt::Debug for InfobipAccount {
    // Key and password may be real ones: somebody will point the fleet's own configuration at a twin.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InfobipAccount")
            .field("name", &self.name)
            .field("api_key", &"[redacted]")
            .field("webhook_username", &self.webhook_username)
            .field("webhook_password", &"[redacted]")
            .field("senders", &self.senders)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Infobip's account in the engine's books.
pub(crate) type Account = engine::Account<InfobipAccount>;

/// Who asks: the owner of the key of exactly one header `Authorization: App <key>`. Infobip's other schemes (Basic, IBSSO,
/// OAuth) are not offered, because the fleet has no use for them.
pub(crate) fn authenticate<'a>(
    accounts: &'a Accounts<InfobipAccount>,
    headers: &HeaderMap,
) -> Option<&'a Account> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let key = values.next()?.to_str().ok()?.strip_prefix("App ")?;
    if values.next().is_some() {
        return None;
    }
    accounts
        .iter()
        .find(|account| account.settings.api_key == key)
}

/// Whether Infobip could know a sender of this form: a number of 7 to 16 digits, a short code of 3 to 6, or 3 to 11
/// characters with a letter among them, none of which has a plus.
///
/// Source: shared/providers/infobip.md, section 1.
pub(crate) fn is_sender(sender: &str) -> bool {
    if is_number(sender) {
        return true;
    }
    let bytes = sender.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b" ._&-".contains(byte);
    (3..=11).contains(&bytes.len())
        && bytes.iter().all(inner)
        && bytes.iter().any(u8::is_ascii_alphabetic)
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

/// A long number or a short code: what people can write to.
pub(crate) fn is_number(sender: &str) -> bool {
    let digits = sender.bytes().all(|byte| byte.is_ascii_digit());
    digits && ((3..=6).contains(&sender.len()) || is_long_number(sender))
}

fn is_long_number(sender: &str) -> bool {
    (7..=16).contains(&sender.len()) && !sender.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn only_one_header_with_the_scheme_app_and_a_known_key_comes_in() {
        let both = vec![
            InfobipAccount::new("first", "k-1"),
            InfobipAccount::new("second", "k-2"),
        ];
        let accounts = Accounts::new(both, Instant::now()).expect("two accounts");
        let name = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().expect("a header value"));
            }
            authenticate(&accounts, &headers).map(|account| account.settings.name.clone())
        };
        assert_eq!(name(&["App k-2"]).as_deref(), Some("second"));
        for wrong in [
            "k-1",
            "app k-1",
            "App  k-1",
            "App k-1x",
            "App",
            "Bearer k-1",
        ] {
            assert_eq!(name(&[wrong]), None, "{wrong}");
        }
        assert_eq!(name(&[]), None);
        assert_eq!(name(&["App k-1", "App k-1"]), None);
    }

    #[test]
    fn senders_have_the_forms_of_the_page() {
        for good in ["13531234567", "868686", "QUALTRICS", "A b.c&d-9", "1A1"] {
            assert!(is_sender(good), "{good}");
        }
        for bad in [
            "",
            "+13531234567",
            "0013531234567",
            "12",
            "AB",
            "-ABC",
            "ABC ",
            "ABCDEFGHIJKL",
            "ÄBC",
        ] {
            assert!(!is_sender(bad), "{bad}");
        }
        assert!(!is_number("QUALTRICS") && is_number("868686"));
    }

    #[test]
    fn an_account_that_contradicts_the_page_is_refused_and_secrets_do_not_show() {
        let account = InfobipAccount::new("a", "very-secret");
        account.check().expect("it is consistent");
        let shown = format!("{account:?}");
        assert!(!shown.contains("very-secret"), "{shown}");
        let with = |edit: fn(&mut InfobipAccount)| {
            let mut account = InfobipAccount::new("a", "k");
            edit(&mut account);
            account.check().is_err()
        };
        assert!(with(|account| account.name.clear()));
        assert!(with(|account| account.api_key.clear()));
        assert!(with(|account| account.webhook_username = "a:b".into()));
        assert!(with(|account| account.webhook_timeout = Duration::ZERO));
        assert!(with(|account| account.refusals = [("1".into(), 26)].into()));
        assert!(with(
            |account| account.refusals = [("1".into(), 9_999)].into()
        ));
    }

    #[test]
    fn the_longest_prefix_decides_how_a_recipient_is_refused() {
        let mut account = InfobipAccount::new("a", "k");
        account.refusals = [("353".into(), 6), ("35386".into(), 10)].into();
        assert_eq!(account.refusal("353861112233"), Some(10));
        assert_eq!(account.refusal("353871112233"), Some(6));
        assert_eq!(account.refusal("4915112345678"), None);
    }
}
