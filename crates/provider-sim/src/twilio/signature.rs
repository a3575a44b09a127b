//! `X-Twilio-Signature`, made from Twilio's description and checked against the outputs of its SDKs.
//!
//! Source: <https://www.twilio.com/docs/usage/security> and "Webhook shared keys".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::accounts::{SharedKeyAlgorithm, TwilioAccount};
use crate::behaviour::SignatureVariant;
use crate::webhook::{Callback, RetryPolicy};

const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");
const SETTINGS: HeaderName = HeaderName::from_static("x-twilio-webhooks-signature-settings");
const IDEMPOTENCY_TOKEN: HeaderName = HeaderName::from_static("i-twilio-idempotency-token");

/// Parameters of a callback, in the order in which they are sent.
pub(crate) type Parameters = Vec<(&'static str, String)>;

/// Twilio's own ways to sign besides the default.
pub(crate) const VARIANTS: &[&str] = &[EXPLICIT_PORT, BODY_HASH, SHARED_KEY];
/// The default, over the URL with its port written out, as some of Twilio's machines do.
const EXPLICIT_PORT: &str = "explicit_port";
/// A JSON body whose SHA-256 is in the query, which alone is signed.
const BODY_HASH: &str = "body_hash";
/// The account's shared key; without one the callback is not signed.
const SHARED_KEY: &str = "shared_key";

/// Encodes and signs a callback. `url` has no fragment any more.
pub(crate) fn sign(
    variant: &SignatureVariant,
    account: &TwilioAccount,
    url: &str,
    policy: RetryPolicy,
    parameters: &Parameters,
) -> Callback {
    let token = account.auth_token.as_str();
    let pairs: Vec<(&str, &str)> = parameters
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut url = url.to_owned();
    let mut headers = HeaderMap::new();
    let mut body = form(&pairs);
    let mut content_type = "application/x-www-form-urlencoded; charset=UTF-8";
    let signature = match variant {
        SignatureVariant::AccountSecret => Some(hmac_sha1(token, &text(&url, &pairs))),
        SignatureVariant::Forged => Some(hmac_sha1(&format!("not {token}"), &text(&url, &pairs))),
        SignatureVariant::Missing => None,
        SignatureVariant::Variant(word) => match (word.as_str(), &account.shared_key) {
            (EXPLICIT_PORT, _) => Some(hmac_sha1(token, &text(&with_port(&url), &pairs))),
            (BODY_HASH, _) => {
                let object: serde_json::Map<_, _> = pairs
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                    .collect();
                body = serde_json::Value::Object(object).to_string();
                content_type = "application/json";
                url = with_body_hash(&url, body.as_bytes());
                Some(hmac_sha1(token, &url))
            }
            (SHARED_KEY, Some(key)) => {
                let text = text(&url, &pairs);
                let (name, signature) = match key.algorithm {
                    SharedKeyAlgorithm::HmacSha1 => ("HMAC_SHA1", hmac_sha1(&key.secret, &text)),
                    SharedKeyAlgorithm::HmacSha256 => {
                        ("HMAC_SHA256", hmac_sha256(&key.secret, &text))
                    }
                };
                let settings = format!("key={},algorithm={name}", key.id);
                if let Ok(value) = HeaderValue::from_str(&settings) {
                    headers.insert(SETTINGS, value);
                }
                Some(signature)
            }
            _ => None,
        },
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Base64 is always a valid header value.
    if let Some(value) = signature.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(SIGNATURE, value);
    }
    Callback {
        method: Method::POST,
        url,
        headers,
        body,
        retry_headers: retry_headers(),
        policy,
    }
}

/// All retries of one callback carry the same token.
fn retry_headers() -> HeaderMap {
    let token = format!("{:032x}", fastrand::u128(..));
    HeaderValue::from_str(&token)
        .map(|token| HeaderMap::from_iter([(IDEMPOTENCY_TOKEN, token)]))
        .unwrap_or_default()
}

/// What is signed for a form: the URL, then every distinct name and value, sorted by name and then by value.
fn text(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut sorted = parameters.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut text = url.to_owned();
    for (name, value) in sorted {
        text.push_str(name);
        text.push_str(value);
    }
    text
}

fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

fn hmac_sha1(key: &str, text: &str) -> String {
    // HMAC takes a key of any length; there is no failing case to report.
    Hmac::<Sha1>::new_from_slice(key.as_bytes())
        .map(|mac| STANDARD.encode(mac.chain_update(text).finalize().into_bytes()))
        .unwrap_or_default()
}

fn hmac_sha256(key: &str, text: &str) -> String {
    Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .map(|mac| STANDARD.encode(mac.chain_update(text).finalize().into_bytes()))
        .unwrap_or_default()
}

fn with_body_hash(url: &str, body: &[u8]) -> String {
    let mut hash = String::with_capacity(64);
    for byte in Sha256::digest(body) {
        hash.push_str(&format!("{byte:02x}"));
    }
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}bodySHA256={hash}")
}

