//! The form of a connection, field by field.

use std::collections::BTreeMap;

use super::*;

fn fill(sender: &str, values: &[(&str, &str)]) -> Result<Sender, Vec<String>> {
    let needed = [
        ("account_sid", "a1b2c3d4"),
        ("auth_token", "Zq8Lw2Rt6Yp1"),
        ("signature_secret", "Kx7"),
    ];
    let all: BTreeMap<_, _> = needed.iter().chain(values).copied().collect();
    let all = all
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    match Vonage.form().fill(sender, &all) {
        Ok(filled) => Ok(filled.sender),
        Err(faults) => Err(faults.into_iter().map(|fault| fault.field).collect()),
    }
}

#[test]
fn a_sender_is_a_number_without_plus_a_short_code_or_a_name_without_spaces() {
    let number = |text| Sender::Number(Msisdn::parse_digits(text).expect("valid"));
    for (text, sender) in [
        ("35312345678", number("35312345678")),
        (" 1234567 ", number("1234567")),
        ("123456", Sender::ShortCode("123456".into())),
        ("012", Sender::ShortCode("012".into())),
        ("A", Sender::Alphanumeric("A".into())),
        ("Acme4Survey", Sender::Alphanumeric("Acme4Survey".into())),
    ] {
        assert_eq!(fill(text, &[]), Ok(sender), "{text}");
    }
    for text in [
        "",
        "12",
        "+35312345678",
        "0035312345678",
        "0123456",
        "1234567890123456",
        "353 1234567",
        "Acme Survey",
        "Acme-Survey",
        "Café",
        "Acme4Surveys",
        "MG-pool",
    ] {
        assert_eq!(fill(text, &[]), Err(vec!["sender".to_owned()]), "{text}");
    }
}

#[test]
fn every_fault_of_a_form_is_reported_at_once() {
    for (key, good, bad) in [
        ("account_sid", "A1B2c3d4", "a1b2c3d"),
        ("account_sid", "zzzzzzzz", "a1b2c3d-"),
        ("auth_token", "123456", "with a space"),
        ("signature_secret", "any text it has", "a\u{7}bell"),
        ("signature_method", "sha512", "SHA512"),
        ("signature_method", "auto", "sha384"),
        ("webhook_max_age_s", "60", "59"),
        ("webhook_max_age_s", "604800", "604801"),
        ("webhook_max_age_s", "259500", "+259500"),
        ("entity_id", "1101456789012345678", "11 01"),
        ("content_id", "1107161234567890123", "11 07"),
        ("api", "messages", "both"),
        ("api", "sms", "SMS"),
        ("reports_api", "on", "yes"),
        ("reports_api", "off", "true"),
        (
            "base_url",
            "http://127.0.0.1:8080",
            "https://example.org/path",
        ),
        (
            "messages_base_url",
            "https://api-us.nexmo.com/",
            "api-us.nexmo.com",
        ),
        (
            "reports_base_url",
            "https://example.org",
            "https://user@example.org",
        ),
    ] {
        assert!(fill("Acme", &[(key, good)]).is_ok(), "{key} {good}");
        assert_eq!(
            fill("Acme", &[(key, bad)]),
            Err(vec![key.to_owned()]),
            "{bad}"
        );
    }
    let faults = fill("", &[("account_sid", ""), ("api", "x"), ("color", "red")]);
    let expected = ["sender", "account_sid", "api", "color"].map(str::to_owned);
    assert_eq!(faults, Err(expected.to_vec()));
}
