//! What a form takes.

use super::{super::keys, *};

fn fill(sender: &str, values: &[(&str, &str)]) -> Result<Sender, Vec<String>> {
    let mut all = BTreeMap::from([("username", "key-A1"), ("password", "s3cret:B2")]);
    all.extend(values.iter().copied());
    let all = all
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    match MessageMedia.form().fill(sender, &all) {
        Ok(filled) => Ok(filled.sender),
        Err(faults) => Err(faults.into_iter().map(|fault| fault.field).collect()),
    }
}

#[test]
fn a_sender_is_read_as_the_page_says() {
    let number = |text| Sender::Number(Msisdn::parse(text).expect("valid"));
    let name = |text: &str| Sender::Alphanumeric(text.into());
    for (text, sender) in [
        ("35312345678", number("+35312345678")),
        (" +61 491-570.110 ", number("+61491570110")),
        ("+44 (20) 7946 0123", number("+442079460123")),
        ("12345678", number("+12345678")),
        ("123456789012345", number("+123456789012345")),
        ("123", Sender::ShortCode("123".into())),
        ("1234567", Sender::ShortCode("1234567".into())),
        ("0123", Sender::ShortCode("0123".into())),
        ("Acme Survey", name("Acme Survey")),
        ("4U", name("4U")),
        ("A", name("A")),
    ] {
        assert_eq!(fill(text, &[]), Ok(sender), "{text}");
    }
    for text in [
        "",
        "12",
        "+1234567",
        "12 345",
        "0061491570110",
        "++61491570110",
        "1234567890123456",
        "61491570110x2",
        "Acme Surveys",
        "Acme-Survey",
        "Café",
        "()",
    ] {
        assert_eq!(fill(text, &[]), Err(vec!["sender".to_owned()]), "{text}");
    }
}

#[test]
fn every_fault_of_a_form_is_reported_at_once() {
    let faults = fill(
        "",
        &[
            ("username", "key:A1"),
            ("password", "tab\there"),
            ("webhook_public_key", "MIIBIjAN"),
            ("base_url", "https://eu.app.api.sinch.com/v1"),
            ("max_callback_age", "1h"),
            ("region", "EU"),
        ],
    );
    assert_eq!(
        faults.expect_err("seven faults"),
        [
            "sender",
            "username",
            "password",
            "webhook_public_key",
            "base_url",
            "max_callback_age",
            "region"
        ]
    );
    for (age, is_taken) in [
        ("1", true),
        (" 604800 ", true),
        ("0", false),
        ("-5", false),
        ("1.5", false),
        ("1000000000", false),
    ] {
        let filled = fill("72456", &[("max_callback_age", age)]);
        assert_eq!(filled.is_ok(), is_taken, "{age}");
    }
}

/// The base64 between the lines of a PEM block.
fn bare(pem: &str) -> String {
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    lines.collect()
}

#[test]
fn a_public_key_is_taken_in_every_form_that_people_paste() {
    let bare_key = bare(KEY);
    let one_line = KEY.replace('\n', " ");
    let indented = KEY.replace('\n', "\r\n\t  ");
    let narrow: String = bare_key.chars().flat_map(|c| [c, '\n']).collect();
    for (text, keys_given) in [
        (KEY, 1),
        (&bare_key, 1),
        (&one_line, 1),
        (&indented, 1),
        (&narrow, 1),
        (&KEY.repeat(2), 2),
        (&KEY.repeat(4), 4),
    ] {
        let keys = keys::read(text).expect("keys");
        assert_eq!(keys.len(), keys_given, "{text}");
        assert!(fill("72456", &[("webhook_public_key", text)]).is_ok());
    }
}

#[test]
fn what_is_no_public_key_is_refused() {
    let bare_key = bare(KEY);
    let elliptic = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELdD03znx/4St4IG+dIqbZoUHNJMj1zIC7Y1ukL3ev8ce3o0Wd1xbcVs1ws7aBystpj0eLSgyJ0WRb23Y6xqfTg==";
    let of_512_bits = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANBDqR0VJAk7Vf+0ZxtPpw/2krgO1rHDbJdowMjOQ22TH8RwepHMvpUdJ9AcQB0UqKDpaRm0FQf18MkXl8v/rmsCAwEAAQ==";
    for text in [
        "",
        "key",
        &bare_key[..bare_key.len() - 4],
        &bare_key.replace('/', "_"),
        &bare_key.repeat(2),
        &KEY.replace("-----END PUBLIC KEY-----\n", ""),
        &KEY.replace("PUBLIC", "RSA PUBLIC"),
        &KEY.replace("PUBLIC", "PRIVATE"),
        &format!("{KEY}and more"),
        &format!("{KEY}{bare_key}"),
        &format!("{bare_key}{KEY}"),
        &KEY.repeat(5),
        &" ".repeat(10_000),
        elliptic,
        of_512_bits,
        include_str!("../../../fixtures/messagemedia/signing_key.pem"),
    ] {
        assert!(keys::read(text).is_err(), "{text}");
    }
}
