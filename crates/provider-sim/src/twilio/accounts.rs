//! The twin's customers: who may call, what they own, how much they may ask at once.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::errors::Refusal;
use crate::chance::{Dice, Subject};
use crate::locked;
use crate::rate::{Bucket, InFlight};
use crate::settings::{CountedIn, TwinAccount};

/// Sends for a Messaging Service whose account lists no number. From a range reserved for examples.
const POOL_NUMBER: &str = "+12025550100";

/// One customer.
#[derive(Debug)]
pub(crate) struct Account {
    /// Position in the settings.
    pub number: u16,
    pub settings: TwinAccount,
    pub in_flight: InFlight,
    bucket: Option<Mutex<Bucket>>,
}

/// All customers.
#[derive(Debug)]
pub(crate) struct Accounts {
    list: Vec<Account>,
    by_sid: HashMap<String, usize>,
}

impl Accounts {
    pub fn new(settings: &[TwinAccount], now: Instant) -> anyhow::Result<Self> {
        let mut list = Vec::with_capacity(settings.len());
        for (number, account) in settings.iter().enumerate() {
            list.push(Account {
                number: u16::try_from(number)?,
                settings: account.clone(),
                in_flight: InFlight::default(),
                bucket: bucket(account, now).map(Mutex::new),
            });
        }
        let by_sid = settings
            .iter()
            .enumerate()
            .map(|(n, a)| (a.account_sid.clone(), n))
            .collect();
        Ok(Self { list, by_sid })
    }

    /// Who asks, and whether the account in the path is theirs.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        sid: &str,
        path: &str,
    ) -> Result<&Account, Refusal> {
        let caller = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Basic"))
            .and_then(|(_, code)| STANDARD.decode(code.trim()).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let caller = caller
            .as_deref()
            .and_then(|text| text.split_once(':'))
            .and_then(|(user, password)| {
                let account = self.list.get(*self.by_sid.get(user)?)?;
                (account.settings.auth_token == password).then_some(account)
            })
            .ok_or_else(|| Refusal::new(20003, ""))?;
        if caller.settings.account_sid == sid {
            Ok(caller)
        } else {
            Err(Refusal::new(20404, path))
        }
    }

    pub fn get(&self, number: u16) -> Option<&Account> {
        self.list.get(usize::from(number))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.list.iter()
    }
}

impl Account {
    /// Whether this many requests at once, and this text within this second, are within the limits.
    pub fn admits(&self, at_once: u32, segments: u32, now: Instant) -> bool {
        if self.is_crowded(at_once) {
            return false;
        }
        let count = match self.settings.counted_in {
            CountedIn::Requests => 1,
            CountedIn::Segments => segments,
        };
        self.bucket
            .as_ref()
            .is_none_or(|bucket| locked(bucket).take(count, now))
    }

    /// Whether so many requests at once are too many.
    pub fn is_crowded(&self, at_once: u32) -> bool {
        self.settings
            .max_concurrent
            .is_some_and(|max| at_once > max.get())
    }

    /// Fills the bucket again, as after a long silence.
    pub fn reset(&self, now: Instant) {
        if let (Some(bucket), Some(full)) = (&self.bucket, bucket(&self.settings, now)) {
            *locked(bucket) = full;
        }
    }

    /// Whether `sender` may be used: it is listed, or nothing is.
    pub fn owns(&self, sender: &str) -> bool {
        self.settings.senders.is_empty() || self.settings.senders.iter().any(|own| own == sender)
    }

    /// The number that a service uses towards one person; always the same one, as Twilio's sticky sender.
    pub fn pool_number(&self, recipient: u64) -> &str {
        let numbers: Vec<&str> = self
            .settings
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
    pub fn service_of(&self, sender: &str) -> Option<&str> {
        let senders = &self.settings.senders;
        let listed = is_number(sender) && senders.iter().any(|own| own == sender);
        senders
            .iter()
            .map(String::as_str)
            .find(|own| listed && own.starts_with("MG"))
    }
}

/// A long number with plus, or a short code.
pub(crate) fn is_number(sender: &str) -> bool {
    let digits = sender.strip_prefix('+').unwrap_or(sender);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn bucket(account: &TwinAccount, now: Instant) -> Option<Bucket> {
    let per_second = account.per_second.map(NonZeroU32::get)?;
    let burst = account.burst.map_or(per_second, NonZeroU32::get);
    Some(Bucket::new(per_second, burst, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let mut first = TwinAccount::new("AC1", "token:with:colons");
        first.senders = vec!["MG1".into(), "+12025550101".into(), "+12025550102".into()];
        Accounts::new(&[first, TwinAccount::new("AC2", "t")], Instant::now()).expect("two accounts")
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
            accounts
                .authenticate(headers, sid, "/p")
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
        let account = accounts.get(0).expect("it is there");
        assert_eq!(account.service_of("+12025550102"), Some("MG1"));
        assert_eq!(account.service_of("+12025550199"), None);
        assert_eq!(
            account.pool_number(33_639_980_001),
            account.pool_number(33_639_980_001)
        );
        let other = accounts.get(1).expect("it is there");
        assert_eq!(other.pool_number(33_639_980_001), POOL_NUMBER);
    }
}
