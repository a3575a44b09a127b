//! Phone numbers as the providers write them.

/// Reads `+` and 7 to 15 digits.
pub(crate) fn e164(text: &str) -> Option<u64> {
    digits(text.strip_prefix('+')?)
}

/// Reads 7 to 15 digits without plus, of which the first is not 0.
pub(crate) fn digits(text: &str) -> Option<u64> {
    let well_formed = (7..=15).contains(&text.len())
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit());
    well_formed.then(|| text.parse().ok())?
}
