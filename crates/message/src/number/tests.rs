//! Numbers are from ranges that regulators keep free for fiction where the metadata calls those
//! valid (`+1 … 555 01xx`, `+33 1 99 00`, `+44 20 7946 0`, `+46 70 174 06`, `+49 30 23125`,
//! `+61 491 570`), else of round digits. The mobile ranges for fiction of the UK (`07700 900`) and
//! France (`06 39 98`) are *not* valid by the metadata.

use proptest::prelude::*;

use super::{NumberFault::*, *};

fn read(input: &str, region: &str) -> Result<String, NumberFault> {
    normalise(input, Some(region).filter(|region| !region.is_empty())).map(Msisdn::e164)
}

#[test]
fn the_ways_people_write_a_number_mean_the_same_number() {
    for input in [
        "+46701740605",
        "+46 70 174 06 05",
        " +46-70-174 06 05\u{A0}",
        "+46 (0)70-174 06 05",
        "+46(70)174.06.05",
        "+46/70/174·06·05",
        "+46\u{2011}70\u{2013}174\u{2015}0605",
        "tel:+46701740605",
        "TEL:+46-70-174-0605",
        "tel:+46701740605;ext=12",
        "+46701740605 ext. 12",
        "+46701740605x12",
        "\u{202A}+46701740605\u{202C}",
        "\u{FEFF}+46701740605\u{200E}",
        "＋４６７０１７４０６０５",
        "+٤٦٧٠١٧٤٠٦٠٥",
        "+४६७०१७४०६०५",
        "0046701740605",
        "0046 (0)70 174 06 05",
        "070-174 06 05",
        "(070) 174 06 05",
        "46701740605",
    ] {
        assert_eq!(read(input, "SE").as_deref(), Ok("+46701740605"), "{input}");
    }
    assert_eq!(read("070-174 06 05", "se").as_deref(), Ok("+46701740605"));
}

#[test]
fn each_region_drops_its_own_trunk_prefix() {
    for (input, region, expected) in [
        ("020 7946 0018", "GB", "+442079460018"),
        ("030 23125000", "DE", "+493023125000"),
        ("01 99 00 12 34", "FR", "+33199001234"),
        ("02 0000 0000", "IT", "+390200000000"),
        ("8 900 000 00 00", "RU", "+79000000000"),
        ("202-555-0123", "US", "+12025550123"),
        ("1 (202) 555-0123", "US", "+12025550123"),
        ("+1 (1) 202 555 0123", "", "+12025550123"),
        ("0491 570 006", "AU", "+61491570006"),
        ("011 15 1234 5678", "AR", "+5491112345678"),
        ("55 2512 3456", "MX", "+525525123456"),
        ("011 44 20 7946 0018", "US", "+442079460018"),
        ("0011 44 20 7946 0018", "AU", "+442079460018"),
    ] {
        assert_eq!(
            read(input, region).as_deref(),
            Ok(expected),
            "{input} in {region}"
        );
    }
}

#[test]
fn a_bracketed_zero_goes_except_where_it_belongs_to_the_number() {
    assert_eq!(
        read("+44 (0) 20 7946 0018", "").as_deref(),
        Ok("+442079460018")
    );
    assert_eq!(
        read("+39 (0)2 0000 0000", "").as_deref(),
        Ok("+390200000000")
    );
    assert_eq!(
        read("00 39 (0)2 0000 0000", "FR").as_deref(),
        Ok("+390200000000")
    );
    assert_eq!(
        read("(0)20 7946 0018", "GB").as_deref(),
        Ok("+442079460018")
    );
    assert_eq!(
        read("+1 (0) 202 555 0123", "").as_deref(),
        Ok("+12025550123")
    );
    // Only right behind a country code: here the zero stays, and then it is no number.
    assert_eq!(read("+1 202 (0) 555 0123", ""), Err(NotInPlan));
}

