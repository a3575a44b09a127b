//! The form of `POST Messages.json`: its parameters, and whether Twilio would take them.

use std::time::Duration;

use super::accounts::Account;
use super::errors::Refusal;
use super::overrides;
use crate::engine::phone::e164;
use crate::segments;
use crate::webhook::RetryPolicy;

const BODY_CHARACTERS_MAX: usize = 1_600;
const CALLBACK_CHARACTERS_MAX: usize = 4_000;
const VALIDITY_SECONDS_MAX: u64 = 36_000;

/// The parameters as they came. Unknown ones are ignored, as by Twilio.
#[derive(Debug, Default)]
pub(crate) struct Form {
    to: String,
    from: String,
    service: String,
    body: String,
    status_callback: String,
    validity_period: String,
    smart_encoded: String,
}

/// A form that may be sent.
#[derive(Debug)]
pub(crate) struct Submission {
    /// Digits.
    pub to: u64,
    /// The number, short code or alphanumeric id that the handset will show.
    pub from: String,
    pub service: Option<String>,
    pub body: String,
    pub callback: Option<StatusCallback>,
    pub validity: Option<Duration>,
}

/// A status callback URL around the client's reference, so that a million messages share one text.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct StatusCallback {
    /// The URL up to the reference.
    pub before: String,
    /// The URL behind it, without fragment.
    pub after: String,
    pub policy: RetryPolicy,
}

impl Form {
    pub fn read(bytes: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(bytes) {
            let field = match name.as_ref() {
                "To" => &mut form.to,
                "From" => &mut form.from,
                "MessagingServiceSid" => &mut form.service,
                "Body" => &mut form.body,
                "StatusCallback" => &mut form.status_callback,
                "ValidityPeriod" => &mut form.validity_period,
                "SmartEncoded" => &mut form.smart_encoded,
                _ => continue,
            };
            *field = value.into_owned();
        }
        form
    }

    /// The recipient, if it is a number in E.164. Without plus Twilio would guess a country from the sender; the twin
    /// refuses instead, because a guess is never what the fleet wants.
    pub fn recipient(&self) -> Option<u64> {
        e164(&self.to)
    }

    /// The client's reference: the value of `m` in the callback's query, as it stands there. Empty if there is none.
    pub fn reference(&self) -> &str {
        reference(without_fragment(&self.status_callback)).1
    }

    pub fn segments(&self) -> u32 {
        if self.smart_encoded.eq_ignore_ascii_case("true") {
            segments::count(&segments::smart_encoded(&self.body))
        } else {
            segments::count(&self.body)
        }
    }

    /// Checks everything that does not depend on earlier messages.
    pub fn check(self, account: &Account) -> Result<Submission, Refusal> {
        let refuse = |code, about: &str| Err(Refusal::new(code, about));
        if self.to.is_empty() {
            return refuse(21604, "");
        }
        if self.from.is_empty() && self.service.is_empty() {
            return refuse(21603, "");
        }
        if self.body.is_empty() {
            return refuse(21602, "");
        }
        if self.body.chars().count() > BODY_CHARACTERS_MAX {
            return refuse(21617, "");
        }
        let Some(to) = e164(&self.to) else {
            return refuse(21211, &self.to);
        };
        if let Some(code) = magic_recipient(to) {
            return refuse(code, &self.to);
        }
        if !self.from.is_empty() {
            check_sender(&self.from, &self.to, account)?;
        }
        let service = (!self.service.is_empty()).then_some(self.service);
        if let Some(service) = service
            .as_deref()
            .filter(|sid| !is_service(sid) || !account.owns(sid))
        {
            return refuse(21701, service);
        }
        let callback = callback(&self.status_callback)?;
        let validity = match self.validity_period.as_str() {
            "" => None,
            text => match text.parse::<u64>() {
                Ok(seconds @ 1..=VALIDITY_SECONDS_MAX) => Some(Duration::from_secs(seconds)),
                _ => return refuse(21624, text),
            },
        };
        let from = if self.from.is_empty() {
            account.settings.pool_number(to).to_owned()
        } else {
            self.from
        };
        Ok(Submission {
            to,
            from,
            service,
            body: self.body,
            callback,
            validity,
        })
    }
}

