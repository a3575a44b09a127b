//! Decimal digits of other scripts. The standard library knows that they are numeric, not which
//! digit they are, and NFKC leaves them alone.

/// The zero of every run of ten in category Nd that NFKC does not turn into ASCII.
/// Source: Unicode 16, `extracted/DerivedGeneralCategory.txt`.
const ZEROS: [u32; 70] = [
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6,
    0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50,
    0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0x104A0,
    0x10D30, 0x10D40, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650,
    0x116C0, 0x116D0, 0x116DA, 0x11730, 0x118E0, 0x11950, 0x11BF0, 0x11C50, 0x11D50, 0x11DA0,
    0x11F50, 0x16130, 0x16A60, 0x16AC0, 0x16B50, 0x16D70, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E5F1,
    0x1E950, 0x1CCF0, 0x1FBF0, 0xFF10,
];

/// `c`, or the ASCII digit it stands for.
pub(super) fn to_ascii(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    ZEROS
        .iter()
        .filter_map(|zero| u32::from(c).checked_sub(*zero))
        .find(|digit| *digit < 10)
        .and_then(|digit| char::from_digit(digit, 10))
        .unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_counts_from_zero_to_nine() {
        let folded = |text: &str| text.chars().map(to_ascii).collect::<String>();
        assert_eq!(folded("٠١٢٣٤٥٦٧٨٩"), "0123456789");
        assert_eq!(folded("۰۱۲۳۴۵۶۷۸۹"), "0123456789");
        assert_eq!(folded("०१२३४५६७८९"), "0123456789");
        assert_eq!(folded("๐๑๒๓๔๕๖๗๘๙"), "0123456789");
        assert_eq!(folded("½Ⅷ②一a+"), "½Ⅷ②一a+");
    }

    #[test]
    fn no_two_runs_overlap_and_all_of_them_are_numeric() {
        for zero in ZEROS {
            assert!(
                ZEROS
                    .iter()
                    .all(|other| *other == zero || other.abs_diff(zero) >= 10)
            );
        }
    }
}
