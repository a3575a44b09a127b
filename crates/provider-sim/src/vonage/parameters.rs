//! The parameters of a request: names and values, from a form or a flat JSON object.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

/// The parameters as they came. Those that the twin does not know matter to nothing but a signature.
#[derive(Debug, Default)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a body; one of an unknown type, or that is none, has no parameters, and Vonage then misses them.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => {
                Self(form_urlencoded::parse(body).into_owned().collect())
            }
            "application/json" => Self::of_json(body),
            _ => Self::default(),
        }
    }

    fn of_json(body: &[u8]) -> Self {
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let flat = object.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            Value::Number(_) | Value::Bool(_) => Some((name, value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        });
        Self(flat.collect())
    }

    /// The value; a blank one is as good as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// All but one, for a signature.
    pub fn without<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(move |(own, _)| *own != name)
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(kind: &'static str, body: &str) -> Parameters {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        Parameters::read(&headers, body.as_bytes())
    }

    #[test]
    fn a_form_and_a_flat_object_are_read_alike_and_anything_else_is_empty() {
        let form = read(
            "Application/X-WWW-Form-Urlencoded",
            "to=1&ttl=20000&text=a+%26b&x=",
        );
        let json = read(
            "application/json; charset=utf-8",
            r#"{"to":"1","ttl":20000,"text":"a &b","x":null,"deep":{"a":1}}"#,
        );
        for parameters in [form, json] {
            assert_eq!(parameters.get("to"), Some("1"));
            assert_eq!(parameters.get("ttl"), Some("20000"));
            assert_eq!(parameters.get("text"), Some("a &b"));
            assert_eq!(parameters.get("x"), None);
            assert_eq!(parameters.get("deep"), None);
        }
        assert_eq!(read("text/plain", "to=1").get("to"), None);
        assert_eq!(read("application/json", "[1]").get("to"), None);
    }
}
