//! What a form takes.

use super::*;

fn fill(sender: &str, values: &[(&str, &str)]) -> Result<Sender, Vec<String>> {
    let mut all: BTreeMap<_, _> = [FIELDS, SECRETS].concat().into_iter().collect();
    all.extend(values.iter().copied());
    let all = all
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    match Sinch.form().fill(sender, &all) {
        Ok(filled) => Ok(filled.sender),
        Err(faults) => Err(faults.into_iter().map(|fault| fault.field).collect()),
    }
}

#[test]
fn a_sender_is_a_number_a_short_code_or_a_name() {
    let number = Sender::Number(Msisdn::parse("+442079460958").expect("valid"));
    let name = |text: &str| Sender::Alphanumeric(text.into());
    for (text, sender) in [
        ("442079460958", number.clone()),
        (" +442079460958 ", number),
        ("72456", Sender::ShortCode("72456".into())),
        ("012", Sender::ShortCode("012".into())),
        ("Acme Survey", name("Acme Survey")),
        ("A-b_c.d&e 1", name("A-b_c.d&e 1")),
    ] {
        assert_eq!(fill(text, &[]), Ok(sender), "{text}");
    }
    for text in [
        "",
        "12",
        "0442079460958",
        "1234567890123456",
        "+72456",
        "Acme Surveys",
        "Café",
        "1-2-3",
        "A+B",
    ] {
        assert_eq!(fill(text, &[]), Err(vec!["sender".to_owned()]), "{text}");
    }
}

#[test]
fn every_fault_of_a_form_is_reported_at_once() {
    let wrong = [
        ("client_id", "with:colon"),
        ("client_secret", " "),
        ("region", "br"),
        ("project_id", "a/b"),
        ("app_id", "a_b"),
        ("webhook_secret", ""),
        ("mode", "bulk"),
        ("callback_age_seconds_max", "0"),
        ("base_url", "https://example.org/path"),
        ("batch_base_url", "example.org"),
        ("auth_base_url", "ftp://example.org"),
        ("color", "red"),
    ];
    let faults = fill("", &wrong).expect_err("faults");
    let expected = ["sender"].into_iter().chain(wrong.map(|(key, _)| key));
    assert_eq!(faults, expected.collect::<Vec<_>>());
    for (key, value) in [
        ("region", "US"),
        ("region", " Eu "),
        ("mode", "single"),
        ("mode", "batch"),
        ("webhook_secret", "  "),
        ("webhook_secret", "пароль-ß-42"),
        ("callback_age_seconds_max", "86400"),
        ("base_url", "http://127.0.0.1:8080"),
    ] {
        assert!(fill("72456", &[(key, value)]).is_ok(), "{key} {value}");
    }
    for (key, value) in [
        ("client_id", "with space"),
        ("client_id", "ünïcode"),
        ("callback_age_seconds_max", "86401"),
        ("callback_age_seconds_max", "5m"),
        ("project_id", &"a".repeat(65)),
    ] {
        assert!(fill("72456", &[(key, value)]).is_err(), "{key} {value}");
    }
}