/// Twilio's magic recipients work with test credentials only. Here they always do: nobody has these numbers, and a run
/// with live credentials can provoke each refusal at will.
fn magic_recipient(to: u64) -> Option<u32> {
    match to {
        15_005_550_001 => Some(21211),
        15_005_550_002 => Some(21612),
        15_005_550_003 => Some(21408),
        15_005_550_004 => Some(21610),
        15_005_550_009 => Some(21614),
        _ => None,
    }
}

fn check_sender(from: &str, to: &str, account: &Account) -> Result<(), Refusal> {
    let refuse = |code, about: &str| Err(Refusal::new(code, about));
    match from {
        "+15005550001" => return refuse(21212, from),
        "+15005550007" => return refuse(21606, from),
        "+15005550008" => return refuse(21611, from),
        "+15005550006" if account.settings.test_credentials => return Ok(()),
        _ if account.settings.test_credentials => return refuse(21606, from),
        _ => {}
    }
    let short_code =
        (3..=6).contains(&from.len()) && from.bytes().all(|byte| byte.is_ascii_digit());
    let alphanumeric = (1..=11).contains(&from.len())
        && from
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
        && from.bytes().any(|byte| byte.is_ascii_alphabetic());
    if e164(from).is_none() && !short_code && !alphanumeric {
        return refuse(21212, from);
    }
    if !account.owns(from) {
        return refuse(21606, from);
    }
    if from == to {
        return refuse(21266, to);
    }
    // Carriers of the USA and Canada do not take names for numbers.
    if alphanumeric && to.starts_with("+1") {
        return refuse(21612, to);
    }
    Ok(())
}

fn is_service(sid: &str) -> bool {
    sid.strip_prefix("MG")
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Twilio wants a public host name. The twin lets loopback addresses through: it has no other customers.
fn callback(given: &str) -> Result<Option<StatusCallback>, Refusal> {
    if given.is_empty() {
        return Ok(None);
    }
    let (url, policy) = overrides::split(given);
    let callable = reqwest::Url::parse(url).ok().filter(|parsed| {
        matches!(parsed.scheme(), "http" | "https")
            && parsed.host_str().is_some_and(|host| !host.contains('_'))
    });
    let clean = !url.contains(|c: char| c.is_whitespace() || c.is_control());
    if callable.is_none() || !clean || given.chars().count() > CALLBACK_CHARACTERS_MAX {
        return Err(Refusal::new(21609, given));
    }
    let (before, _, after) = reference(url);
    Ok(Some(StatusCallback {
        before: before.to_owned(),
        after: after.to_owned(),
        policy,
    }))
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(url, _)| url)
}

