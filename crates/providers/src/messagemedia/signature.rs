//! Who signed a callback: RSASSA-PKCS1-v1_5 over request line, `Date` and body, one behind the other.
//! Source: `shared/providers/messagemedia.md`, section 8.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, header};
use message::{Connection, Timestamp};
use rsa::{
    Pkcs1v15Sign, RsaPublicKey,
    sha2::{Sha224, Sha256, Sha512},
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::Url;

use super::keys;
use crate::CallbackRefused;

const SIGNATURE: &str = "X-Messagemedia-Signature";
const DIGEST_TYPE: &str = "X-Messagemedia-Digest-Type";
const CIPHER_TYPE: &str = "X-Messagemedia-Cipher-Type";
const KEY_ID: &str = "X-Messagemedia-Key-Id";

pub(super) fn verify(
    connection: &Connection,
    callback: &Request<Bytes>,
    public_urls: &[String],
    now: Timestamp,
) -> Result<(), CallbackRefused> {
    let forged = || CallbackRefused::BadSignature {
        connection: connection.id.clone(),
    };
    let headers = callback.headers();
    let needed = |name: &'static str| match one(headers, name) {
        Ok(Some(value)) if !value.is_empty() => Ok(value),
        Ok(_) => Err(CallbackRefused::Unsigned { header: name }),
        Err(Twice) => Err(forged()),
    };
    let signature = needed(SIGNATURE)?;
    let digest = needed(DIGEST_TYPE)?;
    let date = needed(header::DATE.as_str())?;
    let cipher = one(headers, CIPHER_TYPE).map_err(|Twice| forged())?;
    // With the keys configured it says nothing, but two of them are no genuine callback's.
    one(headers, KEY_ID).map_err(|Twice| forged())?;

    let unknown = |why| CallbackRefused::UnknownScheme { why };
    if cipher.is_some_and(|cipher| cipher != b"RSA") {
        return Err(unknown("cipher type"));
    }
    let digest = Digest::of(digest).ok_or_else(|| unknown("digest type"))?;
    let keys = match connection.field("webhook_public_key") {
        "" => return Err(unknown("no public key is configured")),
        text => keys::read(text).map_err(|_| unknown("the public key can not be read"))?,
    };
    let signature = STANDARD.decode(signature).map_err(|_| forged())?;
    let genuine = prefixes(public_urls).any(|prefix| {
        let signed = digest.of_signed(callback, &prefix, date);
        keys.iter()
            .any(|key| digest.is_signed(key, &signed, &signature))
    });
    if !genuine {
        return Err(forged());
    }
    check_age(connection, date, now)
}

/// A header is there twice.
struct Twice;

fn one<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h [u8]>, Twice> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Twice),
        (value, None) => Ok(value.map(|value| value.as_bytes())),
    }
}

/// What a proxy may have taken off the path: the paths of our public URLs. Mostly nothing; the
/// vendor signs the target of the URL that it was given.
fn prefixes(public_urls: &[String]) -> impl Iterator<Item = String> {
    let mut known = vec![String::new()];
    for url in public_urls.iter().filter_map(|url| Url::parse(url).ok()) {
        let path = url.path().trim_end_matches('/');
        if known.iter().all(|known| known != path) {
            known.push(path.to_owned());
        }
    }
    known.into_iter()
}

/// The digests that the vendor names.
#[derive(Debug, Clone, Copy)]
enum Digest {
    Sha224,
    Sha256,
    Sha512,
}

impl Digest {
    /// Written as `SHA256` or `SHA-256`, depending on the year of the documentation.
    fn of(name: &[u8]) -> Option<Self> {
        let mut name = name.to_ascii_uppercase();
        name.retain(|byte| *byte != b'-');
        match name.as_slice() {
            b"SHA224" => Some(Self::Sha224),
            b"SHA256" => Some(Self::Sha256),
            b"SHA512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The hash of what is signed: no separators, and always `HTTP/1.1`, whatever the last hop spoke.
    fn of_signed(self, callback: &Request<Bytes>, prefix: &str, date: &[u8]) -> Vec<u8> {
        let target = callback
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let method = callback.method().as_str();
        let parts: [&[u8]; 7] = [
            method.as_bytes(),
            b" ",
            prefix.as_bytes(),
            target.as_bytes(),
            b" HTTP/1.1",
            date,
            callback.body(),
        ];
        fn hash<D: rsa::sha2::Digest>(parts: [&[u8]; 7]) -> Vec<u8> {
            let hash = parts.into_iter().fold(D::new(), D::chain_update);
            hash.finalize().to_vec()
        }
        match self {
            Self::Sha224 => hash::<Sha224>(parts),
            Self::Sha256 => hash::<Sha256>(parts),
            Self::Sha512 => hash::<Sha512>(parts),
        }
    }

    /// All of it is public, so the time that it takes tells nothing.
    fn is_signed(self, key: &RsaPublicKey, hash: &[u8], signature: &[u8]) -> bool {
        let scheme = match self {
            Self::Sha224 => Pkcs1v15Sign::new::<Sha224>(),
            Self::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
            Self::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
        };
        key.verify(scheme, hash, signature).is_ok()
    }
}

/// Only where the connection has a limit: nobody knows whether a repetition has a `Date` of its own.
fn check_age(connection: &Connection, date: &[u8], now: Timestamp) -> Result<(), CallbackRefused> {
    let Ok(seconds_max) = connection.field("max_callback_age").parse::<i64>() else {
        return Ok(());
    };
    let date = std::str::from_utf8(date).ok();
    let date = date.and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
    let now_seconds = i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX);
    match date {
        Some(date) if (now_seconds - date.unix_timestamp()).abs() <= seconds_max => Ok(()),
        _ => Err(CallbackRefused::OutOfTime),
    }
}