#[test]
fn what_is_no_number_is_refused_by_the_rule_it_breaks() {
    for (input, region, fault) in [
        ("", "FR", Empty),
        (" \u{A0}() - ", "FR", Empty),
        ("+", "FR", Characters),
        ("++46701740605", "SE", Characters),
        ("+46701740605#", "SE", Characters),
        ("+46701740605;phone-context=a", "SE", Letters),
        ("+46*701740605", "SE", Characters),
        ("1-800-FLOWERS", "US", Letters),
        ("sms:+46701740605", "SE", Letters),
        ("none", "SE", Letters),
        ("4.15555E+09", "US", Spreadsheet),
        ("4.6701740605e10", "US", Spreadsheet),
        ("46701740605.0", "SE", Spreadsheet),
        ("+46701740605 / +46701740606", "SE", SeveralNumbers),
        ("0701740605, 0701740606", "SE", Characters),
        ("0701740605 0701740606", "SE", TooLong),
        ("0701740605x0701740606", "SE", Letters),
        ("+4670174060500000", "SE", TooLong),
        ("+467017406050000000000000", "SE", TooLong),
        ("46701740605", "", NoCountryCode),
        ("0046701740605", "", NoCountryCode),
        ("0701740605", "", NoCountryCode),
        ("0701740605", "XX", UnknownRegion),
        ("0701740605", "Sweden", UnknownRegion),
        ("+0701740605", "SE", CountryCode),
        ("+0046701740605", "SE", CountryCode),
        ("+9991234567", "", CountryCode),
        ("0046701740605", "US", NotInPlan),
        ("112", "SE", NotInPlan),
        ("911", "US", NotInPlan),
        ("72456", "SE", NotInPlan),
        ("+4512345678", "", NotInPlan),
        ("+5215512345678", "", NotInPlan),
        ("+39200000000", "", NotInPlan),
        ("+1202555012", "", NotInPlan),
    ] {
        assert_eq!(read(input, region), Err(fault), "{input:?} in {region:?}");
    }
    assert_eq!(read(&"0".repeat(INPUT_BYTES_MAX + 1), "SE"), Err(TooLong));
}

#[test]
fn a_plus_needs_no_region_and_ignores_a_wrong_one() {
    for region in ["", "XX", "US", "SE"] {
        assert_eq!(read("+46701740605", region).as_deref(), Ok("+46701740605"));
    }
}

#[test]
fn the_region_of_a_number_is_known_where_there_is_one() {
    for (number, region) in [
        ("+12025550123", Some("US")),
        ("+14165550123", Some("CA")),
        ("+442079460018", Some("GB")),
        ("+33199001234", Some("FR")),
        ("+80012345678", None),
        ("+9991234567", None),
    ] {
        let number = Msisdn::parse(number).expect("a well-formed number");
        assert_eq!(region_of(number), region, "{}", number.e164());
    }
}

#[test]
fn no_fault_repeats_the_input() {
    for input in ["+4512345678", "4.6701740605e10", "1-800-FLOWERS"] {
        let fault = read(input, "DK").expect_err("no number");
        let said = format!("{fault} {fault:?} {}", fault.as_str());
        assert!(!said.contains("1234") && !said.contains("6701") && !said.contains("FLOWERS"));
    }
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(input: String, region in "[A-Z]{0,3}") {
        let _ = normalise(&input, Some(&region));
    }

    #[test]
    fn no_digits_make_it_panic(input in r"\+?[0-9 ()x.;=ext-]{0,40}", region in "(US|GB|AR|BR|MX|IT|SM|NA|GG)") {
        let _ = normalise(&input, Some(&region));
    }

    #[test]
    fn a_normalised_number_is_its_own_normal_form(input in r"\+[1-9][0-9]{6,14}") {
        if let Ok(number) = normalise(&input, None) {
            prop_assert_eq!(normalise(&number.e164(), Some("US")), Ok(number));
        }
    }
}
