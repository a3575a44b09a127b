//! Whose a batch is, without reading the megabyte behind the name: enough to decide when it is read.

use std::fmt;

use message::OrganizationId;
use serde::{
    Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};

/// The organisation that `body` names first. Nothing if it is not found: reading will say why.
pub(crate) fn organization(body: &[u8]) -> Option<OrganizationId> {
    let mut found = None;
    // Stops with an error as soon as it knows: what follows costs nothing.
    let _ = serde_json::Deserializer::from_slice(body).deserialize_map(Look(&mut found));
    found
}

struct Look<'f>(&'f mut Option<OrganizationId>);

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            if name == "organization_id" {
                *self.0 = Some(map.next_value()?);
                return Err(A::Error::custom("found"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_organisation_is_found_wherever_it_stands_and_whatever_follows() {
        for (body, expected) in [
            (r#"{"organization_id":"A","recipients":[{"#, Some("A")),
            (
                r#" {"text":"{\"organization_id\":\"B\"}","organization_id" : "A"}"#,
                Some("A"),
            ),
            (
                r#"{"batch":{"organization_id":"B"},"organization_id":"A"}"#,
                Some("A"),
            ),
            (
                r#"{"organization_id":"A","organization_id":"B"}"#,
                Some("A"),
            ),
            (r#"{"organization_id":"a b"}"#, None),
            (r#"{"organization_id":7}"#, None),
            (r#"{"recipients":[}"#, None),
            (r#"["organization_id"]"#, None),
            ("", None),
        ] {
            let found = organization(body.as_bytes());
            assert_eq!(
                found.as_ref().map(OrganizationId::as_str),
                expected,
                "{body}"
            );
        }
    }
}
