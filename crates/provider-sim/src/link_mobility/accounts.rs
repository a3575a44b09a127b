//! LINK's customers: their account, its gate, and who asks.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, ensure};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};

use super::codes;
use crate::engine::phone::e164;
use crate::engine::{self, Accounts, auth};
use crate::settings::{AccountLimits, TwinAccount};

/// How long a gate repeats a report, unless it is set otherwise.
const TTL: Duration = Duration::from_secs(48 * 3_600);
/// LINK documents no limit; this is what the twin reads at most, and more than a batch of 1000 ordinary messages has.
pub(crate) const BODY_BYTES_MAX: u32 = 1024 * 1024;

/// One customer's account at LINK Mobility, with the one gate that serves its receipts and replies.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkMobilityAccount {
    /// User of HTTP Basic on sends, and on the callbacks.
    pub username: String,
    /// The password, likewise.
    pub password: String,
    /// `platformId` of every send request.
    pub platform_id: String,
    /// `platformPartnerId` of every send request.
    pub platform_partner_id: String,
    /// The gate that delivery reports are asked for by. Empty: the account has none.
    pub gate_id: String,
    /// Long numbers with plus, short numbers, and names that the account may send from; numbers of replies such as
    /// `NO-2333` may stand there too. Empty: any well-formed sender is taken for its own.
    pub senders: Vec<String>,
    /// Where the gate posts delivery reports. Empty: they are not posted.
    pub status_url: Option<String>,
    /// Where the gate posts replies; may be the same. Empty: they are not posted.
    pub message_url: Option<String>,
    /// The gate counts a 2xx as received only with a body.
    pub acknowledge: bool,
    /// How long the gate repeats what was not received. Empty: 48 hours.
    #[serde(with = "humantime_serde")]
    pub ttl: Option<Duration>,
    /// How much it may send at once. What is over `per_second` gets result code 3 inside a 200, message by message; what is
    /// over `max_concurrent` gets a 429.
    pub limits: AccountLimits,
    /// Bytes of a request body above which the answer is 413; 1 MiB at most, and if it is empty.
    pub body_bytes_max: Option<NonZeroU32>,
    /// Whether the account may send.
    pub access: LinkMobilityAccess,
    /// One bad message refuses its whole request with a 400, instead of getting its own result code inside the 200.
    pub refuses_whole_requests: bool,
    /// Batches are answered last message first: the order is shown in examples and promised nowhere.
    pub answers_backwards: bool,
    /// Reports have the types of the gate manual: the result code is a text, custom parameters are lists, and the numbers
    /// of sender and recipient are there.
    pub gate_manual_reports: bool,
    /// The gate cannot be looked up with these credentials.
    pub gate_api_denied: bool,
    /// Recipients whose messages are answered with this result code and not taken. LINK has no magic numbers.
    pub submit_codes: BTreeMap<String, u32>,
    /// Recipients whose messages are taken and end with this result code.
    pub receipt_codes: BTreeMap<String, u32>,
    /// First words by which replies to a short number are routed; every other reply takes the default route.
    pub keywords: Vec<String>,
    /// The account's share of a short number: replies come by a subnumber route.
    pub subnumber: Option<u64>,
}

/// Whether an account may send.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkMobilityAccess {
    /// It may.
    #[default]
    Granted,
    /// 403 with 106101.
    Denied,
    /// 403 with 106102: the account is right and LINK's own credentials behind it are not.
    NoSmscCredentials,
}

impl LinkMobilityAccount {
    /// An account with LINK's sample platform and gate ids, any sender, no limit and no callback.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
            platform_id: "COMMON_API".to_owned(),
            platform_partner_id: "30978".to_owned(),
            gate_id: "BVldZyQt".to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.ttl.unwrap_or(TTL)
    }

    pub(crate) fn body_bytes_max(&self) -> u32 {
        self.body_bytes_max.map_or(BODY_BYTES_MAX, NonZeroU32::get)
    }
}

impl TwinAccount for LinkMobilityAccount {
    fn name(&self) -> &str {
        &self.username
    }

    fn senders(&self) -> &[String] {
        &self.senders
    }

    /// None, because the engine throttles whole requests and LINK throttles messages; see `throttle.rs`.
    fn limits(&self) -> &AccountLimits {
        static NONE: AccountLimits = AccountLimits {
            per_second: None,
            counted_in: crate::settings::CountedIn::Requests,
            burst: None,
            retry_after: None,
            max_concurrent: None,
        };
        &NONE
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.username.is_empty(), "username is missing");
        let forbidden = |c: char| c == ':' || c.is_control();
        ensure!(
            !self.username.contains(forbidden),
            "username has a colon or a control character"
        );
        ensure!(!self.password.is_empty(), "password is missing");
        for (name, id, others) in [
            ("platform_id", &self.platform_id, "_.-"),
            ("platform_partner_id", &self.platform_partner_id, "_.-"),
        ] {
            ensure!(is_id(id, others), "{name} is no id of LINK's");
        }
        ensure!(
            self.gate_id.is_empty() || is_id(&self.gate_id, "_-"),
            "gate_id is no id of LINK's"
        );
        ensure!(
            self.body_bytes_max() <= BODY_BYTES_MAX,
            "body_bytes_max is above 1 MiB"
        );
        for url in [&self.status_url, &self.message_url].into_iter().flatten() {
            reqwest::Url::parse(url).with_context(|| format!("{url} is no URL"))?;
        }
        for (number, code) in &self.submit_codes {
            ensure!(
                e164(number).is_some() && codes::is_known(*code),
                "submit_codes: {code} is no result code, or its number has no plus"
            );
        }
        for (number, code) in &self.receipt_codes {
            ensure!(
                e164(number).is_some() && codes::end(*code).is_some(),
                "receipt_codes: {code} is no bad end, or its number has no plus"
            );
        }
        Ok(())
    }
}

