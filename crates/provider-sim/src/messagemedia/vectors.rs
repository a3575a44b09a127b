//! The vectors of `shared/providers/messagemedia.md`, section 8. Their private key is not published, so the text that the
//! twin signs is checked against their signatures, and the twin's own signatures with the same check. V3 and N7 are left
//! out: they are of SHA-224, with which the twin does not sign and its library does not verify.

use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaParameters,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::keys::MessageMediaDigest;
use super::*;
use crate::messagemedia::webhooks;

const PUBLIC_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvKZRsQHWJaauaEvhB7RG/utwCTcTrBx6vrdxUvm31T041HAiFVPaQYjc29VjcmA0tnbALj4oVyvczXgYZGDx8DRdz0VI77rpdWtIkxvky4KHQG5xjbZESLMDhX9juGkKRjXhJkFsf0ZxxJeGq/WlUXhmiLwxjgMoOe0r6bYjPE5eyp3UTLGrLTRE0KXKWnAlyENjabKyhPCChQq7VA9cX4mizIUqUJMHZ2CxGHDT6GZEZERMVzGCO4rT3zrdSJM2un/RP6MemrEXAvxTK421NTiD5atvCbJDbxIAAM+m3jQY+cwdXTifVlq0wYvNTdymYbA006s3QMm24wAm1Tp0IwIDAQAB";

struct Vector {
    target: &'static str,
    date: &'static str,
    body: &'static str,
    signature: &'static str,
}

const V1: Vector = Vector {
    target: "/distribution-providers/v1/receive/distribution/status/messagemedia/org_4f21",
    date: "Mon, 02 Mar 2026 09:15:32 GMT",
    body: r#"{"vendor_account_id":{"vendor_id":"MessageMedia","account_id":"AcmeSurveys"},"callback_url":"https://sms.example.org/distribution-providers/v1/receive/distribution/status/messagemedia/org_4f21","delivery_report_id":"5b0f0b0e-6a3c-4f53-9c0f-0d5a2c3e7a11","source_number":"+61491570159","date_received":"2026-03-02T09:15:31.402Z","status":"delivered","delay":0,"submitted_date":"2026-03-02T09:15:30.911Z","original_text":"How was your visit? https://ex.am/q1","message_id":"c1a7c0de-2f4b-4c6f-8c0b-7a0e6f1d2b33","error_code":"220","metadata":{"ref":"01JNAB3Z"}}"#,
    signature: "ghppRVYdCy+j85dvd4323YnEmp/pFXBs9YxW3jxpnxIznfM2HuruapBjkARDxPH3vtJz3t9nQWm4rAroxwuPEgJH130LSEsltq3Gi4xX6hXPBKs0g/6JRg0Ieap1rNtB6Thqg54uAXbsvj6IilK6JFMW7MiY5o2TTPBUXUwIJ0vJ+BaOcU+EgPUElYQwHAjb06mmGmCm086LoOqzCmtL8cpa+dBJj6AdpYaPLYXjIfsBdNodQMJ50cnaBs+K0BlaN8AQS/EOsBm6U7E4Wsi5JVDqMSfNrLru7oTY6v3EjRy1LYGeOHBueRKa3x6hP653Y0DJi6Lij8KJ00x6ZdG1cg==",
};

const V2: Vector = Vector {
    target: "/distribution-providers/v1/receive/distribution/message/messagemedia/org_4f21",
    date: "Mon, 02 Mar 2026 09:20:06 GMT",
    body: r#"{"callback_url":"https://sms.example.org/distribution-providers/v1/receive/distribution/message/messagemedia/org_4f21","source_number":"+4915112345678","destination_number":"+61491570110","message_id":"c1a7c0de-2f4b-4c6f-8c0b-7a0e6f1d2b33","date_received":"2026-03-02T09:20:05.118Z","metadata":{"ref":"01JNAB3Z"},"reply_id":"0e3f7d52-8b8e-4a39-8d0a-4f1b9a6a2c77","vendor_account_id":{"vendor_id":"MessageMedia","account_id":"AcmeSurveys"},"content":"Schön war’s 😀"}"#,
    signature: "fV/gIUDKBlKLGvcfNdga+PUndTuQA1wKBNkISYYlSsvJ+WFpcWbTkEZeJ4BCQtjDWmRtPnHdDuSJRSym0QJ9QOsDawIaVyZab3CvvhRnalqj35Z0LIWUvDi63I0ScW1tPFbPN4tKh1yM3Oi2pT8tiosnuP8nQxHZ6J3oX3FfC18F2QMkGViU1lqzeVpNYkJmYvAeWMNpemv+s6aIXjcZ+6WXfy5v5+1Jr2qRcLogXqzguvwctryfu8S25Nhwhp17iWw2mfkbWkyNPi74CI9gD5T+Q4z5eyoNhVRf1S8S4myAMzmH3WQs/Ee8+AJ6w1IoWnqnHqaezw+x6cya9nqWIA==",
};

