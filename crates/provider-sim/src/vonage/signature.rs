//! The two signatures of Vonage: the parameter `sig`, and the JWT of the Messages API.
//!
//! Source: `shared/providers/vonage.md`, section 8.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use serde::Serialize;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::accounts::VonageSignature;

/// The text that is signed: names in the order of their bytes, values with `&` and `=` replaced, nothing encoded.
fn text<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut sorted: Vec<_> = parameters.collect();
    sorted.sort_unstable();
    let mut text = String::new();
    for (name, value) in sorted {
        text.push('&');
        text.push_str(name);
        text.push('=');
        text.push_str(&value.replace(['&', '='], "_"));
    }
    text
}

/// The value of `sig`. HMAC results are in upper case, as the SDKs write them.
pub(crate) fn sig<'a>(
    method: VonageSignature,
    secret: &str,
    parameters: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let text = text(parameters);
    let upper = |hex: String| hex.to_ascii_uppercase();
    match method {
        VonageSignature::Md5hash => hex(&Md5::digest(format!("{text}{secret}"))),
        VonageSignature::Md5 => upper(hex(&hmac::<Hmac<Md5>>(secret, text.as_bytes()))),
        VonageSignature::Sha1 => upper(hex(&hmac::<Hmac<Sha1>>(secret, text.as_bytes()))),
        VonageSignature::Sha256 => upper(hex(&hmac::<Hmac<Sha256>>(secret, text.as_bytes()))),
        VonageSignature::Sha512 => upper(hex(&hmac::<Hmac<Sha512>>(secret, text.as_bytes()))),
    }
}

/// What a webhook's JWT says, in Vonage's order.
#[derive(Debug, Serialize)]
pub(crate) struct Claims<'a> {
    /// Unix seconds.
    pub iat: u64,
    pub jti: &'a str,
    pub iss: &'static str,
    pub payload_hash: String,
    pub api_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_id: Option<&'a str>,
}

