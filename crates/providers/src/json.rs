//! JSON from outside, read leniently: of a repeated member the last one counts, numbers may be
//! strings, and what is not needed may be anything.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// The object that `body` is.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    object(serde_json::from_slice(body).ok()?)
}

/// The object that `value` is. By way of [`Value`], because a derived reader refuses repeated
/// members; and only of an object, because it would take an array for one without names.
pub(crate) fn object<T: DeserializeOwned>(value: Value) -> Option<T> {
    value
        .is_object()
        .then(|| serde_json::from_value(value).ok())?
}

/// An object within an object; anything else is as if it were not there.
pub(crate) fn part<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Value::deserialize(deserializer).map(object)
}

/// A text or a number, as text; anything else is as if it were not there.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

/// A whole number, also one that is written as a string; anything else is as if it were not there.
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Sample {
        #[serde(default, deserialize_with = "text")]
        id: Option<String>,
        #[serde(default, deserialize_with = "integer")]
        code: Option<i64>,
        #[serde(default, deserialize_with = "part")]
        within: Option<Box<Sample>>,
    }

    #[test]
    fn the_last_of_repeated_members_counts_and_numbers_may_be_strings() {
        let sample = |id: Option<&str>, code| Sample {
            id: id.map(str::to_owned),
            code,
            within: None,
        };
        for (body, expected) in [
            (
                r#"{"id":"a","id":"b","code":"7"}"#,
                sample(Some("b"), Some(7)),
            ),
            (
                r#"{"id":12,"code":-3,"more":{}}"#,
                sample(Some("12"), Some(-3)),
            ),
            (r#"{"id":null,"code":1.5}"#, sample(None, None)),
            (r#"{"id":["a"],"code":"seven"}"#, sample(None, None)),
            ("{}", sample(None, None)),
        ] {
            assert_eq!(read::<Sample>(body.as_bytes()), Some(expected), "{body}");
        }
        let nested = |body: &str| read::<Sample>(body.as_bytes())?.within;
        let within = nested(r#"{"within":{"code":1,"code":2}}"#);
        assert_eq!(within, Some(Box::new(sample(None, Some(2)))));
        for body in ["{}", r#"{"within":null}"#, r#"{"within":["a"]}"#] {
            assert_eq!(nested(body), None, "{body}");
        }
        for body in ["", "{", "[]", "7", "{}x"] {
            assert_eq!(read::<Sample>(body.as_bytes()), None, "{body}");
        }
    }
}