/// Cuts a URL in three: up to the value of `m`, the value, the rest. Without `m` all of it is the first.
fn reference(url: &str) -> (&str, &str, &str) {
    let query = url.find('?').map_or(url.len(), |mark| mark + 1);
    let mut start = query;
    for pair in url[query..].split('&') {
        if pair.starts_with("m=") {
            let (value, end) = (start + "m=".len(), start + pair.len());
            return (&url[..value], &url[value..end], &url[end..]);
        }
        start += pair.len() + 1;
    }
    (url, "", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Accounts;
    use crate::twilio::TwilioAccount;
    use std::time::Instant;

    const GOOD: [(&str, &str); 3] = [
        ("To", "+33639980001"),
        ("From", "+12025550101"),
        ("Body", "Bonjour"),
    ];

    fn code(change: &[(&str, &str)], account: &TwilioAccount) -> Option<u32> {
        let accounts = Accounts::new(vec![account.clone()], Instant::now()).expect("one account");
        let mut pairs: Vec<(&str, &str)> = GOOD.to_vec();
        pairs.extend(change); // the last of a name counts
        let bytes = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        Form::read(bytes.as_bytes())
            .check(accounts.get(0).expect("one account"))
            .err()
            .map(|refusal| refusal.code)
    }

    #[test]
    fn each_fault_of_a_form_has_its_code() {
        let mut account = TwilioAccount::new("AC1", "t");
        let long = "a".repeat(1_601);
        let just = "é".repeat(1_600);
        let far = format!("https://h.example/{}", "a".repeat(4_000));
        for (name, value, wanted) in [
            ("Body", "x", None),
            ("To", "", Some(21604)),
            ("From", "", Some(21603)),
            ("Body", "", Some(21602)),
            ("Body", just.as_str(), None),
            ("Body", long.as_str(), Some(21617)),
            ("To", "+3538", Some(21211)),
            ("To", "33639980001", Some(21211)),
            ("To", "+033639980001", Some(21211)),
            ("To", "+1234567890123456", Some(21211)),
            ("To", "+3363998000x", Some(21211)),
            ("To", "+12025550101", Some(21266)),
            ("From", "12025550101", Some(21212)),
            ("From", "Much too long", Some(21212)),
            ("From", "Survey!", Some(21212)),
            ("From", "Survey", None),
            ("From", "38100", None),
            ("From", "+15005550001", Some(21212)),
            ("From", "+15005550007", Some(21606)),
            ("From", "+15005550008", Some(21611)),
            ("To", "+15005550001", Some(21211)),
            ("To", "+15005550002", Some(21612)),
            ("To", "+15005550003", Some(21408)),
            ("To", "+15005550004", Some(21610)),
            ("To", "+15005550009", Some(21614)),
            ("MessagingServiceSid", "MG1", Some(21701)),
            (
                "MessagingServiceSid",
                "MG2f0c7e9a2d4b36815ce0f4a7d9023e11",
                None,
            ),
            ("StatusCallback", "not a url", Some(21609)),
            ("StatusCallback", "ftp://h.example/x", Some(21609)),
            ("StatusCallback", "https://h_h.example/x", Some(21609)),
            ("StatusCallback", "https://h.example/x y", Some(21609)),
            ("StatusCallback", far.as_str(), Some(21609)),
            ("StatusCallback", "https://h.example/x?m=1#rc=3", None),
            ("ValidityPeriod", "0", Some(21624)),
            ("ValidityPeriod", "36000", None),
            ("ValidityPeriod", "36001", Some(21624)),
            ("ValidityPeriod", "soon", Some(21624)),
            ("SmartEncoded", "true", None),
        ] {
            assert_eq!(
                code(&[(name, value)], &account),
                wanted,
                "{name}={value:.40}"
            );
        }
        assert_eq!(
            code(&[("From", "Survey"), ("To", "+12025550199")], &account),
            Some(21612)
        );
        account.senders = vec!["+12025550102".into()];
        assert_eq!(code(&[], &account), Some(21606));
        account.test_credentials = true;
        assert_eq!(code(&[("From", "+12025550102")], &account), Some(21606));
        assert_eq!(code(&[("From", "+15005550006")], &account), None);
    }

    #[test]
    fn the_reference_is_cut_out_of_the_query_exactly() {
        for (url, wanted) in [
            (
                "https://h.example/x?m=a-1",
                ("https://h.example/x?m=", "a-1", ""),
            ),
            (
                "https://h.example/x?o=1&m=a-1&z",
                ("https://h.example/x?o=1&m=", "a-1", "&z"),
            ),
            (
                "https://h.example/m=5?om=1",
                ("https://h.example/m=5?om=1", "", ""),
            ),
            ("https://h.example/x?m=", ("https://h.example/x?m=", "", "")),
            ("", ("", "", "")),
        ] {
            assert_eq!(reference(url), wanted);
        }
        let form = Form::read(b"StatusCallback=https%3A%2F%2Fh.example%2Fx%3Fm%3Da-1%23rc%3D3");
        assert_eq!(form.reference(), "a-1");
    }
}
