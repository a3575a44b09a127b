//! Reading a JSON request field by field, with a refusal that names the field. A `null` counts as absent.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::errors::Refusal;

pub(crate) type Object = Map<String, Value>;

/// The member that has to be an object, if it is there.
pub(crate) fn object<'a>(of: &'a Object, name: &str) -> Result<Option<&'a Object>, Refusal> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Refusal::invalid(format!("{name} must be an object"))),
    }
}

/// The member that has to be a string of at most so many characters, if it is there.
pub(crate) fn text<'a>(
    of: &'a Object,
    name: &str,
    characters_max: usize,
) -> Result<Option<&'a str>, Refusal> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= characters_max => Ok(Some(text)),
        Some(Value::String(_)) => Err(Refusal::invalid(format!(
            "{name} is longer than {characters_max} characters"
        ))),
        Some(_) => Err(Refusal::invalid(format!("{name} must be a string"))),
    }
}

/// The member that has to be one of a few words, if it is there.
pub(crate) fn one_of(of: &Object, name: &str, words: &[&str]) -> Result<(), Refusal> {
    match text(of, name, usize::MAX)? {
        Some(given) if !words.contains(&given) => {
            Err(Refusal::invalid(format!("{name} has no value {given:?}")))
        }
        _ => Ok(()),
    }
}

/// The member that has to be a map from strings to strings of at most so many characters; empty if it is not there.
pub(crate) fn strings<'a>(
    of: &'a Object,
    name: &str,
    characters_max: usize,
) -> Result<BTreeMap<&'a str, &'a str>, Refusal> {
    let Some(inner) = object(of, name)? else {
        return Ok(BTreeMap::new());
    };
    let pair = |key: &'a String| {
        let value = text(inner, key, characters_max).map_err(|refusal| refusal.within(name))?;
        Ok((key.as_str(), value.unwrap_or_default()))
    };
    inner.keys().map(pair).collect()
}

/// The same, leniently: what is no string is left out.
pub(crate) fn strings_if_any<'a>(of: &'a Value, name: &str) -> BTreeMap<&'a str, &'a str> {
    let members = of.get(name).and_then(Value::as_object);
    members
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .collect()
}
