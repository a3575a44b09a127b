//! Secrets at rest: AES-256-GCM with a random nonce, bound to the place they belong to, so that a
//! sealed value that is copied elsewhere does not open. Each carries the id of its key: a new key
//! seals from now on, the old ones still open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use message::{ConnectionId, OrganizationId, Secret};
use serde::{Deserialize, Serialize};

/// Seals and opens secrets. `Debug` names the keys and shows none.
pub struct Sealer {
    /// The first seals, all open.
    keys: Vec<(String, LessSafeKey)>,
}

/// Why keys can not be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidSealingKey {
    /// There is none at all.
    #[error(
        "no sealing key: at least one is needed, 32 random bytes in base64 (`openssl rand -base64 32`)"
    )]
    Missing,
    /// One is not what it should be.
    #[error("sealing key `{id}` is not 32 bytes in base64 (`openssl rand -base64 32`)")]
    Malformed {
        /// Which.
        id: String,
    },
    /// Two have the same id, so that nobody could say which one a secret was sealed with.
    #[error("sealing key id `{id}` is there twice")]
    Twice {
        /// Which.
        id: String,
    },
}

/// What a secret is bound to.
pub(crate) struct Place<'a> {
    pub(crate) organization: &'a OrganizationId,
    pub(crate) connection: &'a ConnectionId,
    pub(crate) field: &'a str,
}

/// A secret that may be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// The id of the key.
    key: String,
    /// Nonce, ciphertext and tag in base64.
    value: String,
}

impl Sealer {
    /// Takes keys by id, each 32 bytes in base64: the first one seals, all of them open.
    ///
    /// # Errors
    /// [`InvalidSealingKey`] names the key that can not be used.
    pub fn new(keys: Vec<(String, Secret)>) -> Result<Self, InvalidSealingKey> {
        let mut known: Vec<(String, LessSafeKey)> = Vec::with_capacity(keys.len());
        for (id, material) in keys {
            if known.iter().any(|(other, _)| *other == id) {
                return Err(InvalidSealingKey::Twice { id });
            }
            let bytes = STANDARD
                .decode(material.reveal().trim())
                .unwrap_or_default();
            let Ok(key) = UnboundKey::new(&AES_256_GCM, &bytes) else {
                return Err(InvalidSealingKey::Malformed { id });
            };
            known.push((id, LessSafeKey::new(key)));
        }
        if known.is_empty() {
            return Err(InvalidSealingKey::Missing);
        }
        Ok(Self { keys: known })
    }

    /// Seals `secret` for its place.
    pub(crate) fn seal(&self, place: &Place<'_>, secret: &Secret) -> Result<Sealed, &'static str> {
        let (id, key) = self.keys.first().ok_or("there is no sealing key")?;
        // Random nonces of 96 bits are safe for far more secrets than a fleet will ever hold.
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| "the system has no randomness")?;
        let mut bytes = secret.reveal().as_bytes().to_vec();
        let aad = Aad::from(place.bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes)
            .map_err(|_| "sealing failed")?;
        Ok(Sealed {
            key: id.clone(),
            value: STANDARD.encode([&nonce[..], &bytes].concat()),
        })
    }

    /// Opens what was sealed for the same place.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<Secret, &'static str> {
        let found = self.keys.iter().find(|(id, _)| *id == sealed.key);
        let (_, key) = found.ok_or("the key it was sealed with is not configured")?;
        let damaged = "the stored value is damaged";
        let bytes = STANDARD.decode(&sealed.value).map_err(|_| damaged)?;
        let (nonce, bytes) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(damaged)?;
        let mut bytes = bytes.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let open = key.open_in_place(nonce, Aad::from(place.bytes()), &mut bytes);
        let open = open.map_err(|_| "the key does not fit, or the value was altered or moved")?;
        let text = String::from_utf8(open.to_vec()).map_err(|_| damaged)?;
        Ok(Secret::new(text))
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|(id, _)| id))
            .finish()
    }
}

impl Place<'_> {
    /// Identifiers have no zero byte, so no two places are spelled alike.
    fn bytes(&self) -> Vec<u8> {
        let (organization, connection) = (self.organization.as_str(), self.connection.as_str());
        [
            organization.as_bytes(),
            &[0],
            connection.as_bytes(),
            &[0],
            self.field.as_bytes(),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, byte: u8) -> (String, Secret) {
        (id.to_owned(), Secret::new(STANDARD.encode([byte; 32])))
    }

    fn ids() -> (OrganizationId, ConnectionId) {
        let organization = OrganizationId::new("acme").expect("valid");
        (organization, ConnectionId::new("con-1").expect("valid"))
    }

    #[test]
    fn a_new_key_seals_and_the_old_one_still_opens() {
        let (organization, connection) = ids();
        let place = Place {
            organization: &organization,
            connection: &connection,
            field: "token",
        };
        let secret = Secret::new("hunter2".into());
        let before = Sealer::new(vec![key("2025", 1)]).expect("valid key");
        let after = Sealer::new(vec![key("2026", 2), key("2025", 1)]).expect("valid keys");
        let old = before.seal(&place, &secret).expect("sealed");
        let new = after.seal(&place, &secret).expect("sealed");
        assert_eq!(after.open(&place, &old), Ok(secret.clone()));
        assert_eq!(after.open(&place, &new), Ok(secret));
        assert_eq!(
            before.open(&place, &new),
            Err("the key it was sealed with is not configured")
        );
        assert!(!new.value.contains("hunter2") && !format!("{after:?}").contains("AgIC"));
    }

    #[test]
    fn a_sealed_value_opens_only_with_its_key_and_at_its_place() {
        let (organization, connection) = ids();
        let place = |field| Place {
            organization: &organization,
            connection: &connection,
            field,
        };
        let sealer = Sealer::new(vec![key("a", 1)]).expect("valid key");
        let impostor = Sealer::new(vec![key("a", 9)]).expect("valid key");
        let sealed = sealer
            .seal(&place("token"), &Secret::new("x".into()))
            .expect("sealed");
        assert!(sealer.open(&place("password"), &sealed).is_err());
        assert!(impostor.open(&place("token"), &sealed).is_err());
        let truncated = Sealed {
            value: "AAAA".into(),
            ..sealed
        };
        assert_eq!(
            sealer.open(&place("token"), &truncated),
            Err("the stored value is damaged")
        );
    }

    #[test]
    fn a_key_that_can_not_be_used_is_named() {
        let malformed = |id: &str| InvalidSealingKey::Malformed { id: id.into() };
        let refused = |keys| Sealer::new(keys).expect_err("refused");
        assert_eq!(refused(vec![]), InvalidSealingKey::Missing);
        assert_eq!(
            refused(vec![("k".into(), Secret::new("short".into()))]),
            malformed("k")
        );
        assert_eq!(
            refused(vec![("k".into(), Secret::new("AAAA".into()))]),
            malformed("k")
        );
        let twice = InvalidSealingKey::Twice { id: "k".into() };
        assert_eq!(refused(vec![key("k", 1), key("k", 2)]), twice);
    }
}
