//! One message of a request: whether LINK would take it, and with which result code it is refused.
//!
//! Source: `shared/providers/link-mobility.md`, sections 1.1, 2 and 4.2. The page names the codes; which of a group fits
//! which mistake is the twin's reading where it says so.

use super::accounts::Account;
use super::codes;
use super::request::{Dcs, Message, Ton};
use crate::engine::Phase;
use crate::engine::phone::e164;
use crate::segments;

const SEGMENTS_MAX: u32 = 254;
/// No length is documented; the page keeps to this one, and the twin holds the fleet to it.
const REFERENCE_CHARACTERS_MAX: usize = 64;
const NAME_CHARACTERS_MAX: usize = 11;
/// GSM characters beside the ASCII ones; some operators take them in a name.
const NAME_CHARACTERS: &str = "£¥èéùìòÇØøÅåÆæßÉÄÖÑÜäöñüà¡¿§¤";

/// A message that may be sent.
#[derive(Debug)]
pub(crate) struct Sms {
    /// Digits.
    pub to: u64,
    pub source: String,
    pub text: String,
    pub segments: u32,
    /// The end that the settings choose for this recipient.
    pub end: Option<(Phase, &'static str)>,
    /// The answer tells the number of segments.
    pub counted: bool,
}

impl Message {
    /// Checks a message; else the result code.
    pub fn check(self, account: &Account) -> Result<Sms, u32> {
        let settings = &account.settings;
        // Without a TON the source is a name, whatever it looks like.
        let ton = self.source_ton.unwrap_or(Ton::Alphanumeric);
        let source = self.source.unwrap_or_default();
        check_source(account, &source, ton)?;
        match self.destination_ton {
            None | Some(Ton::Msisdn) => {}
            // Which of the three codes is whose, is not documented; the order of the sources' codes.
            Some(Ton::ShortNumber) => return Err(2100),
            Some(Ton::Alphanumeric) => return Err(2101),
        }
        let destination = self.destination.unwrap_or_default();
        let to = e164(&destination)
            .filter(|_| !destination.starts_with("+0"))
            .ok_or(2106_u32)?;
        if let Some(&code) = settings.submit_codes.get(&destination) {
            return Err(code);
        }
        let text = self.user_data.unwrap_or_default();
        let segments = match self.dcs.unwrap_or(Dcs::Text) {
            Dcs::Text | Dcs::Gsm => segments::count(&text),
            Dcs::Ucs2 => ucs2_segments(&text),
            // Needs a header and hexadecimal digits, which this API is not used for.
            Dcs::Binary => return Err(3002),
        };
        if text.is_empty() || segments > SEGMENTS_MAX {
            return Err(4003);
        }
        // Not supported, and what becomes of them is not documented: the twin refuses what nobody promises to deliver.
        if text.chars().any(|c| c.len_utf16() > 1) {
            return Err(4001);
        }
        let reference = self.ref_id.unwrap_or_default();
        if reference.chars().count() > REFERENCE_CHARACTERS_MAX {
            return Err(4001);
        }
        let parameters = self.custom_parameters.unwrap_or_default();
        // The twin sends at once or not at all.
        if parameters.contains_key("scheduledTime") {
            return Err(4001);
        }
        let counted = parameters.get("replySmsCount").map(String::as_str) == Some("true");
        let end = (settings.receipt_codes.get(&destination)).and_then(|&code| codes::end(code));
        Ok(Sms {
            to,
            source,
            text,
            segments,
            end,
            counted,
        })
    }
}

/// The form of the source fits its TON, and the account has it; where it has no source of that TON at all, the code says
/// that the TON is not supported.
fn check_source(account: &Account, source: &str, ton: Ton) -> Result<(), u32> {
    if ton_of(source) != Some(ton) {
        return Err(2000);
    }
    if account.owns(source) {
        return Ok(());
    }
    let own = &account.settings.senders;
    let supported = (own.iter())
        .filter(|own| !is_keyword_number(own))
        .any(|own| ton_of(own) == Some(ton));
    Err(match ton {
        _ if supported => 2000,
        Ton::ShortNumber => 2001,
        Ton::Alphanumeric => 2002,
        Ton::Msisdn => 2003,
    })
}

/// What a source is by its form.
pub(crate) fn ton_of(source: &str) -> Option<Ton> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = source.strip_prefix('+') {
        let long = (7..=15).contains(&number.len()) && digits(number) && !number.starts_with('0');
        return long.then_some(Ton::Msisdn);
    }
    if digits(source) {
        return (1..=14).contains(&source.len()).then_some(Ton::ShortNumber);
    }
    let name = (2..=NAME_CHARACTERS_MAX).contains(&source.chars().count())
        && !source.starts_with(|c: char| c.is_ascii_digit())
        && source
            .chars()
            .all(|c| (' '..='~').contains(&c) && c != '`' || NAME_CHARACTERS.contains(c));
    name.then_some(Ton::Alphanumeric)
}

/// `NO-2333`, which people write to and nobody sends from.
pub(crate) fn is_keyword_number(address: &str) -> bool {
    address.split_once('-').is_some_and(|(country, number)| {
        country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && ton_of(number) == Some(Ton::ShortNumber)
    })
}

/// Segments of a text that the client wants in UCS-2 although GSM may do.
fn ucs2_segments(text: &str) -> u32 {
    let units = u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX);
    if units <= 70 { 1 } else { units.div_ceil(67) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_what_it_looks_like() {
        for (source, wanted) in [
            ("+35312345678", Some(Ton::Msisdn)),
            ("35312345678", Some(Ton::ShortNumber)),
            ("+0312345678", None),
            ("+123456", None),
            ("2333", Some(Ton::ShortNumber)),
            ("123456789012345", None),
            ("Survey", Some(Ton::Alphanumeric)),
            ("Smørås & Co", Some(Ton::Alphanumeric)),
            ("S", None),
            ("1Survey", None),
            ("Surveys of us", None),
            ("Опрос", None),
            ("a\tb", None),
        ] {
            assert_eq!(ton_of(source), wanted, "{source}");
        }
    }

    #[test]
    fn a_text_in_ucs2_on_demand_has_the_segments_of_ucs2() {
        for (length, wanted) in [(70, 1), (71, 2), (134, 2), (135, 3)] {
            assert_eq!(ucs2_segments(&"a".repeat(length)), wanted);
        }
    }
}
