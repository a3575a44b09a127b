//! The public keys of a connection, from what was pasted into its form.
//! Source: `shared/providers/messagemedia.md`, section 8.

use base64::{Engine, engine::general_purpose::STANDARD};
use rsa::{RsaPublicKey, pkcs8::DecodePublicKey, traits::PublicKeyParts};

const EXPECTED: &str = "an RSA public key of 1024 to 4096 bits, as PEM (`BEGIN PUBLIC KEY`) or the \
    base64 of it that the API returns; up to 4 PEM blocks";

/// Two are needed while keys are exchanged.
const KEYS_MAX: usize = 4;
/// Four keys of 4096 bits as PEM have 3,200.
const BYTES_MAX: usize = 8192;
/// 1024 bits, the smallest that the vendor ever made; the `rsa` crate has an upper limit of its own.
const MODULUS_BYTES_MIN: usize = 128;

// White space is taken out before anything else is looked at, the armour's own as well.
const BEGIN: &str = "-----BEGINPUBLICKEY-----";
const END: &str = "-----ENDPUBLICKEY-----";

/// Every key in `text`: PEM blocks, or one key's bare base64, with any white space.
///
/// # Errors
/// What is expected, if one of them is no key.
pub(super) fn read(text: &str) -> Result<Vec<RsaPublicKey>, &'static str> {
    if text.len() > BYTES_MAX {
        return Err(EXPECTED);
    }
    let compact: String = text.split_whitespace().collect();
    let keys = if compact.starts_with(BEGIN) {
        blocks(&compact).map(key).collect()
    } else {
        key(Some(&compact)).map(|key| vec![key])
    };
    keys.filter(|keys: &Vec<_>| keys.len() <= KEYS_MAX)
        .ok_or(EXPECTED)
}

/// The base64 of each block; nothing for what is no block.
fn blocks(compact: &str) -> impl Iterator<Item = Option<&str>> {
    let ends = compact.strip_suffix(END);
    ends.unwrap_or_default()
        .split(END)
        .map(|block| block.strip_prefix(BEGIN))
}

fn key(code: Option<&str>) -> Option<RsaPublicKey> {
    let der = STANDARD.decode(code?).ok()?;
    let key = RsaPublicKey::from_public_key_der(&der).ok()?;
    (key.size() >= MODULUS_BYTES_MIN).then_some(key)
}
