//! From what people write to the number that is meant: cleaning by our own strict rules, then the
//! numbering plans of the world ([`plan`]), so that what can not be delivered costs nothing.
//!
//! The result is the identity of a recipient: duplicates, opt-outs and statuses go by it.
//! Faults name a reason and never the number, which is personal data.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::Msisdn;

mod decimal;
mod plan;

use plan::Plan;

/// Why an input is no number that a message can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NumberFault {
    /// Nothing but spaces.
    #[error("no number given")]
    Empty,
    /// More than the 15 digits of E.164, or a text far longer than any number.
    #[error("more than 15 digits")]
    TooLong,
    /// Vanity numbers and words.
    #[error("contains letters")]
    Letters,
    /// `4.15555E+09`, `33639980001.0`: digits may be lost already.
    #[error("a spreadsheet's number format; format the column as text")]
    Spreadsheet,
    /// A second `+` behind digits.
    #[error("more than one number in the field")]
    SeveralNumbers,
    /// Something else than one `+` in front, digits and the usual separators.
    #[error("contains characters that do not belong to a number")]
    Characters,
    /// No `+`, and no default region to read it by.
    #[error("no country code, and the organisation has no default region")]
    NoCountryCode,
    /// The default region is not one of ISO 3166 that has a numbering plan.
    #[error("the default region is unknown")]
    UnknownRegion,
    /// The country code is 0 or belongs to nobody.
    #[error("the country code is not assigned")]
    CountryCode,
    /// Wrong length or range for its country.
    #[error("not a valid number in its country's numbering plan")]
    NotInPlan,
}

impl NumberFault {
    /// The stable name in refusals and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::Letters => "letters",
            Self::Spreadsheet => "spreadsheet_form",
            Self::SeveralNumbers => "several_numbers",
            Self::Characters => "characters",
            Self::NoCountryCode => "no_country_code",
            Self::UnknownRegion => "unknown_region",
            Self::CountryCode => "country_code",
            Self::NotInPlan => "not_in_numbering_plan",
        }
    }
}

/// The number that `input` means. National forms (`06 39 98 …`, `0033 …`) are read by
/// `default_region`, an ISO 3166 alpha-2 code; `+…` needs none.
///
/// # Errors
/// [`NumberFault`] says what is wrong, by the first rule that is broken.
pub fn normalise(input: &str, default_region: Option<&str>) -> Result<Msisdn, NumberFault> {
    if input.len() > INPUT_BYTES_MAX {
        return Err(NumberFault::TooLong);
    }
    let region = || {
        let name = default_region.ok_or(NumberFault::NoCountryCode)?;
        plan::of_region(name).ok_or(NumberFault::UnknownRegion)
    };
    let cleaned = match plain(input) {
        Some(digits) => Cow::Borrowed(digits),
        None => Cow::Owned(clean(input, region().ok())?),
    };
    // A trunk zero or an international prefix may stand in front of 15 digits.
    let digits = cleaned.trim_start_matches('+').len();
    if digits > DIGITS_MAX + INTERNATIONAL_PREFIX_MAX {
        return Err(NumberFault::TooLong);
    }
    let e164 = match cleaned.strip_prefix('+') {
        Some(digits) => plan::read_international(digits),
        None => plan::read_national(&cleaned, region()?),
    };
    let e164 = e164.map_err(|fault| match fault {
        NumberFault::NotInPlan if digits > DIGITS_MAX => NumberFault::TooLong,
        fault => fault,
    })?;
    if e164.len() > DIGITS_MAX {
        return Err(NumberFault::TooLong);
    }
    Msisdn::parse_digits(&e164).map_err(|_| NumberFault::NotInPlan)
}

/// The region a number belongs to, `FR`; nothing for numbers of no country (`+800`) or no plan.
#[must_use]
pub fn region_of(number: Msisdn) -> Option<&'static str> {
    plan::region_of(&number.digits())
}

/// Loads the plans now (tens of milliseconds, once a process) rather than with the first number.
pub fn load_plans() {
    plan::of_region("US");
}

