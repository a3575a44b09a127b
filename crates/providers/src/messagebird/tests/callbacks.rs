//! The tables of receipts, made ids, and keys that are none.

use super::*;

fn read_query(query: &str) -> Result<Vec<Reading>, Malformed> {
    let callback = Request::get(format!("{STATUS}?{query}"))
        .body(Bytes::new())
        .expect("a request");
    MessageBird.read_callback(Verified::already(&callback, None), CallbackKind::Status)
}

fn receipt_of(word: &str, code: &str) -> Option<(ReceiptStatus, String, usize)> {
    let query = format!("id=9f3a&status={word}&statusErrorCode={code}&recipient=46701740605");
    let readings = read_query(&query).expect("a receipt");
    match &readings[0] {
        Reading::Receipt(Receipt {
            status, error_code, ..
        }) => Some((*status, error_code.clone(), readings.len() - 1)),
        _ => None,
    }
}

#[test]
fn every_status_word_of_the_page_is_known() {
    use ReceiptStatus::{Accepted, Delivered, Expired, Rejected, Sent, Undelivered};
    for (word, status) in [
        ("scheduled", Accepted),
        ("buffered", Sent),
        ("sent", Sent),
        ("delivered", Delivered),
        ("expired", Expired),
        ("delivery_failed", Undelivered),
    ] {
        assert_eq!(receipt_of(word, ""), Some((status, String::new(), 0)));
        assert_eq!(receipt_of(word, "0"), Some((status, String::new(), 0)));
        for other in [
            word.to_uppercase(),
            format!("%20{word}"),
            format!("{word}x"),
        ] {
            assert_eq!(receipt_of(&other, ""), None, "{other}");
        }
    }
    for code in FAILURES.iter().flat_map(|(_, codes)| *codes) {
        let status = match code {
            103..=107 => Rejected,
            _ => Undelivered,
        };
        let expected = (status, code.to_string(), usize::from(*code == 103));
        let code = code.to_string();
        assert_eq!(receipt_of("delivery_failed", &code), Some(expected));
    }
}

#[test]
fn an_unknown_word_is_kept_but_not_all_of_a_long_one() {
    let readings = read_query(&format!(
        "id=9f3a&status={}",
        "é".repeat(100).replace('é', "%C3%A9")
    ));
    let expected = Reading::Unrecognised {
        status: "é".repeat(40),
    };
    assert_eq!(readings, Ok(vec![expected]));
}

#[test]
fn an_id_is_made_of_what_a_message_says_and_of_nothing_else() {
    let id_of = |body: &'static str| {
        let callback = Request::post("/message").body(body.into()).expect("valid");
        let read =
            MessageBird.read_callback(Verified::already(&callback, None), CallbackKind::Message);
        match read.as_deref() {
            Ok([Reading::Inbound(inbound)]) => inbound.provider_message_id.clone(),
            other => panic!("{other:?}"),
        }
    };
    let one = id_of("originator=46701740605&recipient=3197001234567&body=Ja&date_utc=1763037895");
    assert_eq!(one.len(), 64);
    let same = "x=1&sender=%2B46701740605&receiver=3197001234567&payload=Ja&date_utc=1763037895";
    assert_eq!(id_of(same), one);
    for other in [
        "originator=46701740606&recipient=3197001234567&body=Ja&date_utc=1763037895",
        "originator=46701740605&recipient=3197001234568&body=Ja&date_utc=1763037895",
        "originator=46701740605&recipient=3197001234567&body=Jo&date_utc=1763037895",
        "originator=46701740605&recipient=3197001234567&body=Ja&date_utc=1763037896",
        "originator=46701740605&body=%2B3197001234567Ja&date_utc=1763037895",
    ] {
        assert_ne!(id_of(other), one, "{other}");
    }
}

#[test]
fn a_connection_without_signing_key_verifies_nothing_not_even_what_the_empty_key_signed() {
    let query = "id=9f3a&status=sent";
    assert!(verifies(&connection(), &signed_under(KEY, query)));
    let mut without_key = connection();
    without_key.secrets.remove("signing_key");
    assert!(!verifies(&without_key, &signed_under("", query)));
    let empty = Secret::new(String::new());
    without_key.secrets.insert("signing_key".to_owned(), empty);
    assert!(!verifies(&without_key, &signed_under("", query)));
}

#[test]
fn a_token_is_never_remembered_as_used() {
    let callback = signed_under(KEY, "id=9f3a&status=sent");
    let connection = connection();
    let verified = MessageBird.verify_callback(&connection, &callback, &[], NOW);
    assert_eq!(verified.expect("genuine").nonce(), None);
}