fn is_id(text: &str, others: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

impl std::fmt::Debug for LinkMobilityAccount {
    // The password may be a real one: somebody will point the fleet's own configuration at a twin.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkMobilityAccount")
            .field("username", &self.username)
            .field("password", &"[redacted]")
            .field("platform_id", &self.platform_id)
            .field("platform_partner_id", &self.platform_partner_id)
            .field("gate_id", &self.gate_id)
            .field("senders", &self.senders)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// LINK's account in the engine's books.
pub(crate) type Account = engine::Account<LinkMobilityAccount>;

/// Who asks: exactly one `Authorization` header, with the user and password of an account.
pub(crate) fn authenticate<'a>(
    accounts: &'a Accounts<LinkMobilityAccount>,
    headers: &HeaderMap,
) -> Option<&'a Account> {
    if headers.get_all(AUTHORIZATION).iter().count() != 1 {
        return None;
    }
    let (user, password) = auth::basic(headers)?;
    let account = accounts.named(&user)?;
    (account.settings.password == password).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::time::Instant;

    fn accounts() -> Accounts<LinkMobilityAccount> {
        let all = [
            ("acme_sms", "Pa55w0rd!"),
            ("svc-link", "a:b:c/€"),
            ("användare", "lösen ord"),
        ]
        .map(|(user, password)| LinkMobilityAccount::new(user, password));
        Accounts::new(all.to_vec(), Instant::now()).expect("three accounts")
    }

    fn who(values: &[&str]) -> Option<String> {
        let accounts = accounts();
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_str(value).expect("a header value");
            headers.append(AUTHORIZATION, value);
        }
        authenticate(&accounts, &headers).map(|account| account.settings.username.clone())
    }

    #[test]
    fn the_pages_headers_are_their_accounts_and_its_counterexamples_are_nobodys() {
        for (value, user) in [
            ("Basic YWNtZV9zbXM6UGE1NXcwcmQh", "acme_sms"),
            ("basic YWNtZV9zbXM6UGE1NXcwcmQh", "acme_sms"),
            ("Basic c3ZjLWxpbms6YTpiOmMv4oKs", "svc-link"),
            ("Basic YW52w6RuZGFyZTpsw7ZzZW4gb3Jk", "användare"),
        ] {
            assert_eq!(who(&[value]).as_deref(), Some(user), "{value}");
        }
        for value in [
            "Basic",
            "Bearer YWNtZV9zbXM6UGE1NXcwcmQh",
            "Basic YWNtZV9zbXM6UGE1NXcwcmQ=",
            "Basic QWNtZV9zbXM6UGE1NXcwcmQh",
            "Basic YWNtZV9zbXM=",
            "Basic acme_sms:Pa55w0rd!",
        ] {
            assert_eq!(who(&[value]), None, "{value}");
        }
        assert_eq!(who(&[]), None);
        let twice = "Basic YWNtZV9zbXM6UGE1NXcwcmQh";
        assert_eq!(who(&[twice, twice]), None);
    }

    #[test]
    fn an_account_that_link_could_not_have_is_refused_and_the_password_does_not_show() {
        let refused = |edit: fn(&mut LinkMobilityAccount)| {
            let mut account = LinkMobilityAccount::new("acme_sms", "very-secret");
            account.check().expect("the sample account is fine");
            edit(&mut account);
            account.check().is_err()
        };
        assert!(refused(|a| a.username = "a:b".into()));
        assert!(refused(|a| a.password.clear()));
        assert!(refused(|a| a.platform_id = "a b".into()));
        assert!(refused(|a| a.status_url = Some("nowhere".into())));
        assert!(refused(
            |a| a.receipt_codes = [("+4741560099".into(), 1001)].into()
        ));
        let shown = format!("{:?}", LinkMobilityAccount::new("acme_sms", "very-secret"));
        assert!(!shown.contains("very-secret"), "{shown}");
    }

    #[test]
    fn an_account_reads_from_text() {
        let text = r#"{"username":"acme_sms","password":"p","platform_id":"COOL","platform_partner_id":"7",
                       "ttl":"2h","access":"no_smsc_credentials","limits":{"counted_in":"messages","per_second":5},
                       "receipt_codes":{"+4741560001":2105}}"#;
        let account: LinkMobilityAccount = serde_json::from_str(text).expect("the sample is valid");
        account.check().expect("the sample is consistent");
        assert_eq!(account.ttl(), Duration::from_secs(7_200));
        assert_eq!(account.access, LinkMobilityAccess::NoSmscCredentials);
    }
}
