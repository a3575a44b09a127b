//! Whether Vonage would take a message: what its two APIs ask alike, in the statuses of the SMS API.
//!
//! Source: `shared/providers/vonage.md`, sections 1, 2 and 4.

use std::time::Duration;

use super::accounts::{Account, VonageStanding};
use super::parts::{self, Encoding};
use crate::engine::phone::digits;

const REFERENCE_CHARACTERS_MAX: usize = 100;
const LATIN_SENDER_CHARACTERS_MAX: usize = 11;

/// Country codes that no country has; a number that begins with one of them is an unknown prefix.
const UNKNOWN_PREFIXES: &[&str] = &[
    "210", "214", "215", "217", "219", "259", "28", "292", "293", "294", "295", "296", "384",
    "422", "424", "425", "426", "427", "428", "429", "693", "694", "695", "696", "697", "698",
    "699", "83", "89", "990", "991", "997", "999",
];

/// Why a message is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    /// The status of the SMS API.
    pub status: u16,
    /// The parameter, if one is to blame.
    pub about: &'static str,
}

/// A message as a client asks for it.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'r> {
    pub to: &'r str,
    pub from: &'r str,
    pub text: &'r str,
    pub text_characters_max: usize,
    pub reference: &'r str,
    /// `None` for the alphabet that fits.
    pub encoding: Option<Encoding>,
    /// Inside, `None` for a time that cannot be read or is out of range.
    pub validity: Option<Option<Duration>>,
    pub callback: &'r str,
    pub callback_characters_max: usize,
}

/// A message that may be sent.
#[derive(Debug)]
pub(crate) struct Submission {
    pub to: u64,
    /// What the handsets will show.
    pub parts: Vec<String>,
}

impl Refusal {
    pub fn new(status: u16) -> Self {
        Self { status, about: "" }
    }

    fn missing(about: &'static str) -> Self {
        Self { status: 2, about }
    }

    fn invalid(about: &'static str) -> Self {
        Self { status: 3, about }
    }
}

impl Wanted<'_> {
    /// Checks everything that does not depend on earlier messages; the account's own troubles come first.
    pub fn check(&self, account: &Account) -> Result<Submission, Refusal> {
        match account.settings.standing {
            VonageStanding::Good => {}
            VonageStanding::Barred => return Err(Refusal::new(8)),
            VonageStanding::OutOfCredit => return Err(Refusal::new(9)),
            VonageStanding::NotEnabled => return Err(Refusal::new(11)),
        }
        for (name, value) in [("to", self.to), ("from", self.from), ("text", self.text)] {
            if value.is_empty() {
                return Err(Refusal::missing(name));
            }
        }
        let to = digits(self.to).ok_or(Refusal::invalid("to"))?;
        if !is_sender(self.from) {
            return Err(Refusal::invalid("from"));
        }
        if self.validity == Some(None) {
            return Err(Refusal::invalid("ttl"));
        }
        if self.reference.chars().count() > REFERENCE_CHARACTERS_MAX {
            return Err(Refusal::invalid("client-ref"));
        }
        if self.text.chars().count() > self.text_characters_max {
            return Err(Refusal::new(12));
        }
        if !self.callback.is_empty() && !self.has_callable_callback() {
            return Err(Refusal::new(23));
        }
        if !account.owns(self.from) {
            return Err(Refusal::new(15));
        }
        self.check_recipient(account)?;
        let encoding = self.encoding.unwrap_or(Encoding::of(self.text));
        let parts = parts::cut(&encoding.transmitted(self.text), encoding);
        Ok(Submission { to, parts })
    }

    fn check_recipient(&self, account: &Account) -> Result<(), Refusal> {
        if UNKNOWN_PREFIXES
            .iter()
            .any(|code| self.to.starts_with(code))
        {
            return Err(Refusal::new(6));
        }
        if let Some(&status) = account.settings.refused_recipients.get(self.to) {
            return Err(Refusal::new(status));
        }
        let white_list = account.settings.white_list.as_ref();
        if white_list.is_some_and(|list| !list.iter().any(|one| one == self.to)) {
            return Err(Refusal::new(29));
        }
        Ok(())
    }

    /// Vonage wants a public host name of letters, digits and hyphens. The twin lets loopback addresses through: it has no
    /// other customers. Characters are counted before they are encoded, where the page is unsure.
    fn has_callable_callback(&self) -> bool {
        let url = self.callback;
        let named = |host: &str| {
            host.bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        };
        let parsed = reqwest::Url::parse(url).ok();
        url.chars().count() <= self.callback_characters_max
            && url.chars().all(|c| c.is_ascii_graphic())
            && parsed.is_some_and(|parsed| {
                matches!(parsed.scheme(), "http" | "https") && parsed.host_str().is_some_and(named)
            })
    }
}

