//! What signed callbacks share. Comparisons take the same time however much of a forgery is right.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

/// The keyed digests that providers name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    HmacMd5,
    HmacSha1,
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

/// The digest of `signed` under `key`.
pub(crate) fn hmac(algorithm: Algorithm, key: &[u8], signed: &[u8]) -> Vec<u8> {
    hmac_of(algorithm, key, &[signed])
}

/// The digest of all of `signed`, one behind the other, under `key`.
pub(crate) fn hmac_of(algorithm: Algorithm, key: &[u8], signed: &[&[u8]]) -> Vec<u8> {
    fn digest<M: Mac + KeyInit>(key: &[u8], signed: &[&[u8]]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of every length");
        for part in signed {
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }
    match algorithm {
        Algorithm::HmacMd5 => digest::<Hmac<Md5>>(key, signed),
        Algorithm::HmacSha1 => digest::<Hmac<Sha1>>(key, signed),
        Algorithm::HmacSha256 => digest::<Hmac<Sha256>>(key, signed),
        Algorithm::HmacSha384 => digest::<Hmac<Sha384>>(key, signed),
        Algorithm::HmacSha512 => digest::<Hmac<Sha512>>(key, signed),
    }
}

/// Whether `signature` is the standard base64, with padding, of the digest of `signed` under `key`.
pub(crate) fn is_base64_of(
    signature: &str,
    algorithm: Algorithm,
    key: &str,
    signed: &[u8],
) -> bool {
    is_base64_of_all(signature, algorithm, key, &[signed])
}

/// The same for all of `signed`, one behind the other.
pub(crate) fn is_base64_of_all(
    signature: &str,
    algorithm: Algorithm,
    key: &str,
    signed: &[&[u8]],
) -> bool {
    let expected = STANDARD.encode(hmac_of(algorithm, key.as_bytes(), signed));
    is_equal(signature.as_bytes(), expected.as_bytes())
}

/// Whether `hash` is the lower-case hexadecimal SHA-256 of `body`.
pub(crate) fn is_hex_sha256_of(hash: &str, body: &[u8]) -> bool {
    is_equal(hash.as_bytes(), hex(&Sha256::digest(body)).as_bytes())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether both are the same; only their lengths show in the time it takes.
pub(crate) fn is_equal(given: &[u8], expected: &[u8]) -> bool {
    given.ct_eq(expected).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_compared_whole() {
        // RFC 4231, test case 2, and RFC 2202, test case 2.
        let (key, text) = ("Jefe", b"what do ya want for nothing?");
        let sha256 = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
        let sha1 = "7/zfauXrL6LSdBbV8YTfnCWafHk=";
        assert!(is_base64_of(sha256, Algorithm::HmacSha256, key, text));
        assert!(is_base64_of(sha1, Algorithm::HmacSha1, key, text));
        for wrong in [
            "",
            "7",
            sha256,
            "7/zfauXrL6LSdBbV8YTfnCWafHk",
            "7/zfauXrL6LSdBbV8YTfnCWafHk==",
        ] {
            assert!(
                !is_base64_of(wrong, Algorithm::HmacSha1, key, text),
                "{wrong}"
            );
        }
        assert!(!is_base64_of(sha1, Algorithm::HmacSha1, "jefe", text));
    }

    #[test]
    fn a_hash_is_lower_case_and_of_every_byte() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(is_hex_sha256_of(hash, b"abc"));
        assert!(!is_hex_sha256_of(hash, b"abd"));
        assert!(!is_hex_sha256_of(&hash.to_uppercase(), b"abc"));
    }
}
