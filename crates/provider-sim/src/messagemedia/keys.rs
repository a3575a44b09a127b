//! The RSA keys that sign callbacks: made, read, written, and which of an account's keys is in use.
//!
//! Source: `shared/providers/messagemedia.md`, section 8. MessageMedia also offers SHA-224. The twin does not: its
//! library has no RSA signature with that digest, and a second RSA library only for it would be the verifier's.

use std::sync::{Arc, LazyLock};

use anyhow::{Context, anyhow, bail};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The digest that a key signs with.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum MessageMediaDigest {
    /// SHA-256.
    #[default]
    #[serde(rename = "SHA256")]
    Sha256,
    /// SHA-512.
    #[serde(rename = "SHA512")]
    Sha512,
}

impl MessageMediaDigest {
    /// As it stands in headers and in the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    /// As the documents of 2026 show it in headers.
    pub(crate) fn dashed(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        }
    }
}

/// One key pair.
pub(crate) struct Key {
    /// A UUID.
    pub id: String,
    pub digest: MessageMediaDigest,
    pair: KeyPair,
}

impl Key {
    pub fn generate(digest: MessageMediaDigest) -> anyhow::Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048)
            .map_err(|_| anyhow!("no RSA key could be generated"))?;
        Ok(Self::new(pair, digest))
    }

    /// Reads `BEGIN PRIVATE KEY` (PKCS#8) or `BEGIN RSA PRIVATE KEY` (PKCS#1).
    pub fn from_pem(pem: &str, digest: MessageMediaDigest) -> anyhow::Result<Self> {
        let pem = pem.trim();
        let (label, rest) = pem
            .strip_prefix("-----BEGIN ")
            .and_then(|rest| rest.split_once("-----"))
            .context("it is not in PEM form")?;
        let (body, _) = rest
            .split_once("-----END ")
            .context("the PEM form has no end")?;
        let body: String = body.split_whitespace().collect();
        let der = STANDARD
            .decode(body)
            .context("the PEM form is not base64")?;
        let pair = match label {
            "PRIVATE KEY" => KeyPair::from_pkcs8(&der),
            "RSA PRIVATE KEY" => KeyPair::from_der(&der),
            _ => bail!("it is a PEM form of something else than a private key"),
        };
        // Why it was rejected stays out: the text of the error is about the secret.
        let pair = pair.map_err(|_| anyhow!("it is no RSA private key of at least 2048 bits"))?;
        Ok(Self::new(pair, digest))
    }

    fn new(pair: KeyPair, digest: MessageMediaDigest) -> Self {
        let id = fastrand::u128(..);
        let hex = format!("{id:032x}");
        let cut = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        let id = format!(
            "{}-{}-4{}-8{}-{}",
            cut(0, 8),
            cut(8, 12),
            cut(13, 16),
            cut(17, 20),
            cut(20, 32)
        );
        Self { id, digest, pair }
    }

    /// The RSASSA-PKCS1-v1_5 signature of `bytes` in base64.
    pub fn sign(&self, bytes: &[u8]) -> Option<String> {
        let encoding = match self.digest {
            MessageMediaDigest::Sha256 => &RSA_PKCS1_SHA256,
            MessageMediaDigest::Sha512 => &RSA_PKCS1_SHA512,
        };
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(encoding, &SystemRandom::new(), bytes, &mut signature)
            .ok()?;
        Some(STANDARD.encode(signature))
    }

    /// The public key as the API returns it: base64 of the SubjectPublicKeyInfo, without PEM lines.
    pub fn public_base64(&self) -> String {
        let der = AsDer::<PublicKeyX509Der>::as_der(self.pair.public_key());
        der.map(|der| STANDARD.encode(der.as_ref()))
            .unwrap_or_default()
    }

    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public_base64())
    }

    pub fn private_pem(&self) -> anyhow::Result<String> {
        let der = AsDer::<Pkcs8V1Der>::as_der(&self.pair)
            .map_err(|_| anyhow!("the RSA key cannot be written"))?;
        Ok(pem("PRIVATE KEY", &STANDARD.encode(der.as_ref())))
    }
}

fn pem(label: &str, base64: &str) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|&byte| char::from(byte)));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// A key that no account has, for forged signatures. `None` if it could not be made; then there is no signature at all.
pub(crate) fn strangers() -> Option<&'static Key> {
    static STRANGERS: LazyLock<Option<Key>> =
        LazyLock::new(|| Key::generate(MessageMediaDigest::Sha256).ok());
    STRANGERS.as_ref()
}

/// An account's keys, of which one is enabled; enabling another one replaces it.
#[derive(Debug)]
pub(crate) struct KeyRing {
    pub keys: Vec<Arc<Key>>,
    pub enabled: Arc<Key>,
}

impl KeyRing {
    pub fn new(first: Key) -> Self {
        let enabled = Arc::new(first);
        Self {
            keys: vec![Arc::clone(&enabled)],
            enabled,
        }
    }

    /// Enables the key of this id, if the account has it.
    pub fn enable(&mut self, id: &str) -> Option<Arc<Key>> {
        let key = self.keys.iter().find(|key| key.id == id)?;
        self.enabled = Arc::clone(key);
        Some(Arc::clone(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_own_pem_and_signs_the_same() {
        let key = Key::generate(MessageMediaDigest::Sha512).expect("a key");
        let pem = key.private_pem().expect("it can be written");
        let again = Key::from_pem(&format!("\n{pem}"), MessageMediaDigest::Sha512).expect("read");
        assert_eq!(again.public_pem(), key.public_pem());
        assert_eq!(again.sign(b"x"), key.sign(b"x"));
        assert!(key.public_base64().starts_with("MIIBIjANBgkqh"));
        assert!(!format!("{key:?}").contains("MII"));
        assert_eq!(key.id.len(), 36);
        assert_eq!(key.id.split('-').count(), 5);
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        let public = Key::generate(MessageMediaDigest::Sha256)
            .expect("a key")
            .public_pem();
        for text in [
            "",
            "MIIBIjANBgkqh",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            public.as_str(),
        ] {
            assert!(
                Key::from_pem(text, MessageMediaDigest::Sha256).is_err(),
                "{text}"
            );
        }
    }
}