/// The URL with the port that its scheme means, unless it names one.
fn with_port(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let after_brackets = host.rsplit_once(']').map_or(host, |(_, after)| after);
    if after_brackets.contains(':') {
        return url.to_owned();
    }
    let port = if scheme == "http" { 80 } else { 443 };
    format!("{scheme}://{authority}:{port}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::accounts::SharedKey;
    use crate::twilio::overrides;

    const TOKEN: &str = "3f1c8e2ab94d47d0a6e5c7b1928d4f60";
    const STATUS: &str = "https://sms.example.org/distribution-providers/v1/receive/distribution/status/twilio-sms/ORG_8mQ2";
    const MESSAGE: &str = "https://sms.example.org/distribution-providers/v1/receive/distribution/message/twilio-sms/ORG_8mQ2";
    const B1: &str = "SmsSid=SM7c0d5ab1f2e94386a1d0c4b7e6f35912&SmsStatus=delivered&MessageStatus=delivered&To=%2B353861234567&MessageSid=SM7c0d5ab1f2e94386a1d0c4b7e6f35912&AccountSid=AC5b1f0c7e9a2d4b36815ce0f4a7d9023e&From=%2B13531234567&ApiVersion=2010-04-01&RawDlrDoneDate=2511131245";
    const INBOUND: &str = "ToCountry=US&ToState=&SmsMessageSid=SMaa11bb22cc33dd44ee55ff6600778899&NumMedia=0&ToCity=&FromZip=&SmsSid=SMaa11bb22cc33dd44ee55ff6600778899&FromState=&SmsStatus=received&FromCity=&Body=%C3%87a+va+%3F+100%25+%26+ok+%3D+oui%0A%F0%9F%91%8D+&FromCountry=IE&To=%2B13531234567&ToZip=&NumSegments=1&MessageSid=SMaa11bb22cc33dd44ee55ff6600778899&AccountSid=AC5b1f0c7e9a2d4b36815ce0f4a7d9023e&From=%2B353861234567&ApiVersion=2010-04-01";

    fn signed_text(url: &str, body: &str) -> String {
        let decoded: Vec<_> = form_urlencoded::parse(body.as_bytes()).collect();
        let pairs: Vec<_> = decoded
            .iter()
            .map(|(n, v)| (n.as_ref(), v.as_ref()))
            .collect();
        text(url, &pairs)
    }

    #[test]
    fn the_vectors_of_the_sdks_are_reproduced() {
        let m = format!("{STATUS}?m=018f3c2e");
        let with_443 = m.replace("sms.example.org/", "sms.example.org:443/");
        assert_eq!(with_port(&m), with_443);
        let t3 = "MessageSid=SM1&Tag=zeta&Tag=alpha&Tag=zeta&MessageSidX=9";
        for (name, url, body, wanted) in [
            ("T1", m.as_str(), B1, "TEDEqIp3sG1NBxmGwfx19ldRfJk="),
            ("T2", MESSAGE, INBOUND, "RQ5VjpYRGKQe5CXUkRU6jLp66IE="),
            ("T3", MESSAGE, t3, "lgA+fz1OBW7kGgh6EjOAPp3Fdco="),
            ("T5", with_443.as_str(), B1, "tK7Y7x6/YKFKA1rzO/rbAWadfNY="),
        ] {
            assert_eq!(hmac_sha1(TOKEN, &signed_text(url, body)), wanted, "{name}");
        }
        let t4 = with_body_hash(STATUS, br#"{"event":"ping","n":1}"#);
        assert_eq!(
            t4,
            format!(
                "{STATUS}?bodySHA256=9239c422a41b555493841e492401a13c6081045f49bd7223f575c7e1f7d86f7f"
            )
        );
        assert_eq!(hmac_sha1(TOKEN, &t4), "PW8a9d6ZYK3wO396K1S2HGaHg9A=", "T4");
        let t6 = hmac_sha256("whsec_4Yt9-example-shared-key", &signed_text(&m, B1));
        assert_eq!(t6, "27rIWECB1fuJ68CJVqiV4TqBLE3uW8ppi6Tqf5JtJes=", "T6");
    }

    #[test]
    fn the_vendors_own_vector_is_reproduced() {
        let body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
        let text = signed_text("https://mycompany.com/myapp.php?foo=1&bar=2", body);
        assert_eq!(hmac_sha1("12345", &text), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }

    #[test]
    fn what_the_page_says_must_be_rejected_is_what_other_inputs_give() {
        let m = format!("{STATUS}?m=018f3c2e");
        for (url, body, wrong) in [
            (
                m.clone(),
                B1.replace("delivered", "failed"),
                "58dq5IW8sDwStHrwAJVJopEG+FQ=",
            ),
            (
                m.replace("?m", "/?m"),
                B1.to_owned(),
                "V09ZEhrFEceOD+PWu2wGeaKCbAQ=",
            ),
            (
                m.replace("https", "http"),
                B1.to_owned(),
                "BB8tU8XyjnwFE1IVHV3Hl5yTV1E=",
            ),
            (
                STATUS.to_owned(),
                B1.to_owned(),
                "yDZQ2gdapGJ0FAQCP2HLxnAOebs=",
            ),
            (
                MESSAGE.to_owned(),
                INBOUND.replace("%8D+&", "%8D&"),
                "Jm6mvfBIdji1nsJqU3cmm0AlMnM=",
            ),
        ] {
            assert_eq!(hmac_sha1(TOKEN, &signed_text(&url, &body)), wrong);
        }
    }

    #[test]
    fn a_port_is_added_only_where_none_is() {
        assert_eq!(with_port("http://h.example/x?y"), "http://h.example:80/x?y");
        assert_eq!(with_port("https://h.example?y"), "https://h.example:443?y");
        assert_eq!(
            with_port("http://127.0.0.1:8080/x"),
            "http://127.0.0.1:8080/x"
        );
        assert_eq!(with_port("https://[::1]/x"), "https://[::1]:443/x");
        assert_eq!(
            with_port("https://u:p@h.example/x"),
            "https://u:p@h.example:443/x"
        );
    }

    #[test]
    fn a_signed_callback_carries_what_its_variant_promises() {
        let parameters: Parameters = vec![("To", "+33639980001".into()), ("Body", "a b".into())];
        let mut account = TwilioAccount::new("AC1", "t");
        account.shared_key = Some(SharedKey {
            id: "SK1".into(),
            secret: "s".into(),
            algorithm: SharedKeyAlgorithm::HmacSha256,
        });
        let signed = |variant, url| sign(&variant, &account, url, overrides::DEFAULT, &parameters);
        let url = "https://h.example/x";
        let plain = signed(SignatureVariant::AccountSecret, url);
        assert_eq!(plain.body, "To=%2B33639980001&Body=a+b");
        assert!(plain.headers.contains_key(SIGNATURE));
        let json = signed(
            SignatureVariant::variant(BODY_HASH),
            "https://h.example/x?m=1",
        );
        assert!(json.url.starts_with("https://h.example/x?m=1&bodySHA256="));
        assert_eq!(json.headers[CONTENT_TYPE], "application/json");
        let shared = signed(SignatureVariant::variant(SHARED_KEY), url);
        assert_eq!(shared.headers[SETTINGS], "key=SK1,algorithm=HMAC_SHA256");
        let port = signed(SignatureVariant::variant(EXPLICIT_PORT), url);
        assert_ne!(port.headers[SIGNATURE], plain.headers[SIGNATURE]);
        let forged = signed(SignatureVariant::Forged, url);
        assert_ne!(forged.headers[SIGNATURE], plain.headers[SIGNATURE]);
        let missing = signed(SignatureVariant::Missing, url);
        assert!(!missing.headers.contains_key(SIGNATURE));
    }
}
