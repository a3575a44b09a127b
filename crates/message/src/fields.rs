//! The values of a row's placeholders: a handful of names and texts, millions of times. A tree with
//! two strings an entry costs five allocations a row; here they are two, whatever it has.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, MapAccess, Visitor},
};

/// Names with their values, each name once, sorted by their bytes. JSON shows an object; of a name
/// that is there twice the last value counts.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Fields {
    /// Every name with its value behind it, in order and without anything between them.
    text: String,
    /// Where they end in `text`: a name, its value, the next name.
    ends: Vec<u32>,
}

/// Spares most rows the growing.
const TEXT_BYTES_USUAL: usize = 64;

impl Fields {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.chunks_exact(2).map(move |ends| {
            let (name, value) = (ends[0] as usize, ends[1] as usize);
            let pair = (&self.text[start..name], &self.text[name..value]);
            start = value;
            pair
        })
    }

    /// Sets the value of `name`.
    pub fn insert(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        if self.is_behind_all(name) {
            self.push(name, value);
        } else {
            *self = self.iter().chain([(name, value)]).collect();
        }
    }

    /// Keeps those whose name `is_wanted`.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&str) -> bool) {
        if self.iter().all(|(name, _)| is_wanted(name)) {
            return;
        }
        let mut kept = Self::new();
        for (name, value) in self.iter().filter(|(name, _)| is_wanted(name)) {
            kept.push(name, value);
        }
        *self = kept;
    }

    fn is_behind_all(&self, name: &str) -> bool {
        self.iter().last().is_none_or(|(last, _)| last < name)
    }

    /// Appends what sorts behind everything there is.
    fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        self.end();
        self.text.push_str(value);
        self.end();
    }

    fn end(&mut self) {
        let end = u32::try_from(self.text.len()).expect("the fields of a row are far below 4 GiB");
        self.ends.push(end);
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs: Vec<(N, V)> = pairs.into_iter().collect();
        let sorted: BTreeMap<&str, &str> = pairs
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
            .collect();
        let mut fields = Self::new();
        for (name, value) in sorted {
            fields.push(name, value);
        }
        fields
    }
}

impl std::ops::Index<&str> for Fields {
    type Output = str;
    /// Panics without such a field, like that of a map.
    fn index(&self, name: &str) -> &str {
        self.get(name).expect("no field of this name")
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::new();
                let (mut is_sorted, mut last) = (true, 0..0);
                loop {
                    let start = fields.text.len();
                    if map.next_key_seed(Append(&mut fields.text))?.is_none() {
                        break;
                    }
                    let name = start..fields.text.len();
                    is_sorted &=
                        start == 0 || fields.text[last.clone()] < fields.text[name.clone()];
                    last = name;
                    fields.end();
                    map.next_value_seed(Append(&mut fields.text))?;
                    fields.end();
                }
                Ok(if is_sorted {
                    fields
                } else {
                    fields.iter().collect()
                })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Reads a text behind those that were read before.
struct Append<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Append<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.0.capacity() == 0 {
            self.0.reserve(TEXT_BYTES_USUAL);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["", "a", "ab", "b", "é", "first_name", "z"])
            .prop_map(str::to_owned)
    }

    proptest! {
        #[test]
        fn fields_are_what_a_tree_of_them_is(
            pairs in prop::collection::vec((name(), "\\PC{0,20}"), 0..8),
            more in (name(), "\\PC{0,20}"),
        ) {
            // Written by hand, because a tree can not write a name twice.
            let members: Vec<String> = pairs
                .iter()
                .map(|(name, value)| {
                    let json = |text| serde_json::to_string(text).expect("JSON");
                    format!("{}:{}", json(name), json(value))
                })
                .collect();
            let json = format!("{{{}}}", members.join(","));
            let mut fields: Fields = serde_json::from_str(&json).expect("fields");
            let mut tree: BTreeMap<String, String> = serde_json::from_str(&json).expect("a tree");
            prop_assert_eq!(&fields, &pairs.iter().map(|(n, v)| (n, v)).collect());
            let same = |fields: &Fields, tree: &BTreeMap<String, String>| {
                fields.iter().eq(tree.iter().map(|(name, value)| (&**name, &**value)))
                    && fields.len() == tree.len()
                    && serde_json::to_string(fields).ok() == serde_json::to_string(tree).ok()
            };
            prop_assert!(same(&fields, &tree));
            fields.insert(&more.0, &more.1);
            tree.insert(more.0.clone(), more.1.clone());
            prop_assert!(same(&fields, &tree));
            prop_assert_eq!(fields.get(&more.0), Some(&*more.1));
            fields.retain(|name| name.len() != 1);
            tree.retain(|name, _| name.len() != 1);
            prop_assert!(same(&fields, &tree));
        }
    }

    #[test]
    fn what_is_no_object_of_strings_is_refused_as_a_tree_of_them_refuses_it() {
        for json in [
            "[]",
            "7",
            r#"{"a":1}"#,
            r#"{"a":null}"#,
            r#"{"a":{}}"#,
            r#"{"a":"b""#,
        ] {
            let refused = serde_json::from_str::<Fields>(json).expect_err("no fields");
            let tree = serde_json::from_str::<BTreeMap<String, String>>(json).expect_err("no tree");
            assert_eq!(refused.to_string(), tree.to_string(), "{json}");
        }
    }
}
