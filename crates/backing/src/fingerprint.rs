//! Names made of what they name.

use sha2::{Digest, Sha256};

/// The first 16 bytes of the SHA-256 of `parts`, in hexadecimal: the same content has the same name
/// however often it is named, and a number in it can not be read off. The parts run together; where
/// that could make two contents one, the caller puts something between them.
#[must_use]
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let digest = hash.finalize();
    let bytes = digest.iter().take(16);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: FIPS 180-4, the example `abc`.
    #[test]
    fn it_is_the_beginning_of_the_sha_256_of_all_parts_together() {
        let expected = "ba7816bf8f01cfea414140de5dae2223";
        assert_eq!(fingerprint([b"abc".as_slice()]), expected);
        assert_eq!(fingerprint([b"a".as_slice(), b"bc"]), expected);
    }
}
