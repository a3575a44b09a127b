//! Fields of a request: read leniently, while everything that the schema forbids is noted with its path.

use serde_json::Value;

/// A field that breaks the schema.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Violation {
    /// Where it is, as in `messages[3].destinations[0].to`.
    pub property: String,
    pub violation: String,
}

/// An object of the request, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Place<'v> {
    value: &'v Value,
    path: String,
}

/// Notes violations.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub violations: Vec<Violation>,
}

impl<'v> Place<'v> {
    /// The body itself.
    pub fn root(value: &'v Value) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    /// The field, unless it is absent or null, and its path.
    fn get(&self, key: &str) -> Option<&'v Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    /// Where the field `key` is.
    pub fn path(&self, key: &str) -> String {
        let dot = if self.path.is_empty() { "" } else { "." };
        format!("{}{dot}{key}", self.path)
    }
}

impl Fields {
    /// Notes a violation of `place.key`.
    pub fn forbid(&mut self, place: &Place<'_>, key: &str, violation: &str) {
        self.violations.push(Violation {
            property: place.path(key),
            violation: violation.to_owned(),
        });
    }

    /// A text of at most `max` characters.
    pub fn text(&mut self, place: &Place<'_>, key: &str, max: usize) -> Option<String> {
        let text = self.unlimited(place, key)?;
        if text.chars().count() > max {
            self.forbid(place, key, &format!("size must be between 0 and {max}"));
        }
        Some(text)
    }

    /// A text of any length.
    pub fn unlimited(&mut self, place: &Place<'_>, key: &str) -> Option<String> {
        let value = place.get(key)?;
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            self.forbid(place, key, "must be a string");
        }
        text
    }

    /// One of these words.
    pub fn word(&mut self, place: &Place<'_>, key: &str, words: &[&str]) -> Option<String> {
        let word = self.unlimited(place, key)?;
        if !words.contains(&word.as_str()) {
            self.forbid(place, key, "unknown value");
        }
        Some(word)
    }

    /// A whole number of at least 1.
    pub fn count(&mut self, place: &Place<'_>, key: &str) -> Option<u64> {
        let value = place.get(key)?;
        let count = value.as_u64().filter(|count| *count > 0);
        if count.is_none() {
            self.forbid(place, key, "must be a whole number greater than 0");
        }
        count
    }

    /// `true` or `false`.
    pub fn flag(&mut self, place: &Place<'_>, key: &str) -> Option<bool> {
        let value = place.get(key)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.forbid(place, key, "must be a boolean");
        }
        flag
    }

    /// An address that reports could be posted to.
    pub fn url(&mut self, place: &Place<'_>, key: &str) -> Option<String> {
        let url = self.unlimited(place, key)?;
        let valid = url.parse::<http::Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
        });
        if !valid {
            self.forbid(place, key, "must be a valid URL");
        }
        Some(url).filter(|_| valid)
    }

    /// An object; what is in one that is absent is absent.
    pub fn object<'v>(&mut self, place: &Place<'v>, key: &str) -> Option<Place<'v>> {
        let value = place.get(key)?;
        if !value.is_object() {
            self.forbid(place, key, "must be an object");
            return None;
        }
        Some(Place {
            value,
            path: place.path(key),
        })
    }

    /// A list of at least one object.
    pub fn list<'v>(&mut self, place: &Place<'v>, key: &str) -> Vec<Place<'v>> {
        let Some(values) = place.get(key) else {
            self.forbid(place, key, "must not be null");
            return Vec::new();
        };
        let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
        if values.is_empty() {
            self.forbid(place, key, "must be a list that is not empty");
        }
        let path = place.path(key);
        let place = |(index, value)| Place {
            value,
            path: format!("{path}[{index}]"),
        };
        values.iter().enumerate().map(place).collect()
    }

    /// Notes that `place.key` is missing, if it is.
    pub fn required<T>(&mut self, place: &Place<'_>, key: &str, found: Option<T>) -> Option<T> {
        if place.get(key).is_none() {
            self.forbid(place, key, "must not be null");
        }
        found
    }
}

/// The path without its indices, as an account may be told it.
pub(crate) fn without_indices(path: &str) -> String {
    let mut inside = false;
    let outside = |c: &char| {
        inside = match c {
            '[' => true,
            ']' => {
                inside = false;
                return false;
            }
            _ => inside,
        };
        !inside
    };
    path.chars().filter(outside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_forbidden_is_noted_with_its_path_and_read_as_far_as_it_goes() {
        let body = json!({"a": [{"b": 7, "c": "toolong", "d": 0, "e": "odd", "f": "nowhere"}, {}], "g": null});
        let root = Place::root(&body);
        let mut fields = Fields::default();
        let list = fields.list(&root, "a");
        assert_eq!(fields.text(&list[0], "b", 5), None);
        assert_eq!(fields.text(&list[0], "c", 5).as_deref(), Some("toolong"));
        assert_eq!(fields.count(&list[0], "d"), None);
        fields.word(&list[0], "e", &["even"]);
        assert_eq!(fields.url(&list[0], "f"), None);
        let absent = fields.text(&list[1], "b", 5);
        fields.required(&list[1], "b", absent);
        assert!(fields.object(&root, "g").is_none());
        assert!(fields.list(&root, "g").is_empty());
        let noted: Vec<_> = fields
            .violations
            .iter()
            .map(|v| v.property.as_str())
            .collect();
        let wanted = [
            "a[0].b", "a[0].c", "a[0].d", "a[0].e", "a[0].f", "a[1].b", "g",
        ];
        assert_eq!(noted, wanted);
    }

    #[test]
    fn a_path_can_be_told_without_its_indices() {
        let path = "messages[3].destinations[0].to";
        assert_eq!(without_indices(path), "messages.destinations.to");
    }
}