/// A number without plus or leading zeros, a short code, or a name of Latin letters and digits without a space.
fn is_sender(from: &str) -> bool {
    let all_digits = from.bytes().all(|b| b.is_ascii_digit());
    let short_code = all_digits && (3..=6).contains(&from.len());
    let name = from.bytes().all(|b| b.is_ascii_alphanumeric())
        && from.len() <= LATIN_SENDER_CHARACTERS_MAX
        && !all_digits;
    short_code || name || digits(from).is_some()
}

/// A number that people can write to.
pub(crate) fn is_number(sender: &str) -> bool {
    sender.len() >= 3 && sender.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Accounts;
    use crate::vonage::VonageAccount;
    use std::time::Instant;

    fn status<'a>(edit: impl Fn(&mut Wanted<'a>), account: &VonageAccount) -> u16 {
        let accounts = Accounts::new(vec![account.clone()], Instant::now()).expect("one account");
        let mut wanted = Wanted {
            to: "353861234567",
            from: "35312345678",
            text: "Votre avis compte",
            text_characters_max: 3_200,
            callback_characters_max: 100,
            ..Wanted::default()
        };
        edit(&mut wanted);
        let refusal = wanted.check(accounts.get(0).expect("one account")).err();
        refusal.map_or(0, |refusal| refusal.status)
    }

    #[test]
    fn each_fault_has_its_status() {
        let account = VonageAccount::new("a1b2c3d4", "s");
        let plain = |edit: fn(&mut Wanted<'_>)| status(edit, &account);
        assert_eq!(plain(|_| {}), 0);
        for to in [
            "+353861234567",
            "00353861234567",
            "123456",
            "1234567890123456",
            "35386x",
        ] {
            assert_eq!(status(|w| w.to = to, &account), 3, "{to}");
        }
        for (from, wanted) in [
            ("+35312345678", 3),
            ("0035312345678", 3),
            ("12", 3),
            ("Two words", 3),
            ("LongerThan11", 3),
            ("Acme!", 3),
            ("Exactly11ch", 0),
            ("38100", 0),
            ("Acme", 0),
        ] {
            assert_eq!(status(|w| w.from = from, &account), wanted, "{from}");
        }
        assert_eq!(plain(|w| w.to = ""), 2);
        assert_eq!(plain(|w| w.from = ""), 2);
        assert_eq!(plain(|w| w.text = ""), 2);
        assert_eq!(plain(|w| w.to = "999123456789"), 6);
        assert_eq!(plain(|w| w.validity = Some(None)), 3);
        let (long, just) = ("é".repeat(3_201), "é".repeat(3_200));
        assert_eq!(status(|w| w.text = &long, &account), 12);
        assert_eq!(status(|w| w.text = &just, &account), 0);
        let reference = "r".repeat(101);
        assert_eq!(status(|w| w.reference = &reference, &account), 3);
        assert_eq!(status(|w| w.reference = &reference[1..], &account), 0);
    }

    #[test]
    fn a_callback_has_at_most_a_hundred_characters_and_a_host_without_underscore() {
        let account = VonageAccount::new("a1b2c3d4", "s");
        let of = |length: usize| format!("https://h.example.org/{}", "a".repeat(length - 22));
        for (callback, wanted) in [
            (of(100), 0),
            (of(101), 23),
            ("http://127.0.0.1:8099/x".into(), 0),
            ("https://h_h.example.org/x".into(), 23),
            ("https://h.example.org/x y".into(), 23),
            ("https://h.example.org/é".into(), 23),
            ("ftp://h.example.org/x".into(), 23),
            ("not a url".into(), 23),
        ] {
            assert_eq!(
                status(|w| w.callback = &callback, &account),
                wanted,
                "{callback}"
            );
        }
    }

    #[test]
    fn the_account_decides_who_may_send_from_where_and_to_whom() {
        let good = VonageAccount::new("a1b2c3d4", "s");
        let mut account = good.clone();
        account.senders = vec!["Acme".into()];
        assert_eq!(status(|_| {}, &account), 15);
        assert_eq!(status(|w| w.from = "Acme", &account), 0);
        account = good.clone();
        account.white_list = Some(vec!["353861234568".into()]);
        assert_eq!(status(|_| {}, &account), 29);
        account = good.clone();
        account.refused_recipients = [("353861234567".to_owned(), 33)].into();
        assert_eq!(status(|_| {}, &account), 33);
        for (standing, wanted) in [
            (VonageStanding::Barred, 8),
            (VonageStanding::OutOfCredit, 9),
            (VonageStanding::NotEnabled, 11),
        ] {
            account = good.clone();
            account.standing = standing;
            assert_eq!(status(|w| w.to = "", &account), wanted);
        }
    }
}
