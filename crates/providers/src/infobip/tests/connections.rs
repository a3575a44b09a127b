//! Senders, hosts and the other fields.

use super::*;

fn fill(sender: &str, values: &[(&str, &str)]) -> Result<Sender, Vec<String>> {
    let mut all = BTreeMap::from([
        ("api_key", "f0c3b7d1"),
        ("base_url", "xk3n9q.api.infobip.com"),
        ("webhook_username", "acme-hooks"),
        ("webhook_password", "Wn4-rT8q"),
    ]);
    all.extend(values.iter().copied());
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let all = all.into_iter().map(own).collect();
    match Infobip.form().fill(sender, &all) {
        Ok(filled) => Ok(filled.sender),
        Err(faults) => Err(faults.into_iter().map(|fault| fault.field).collect()),
    }
}

#[test]
fn a_sender_is_a_number_a_short_one_or_a_name() {
    let number = |text| Sender::Number(Msisdn::parse(text).expect("valid"));
    let short = |text: &str| Sender::ShortCode(text.into());
    let name = |text: &str| Sender::Alphanumeric(text.into());
    for (text, sender) in [
        ("13531234567", number("+13531234567")),
        (" +13531234567 ", number("+13531234567")),
        ("1234567", number("+1234567")),
        ("123456789012345", number("+123456789012345")),
        ("1234567890123456", short("1234567890123456")),
        ("868686", short("868686")),
        ("012", short("012")),
        ("+868686", short("868686")),
        ("QUALTRICS", name("QUALTRICS")),
        ("A b.c_d&e-f", name("A b.c_d&e-f")),
        ("1a2", name("1a2")),
    ] {
        assert_eq!(fill(text, &[]), Ok(sender), "{text}");
    }
    for text in [
        "",
        "12",
        "0013531234567",
        "0012",
        "00AB",
        "++13531234567",
        "0123456",
        "12345678901234567",
        "0123456789012345",
        "+1353 123 4567",
        "AB",
        "Acme Surveys",
        "Acme-",
        "-Acme",
        "Acme!",
        "Café",
        "1.2",
    ] {
        assert_eq!(fill(text, &[]), Err(vec!["sender".to_owned()]), "{text}");
    }
}

#[test]
fn a_base_url_is_a_host_of_infobip_however_it_is_pasted() {
    for (text, expected) in [
        ("xk3n9q.api.infobip.com", "xk3n9q.api.infobip.com"),
        ("api.infobip.com", "api.infobip.com"),
        (
            " https://XK3N9Q.api.Infobip.com/ ",
            "xk3n9q.api.infobip.com",
        ),
        (
            "http://xk3n9q.api.infobip.com/sms/3//",
            "xk3n9q.api.infobip.com",
        ),
        ("a-b.infobip.com/?x", "a-b.infobip.com"),
    ] {
        assert_eq!(form::host(text).as_deref(), Some(expected), "{text}");
        assert!(fill("868686", &[("base_url", text)]).is_ok(), "{text}");
    }
    for text in [
        "",
        "infobip.com",
        ".infobip.com",
        "a..infobip.com",
        "evilinfobip.com",
        "a.infobip.com.example.org",
        "example.org/a.infobip.com",
        "user@a.infobip.com",
        "example.org#.infobip.com",
        "example.org?.infobip.com",
        "example.org\\.infobip.com",
        "a.infobip.com:443",
        "https://https://a.infobip.com",
        "ftp://a.infobip.com",
        "a b.infobip.com",
        "ä.infobip.com",
        "\u{212A}.infobip.com",
        "127.0.0.1",
    ] {
        assert_eq!(form::host(text), None, "{text}");
        let faults = fill("868686", &[("base_url", text)]);
        assert_eq!(faults, Err(vec!["base_url".to_owned()]), "{text}");
    }
}

#[test]
fn every_field_is_checked_and_every_fault_reported_at_once() {
    for (key, good, bad) in [
        ("api_key", "any-Form_of.key", "with a space"),
        ("webhook_username", "a.B_c-9", "a:b"),
        ("webhook_username", "a", "a b"),
        ("webhook_password", " p:â ", "a\nb"),
        ("max_messages_per_request", "1", "0"),
        ("max_messages_per_request", "500", "501"),
        ("validity_minutes", "1", "+1"),
        ("validity_minutes", "2880", "2881"),
        ("transliteration", "ALL", "all"),
        ("entity_id", "surveys", "two words"),
        ("application_id", "smsfleet", "two words"),
        ("india_dlt_principal_entity_id", "1701", "1 2"),
        ("india_dlt_content_template_id", "1707", "1 2"),
        ("india_dlt_telemarketer_id", "1702", "1 2"),
        ("status_url_in_requests", "true", "yes"),
        ("test_base_url", "http://127.0.0.1:8080", "127.0.0.1:8080"),
        (
            "test_base_url",
            "https://example.org/",
            "https://example.org/a",
        ),
    ] {
        assert!(fill("868686", &[(key, good)]).is_ok(), "{key}: {good}");
        assert_eq!(fill("868686", &[(key, bad)]), Err(vec![key.to_owned()]));
    }
    let faults = fill(
        "",
        &[
            ("api_key", ""),
            ("base_url", ""),
            ("webhook_username", ""),
            ("webhook_password", ""),
            ("color", "red"),
        ],
    );
    let expected = [
        "sender",
        "api_key",
        "base_url",
        "webhook_username",
        "webhook_password",
        "color",
    ];
    assert_eq!(faults, Err(expected.map(str::to_owned).to_vec()));
}

#[test]
fn a_request_carries_100_messages_unless_the_connection_says_otherwise() {
    for (configured, expected) in [("", 100), ("1", 1), ("500", 500), ("9999", 500), ("0", 1)] {
        let connection = connection(&[("max_messages_per_request", configured)]);
        assert_eq!(Infobip.messages_per_request(&connection), expected);
    }
}

#[test]
fn a_connection_without_key_or_with_another_host_sends_and_asks_nothing() {
    let mut without_key = connection(&[]);
    without_key.secrets.remove("api_key");
    let look_up = Infobip.status_look_up().expect("Infobip looks up");
    for connection in [
        without_key,
        connection(&[("base_url", "example.org")]),
        connection(&[("base_url", "")]),
        connection(&[("test_base_url", "not a url")]),
    ] {
        let built = Infobip.build_request(&connection, &submission(&[mt("a", "Hi")]));
        assert!(
            matches!(built, Err(Unsendable::Connection { .. })),
            "{built:?}"
        );
        let sought = Sought {
            reference: "a",
            provider_message_id: "",
            to: Msisdn::parse("+46701740605").expect("valid"),
        };
        assert!(look_up.build_request(&connection, &[sought]).is_err());
    }
}

#[test]
fn callbacks_are_refused_while_user_or_password_are_not_configured() {
    let callback = Request::post("/").header("Authorization", "Basic Og==");
    let callback = callback.body(Bytes::new()).expect("a request");
    let mut without = connection(&[("webhook_username", "")]);
    without.secrets.remove("webhook_password");
    let verified = Infobip.verify_callback(&without, &callback, &[], NOW);
    assert!(matches!(
        verified,
        Err(CallbackRefused::BadSignature { .. })
    ));
}