/// The token in front of a webhook.
pub(crate) fn token(secret: &str, claims: &Claims<'_>) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
    // Plain strings and a number: there is nothing that JSON could not hold.
    let claims = serde_json::to_vec(claims).unwrap_or_default();
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = hmac::<Hmac<Sha256>>(secret, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// `payload_hash` of a body.
pub(crate) fn payload_hash(body: &str) -> String {
    hex(&Sha256::digest(body))
}

fn hmac<M: Mac + KeyInit>(key: &str, text: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length; there is no failing case to report.
    <M as KeyInit>::new_from_slice(key.as_bytes())
        .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::VonageSignature::{Md5, Md5hash, Sha1, Sha256, Sha512};
    use super::*;
    use serde_json::Value;

    const SECRET: &str = "Kx7-vonage-signing-secret-42";
    const V1: &str = "msisdn=353861234567&to=Acme&network-code=27201&messageId=0C000000217B7F02&price=0.03330000&status=delivered&scts=2511131245&err-code=0&api-key=a1b2c3d4&client-ref=018f3c2e-77aa&message-timestamp=2025-11-13+12%3A45%3A09&timestamp=1763037909&nonce=9f0c6a52-1b7e-4d0a-8f63-2f1d5a90c7be";
    const V1_TEXT: &str = "&api-key=a1b2c3d4&client-ref=018f3c2e-77aa&err-code=0&message-timestamp=2025-11-13 12:45:09&messageId=0C000000217B7F02&msisdn=353861234567&network-code=27201&nonce=9f0c6a52-1b7e-4d0a-8f63-2f1d5a90c7be&price=0.03330000&scts=2511131245&status=delivered&timestamp=1763037909&to=Acme";
    const V2: &str = r#"{"msisdn":"353861234567","to":"35312345678","messageId":"0B00000042AC53BD","text":"Où & quand = 5€ ?\n👍","type":"unicode","keyword":"OÙ","api-key":"a1b2c3d4","message-timestamp":"2025-11-13 12:46:00","timestamp":"1763037960","nonce":"3c1d7b1e-0d55-4c3f-9f57-61f0a7b6f2aa"}"#;
    const V3: &str = r#"{"msisdn":"353861234567","to":"35312345678","messageId":"0B00000042AC53BE","text":"","type":"text","keyword":"","api-key":"a1b2c3d4","message-timestamp":"2025-11-13 12:47:00","timestamp":"1763038020","nonce":"70f1"}"#;
    const J1_BODY: &str = r#"{"message_uuid":"8a7c2f10-5a6e-4c6b-9d3e-0f1e2d3c4b5a","to":"353861234567","from":"35312345678","timestamp":"2025-11-13T12:45:09.000Z","status":"delivered","client_ref":"018f3c2e-77aa","channel":"sms","usage":{"currency":"EUR","price":"0.0333"},"destination":{"network_code":"27201"},"sms":{"count_total":"1"}}"#;
    const J1: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpYXQiOjE3NjMwMzc5MDksImp0aSI6ImM1YmE4ZjI0LTFhMTQtNGMxMC1iZmRmLTNmYmU4Y2U1MTFiNSIsImlzcyI6IlZvbmFnZSIsInBheWxvYWRfaGFzaCI6ImU4ODM2ZWE1YmQ0MzBiNTk5N2NmZDRiMzVmZWVhMjM5ZDI2NjgwMTgwMmFjZjcwNjRkYzU1ZGZkOTg5YTg4NjEiLCJhcGlfa2V5IjoiYTFiMmMzZDQiLCJhcHBsaWNhdGlvbl9pZCI6ImFhYWFhYWFhLWJiYmItY2NjYy1kZGRkLTAxMjM0NTY3ODlhYiJ9.bjL2wJKK8qsn-DXnW3YqWRnVXReSEku6_QFF7ir5PbA";

    fn form(text: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect()
    }

    fn object(text: &str) -> Vec<(String, String)> {
        let Ok(Value::Object(object)) = serde_json::from_str(text) else {
            panic!("it is an object");
        };
        let text = |value: Value| value.as_str().expect("all are strings").to_owned();
        object.into_iter().map(|(n, v)| (n, text(v))).collect()
    }

    fn sign(method: VonageSignature, secret: &str, pairs: &[(String, String)]) -> String {
        let pairs = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        sig(method, secret, pairs)
    }

    #[test]
    fn a_receipt_is_signed_as_vonages_sdks_sign_it_by_every_method() {
        let pairs = form(V1);
        let read = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        assert_eq!(text(read), V1_TEXT);
        for (method, wanted) in [
            (Md5hash, "ae64b9a024168270dd37ff6dd93ced5d"),
            (Md5, "5748e4696d469a5b755f77efe1e80278"),
            (Sha1, "7ff88a2abeab2d256698640666cff188cdeb922f"),
            (
                Sha256,
                "3c5420efc6c45c9d7fbbccf2e9cfea10a7f138f2659e61470446d83bd66055ee",
            ),
            (
                Sha512,
                "d57147a27b06cfb00d08c14be76ba336a1d3d04d1652dcea29619201d5ba5d79ec5f7e7b74ae696f5010a7a39ee80addef8e08b811891f431a7facea3543aa22",
            ),
        ] {
            let signed = sign(method, SECRET, &pairs);
            assert_eq!(signed.to_ascii_lowercase(), wanted, "{method:?}");
            let upper = signed.chars().any(|c| c.is_ascii_uppercase());
            assert_eq!(upper, method != Md5hash, "{method:?}");
        }
    }

    #[test]
    fn an_inbound_text_is_signed_with_its_ampersand_and_equals_sign_replaced_and_not_encoded() {
        let pairs = object(V2);
        assert_eq!(
            sign(Md5hash, SECRET, &pairs),
            "6ca5d5ffbf3aea468e8a472b02193005"
        );
        let sha256 = sign(Sha256, SECRET, &pairs).to_ascii_lowercase();
        assert_eq!(
            sha256,
            "912f76fc5708478f8f2e99b3045b088a35e39ff323739d94c3d1efdf115ef180"
        );
        for other in [
            "bcd0bb754759106077caf30d0ac3466d331103f7ea50ee9322bf8609904464ea", // percent-encoded
            "1c4c9e498124cb4955360252fc0b850da7a1862c5b0620542f81f0c96f580184", // nothing replaced
        ] {
            assert_ne!(sha256, other);
        }
    }

    #[test]
    fn blank_values_are_signed_or_left_out_by_the_caller() {
        let mut pairs = object(V3);
        let both = |pairs: &[_]| {
            [Md5hash, Sha256].map(|method| sign(method, SECRET, pairs).to_ascii_lowercase())
        };
        assert_eq!(
            both(&pairs),
            [
                "e898fe5f0436a27492ec71632d0543fe",
                "90200746d10256b415fb76c06ebe764c08f5e40ad88d15b325444387db7080a1"
            ]
        );
        pairs.retain(|(_, value)| !value.is_empty());
        assert_eq!(
            both(&pairs),
            [
                "7d018f8d11537131dd075ea461f1a41b",
                "31ad55838986cf21359d456f4188ae1da8e25cbccea80ba7c7f81839ccceac34"
            ]
        );
    }

    #[test]
    fn the_published_vector_and_a_changed_status_come_out_as_they_should() {
        let pairs = form(
            "message-timestamp=2013-11-21 15:27:30&messageId=020000001B0FE827&msisdn=14843472194&text=Test again&timestamp=1385047698&to=13239877404&type=text",
        );
        let secret = "my_secret_key_for_testing";
        assert_eq!(
            [Md5hash, Md5, Sha1].map(|method| sign(method, secret, &pairs)),
            [
                "d2e7b1dc968737c5998ad624e02f90b7",
                "DDEBD46008C2D4E93CCE578A332A52D5",
                "27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A"
            ]
        );
        let failed = form(&V1.replace("status=delivered", "status=failed"));
        assert_eq!(
            sign(Sha256, SECRET, &failed).to_ascii_lowercase(),
            "aa4781c3b82bad0c175209726ae5208dc442242c9460713ac8a2e4f7114cd733"
        );
    }

    #[test]
    fn a_token_is_made_as_vonages_and_differs_with_any_byte_of_the_body() {
        let claims = |body: &str| Claims {
            iat: 1_763_037_909,
            jti: "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5",
            iss: "Vonage",
            payload_hash: payload_hash(body),
            api_key: "a1b2c3d4",
            application_id: Some("aaaaaaaa-bbbb-cccc-dddd-0123456789ab"),
        };
        assert_eq!(
            payload_hash(J1_BODY),
            "e8836ea5bd430b5997cfd4b35feea239d266801802acf7064dc55dfd989a8861"
        );
        assert_eq!(token(SECRET, &claims(J1_BODY)), J1);
        let changed = J1_BODY.replace("delivered", "rejected");
        assert_ne!(token(SECRET, &claims(&changed)), J1);
        assert_ne!(token("another", &claims(J1_BODY)), J1);
    }
}