/// Far more than a number with separators, extension and invisible marks.
const INPUT_BYTES_MAX: usize = 128;
const DIGITS_MAX: usize = 15;
/// The longest in use are five or six digits, carrier selection included.
const INTERNATIONAL_PREFIX_MAX: usize = 6;
/// Longer runs behind an `x` are rather a second number.
const EXTENSION_DIGITS_MAX: usize = 9;

/// The form most schedulers send, which needs no cleaning.
fn plain(input: &str) -> Option<&str> {
    let digits = input.strip_prefix('+').unwrap_or(input);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then_some(input)
}

/// One optional `+` and ASCII digits, or a fault. More lenient parsers exist; what they guess is
/// somebody else's number now and then.
fn clean(input: &str, region: Option<&'static Plan>) -> Result<String, NumberFault> {
    let text = fold(input);
    let text = text.trim();
    let text = without_scheme(text);
    let text = without_extension(text);
    if is_spreadsheet_form(text) {
        return Err(NumberFault::Spreadsheet);
    }
    if text.chars().any(char::is_alphabetic) {
        return Err(NumberFault::Letters);
    }
    let text: String = text.chars().filter(|c| !is_separator(*c)).collect();
    let text: String = settle_bracketed_zero(&text, region)
        .chars()
        .filter(|c| !matches!(c, '(' | ')'))
        .collect();
    if plain(&text).is_some() {
        return Ok(text);
    }
    let digits_then_plus = text
        .rsplit_once('+')
        .is_some_and(|(before, _)| before.contains(|c: char| c.is_ascii_digit()));
    Err(match text.as_str() {
        "" => NumberFault::Empty,
        _ if digits_then_plus => NumberFault::SeveralNumbers,
        _ => NumberFault::Characters,
    })
}

/// Compatibility forms (full-width digits, `＋`, no-break spaces) and digits of every script become
/// ASCII; marks that only steer the direction of writing go.
fn fold(input: &str) -> Cow<'_, str> {
    if input.is_ascii() {
        return Cow::Borrowed(input);
    }
    let visible = |c: &char| !matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
    Cow::Owned(
        input
            .nfkc()
            .map(decimal::to_ascii)
            .filter(visible)
            .collect(),
    )
}

fn without_scheme(text: &str) -> &str {
    match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &text[4..],
        _ => text,
    }
}

/// Drops `;ext=12`, `ext. 12` and `x12` at the end: no message reaches an extension, and the number
/// before it is the one that is meant.
fn without_extension(text: &str) -> &str {
    let head = text.trim_end_matches(|c: char| c.is_ascii_digit());
    if !(1..=EXTENSION_DIGITS_MAX).contains(&(text.len() - head.len())) {
        return text;
    }
    let head = head.trim_end();
    [";ext=", "ext.", "ext", "x"]
        .iter()
        .find_map(|label| {
            let at = head.len().checked_sub(label.len())?;
            let found = head.get(at..)?;
            found.eq_ignore_ascii_case(label).then(|| &head[..at])
        })
        .unwrap_or(text)
}

/// An exponent, or a fraction of nothing but zeros behind digits without any other separator.
fn is_spreadsheet_form(text: &str) -> bool {
    let exponent = text.contains(['e', 'E']) && text.parse::<f64>().is_ok();
    let fraction = text.split_once('.').is_some_and(|(whole, zeros)| {
        plain(whole).is_some() && !zeros.is_empty() && zeros.bytes().all(|b| b == b'0')
    });
    exponent || fraction
}

fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '.' | '-' | '/' | '·' | '\u{200B}' | '\u{2010}'..='\u{2015}'
        )
}

/// `+44 (0)20 …`: the bracketed zero is what people at home dial. In Italy's plan (with San Marino
/// and the Vatican) the zero belongs to the number.
fn settle_bracketed_zero<'t>(text: &'t str, region: Option<&'static Plan>) -> Cow<'t, str> {
    let Some((head, tail)) = text.split_once("(0)") else {
        return Cow::Borrowed(text);
    };
    let code = head
        .strip_prefix('+')
        .or_else(|| region?.without_international_prefix(head));
    match code {
        Some("39" | "378" | "379") | None => Cow::Borrowed(text),
        Some(code) if plan::is_country_code(code) => Cow::Owned(format!("{head}{tail}")),
        Some(_) => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests;
