//! The parameters of a webhook, wherever they are. Source: `shared/providers/messagebird.md`,
//! sections 6 and 7.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use http::Request;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use crate::Malformed;

/// Query and body put together, the body's value winning; of a repeated name the last one counts.
/// Names are in lower case, because MessageBird's and its customers' flows do not agree on it.
#[derive(Debug)]
pub(super) struct Values(BTreeMap<String, String>);

impl Values {
    /// A body is JSON by its first byte: the content type of a flow's step may lie.
    pub(super) fn of(callback: &Request<Bytes>) -> Result<Self, Malformed> {
        let mut values = Self(BTreeMap::new());
        values.add_form(callback.uri().query().unwrap_or_default().as_bytes());
        let body = callback.body();
        if body.trim_ascii_start().starts_with(b"{") {
            let Members(members) = serde_json::from_slice(body).map_err(|_| Malformed {
                why: "the body is not JSON",
            })?;
            for (name, value) in members {
                values.add_member(&name, value);
            }
        } else {
            values.add_form(body);
        }
        Ok(values)
    }

    fn add_form(&mut self, encoded: &[u8]) {
        for (name, value) in form_urlencoded::parse(encoded) {
            self.add(&name, value.into_owned());
        }
    }

    /// What is neither text nor number is as if it were not there. A list keeps its JSON, which is
    /// also how a form carries one.
    fn add_member(&mut self, name: &str, value: Value) {
        match value {
            Value::String(text) => self.add(name, text),
            Value::Number(number) => self.add(name, number.to_string()),
            Value::Array(_) if is_media(name) => self.add(name, value.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {}
        }
    }

    fn add(&mut self, name: &str, value: String) {
        self.0.insert(name.to_ascii_lowercase(), value);
    }

    /// The value of `name`, unless it is missing or empty.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let value = self.0.get(&name.to_ascii_lowercase())?;
        (!value.is_empty()).then_some(value)
    }

    /// The first of `names` that has a value.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.one(name))
    }

    /// Pictures and such.
    pub(super) fn media(&self) -> u8 {
        let Some(text) = self.one(MEDIA) else {
            return 0;
        };
        let count = match serde_json::from_str(text) {
            Ok(Value::Array(links)) => links.iter().filter(|link| link.is_string()).count(),
            _ => 1,
        };
        u8::try_from(count).unwrap_or(u8::MAX)
    }
}

/// The one name whose value may be a list.
const MEDIA: &str = "mediaUrls";

fn is_media(name: &str) -> bool {
    name.eq_ignore_ascii_case(MEDIA)
}

/// An object's members in their order: two names may differ in nothing but case, and a map of
/// `serde_json` would have sorted them.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
