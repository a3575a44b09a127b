//! What a webhook carries, read once for its signature and once for its meaning and both times alike.
//! Source: `shared/providers/vonage.md`, sections 6 and 8, steps 1, 2 and 5.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use http::{Method, Request};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::parameters::is_form;

/// Vonage's two formats of webhooks.
#[derive(Debug)]
pub(super) enum Webhook {
    /// The SMS API's: flat parameters that carry their own signature.
    Sms(Fields),
    /// The Messages API's: JSON whose hash a token in a header has.
    Messages,
}

impl Webhook {
    /// Of which format `request` is. Its parameters have one source: the query of a GET, the body of
    /// a POST.
    ///
    /// # Errors
    /// What is wrong with them, so that no signature could be about them.
    pub(super) fn of(request: &Request<Bytes>) -> Result<Self, &'static str> {
        if request.method() == Method::GET {
            let query = request.uri().query().unwrap_or_default();
            return Fields::of_form(query.as_bytes()).map(Self::Sms);
        }
        if is_form(request.headers()) {
            return Fields::of_form(request.body()).map(Self::Sms);
        }
        if request.body().is_empty() {
            return Ok(Self::Sms(Fields::default()));
        }
        let text = std::str::from_utf8(request.body()).map_err(|_| NOT_UTF_8)?;
        let Members(members) = serde_json::from_str(text).map_err(|_| "it is no JSON object")?;
        if members.iter().any(|(name, _)| name == "message_uuid") {
            return Ok(Self::Messages);
        }
        Fields::of_members(members).map(Self::Sms)
    }
}

/// Decoded parameters, each there once, sorted by the bytes of their names.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    fn of_form(encoded: &[u8]) -> Result<Self, &'static str> {
        let mut fields = Self::default();
        let pairs = encoded.split(|byte| *byte == b'&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = match equals {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            fields.add(decoded(name)?, decoded(value)?)?;
        }
        Ok(fields)
    }

    fn of_members(members: Vec<(String, &RawValue)>) -> Result<Self, &'static str> {
        let mut fields = Self::default();
        for (name, value) in members {
            let literal = value.get();
            let value = match literal.as_bytes().first() {
                Some(b'{' | b'[') => return Err("a member is an object or an array"),
                Some(b'n') => continue, // `null` is as if it were not there.
                Some(b'"') => serde_json::from_str(literal).map_err(|_| "a text is none")?,
                _ => literal.to_owned(),
            };
            fields.add(name, value)?;
        }
        Ok(fields)
    }

    fn add(&mut self, name: String, value: String) -> Result<(), &'static str> {
        if name.contains(['&', '=']) {
            return Err("a name has characters that would sign another one");
        }
        match self.0.insert(name, value) {
            None => Ok(()),
            Some(_) => Err("a parameter comes twice"),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `name`, blank or not.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of `name`, unless it is blank: a blank one may have been left out of what was signed,
    /// and so may be anybody's.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !is_blank(value))
    }

    pub(super) fn has_blanks(&self) -> bool {
        self.0.values().any(|value| is_blank(value))
    }

    /// What is signed: all but the signature itself.
    pub(super) fn signed_text(&self, blanks: Blanks) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            if name == "sig" || (blanks == Blanks::LeftOut && is_blank(value)) {
                continue;
            }
            text.extend(["&", name, "="]);
            text.extend(value.chars().map(|c| match c {
                '&' | '=' => '_',
                c => c,
            }));
        }
        text
    }
}

/// Whether blank values are part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blanks {
    Signed,
    LeftOut,
}

fn is_blank(value: &str) -> bool {
    value.trim().is_empty()
}

/// Strict, unlike a browser's reading: what is no UTF-8 must not turn into something that is.
fn decoded(encoded: &[u8]) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, behind @ ..] = rest {
        rest = behind;
        bytes.push(match (first, behind) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => {
                rest = behind;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = digit(*high).zip(digit(*low)).ok_or(NOT_A_FORM)?;
                (high * 16 + low) as u8
            }
            (b'%', _) => return Err(NOT_A_FORM),
            (byte, _) => *byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| NOT_UTF_8)
}

const NOT_A_FORM: &str = "a percent sign has no two digits";
const NOT_UTF_8: &str = "it is not UTF-8";

/// The members of a JSON object, repeated ones included, their values as they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
