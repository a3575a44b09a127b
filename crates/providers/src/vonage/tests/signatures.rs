//! What a signature covers; the vectors themselves are fixtures.

use super::*;
use crate::signature::{Algorithm, hex, hmac};

const PAIRS: &[(&str, &str)] = &[
    ("api-key", "a1b2c3d4"),
    ("client-ref", "3w5e11264sgsf-2s"),
    ("err-code", "0"),
    ("messageId", "0C000000217B7F31"),
    ("msisdn", "46701740605"),
    ("status", "delivered"),
    ("timestamp", "1763037890"),
    ("to", "a_b"),
];

/// Signed for [`PAIRS`], whatever `sent` says.
fn query(sent: &[(&str, &str)]) -> Request<Bytes> {
    let signed: String = PAIRS
        .iter()
        .flat_map(|(name, value)| ["&", name, "=", value])
        .collect();
    let secret = b"Kx7-vonage-signing-secret-42";
    let signature = hex(&hmac(Algorithm::HmacSha256, secret, signed.as_bytes()));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(sent)
        .append_pair("sig", &signature)
        .finish();
    let request = Request::get(format!("/?{query}")).body(Bytes::new());
    request.expect("a request")
}

fn verifies(sent: &[(&str, &str)], connection: &Connection) -> bool {
    Vonage
        .verify_callback(connection, &query(sent), &[], NOW)
        .is_ok()
}

#[test]
fn every_parameter_is_signed_in_any_order() {
    let connection = connection(&[]);
    let mut sent = PAIRS.to_vec();
    assert!(verifies(&sent, &connection));
    sent.reverse();
    assert!(verifies(&sent, &connection));
    for at in 0..sent.len() {
        let mut changed = sent.clone();
        changed[at].1 = "1763037891";
        assert!(!verifies(&changed, &connection), "{:?}", sent[at]);
        changed.remove(at);
        assert!(!verifies(&changed, &connection), "{:?}", sent[at]);
    }
}

/// So nothing may ever be decided by which of them a value has.
#[test]
fn three_characters_are_signed_as_the_same() {
    for (value, same) in [("a_b", true), ("a&b", true), ("a=b", true), ("a-b", false)] {
        let mut sent = PAIRS.to_vec();
        sent[7].1 = value;
        assert_eq!(verifies(&sent, &connection(&[])), same, "{value}");
    }
}

#[test]
fn a_connection_without_a_secret_verifies_nothing_that_says_anything() {
    let mut connection = connection(&[]);
    connection.secrets.remove("signature_secret");
    assert!(!verifies(PAIRS, &connection));
    let empty = Secret::new(String::new());
    connection
        .secrets
        .insert("signature_secret".to_owned(), empty);
    assert!(!verifies(PAIRS, &connection));
}