const JOINED_WITH_LINE_FEEDS: &str = "WW9jDX1pwJXB2ajEY4inw/D2dG+ZM55LAtVX1C+09qI+HRU05Hl0tP4r1cWnM0PA2yK7SWPwMZvKfMYJbk0XS1bWYIDVRy2lO3N0Pkud3y+EKruK6ja+pdXrCoQ7N9Wo90Zc4tEfQfcRYPP+svdqMHbpK4t69ezdaKwl8YZ4E1H7fN7lOyNg5ZyKiB98jATDJmRVYQJ7xvGXQqL3vwtc0iQxJBoGR5SHdn2wsQcddfOdqStRzUK2RheXrA7QEwRPcHgCZySYvr44mJxuYsFo3k/Zy61Hr5oNoh/eyawSXvImaDJl/+s5Zb1XR/zZ87LDGW1psPJuB6eDk2RM8aNxiA==";
const BODY_ONLY: &str = "OZpLQaI3q39X4wm8Z0zMGPMBIvNkz00UrPy4WlBV2nxvqqPmm7fdz5qIY05Wx1AvFols7doIElp03wNoswPuDaz3l7sHj6qw1heJCqsoVhQxwbF8tk+GjOBU9iBPNX5qNs+D3d3e5dPtNBQuw1I7+SDUwegnjoPZUQ02PhtLSbESw0ZfUI7o0wHK65yLx5DdMBubp3bhOmUyutrGeMLkvtGPyRSUGhmjIok3uKe8o+5Ymbq/W7qUUh0jy5voC/9pcsUZxqN8H9xmvfo7zBlOstux0lDYXQIcQgkToPge1Su+lYpp3pXfJrv1lCsN528qL85ZmwYZ0KFO4aIHNG0F/A==";

const SHA256: &RsaParameters = &RSA_PKCS1_2048_8192_SHA256;
const SHA512: &RsaParameters = &RSA_PKCS1_2048_8192_SHA512;

fn holds(public_key: &str, digest: &'static RsaParameters, text: &str, signature: &str) -> bool {
    let key = STANDARD.decode(public_key).expect("base64");
    let key = ParsedPublicKey::new(digest, key).expect("an RSA key");
    let signature = STANDARD.decode(signature);
    signature.is_ok_and(|signature| key.verify_sig(text.as_bytes(), &signature).is_ok())
}

fn text(vector: &Vector) -> String {
    signed_text(vector.target, vector.date, vector.body)
}

#[test]
fn the_text_that_is_signed_is_the_one_of_the_published_signatures() {
    assert!(holds(PUBLIC_KEY, SHA256, &text(&V1), V1.signature));
    assert!(holds(PUBLIC_KEY, SHA512, &text(&V2), V2.signature));
}

#[test]
fn the_negative_vectors_do_not_hold() {
    let not = |digest, text: &str, signature: &str| {
        assert!(!holds(PUBLIC_KEY, digest, text, signature), "{text}");
    };
    let good = text(&V1);
    not(SHA256, &good, JOINED_WITH_LINE_FEEDS);
    not(SHA256, &good, BODY_ONLY);
    not(
        SHA256,
        &good.replacen("/status/", "/message/", 1),
        V1.signature,
    );
    not(SHA256, &format!("{good} "), V1.signature);
    not(SHA512, &good, V1.signature);
    not(
        SHA256,
        &good.replace("Mon, 02 Mar", "Mon, 2 Mar"),
        V1.signature,
    );
    let cut = &V1.signature[..V1.signature.len() - 4];
    not(SHA256, &good, cut);
    not(
        SHA256,
        &good,
        &V1.signature.replace('+', "-").replace('/', "_"),
    );
}

#[test]
fn the_twins_own_signature_is_over_the_same_text() {
    let digests = [
        (MessageMediaDigest::Sha256, SHA256, "SHA256", "SHA-256"),
        (MessageMediaDigest::Sha512, SHA512, "SHA512", "SHA-512"),
    ];
    for (digest, parameters, word, dashed) in digests {
        let key = Key::generate(digest).expect("a key");
        let public = key.public_base64();
        // 2 March 2026, 10:00:01.
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_772_445_601);
        let url = "https://sms.example.org/status/org_4f21?c=7&x=a%20b#part";
        let made = |variant: &SignatureVariant| {
            let body = V2.body.to_owned();
            callback(variant, &key, url, body, webhooks::OF_MESSAGE, at).expect("a URL")
        };
        let good = made(&SignatureVariant::AccountSecret);
        assert_eq!(good.headers["date"], "Mon, 02 Mar 2026 10:00:01 GMT");
        assert_eq!(good.headers["x-messagemedia-digest-type"], word);
        assert_eq!(good.headers["x-messagemedia-cipher-type"], "RSA");
        assert_eq!(good.headers["x-messagemedia-key-id"], key.id.as_str());
        let text = format!(
            "POST /status/org_4f21?c=7&x=a%20b HTTP/1.1Mon, 02 Mar 2026 10:00:01 GMT{}",
            V2.body
        );
        let signature = |callback: &Callback| {
            let value = callback.headers.get("x-messagemedia-signature");
            value.map(|value| value.to_str().expect("base64").to_owned())
        };
        let is_good = |callback: &Callback| {
            holds(
                &public,
                parameters,
                &text,
                &signature(callback).expect("signed"),
            )
        };
        assert!(is_good(&good));
        let dashed_digest = made(&SignatureVariant::variant(DASHED_DIGEST));
        assert!(is_good(&dashed_digest));
        assert_eq!(dashed_digest.headers["x-messagemedia-digest-type"], dashed);
        assert!(!is_good(&made(&SignatureVariant::Forged)));
        assert_eq!(signature(&made(&SignatureVariant::Missing)), None);
    }
}
