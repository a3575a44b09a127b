//! The form: senders, hosts and ids.

use super::*;

fn fill(sender: &str, values: &[(&str, &str)]) -> Result<Sender, Vec<String>> {
    let connection = connection();
    let mut all = connection.fields.clone();
    all.insert("password".to_owned(), "Pa55w0rd!".to_owned());
    for (key, value) in values {
        all.insert((*key).to_owned(), (*value).to_owned());
    }
    match LinkMobility.form().fill(sender, &all) {
        Ok(filled) => Ok(filled.sender),
        Err(faults) => Err(faults.into_iter().map(|fault| fault.field).collect()),
    }
}

#[test]
fn a_sender_is_a_number_by_its_plus_and_a_name_by_its_first_letter() {
    let number = |text| Sender::Number(Msisdn::parse(text).expect("valid"));
    for (text, sender) in [
        ("+35312345678", number("+35312345678")),
        (" +1234567 ", number("+1234567")),
        ("123", Sender::ShortCode("123".into())),
        ("02333", Sender::ShortCode("02333".into())),
        ("12345678", Sender::ShortCode("12345678".into())),
        ("AB", Sender::Alphanumeric("AB".into())),
        ("A&B Survey.", Sender::Alphanumeric("A&B Survey.".into())),
        ("Acme-24", Sender::Alphanumeric("Acme-24".into())),
    ] {
        assert_eq!(fill(text, &[]), Ok(sender), "{text}");
    }
    for text in [
        "",
        "A",
        "12",
        "+123456",
        "+0123456789",
        "+1234567890123456",
        "123456789",
        "35312345678",
        "4Surveys",
        "Acme Surveys",
        "Café",
        "Acme_24",
        "+Acme",
    ] {
        assert_eq!(fill(text, &[]), Err(vec!["sender".to_owned()]), "{text}");
    }
}

#[test]
fn who_forgets_the_plus_is_told_so() {
    let read = LinkMobility.form().read_sender;
    assert_eq!(read("35312345678"), Err("add + and country code"));
    assert_ne!(read("12"), Err("add + and country code"));
}

#[test]
fn an_endpoint_host_is_one_of_links_whatever_was_pasted_around_it() {
    for (text, host) in [
        ("wsx.sp247.net", "wsx.sp247.net"),
        ("https://wsx.sp247.net/sms", "wsx.sp247.net"),
        ("HTTPS://WSX.SP247.NET/sms/send?a#b", "WSX.SP247.NET"),
        ("http://no.linkmobility.io", "no.linkmobility.io"),
        (" n-eu.linkmobility.io/ ", "n-eu.linkmobility.io"),
        ("a.b.linkmobility.io", "a.b.linkmobility.io"),
    ] {
        assert!(fill("AB", &[("endpoint_host", text)]).is_ok(), "{text}");
        assert_eq!(form::host(text.trim()), host, "{text}");
    }
    for text in [
        "sp247.net",
        ".sp247.net",
        "wsx.sp247.net.",
        "wsx.sp247.net:8443",
        "wsxsp247.net",
        "wsx.sp247.net.example.org",
        "example.org/wsx.sp247.net",
        "example.org?.sp247.net",
        "https://wsx.sp247.net@example.org/",
        "https://example.org\\.sp247.net",
        "user@wsx.sp247.net",
        "ftp://wsx.sp247.net",
        "-a.sp247.net",
        "a_b.sp247.net",
        "é.sp247.net",
        "127.0.0.1",
        "https://",
    ] {
        let faults = fill("AB", &[("endpoint_host", text)]);
        assert_eq!(faults, Err(vec!["endpoint_host".to_owned()]), "{text}");
    }
}

#[test]
fn every_field_is_held_to_what_the_page_says() {
    let long = "a".repeat(65);
    for (key, right, wrong) in [
        ("username", "användare", vec!["a:b", "a\tb", ""]),
        ("password", "a:b:c/€", vec!["a\nb", ""]),
        ("platform_id", "COMMON_API.v-1", vec!["a b", "é", "", &long]),
        ("platform_partner_id", "30978", vec!["a/b", "", &long]),
        ("gate_id", "BVldZyQt", vec!["a.b", "", &long]),
        ("strip_non_bmp", "no", vec!["on", "1"]),
        (
            "base_url",
            "http://127.0.0.1:8080",
            vec!["127.0.0.1", "https://a/b"],
        ),
        ("endpoint_host", "deb.linkmobility.io", vec!["", &long]),
    ] {
        assert!(fill("AB", &[(key, right)]).is_ok(), "{key}");
        for wrong in wrong {
            let faults = fill("AB", &[(key, wrong)]);
            assert_eq!(faults, Err(vec![key.to_owned()]), "{key}: {wrong}");
        }
    }
}

#[test]
fn a_connection_without_password_or_with_a_strange_sender_sends_nothing() {
    let mut without_password = connection();
    without_password.secrets.clear();
    let mut pool = connection();
    pool.sender = Sender::Service("MG1".into());
    let mut broken_url = connection();
    let not_a_url = "not a url".to_owned();
    broken_url.fields.insert("base_url".to_owned(), not_a_url);
    for connection in [without_password, pool, broken_url] {
        for mode in [SubmitMode::Single, SubmitMode::Batch] {
            let built = build(&connection, &[mt("r", "Hi")], mode);
            assert!(
                matches!(built, Err(Unsendable::Connection { .. })),
                "{built:?}"
            );
        }
    }
}
